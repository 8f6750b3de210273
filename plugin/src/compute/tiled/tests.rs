//! Tiled against untiled, on both backends, with the network and a gradient as renders have them: noise would be full of
//! decisions that rounding makes (see [`super::tiling`]). In these pictures the last bit decides nothing, but for one in
//! which [`following`] lets the whole picture decide.

mod following;

use std::sync::{Arc, LazyLock};

use candle_core::{Device, Tensor};
use proptest::prelude::*;

use super::{Holding, Margin, Tiled, Tiling};
use crate::compute::candle::CandleBackend;
use crate::compute::cpu::oracle::{noise, relative_error};
use crate::compute::cpu::tests::{layers, plan, values};
use crate::compute::cpu::{CpuBackend, InstructionSet};
use crate::compute::{Backend, Moments, MomentsGradient, Plan, Pooling, Statistics, StatisticsGradient, Window};
use crate::network::{Layer, Network};

const POOLINGS: [Pooling; 3] = [Pooling::Max, Pooling::Average, Pooling::L2];

/// All that comes out of a step.
struct Outcome {
    energies: Vec<f64>,
    statistics: Statistics,
    gradient: Tensor,
}

static NETWORK: LazyLock<Arc<Network>> = LazyLock::new(|| Network::embedded().unwrap());

/// A picture of soft waves with some grain on them.
fn picture(plan: &Plan, seed: u64) -> Tensor {
    let mut grain = noise(seed);
    let Plan { height, width, .. } = *plan;
    let mut samples = Vec::with_capacity(3 * height * width);
    for (plane, row) in (0..3).flat_map(|plane| (0..height).map(move |row| (plane, row))) {
        for column in 0..width {
            let (x, y, turn) = (column as f64 / 23.0, row as f64 / 31.0, (seed * 3 + plane) as f64);
            let wave = (x + turn).sin() * (y - turn).cos() + (0.7 * x * (y + turn).sin()).sin();
            samples.push((0.5 + 0.2 * wave + 0.1 * grain()) as f32);
        }
    }
    Tensor::from_vec(samples, (1, 3, height, width), &Device::Cpu).unwrap()
}

/// The derivatives of the logarithms of all statistics' sizes: of about the same weight at every layer.
fn slopes(statistics: &Statistics) -> StatisticsGradient {
    let relative = |tensor: &Tensor| {
        let square: f64 = values(tensor).iter().map(|value| f64::from(*value).powi(2)).sum();
        (tensor * if square > 0.0 { 1.0 / square } else { 0.0 }).unwrap()
    };
    let region = |moments: &Moments| MomentsGradient {
        second: relative(&moments.second),
        mean: relative(&moments.mean),
    };
    let regions = statistics.moments.iter();
    StatisticsGradient {
        moments: regions.map(|regions| regions.iter().map(region).collect()).collect(),
        content: statistics
            .content
            .iter()
            .map(|distance| 1.0 / distance.mean_square)
            .collect(),
    }
}

fn step(backend: &mut dyn Backend, plan: &Plan, rows: usize, columns: usize) -> Outcome {
    step_holding(backend, plan, (rows, columns), Holding::AsTheyAre)
}

fn step_holding(backend: &mut dyn Backend, plan: &Plan, (rows, columns): (usize, usize), holding: Holding) -> Outcome {
    let tiling = Tiling::cut(plan, rows, columns).unwrap().held(holding);
    assert_eq!(tiling.parts().len(), rows * columns);
    let mut tiled = Tiled::new(backend);
    tiled.prepare(tiling, Margin::new(0, plan.height, plan.width)).unwrap();
    let energies = tiled.hold_content(&picture(plan, 1)).unwrap();
    let ask = |statistics: &Statistics| Ok((statistics.clone(), slopes(statistics)));
    let (statistics, gradient) = tiled
        .evaluate(&picture(plan, 2).into(), |statistics, _| ask(statistics))
        .unwrap();
    Outcome {
        energies,
        statistics,
        gradient: gradient.to_tensor().unwrap(),
    }
}

/// How far tensors are apart, relative to the second.
fn apart(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.dims(), expected.dims());
    relative_error(values(found), values(expected).into_iter().map(f64::from))
}

fn close(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-6 * expected,
        "{what}: {found} and {expected}"
    );
}

/// Takes a step untiled and in so many tiles and compares all that comes out.
fn check(backend: &mut dyn Backend, plan: &Plan, (rows, columns): (usize, usize)) {
    let whole = step(backend, plan, 1, 1);
    let tiled = step(backend, plan, rows, columns);
    let Plan { height, width, .. } = plan;
    let size = format!("{height} x {width} in {rows} x {columns}");
    compare(
        &tiled,
        &whole,
        &format!("{}: {:?}, {size}", backend.description(), plan.pooling),
    );
}

fn compare(tiled: &Outcome, whole: &Outcome, what: &str) {
    for (tiled, whole) in tiled.energies.iter().zip(&whole.energies) {
        close(*tiled, *whole, what);
    }
    let distances = tiled.statistics.content.iter().zip(&whole.statistics.content);
    for (tiled, whole) in distances {
        close(tiled.mean_square, whole.mean_square, what);
        assert_eq!(tiled.elements, whole.elements, "{what}");
    }
    let moments = tiled.statistics.moments.iter().flatten();
    for (tiled, whole) in moments.zip(whole.statistics.moments.iter().flatten()) {
        close(tiled.weight, whole.weight, what);
        if whole.weight > 0.0 {
            for error in [apart(&tiled.second, &whole.second), apart(&tiled.mean, &whole.mean)] {
                assert!(error < 1e-5, "{what}: moments are off by {error:e}");
            }
        }
    }
    let error = apart(&tiled.gradient, &whole.gradient);
    eprintln!("{what}: the gradient is off by {error:.1e}");
    assert!(error < 1e-5, "{what}: the gradient is off by {error:e}");
}

fn cpu() -> CpuBackend {
    CpuBackend::new(NETWORK.clone(), 2).unwrap()
}

/// The plan with so many pixels around its window that are seen and not measured; their number is a multiple of 16.
fn margined(plan: Plan, margin: usize) -> Plan {
    Plan {
        window: Window {
            top: margin,
            left: margin,
            height: plan.height - 2 * margin,
            width: plan.width - 2 * margin,
        },
        ..plan
    }
}

/// The plan with three regions: one that fades across the picture, one that is nowhere, and one in the last columns.
fn regional(plan: Plan) -> Plan {
    let Plan { height, width, .. } = plan;
    let fading = (0..height * width).map(|pixel| (pixel % width) as f32 / width as f32);
    let last = (0..height * width).map(|pixel| if pixel % width + 64 > width { 1.0 } else { 0.0 });
    let weights: Vec<f32> = fading.chain(vec![0.0; height * width]).chain(last).collect();
    Plan {
        regions: Some(Tensor::from_vec(weights, (3, height, width), &Device::Cpu).unwrap()),
        ..plan
    }
}

#[test]
fn the_cpu_backend_sees_the_whole_in_tiles_with_every_pooling() {
    for pooling in POOLINGS {
        for ((height, width), tiles) in [((375, 389), (2, 2)), ((29, 600), (1, 3)), ((563, 40), (2, 1))] {
            let plan = Plan {
                pooling,
                ..plan(height, width)
            };
            check(&mut cpu(), &plan, tiles);
        }
    }
}

#[test]
fn every_instruction_set_sees_the_whole_in_tiles() {
    for set in InstructionSet::available() {
        let mut backend = CpuBackend::with_instructions(NETWORK.clone(), 2, set).unwrap();
        check(&mut backend, &margined(plan(48, 401), 16), (1, 2));
    }
}

#[test]
fn windows_and_regions_are_seen_in_tiles() {
    check(&mut cpu(), &margined(plan(403, 61), 16), (2, 1));
    check(&mut cpu(), &margined(plan(240, 700), 112), (1, 2));
    check(&mut cpu(), &regional(plan(19, 411)), (1, 2));
    check(&mut cpu(), &margined(regional(plan(50, 433)), 16), (1, 2));
}

#[test]
fn halos_are_as_wide_as_the_highest_layer_needs() {
    // Lower layers do with smaller halos, and with pictures that are too small to be cut for the higher ones.
    let cases = [
        ("conv1_1", 230),
        ("conv1_2", 241),
        ("conv2_2", 230),
        ("conv3_1", 243),
        ("conv3_4", 300),
    ];
    for (layer, width) in cases {
        let lower = Plan {
            style_layers: layers(&["conv1_1", layer])[usize::from(layer == "conv1_1")..].to_vec(),
            content_layers: layers(&[layer]),
            ..plan(37, width)
        };
        check(&mut cpu(), &lower, (1, 2));
    }
}

#[test]
fn the_plain_backend_sees_the_whole_in_tiles() {
    let mut backend = CandleBackend::new(NETWORK.clone(), Device::Cpu, 2).unwrap();
    check(&mut backend, &plan(17, 381), (1, 2));
    let lower = Plan {
        style_layers: layers(&["conv1_1", "conv2_1"]),
        content_layers: layers(&["conv2_2"]),
        pooling: Pooling::Average,
        ..margined(regional(plan(273, 49)), 16)
    };
    check(&mut backend, &lower, (2, 1));
}

#[test]
fn content_in_halves_says_the_same_to_three_digits() {
    let lower = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: layers(&["conv1_2", "conv2_2"]),
        ..margined(plan(50, 470), 16)
    };
    let plain = CandleBackend::new(NETWORK.clone(), Device::Cpu, 2).unwrap();
    let backends: [Box<dyn Backend>; 2] = [Box::new(cpu()), Box::new(plain)];
    for mut backend in backends {
        let exact = step(&mut *backend, &lower, 1, 2);
        let halves = step_holding(&mut *backend, &lower, (1, 2), Holding::Halves);
        // What was asked of the features before they were held is what it was.
        assert_eq!(halves.energies, exact.energies);
        let distances = halves.statistics.content.iter().zip(&exact.statistics.content);
        for (halves, exact) in distances {
            let error = (halves.mean_square / exact.mean_square - 1.0).abs();
            assert!(error < 1e-4, "a distance is off by {error:e}");
        }
        for (halves, exact) in halves.statistics.moments.iter().zip(&exact.statistics.moments) {
            assert_eq!(values(&halves[0].second), values(&exact[0].second));
        }
        let error = apart(&halves.gradient, &exact.gradient);
        eprintln!("{}: the gradient is off by {error:.1e}", backend.description());
        assert!(error > 0.0 && error < 1e-3, "the gradient is off by {error:e}");
        // In less memory.
        let bytes = |holding| backend.memory(&Tiling::cut(&plan(4000, 4000), 5, 5).unwrap().held(holding));
        let spared = bytes(Holding::AsTheyAre) - bytes(Holding::Halves);
        assert!(
            spared > 4000 * 4000 / 64 * 512 * 2 * 9 / 10,
            "{spared} bytes are spared"
        );
    }
}

#[test]
fn tiles_do_not_depend_on_the_number_of_threads() {
    let plan = margined(plan(50, 409), 16);
    let bits = |threads| {
        let mut backend = CpuBackend::new(NETWORK.clone(), threads).unwrap();
        let outcome = step(&mut backend, &plan, 1, 2);
        let moments = outcome.statistics.moments.iter().flatten();
        let moments = moments.flat_map(|moments| [values(&moments.second), values(&moments.mean)].concat());
        let bits: Vec<u32> = moments.chain(values(&outcome.gradient)).map(f32::to_bits).collect();
        (bits, outcome.statistics.content[0].mean_square.to_bits())
    };
    assert!(bits(1) == bits(3));
}

/// The largest reach of a plan's layers.
fn reach(plan: &Plan) -> usize {
    let measured = plan.style_layers.iter().chain(&plan.content_layers);
    measured.map(|layer| layer.reach()).max().unwrap()
}

fn pixels(window: &Window) -> impl Iterator<Item = (usize, usize)> {
    let Window {
        top,
        left,
        height,
        width,
    } = *window;
    (top..top + height).flat_map(move |row| (left..left + width).map(move |column| (row, column)))
}

proptest! {
    #[test]
    fn cores_cover_the_window_once_and_boxes_reach_as_far_as_their_layers(
        (height, width) in (16usize..1500, 16usize..900),
        (top, left) in (0usize..20, 0usize..20),
        (below, right) in (0usize..300, 0usize..300),
        (rows, columns) in (1usize..9, 1usize..9),
        layer in 0usize..13,
    ) {
        let whole = Plan {
            window: Window { top: 16 * top, left: 16 * left, height, width },
            style_layers: vec![Layer::ALL[layer]],
            content_layers: Vec::new(),
            ..plan(16 * top + height + below, 16 * left + width + right)
        };
        let tiling = Tiling::cut(&whole, rows, columns).unwrap();
        let mut covered = vec![0u8; whole.height * whole.width];
        for (seen, part) in tiling.boxes().iter().zip(tiling.parts()) {
            part.check().unwrap();
            prop_assert_eq!((seen.height, seen.width), (part.height, part.width));
            if tiling.parts().len() > 1 {
                prop_assert_eq!((seen.top % 192, seen.left % 192), (0, 0));
            }
            let core = Window { top: seen.top + part.window.top, left: seen.left + part.window.left, ..part.window };
            for (row, column) in pixels(&core) {
                covered[row * whole.width + column] += 1;
            }
            // On each side a box has what its core's features see, or ends with the picture.
            let reach = reach(&whole);
            let near = [(seen.top, core.top), (seen.left, core.left)];
            for (seen, core) in near {
                prop_assert!(seen == 0 || seen + reach <= core);
            }
            let far = [
                (seen.top + seen.height, core.top + core.height, whole.height),
                (seen.left + seen.width, core.left + core.width, whole.width),
            ];
            for (seen, core, whole) in far {
                prop_assert!(seen == whole || (seen % 16 == 0 && seen >= core + reach));
            }
        }
        for (row, column) in pixels(&Window::whole(whole.height, whole.width)) {
            let inside = (whole.window.top..whole.window.top + height).contains(&row)
                && (whole.window.left..whole.window.left + width).contains(&column);
            prop_assert_eq!(covered[row * whole.width + column], u8::from(inside));
        }
    }
}

#[test]
fn the_cheapest_tiling_that_fits_is_taken() {
    let backend = cpu();
    let plan = margined(plan(3000, 4500), 16);
    let bytes = |rows, columns| backend.memory(&Tiling::cut(&plan, rows, columns).unwrap());
    let untiled = backend.memory(&Tiling::whole(&plan).unwrap());
    let within = |room| Tiling::within(&backend, &plan, Holding::AsTheyAre, room).unwrap();
    let whole = within(untiled).expect("it fits");
    assert_eq!((whole.parts().len(), whole.cost()), (1, 1.0));
    let mut cost = 1.0;
    for share in [0.99, 0.7, 0.5, 0.3] {
        let room = (untiled as f64 * share) as u64;
        let tiling = within(room).expect("tiles fit");
        assert!(backend.memory(&tiling) <= room);
        assert!(
            tiling.cost() >= cost && tiling.cost() < 3.0,
            "{share}: {}",
            tiling.cost()
        );
        cost = tiling.cost();
        for (rows, columns) in (1..6).flat_map(|rows| (1..6).map(move |columns| (rows, columns))) {
            let other = Tiling::cut(&plan, rows, columns).unwrap();
            assert!(
                backend.memory(&other) > room || other.cost() >= cost,
                "{share}: {rows} x {columns}"
            );
        }
    }
    assert!(within(bytes(100, 100)).is_some());
    assert!(within(bytes(100, 100) - 1).is_none());
}
