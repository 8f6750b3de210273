//! From settings to a picture through the Rust host library, as a test wants it: what fails, panics.

use std::sync::OnceLock;

use pentimento_host::{Callbacks, ImageMut, Job, Outcome, Plugin, Result};

use crate::built::library;
use crate::pictures::Pixels;

/// The filter that is tested.
pub const FILTER: &str = "style-transfer";

/// Parameters and their values.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// The plugin, loaded once.
pub fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| Plugin::load(library()).expect("the plugin loads"))
}

/// A job with these settings.
pub fn job(settings: Settings) -> Job {
    let mut job = plugin().job(FILTER).expect("the filter is there");
    for (id, value) in settings {
        job.set_text(id, value)
            .unwrap_or_else(|error| panic!("{id}={value}: {error}"));
    }
    job
}

/// Renders into `output`, which keeps what it had where the plugin writes nothing.
pub fn render_into(
    job: &mut Job,
    content: &Pixels,
    styles: &[(&Pixels, f64)],
    output: &mut Pixels,
    callbacks: &mut Callbacks,
) -> Result<Outcome> {
    let images: Vec<_> = styles.iter().map(|(style, weight)| (style.image(), *weight)).collect();
    let styles: Vec<_> = images.iter().map(|(image, weight)| (image, *weight)).collect();
    let mut output = ImageMut::new(&mut output.bytes, output.shape)?;
    job.render(&content.image(), &styles, &mut output, callbacks)
}

/// The finished picture of these settings.
pub fn render(content: &Pixels, styles: &[(&Pixels, f64)], settings: Settings) -> Pixels {
    let mut output = content.clone();
    let outcome = render_into(&mut job(settings), content, styles, &mut output, &mut Callbacks::new());
    assert_eq!(outcome, Ok(Outcome::Finished), "{settings:?}");
    output
}
