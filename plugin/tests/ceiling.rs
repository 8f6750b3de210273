//! Renders under a memory limit, in a process of their own, whose peak the system counts.

mod process;

use std::cell::{Cell, RefCell};

use pentimento_plugin::canvas::Picture;
use pentimento_plugin::control::{Control, Flow, LogLevel, Report};
use pentimento_plugin::filters::{Rendered, style_transfer};
use pentimento_plugin::settings::{Settings, StyleTransfer, manifest};
use pentimento_plugin::{Error, Result};

use process::memory;

/// Stops a render after a few steps, and remembers what it said.
#[derive(Default)]
struct Host {
    steps: Cell<usize>,
    log: RefCell<String>,
}

const STEPS: usize = 2;

impl Control for Host {
    fn report(&self, report: &Report) -> Flow {
        self.steps.set(self.steps.get() + usize::from(report.step_count > 0));
        if self.steps.get() < STEPS {
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

/// The first steps of a render, and what was said about it.
fn render(set: &[(&str, &str)]) -> Result<(Picture, String)> {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in [("pyramid", "false"), ("threads", "2")].iter().chain(set) {
        settings.set_text(id, value).unwrap();
    }
    let settings: StyleTransfer = settings.resolve().unwrap();
    let host = Host::default();
    let styles = [(waves(300, 200, 2.0), 1.0)];
    match style_transfer::render(waves(701, 475, 1.0), &styles, &settings, &host)? {
        Rendered::Picture(picture, _) => Ok((picture, host.log.take())),
        Rendered::Cancelled => panic!("nobody cancelled"),
    }
}

/// One test, because a process has one peak.
#[test]
fn a_limit_is_kept_and_costs_nothing_but_time() {
    let error = render(&[("memory_limit", "0.33")]).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error}");
    let text = error.to_string();
    let (_, advice) = text.split_once("set working_size to ").expect("a size that fits");
    let size = advice.split(' ').next().unwrap();
    render(&[("memory_limit", "0.33"), ("working_size", size)]).expect("it does fit");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < 330e6, "{peak}");
    }

    let (tiled, log) = render(&[("memory_limit", "0.5")]).unwrap();
    assert!(log.contains("tiles"), "{log}");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < 500e6, "{peak}");
    }
    let (whole, log) = render(&[]).unwrap();
    assert!(!log.contains("tiles"), "{log}");
    for (tiled, whole) in tiled.samples.iter().zip(&whole.samples) {
        assert!((tiled - whole).abs() < 1e-3, "{tiled} and {whole}");
    }
}
