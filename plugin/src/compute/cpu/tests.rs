//! The whole backend against the f64 oracle, on every instruction set.
//!
//! The plain backend is held against the same oracle with [`check_against_oracle`], and so the two against each other.

pub(in crate::compute) mod comparison;
mod convolution;
mod joint;
mod moments;
mod properties;
mod sharing;
mod variants;

use std::sync::{Arc, LazyLock};

use candle_core::{Device, Tensor};

pub(in crate::compute) use self::comparison::check_against_oracle;
use self::comparison::{Case, check_by_all_instructions, decided_picture};
use super::decisions::Decisions;
use super::oracle::{self, Map, noise, relative_error};
use super::{CpuBackend, InstructionSet};
use crate::compute::{Backend, MomentsGradient, Plan, Pooling, Statistics, StatisticsGradient, Tiling, Window};
use crate::network::{Layer, Network};

pub(in crate::compute) static NETWORK: LazyLock<Arc<Network>> = LazyLock::new(|| Arc::new(oracle::network(1)));

pub(in crate::compute) fn layers(names: &[&str]) -> Vec<Layer> {
    names.iter().map(|name| name.parse().expect("a layer")).collect()
}

/// The usual plan for a picture.
pub(in crate::compute) fn plan(height: usize, width: usize) -> Plan {
    Plan {
        height,
        width,
        window: Window::whole(height, width),
        style_layers: layers(&["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
        content_layers: layers(&["conv4_2"]),
        pooling: Pooling::Max,
        regions: None,
        defers: false,
    }
}

pub(in crate::compute) fn picture(plan: &Plan, seed: u64) -> Vec<f32> {
    let mut random = noise(seed);
    let samples = (0..3 * plan.height * plan.width).map(|_| (0.5 + 0.5 * random()) as f32);
    samples.collect()
}

pub(in crate::compute) fn exact(samples: &[f32]) -> Vec<f64> {
    samples.iter().copied().map(f64::from).collect()
}

pub(in crate::compute) fn tensor(plan: &Plan, samples: &[f32]) -> Tensor {
    Tensor::from_slice(samples, (1, 3, plan.height, plan.width), &Device::Cpu).expect("a picture")
}

pub(in crate::compute) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor
        .flatten_all()
        .and_then(|flat| flat.to_vec1())
        .expect("f32 values")
}

/// A gradient of about the same weight at every layer, not symmetric.
pub(in crate::compute) fn statistics_gradient(plan: &Plan, statistics: &Statistics) -> StatisticsGradient {
    asked(plan, statistics.moments.iter().map(Vec::len), statistics.content.len())
}

/// The same with so many regions of each layer of style that is reached, and layers of content.
fn asked(plan: &Plan, regions: impl Iterator<Item = usize>, contents: usize) -> StatisticsGradient {
    let mut random = noise(7);
    let mut tensor = |scale: f64, shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| (scale * random()) as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
    };
    let moments = plan.style_layers.iter().zip(regions).map(|(layer, regions)| {
        let channels = layer.outputs();
        let region = |_| MomentsGradient {
            second: tensor(1e-2, &[channels, channels]),
            mean: tensor(1.0, &[channels]),
        };
        (0..regions).map(region).collect()
    });
    StatisticsGradient {
        moments: moments.collect(),
        content: vec![3.0; contents],
    }
}

fn backend(instructions: InstructionSet, threads: usize) -> CpuBackend {
    CpuBackend::with_instructions(NETWORK.clone(), threads, instructions).expect("threads")
}

#[test]
fn every_instruction_set_agrees_with_the_oracle() {
    check_by_all_instructions(&[Case::of(&plan(21, 34), "a picture")]);
}

#[test]
fn every_pooling_agrees_with_the_oracle_at_odd_sizes() {
    let cases = [Pooling::Max, Pooling::Average, Pooling::L2].map(|pooling| {
        [(16, 16), (19, 29), (31, 17)].map(|(height, width)| {
            let plan = Plan {
                pooling,
                ..plan(height, width)
            };
            Case::of(&plan, &format!("{pooling:?} at {height} x {width}"))
        })
    });
    check_by_all_instructions(cases.as_flattened());
}

#[test]
fn layers_before_a_pooling_can_be_tapped() {
    let [max, average, l2] = [Pooling::Max, Pooling::Average, Pooling::L2].map(|pooling| {
        let plan = Plan {
            pooling,
            style_layers: layers(&["conv1_2", "conv2_2", "conv3_2", "conv3_4"]),
            content_layers: layers(&["conv2_2", "conv3_3"]),
            ..plan(19, 27)
        };
        Case::of(&plan, &format!("{pooling:?}, tapped"))
    });
    let lowest = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: Vec::new(),
        ..plan(20, 30)
    };
    check_by_all_instructions(&[max, average, l2, Case::of(&lowest, "conv1_1 alone")]);
}

#[test]
fn windows_and_regions_agree_with_the_oracle() {
    let window = Window {
        top: 16,
        left: 16,
        height: 16,
        width: 21,
    };
    let windowed = Plan { window, ..plan(32, 37) };

    let mut random = noise(5);
    let mut weights: Vec<f32> = (0..3 * 24 * 20).map(|_| (0.5 + 0.5 * random()) as f32).collect();
    weights[24 * 20..][..200].fill(0.0);
    let regions = Tensor::from_vec(weights, (3, 24, 20), &Device::Cpu).expect("weights");
    let regional = Plan {
        regions: Some(regions),
        ..plan(24, 20)
    };
    check_by_all_instructions(&[Case::of(&windowed, "a window"), Case::of(&regional, "regions")]);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for set in InstructionSet::available() {
        let plan = plan(83, 70);
        let (content, canvas) = (tensor(&plan, &picture(&plan, 1)), tensor(&plan, &picture(&plan, 2)));
        let results = [1, 3].map(|threads| {
            let mut backend = backend(set, threads);
            backend
                .prepare(&Tiling::whole(&plan).unwrap())
                .expect("the plan is good");
            backend.hold_content(0, &content).expect("content");
            let statistics = backend.forward(0, &canvas).expect("forward");
            let gradient = backend
                .backward(&statistics_gradient(&plan, &statistics))
                .expect("backward");
            let moments = statistics.moments.iter().flatten();
            let moments = moments.flat_map(|moments| [values(&moments.second), values(&moments.mean)]);
            (
                moments.flatten().map(f32::to_bits).collect::<Vec<_>>(),
                statistics.content[0].mean_square.to_bits(),
                values(&gradient).into_iter().map(f32::to_bits).collect::<Vec<_>>(),
            )
        });
        assert!(results[0] == results[1], "{}", set.name());
    }
}

/// The loss whose derivatives with respect to the statistics are `asked`, in f64.
fn loss(plan: &Plan, asked: &StatisticsGradient, picture: &[f64], held: &[Map]) -> f64 {
    let (maps, _) = oracle::features(&NETWORK, plan, picture);
    let dot = |gradient: &Tensor, statistic: &[f64]| -> f64 {
        let pairs = values(gradient).into_iter().zip(statistic);
        pairs.map(|(gradient, statistic)| f64::from(gradient) * statistic).sum()
    };
    let style = plan.style_layers.iter().zip(&asked.moments).map(|(layer, gradients)| {
        let weights = oracle::weights(plan, *layer, None);
        let (second, mean, _) = oracle::moments(&maps[layer.index()], &weights);
        dot(&gradients[0].second, &second) + dot(&gradients[0].mean, &mean)
    });
    let content = plan.content_layers.iter().zip(&asked.content).map(|(layer, gradient)| {
        let (map, held) = (&maps[layer.index()].values, &held[layer.index()].values);
        let squares = map.iter().zip(held).map(|(value, held)| (value - held).powi(2));
        gradient * squares.sum::<f64>() / map.len() as f64
    });
    style.sum::<f64>() + content.sum::<f64>()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let plan = plan(18, 21);
    let mut backend = backend(InstructionSet::detect(), 2);
    let (content, canvas) = (picture(&plan, 21), picture(&plan, 22));
    backend
        .prepare(&Tiling::whole(&plan).unwrap())
        .expect("the plan is good");
    backend.hold_content(0, &tensor(&plan, &content)).expect("content");
    let statistics = backend.forward(0, &tensor(&plan, &canvas)).expect("forward");
    let asked = statistics_gradient(&plan, &statistics);
    let gradient = values(&backend.backward(&asked).expect("backward"));
    let (held, _) = oracle::features(&NETWORK, &plan, &exact(&content));
    // Along the gradient, and along noise.
    let largest = gradient.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let along: Vec<f32> = gradient.iter().map(|value| value / largest).collect();
    for (direction, what) in [(along, "the gradient"), (picture(&plan, 23), "noise")] {
        // A step so small that hardly a ReLU or maximum changes its mind on the way.
        let step = 1e-7;
        let loss_at = |step: f64| {
            let moved = canvas.iter().zip(&direction);
            let moved: Vec<f64> = moved.map(|(x, d)| f64::from(*x) + step * f64::from(*d)).collect();
            loss(&plan, &asked, &moved, &held)
        };
        let measured = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        let products = gradient.iter().zip(&direction);
        let predicted: f64 = products.map(|(value, d)| f64::from(*value) * f64::from(*d)).sum();
        let error = (predicted - measured).abs() / measured.abs();
        assert!(error < 1e-4, "along {what}: {predicted:e}, measured {measured:e}");
    }
}

#[test]
fn misuse_is_refused() {
    let mut backend = backend(InstructionSet::detect(), 1);
    let plan = plan(16, 16);
    let canvas = tensor(&plan, &picture(&plan, 1));
    assert!(backend.forward(0, &canvas).is_err(), "not prepared");
    let small = Plan {
        height: 15,
        ..plan.clone()
    };
    assert!(Tiling::whole(&small).is_err(), "too small");
    backend
        .prepare(&Tiling::whole(&plan).unwrap())
        .expect("the plan is good");
    let statistics = backend.forward(0, &canvas).expect("forward");
    assert!(statistics.content.is_empty(), "no content is held");
    let asked = statistics_gradient(&plan, &statistics);
    backend.backward(&asked).expect("a gradient without content");
    assert!(backend.backward(&asked).is_err(), "the forward pass is used up");
    let transposed = canvas.narrow(2, 0, 8).expect("a part");
    assert!(backend.forward(0, &transposed).is_err(), "another size");
    let fewer = StatisticsGradient {
        moments: asked.moments[1..].to_vec(),
        content: Vec::new(),
    };
    backend.forward(0, &canvas).expect("forward");
    assert!(backend.backward(&fewer).is_err(), "a layer is missing");
    backend
        .prepare(&Tiling::whole(&plan).unwrap())
        .expect("the plan is good");
    assert!(backend.backward(&asked).is_err(), "no forward pass since");
}
