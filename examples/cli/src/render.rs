//! `pentimento render`: files in, the plugin, a file out.
//!
//! Whatever can be refused is refused before the render: where the result goes, the pictures, the plugin, the settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use pentimento_host::manifest::Filter;
use pentimento_host::{
    Callbacks, Canceller, Estimate, Flow, Format, Image, ImageMut, Job, Layout, Outcome, Plugin, Shape, Transfer,
};

use crate::arguments::RenderArguments;
use crate::error::{Error, Kind, Result};
use crate::picture_file::{Channels, Picture, Plan, Target, read};
use crate::progress::{Reporter, Verbosity};
use crate::{estimate, plugin, print};

/// Renders as the command line says.
pub fn run(arguments: &RenderArguments) -> Result<()> {
    let begin = Instant::now();
    let verbosity = match (arguments.quiet, arguments.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Info,
        (false, _) => Verbosity::Debug,
    };
    let reporter = Reporter::new(verbosity);
    let weights = weights(arguments)?;
    let target = arguments.output.as_deref().map(Target::new).transpose()?;

    let mut content = read(&arguments.content, "content")?;
    content.notes.iter().for_each(|note| reporter.note(note));
    if let Some(size) = arguments.size {
        content.picture = content.picture.resized(size);
    }
    let mut styles = Vec::new();
    for path in &arguments.styles {
        let style = read(path, "style")?;
        style.notes.iter().for_each(|note| reporter.note(note));
        styles.push(Lent::new(&style.picture));
    }
    let plan = |target| Plan::new(target, &content, arguments.colour);
    let plan = target.as_ref().map(plan).transpose()?;

    let plugin = plugin::load(&plugin::find(arguments.plugin.path.as_deref())?)?;
    let mut job = job(&plugin, arguments)?;

    let lent = Lent::new(&content.picture);
    let (Some(target), Some(plan), false) = (target, plan, arguments.estimate) else {
        let styles: Vec<_> = styles.iter().map(Lent::size).collect();
        return print_estimate(estimate::ask(&job, lent.size(), &styles)?, arguments.json);
    };
    plan.notes.iter().for_each(|note| reporter.note(note));

    let mut result = Lent::new(&Picture::new(
        content.picture.width,
        content.picture.height,
        plan.rendered,
    ));
    let interrupts = Interrupts::watch(job.canceller(), &reporter)?;
    let outcome = render(
        &mut job,
        &lent,
        styles.iter().zip(weights),
        &mut result,
        &reporter,
        &interrupts,
    );
    reporter.end();
    // A second Ctrl-C may come when the last evaluation is done; it still means that nothing is wanted.
    if outcome? == Outcome::Cancelled || interrupts.flow() == Flow::Cancel {
        return Err(Error::new(Kind::Cancelled, "cancelled", "nothing was written"));
    }
    let stopped = if interrupts.flow() == Flow::Stop {
        "stopped early; "
    } else {
        ""
    };
    target.write(&result.picture(plan.rendered), &plan)?;
    reporter.note(&format!(
        "{stopped}wrote {} ({} x {}) after {:.1} s",
        target.path().display(),
        result.shape.width,
        result.shape.height,
        begin.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn print_estimate(estimate: Option<Estimate>, as_json: bool) -> Result<()> {
    let Some(estimate) = estimate else {
        return Err(Error::new(
            Kind::Plugin,
            "the plugin does not tell what a render takes",
            "leave --estimate away to render",
        ));
    };
    let text = if as_json {
        estimate::json(&estimate)
    } else {
        estimate::tell(&estimate)
    };
    print(&format!("{text}\n"))
}

/// A weight for each style.
fn weights(arguments: &RenderArguments) -> Result<Vec<f64>> {
    match (arguments.weights.len(), arguments.styles.len()) {
        (0, styles) => Ok(vec![1.0; styles]),
        (weights, styles) if weights == styles => Ok(arguments.weights.clone()),
        (weights, styles) => Err(Error::new(
            Kind::Usage,
            format!("--weight is given {weights} times for {styles} styles"),
            "give it once for each style, or not at all",
        )),
    }
}

/// A job with the settings of the command line.
fn job(plugin: &Plugin, arguments: &RenderArguments) -> Result<Job> {
    let filters = plugin.filters().map_err(from_plugin)?;
    let Some(filter) = filters.iter().find(|filter| filter.id == arguments.filter) else {
        let known: Vec<_> = filters.iter().map(|filter| filter.id.as_str()).collect();
        return Err(Error::new(
            Kind::Usage,
            format!("there is no filter {:?}", arguments.filter),
            format!("known filters are {}", known.join(", ")),
        ));
    };
    let mut job = plugin.job(&filter.id).map_err(from_plugin)?;
    if let Some(preset) = &arguments.preset {
        set(&mut job, filter, "preset", preset)?;
    }
    for setting in &arguments.settings {
        set(&mut job, filter, &setting.id, &setting.value)?;
    }
    Ok(job)
}

fn set(job: &mut Job, filter: &Filter, id: &str, value: &str) -> Result<()> {
    if filter.parameter(id).is_none() {
        let known: Vec<_> = filter
            .parameters
            .iter()
            .map(|parameter| parameter.id.as_str())
            .collect();
        return Err(Error::new(
            Kind::Usage,
            format!("there is no setting {id:?}"),
            format!("known settings are {}", known.join(", ")),
        ));
    }
    job.set_text(id, value).map_err(from_plugin)
}

fn render<'a>(
    job: &mut Job,
    content: &Lent,
    styles: impl Iterator<Item = (&'a Lent, f64)>,
    result: &mut Lent,
    reporter: &Reporter,
    interrupts: &Interrupts,
) -> Result<Outcome> {
    let content = content.image()?;
    let styles: Vec<_> = styles
        .map(|(style, weight)| Ok((style.image()?, weight)))
        .collect::<Result<_>>()?;
    let styles: Vec<_> = styles.iter().map(|(image, weight)| (image, *weight)).collect();
    let mut output = ImageMut::new(&mut result.bytes, result.shape).map_err(from_plugin)?;
    let mut callbacks = Callbacks::new()
        .on_progress(|progress| {
            reporter.progress(progress);
            interrupts.flow()
        })
        .on_log(|level, line| reporter.log(level, line));
    job.render(&content, &styles, &mut output, &mut callbacks)
        .map_err(from_plugin)
}

/// The plugin's errors, each with what the user may do about it.
pub fn from_plugin(error: pentimento_host::Error) -> Error {
    use pentimento_host::Error as Failure;
    let (kind, remedy) = match &error {
        Failure::Argument(_) => (Kind::Usage, "see pentimento describe"),
        Failure::Memory(_) => (Kind::Render, "choose a smaller --size or working_size"),
        Failure::Device(_) => (Kind::Render, "try --set device=cpu, and see pentimento doctor"),
        Failure::Model(_) => (Kind::Render, "leave the setting model away to use the built-in network"),
        Failure::State(_) | Failure::Format(_) | Failure::Internal(_) | Failure::Unknown { .. } => {
            (Kind::Render, "please report it with what pentimento doctor says")
        }
    };
    Error::new(kind, error.to_string(), remedy)
}

/// Ctrl-C: once to stop, twice to cancel, a third time to leave at once.
struct Interrupts(Arc<AtomicU32>);

impl Interrupts {
    fn watch(canceller: Canceller, reporter: &Reporter) -> Result<Self> {
        let count = Arc::new(AtomicU32::new(0));
        let (counter, speak) = (Arc::clone(&count), reporter.speaker());
        ctrlc::set_handler(move || match counter.fetch_add(1, Ordering::SeqCst) {
            0 => {
                speak("stopping; the picture so far will be written, press Ctrl-C again to cancel");
                canceller.stop();
            }
            1 => {
                speak("cancelling; nothing will be written");
                canceller.cancel();
            }
            _ => std::process::exit(Kind::Cancelled as i32),
        })
        .map_err(|error| {
            Error::new(
                Kind::Internal,
                format!("cannot watch for Ctrl-C: {error}"),
                "please report it",
            )
        })?;
        Ok(Self(count))
    }

    /// What the render should do. The canceller says the same sooner, but not to a render that has yet to begin.
    fn flow(&self) -> Flow {
        match self.0.load(Ordering::SeqCst) {
            0 => Flow::Continue,
            1 => Flow::Stop,
            _ => Flow::Cancel,
        }
    }
}

/// A picture as the plugin takes it.
struct Lent {
    bytes: Vec<u8>,
    shape: Shape,
}

impl Lent {
    fn new(picture: &Picture) -> Self {
        let layout = match picture.channels {
            Channels::Gray => Layout::Gray,
            Channels::GrayAlpha => Layout::GrayAlpha,
            Channels::Rgb => Layout::Rgb,
            Channels::Rgba => Layout::Rgba,
        };
        Self {
            bytes: picture.samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect(),
            shape: Shape::packed(picture.width, picture.height, Format::F32, layout, Transfer::Srgb),
        }
    }

    fn size(&self) -> (u32, u32) {
        (self.shape.width, self.shape.height)
    }

    fn image(&self) -> Result<Image<'_>> {
        Image::new(&self.bytes, self.shape).map_err(from_plugin)
    }

    fn picture(&self, channels: Channels) -> Picture {
        let samples = self
            .bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_ne_bytes(*bytes))
            .collect();
        Picture {
            width: self.shape.width,
            height: self.shape.height,
            channels,
            samples,
        }
    }
}
