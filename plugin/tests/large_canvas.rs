//! A canvas that fits under its memory limit only by every means: tiles, few pictures at once, and a history in half
//! precision. In a process of its own, whose peak the system counts.
//!
//! One cheap layer is all that the network is asked for, so that the pictures are most of the memory and a step takes a
//! second.

mod process;

use std::cell::RefCell;

use pentimento_plugin::canvas::Picture;
use pentimento_plugin::control::{Control, Flow, LogLevel, Report};
use pentimento_plugin::filters::{Rendered, style_transfer};
use pentimento_plugin::settings::{Settings, manifest};
use process::memory;

/// As many as there are pairs in the history under the limit: until then it is as long as without.
const STEPS: usize = 5;
/// In GB.
const LIMIT: f64 = 0.6;
const WIDTH: usize = 2000;
const HEIGHT: usize = 1400;

/// Stops a render after some steps, and remembers what it said.
#[derive(Default)]
struct Host {
    losses: RefCell<Vec<f64>>,
    log: RefCell<String>,
}

impl Control for Host {
    fn report(&self, report: &Report) -> Flow {
        self.losses.borrow_mut().extend(report.loss);
        if self.losses.borrow().len() < STEPS {
            return Flow::Continue;
        }
        Flow::Stop
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

/// The first steps of a render under a limit in GB.
fn render(limit: f64, optimiser: &str) -> (Picture, Host) {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    let limit = limit.to_string();
    for (id, value) in [
        ("pyramid", "false"),
        ("threads", "2"),
        ("style_layers", "conv1_1:1"),
        ("content_layers", ""),
        ("smoothness", "0.5"),
        ("memory_limit", &limit),
        ("optimiser", optimiser),
    ] {
        settings.set_text(id, value).unwrap();
    }
    let host = Host::default();
    let styles = [(waves(300, 200, 2.0), 1.0)];
    let content = waves(WIDTH, HEIGHT, 1.0);
    let rendered = style_transfer::render(content, &styles, &settings.resolve().unwrap(), &host).unwrap();
    match rendered {
        Rendered::Picture(picture, _) => (picture, host),
        Rendered::Cancelled => panic!("nobody cancelled"),
    }
}

#[test]
fn a_canvas_is_painted_in_the_memory_of_a_few_of_its_kind() {
    let (limited, under) = render(LIMIT, "lbfgs");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < LIMIT * 1e9, "{peak}");
    }
    // What candle-nn makes of a picture is more than all of that, and is known.
    render(2.0 * LIMIT, "adam");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < 2.0 * LIMIT * 1e9, "{peak}");
    }
    let log = under.log.take();
    assert!(log.contains("tiles") && log.contains("in half precision"), "{log}");

    let (free, over) = render(0.0, "lbfgs");
    assert!(!over.log.take().contains("memory is short"));
    let (under, over) = (under.losses.take(), over.losses.take());
    assert!(over.last() < over.first(), "{over:?}");
    for (under, over) in under.iter().zip(&over) {
        assert!((under - over).abs() < 1e-3 * over, "{under} and {over}");
    }
    let differences = limited.samples.iter().zip(&free.samples).map(|(a, b)| f64::from(a - b));
    let apart = (differences.map(|difference| difference * difference).sum::<f64>() / free.samples.len() as f64).sqrt();
    assert!(apart < 0.1 / 255.0, "{apart}");
}
