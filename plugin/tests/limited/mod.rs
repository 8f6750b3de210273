//! The first steps of a render in one level, for tests that limit its memory.

use std::cell::RefCell;

use pentimento_plugin::Result;
use pentimento_plugin::canvas::Picture;
use pentimento_plugin::control::{Control, Flow, LogLevel, Report};
use pentimento_plugin::filters::{Rendered, style_transfer};
use pentimento_plugin::settings::{Settings, manifest};

/// What was painted, and what was said meanwhile.
pub struct Begun {
    pub picture: Picture,
    pub losses: Vec<f64>,
    pub log: String,
}

/// Stops a render after some steps, and remembers what it said.
struct Host {
    steps: usize,
    losses: RefCell<Vec<f64>>,
    log: RefCell<String>,
}

impl Control for Host {
    fn report(&self, report: &Report) -> Flow {
        self.losses.borrow_mut().extend(report.loss);
        if self.losses.borrow().len() < self.steps {
            Flow::Continue
        } else {
            Flow::Stop
        }
    }

    fn wants_preview(&self) -> bool {
        false
    }

    fn log(&self, _: LogLevel, message: &str) {
        self.log.borrow_mut().push_str(message);
    }
}

fn waves(width: usize, height: usize, phase: f32) -> Picture {
    let samples = (0..3 * height).flat_map(|row| {
        let y = (row % height) as f32 / 19.0 + (row / height) as f32;
        (0..width).map(move |column| 0.5 + 0.4 * (column as f32 / 23.0 + phase).sin() * (y * phase).cos())
    });
    Picture::new(width, height, samples.collect()).unwrap()
}

/// So many steps in a canvas of this size.
pub fn begin(width: usize, height: usize, steps: usize, set: &[(&str, &str)]) -> Result<Begun> {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in [("pyramid", "false"), ("threads", "2")].iter().chain(set) {
        settings.set_text(id, value).unwrap();
    }
    let host = Host {
        steps,
        losses: RefCell::default(),
        log: RefCell::default(),
    };
    let styles = [(waves(300, 200, 2.0), 1.0)];
    let content = waves(width, height, 1.0);
    match style_transfer::render(content, &styles, &settings.resolve().unwrap(), &host)? {
        Rendered::Picture(picture, _) => Ok(Begun {
            picture,
            losses: host.losses.take(),
            log: host.log.take(),
        }),
        Rendered::Cancelled => panic!("nobody cancelled"),
    }
}
