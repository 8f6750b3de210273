//! Renders by the whole filter on a card, whose pixels are moved there, and the boxes of them that the network sees.

use super::super::driver::emulated::held;
use super::vectors_on_a_card::{both, home, same};
use super::*;
use crate::canvas::Picture;
use crate::compute::{Margin, MomentsGradient, StatisticsGradient, Tiled};
use crate::control::Outcome;
use crate::filters::style_transfer::tests::{Listener, picture, settings};
use crate::filters::{Rendered, style_transfer};
use crate::optimise::problems::random;
use crate::optimise::vector;
use crate::settings::StyleTransfer;

/// Jobs one after the other: on an emulated card, as many as take some seconds.
const JOBS: usize = 500;
const JOBS_EMULATED: usize = 12;

/// Some derivatives with respect to statistics.
pub fn slopes(statistics: &Statistics) -> StatisticsGradient {
    let slopes = statistics.moments.iter().map(|regions| {
        let slopes = regions.iter().map(|moments| MomentsGradient {
            second: moments.second.clone(),
            mean: moments.mean.clone(),
        });
        slopes.collect()
    });
    StatisticsGradient {
        moments: slopes.collect(),
        content: vec![1.0; statistics.content.len()],
    }
}

/// What a render comes to on a device, and its last loss.
fn rendered(device: &str, optimiser: &str) -> (Picture, f64) {
    let settings = settings(&[
        ("device", device),
        ("optimiser", optimiser),
        ("quality", "0.2"),
        ("style_layers", "conv1_1:1"),
        ("content_layers", "conv1_2:1"),
        ("working_size", "24"),
    ]);
    finished(picture(36, 30, 37), picture(30, 26, 53), &settings)
}

/// What a render comes to that nobody stops and that goes without a warning, and its last loss.
fn finished(content: Picture, style: Picture, settings: &StyleTransfer) -> (Picture, f64) {
    let listener = Listener::default();
    let Rendered::Picture(painted, Outcome::Finished) =
        style_transfer::render(content, &[(style, 1.0)], settings, &listener).unwrap()
    else {
        panic!("nobody stopped it");
    };
    assert!(listener.warnings.borrow().is_empty(), "{:?}", listener.warnings);
    let loss = listener.reports.borrow().iter().rev().find_map(|report| report.3);
    (painted, loss.expect("a step"))
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_render_comes_to_what_the_processors_does_and_leaves_nothing_behind() {
    for optimiser in ["lbfgs", "adam"] {
        let before = list().unwrap()[0].memory_free;
        let (painted, loss) = rendered("cuda:0", optimiser);
        assert!(
            rendered("cuda:0", optimiser) == (painted.clone(), loss),
            "{optimiser}: not the same twice"
        );
        if list().unwrap()[0].name == "Emulated card" {
            assert_eq!(list().unwrap()[0].memory_free, before);
        }
        let (expected, least) = rendered("cpu", optimiser);
        assert!((loss - least).abs() < 0.03 * least, "{optimiser}: {loss} and {least}");
        let error = relative_error(&painted.samples, &expected.samples);
        assert!(error < 0.05, "{optimiser}: the picture is off by {error:e}");
    }
}

/// A small render with everything that a render does on a card: a pooling, content, both ways, graphs, and pixels moved.
fn job(optimiser: &str) -> Picture {
    let settings = settings(&[
        ("device", "cuda:0"),
        ("optimiser", optimiser),
        ("quality", "0.05"),
        ("edges", "zero"),
        ("pyramid", "false"),
        ("style_layers", "conv1_1:1 conv2_1:1"),
        ("content_layers", "conv2_1:1"),
    ]);
    let (painted, _) = finished(picture(16, 16, 37), picture(16, 16, 53), &settings);
    painted
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn renders_share_a_card() {
    let optimisers = ["lbfgs", "adam", "plain-adam"];
    let alone = optimisers.map(job);
    thread::scope(|scope| {
        let jobs = optimisers.map(|optimiser| scope.spawn(move || job(optimiser)));
        for ((job, alone), optimiser) in jobs.into_iter().zip(alone).zip(optimisers) {
            assert!(job.join().unwrap() == alone, "{optimiser} is not as alone");
        }
    });
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn many_jobs_leave_nothing_behind() {
    // The driver keeps something of the first for itself.
    job("lbfgs");
    let free = || list().unwrap()[0].memory_free;
    let before = free();
    let is_emulated = held().is_some();
    for number in 1..if is_emulated { JOBS_EMULATED } else { JOBS } {
        job("lbfgs");
        for (kind, count) in held().unwrap_or_default() {
            assert_eq!(count, 0, "{kind} are held after {} jobs", number + 1);
        }
    }
    // Others may use a real one.
    let kept = before.saturating_sub(free());
    assert!(
        kept <= if is_emulated { 0 } else { 16 << 20 },
        "{kept} bytes are left behind"
    );
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_profile_that_nobody_asks_for_leaves_nothing_behind() {
    let mut backend = open(Precision::Tf32).unwrap();
    backend.start_profile();
    step(
        &mut backend,
        &Plan {
            style_layers: layers(&["conv1_1"]),
            content_layers: Vec::new(),
            ..plan(16, 16)
        },
    );
    let events = |(kind, count): &(&str, i32)| *kind == "events" && *count > 0;
    let held_meanwhile = held();
    drop(backend);
    if let (Some(meanwhile), Some(held)) = (held_meanwhile, held()) {
        assert!(meanwhile.iter().any(events), "{meanwhile:?}");
        assert!(held.iter().all(|(_, count)| *count == 0), "{held:?}");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn boxes_of_a_picture_on_the_card_are_those_in_main_memory() {
    // Wide enough to be cut.
    const HEIGHT: usize = 24;
    const WIDTH: usize = 240;
    let plan = |margin: usize| Plan {
        style_layers: layers(&["conv1_2"]),
        content_layers: layers(&["conv1_1"]),
        window: Window {
            top: margin,
            left: margin,
            height: HEIGHT,
            width: WIDTH,
        },
        ..plan(HEIGHT + 2 * margin, WIDTH + 2 * margin)
    };
    for (margin, columns) in [(16, 1), (16, 2), (0, 2), (0, 1)] {
        let mut backend = open(Precision::Float32).unwrap();
        let on_card = backend.home();
        let mut tiled = Tiled::new(&mut backend);
        let tiling = Tiling::cut(&plan(margin), 1, columns).unwrap();
        assert_eq!(tiling.parts().len(), columns);
        tiled.prepare(tiling, Margin::new(margin, HEIGHT, WIDTH)).unwrap();
        let samples = |seed| random(seed, 3 * HEIGHT * WIDTH, 0.0, 1.0);
        let content = Tensor::from_vec(samples(1), (1, 3, HEIGHT, WIDTH), &Device::Cpu).unwrap();
        tiled.hold_content(&content).unwrap();
        let picture = both(&on_card, samples(2), (1, 3, HEIGHT, WIDTH));
        let gradients = picture.map(|picture| {
            let ask = |statistics: &Statistics, _: Option<f64>| Ok(((), slopes(statistics)));
            tiled.evaluate(&picture, ask).unwrap().1
        });
        assert!(vector::norm(&gradients[1]).unwrap() > 0.0);
        same(gradients, &format!("a margin of {margin}, {columns} tiles"));
        let elsewhere = home().bring(&content).unwrap();
        let error = tiled
            .evaluate(&elsewhere, |_, _| unreachable!())
            .map(|((), _)| ())
            .unwrap_err();
        assert!(error.to_string().contains("is not on the backend's card"), "{error}");
    }
}
