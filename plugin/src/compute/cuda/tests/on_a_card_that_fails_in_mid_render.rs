//! A render by the whole filter, on a card that fails in its midst.

use std::cell::RefCell;

use crate::canvas::Picture;
use crate::control::{Control, Flow, LogLevel, Outcome, Report};
use crate::filters::{Rendered, style_transfer};
use crate::settings::{Settings, manifest};

#[derive(Default)]
struct Listener(RefCell<Vec<String>>);

impl Control for Listener {
    fn report(&self, _: &Report) -> Flow {
        Flow::Continue
    }

    fn wants_preview(&self) -> bool {
        false
    }

    fn log(&self, level: LogLevel, message: &str) {
        if level == LogLevel::Warning {
            self.0.borrow_mut().push(message.into());
        }
    }
}

#[test]
#[ignore = "needs an emulated card that fails"]
fn the_processor_goes_on() {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in [("device", "cuda:0"), ("quality", "0.1"), ("edges", "zero")] {
        settings.set_text(id, value).unwrap();
    }
    let picture = |seed: usize| {
        let samples = (0..3 * 24 * 24).map(|index| (index * seed % 101) as f32 / 100.0);
        Picture::new(24, 24, samples.collect()).unwrap()
    };
    let listener = Listener::default();
    let styles = [(picture(53), 1.0)];
    let rendered = style_transfer::render(picture(37), &styles, &settings.resolve().unwrap(), &listener).unwrap();
    assert!(matches!(rendered, Rendered::Picture(_, Outcome::Finished)));
    let warnings = listener.0.into_inner();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(warning.starts_with("device: cuda:0 failed: "), "{warning}");
    assert!(
        warning.ends_with("; the processor goes on from the picture so far"),
        "{warning}"
    );
}
