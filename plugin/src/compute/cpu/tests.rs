//! The whole backend against the f64 oracle, on every instruction set.
//!
//! The plain backend is held against the same oracle with [`check_against_oracle`], and so the two against each other.

mod convolution;
mod joint;

use std::sync::{Arc, LazyLock};

use candle_core::{Device, Tensor};

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

pub(super) fn exact(samples: &[f32]) -> Vec<f64> {
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
    let mut random = noise(7);
    let mut tensor = |scale: f64, shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| (scale * random()) as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
    };
    let moments = plan
        .style_layers
        .iter()
        .zip(&statistics.moments)
        .map(|(layer, regions)| {
            let channels = layer.outputs();
            let region = |_| MomentsGradient {
                second: tensor(1e-2, &[channels, channels]),
                mean: tensor(1.0, &[channels]),
            };
            regions.iter().map(region).collect()
        });
    StatisticsGradient {
        moments: moments.collect(),
        content: statistics.content.iter().map(|_| 3.0).collect(),
    }
}

/// A picture at which no ReLU and no maximum is decided by less than float32's rounding, and its features. Among so
/// many activations of noise there is often one; then the gradients on its two sides are both right.
fn decided_picture(plan: &Plan) -> (Vec<f32>, Vec<Map>) {
    let candidates = (0..100).map(|seed| {
        let picture = picture(plan, 100 + seed);
        let (maps, margin) = oracle::features(&NETWORK, plan, &exact(&picture));
        (margin, picture, maps)
    });
    let decided = candidates.into_iter().find(|(margin, ..)| *margin > 2e-6);
    let (_, picture, maps) = decided.expect("one of a hundred");
    (picture, maps)
}

/// Runs a plan on the backend and on the oracle and compares all that comes out.
pub(in crate::compute) fn check_against_oracle(backend: &mut dyn Backend, plan: &Plan, what: &str) {
    let (canvas, maps) = decided_picture(plan);
    let (gradient, at_features) = check_statistics(backend, &NETWORK, plan, &canvas, &maps, what);
    // Features are above 0 where sums are.
    let decided = Decisions::of(plan, &maps);
    let expected = oracle::gradient(&NETWORK, plan, &maps, &decided, &at_features);
    let error = relative_error(values(&gradient), expected);
    assert!(error < 1e-5, "{what}: the gradient is off by {error:e}");
    eprintln!("{what}: the gradient is off by {error:.1e}");
}

/// Takes a step at a picture with these features and compares statistics. Returns the backend's gradient, and what the
/// oracle's is to come from, the gradients with respect to each layer's features.
pub(super) fn check_statistics(
    backend: &mut dyn Backend,
    network: &Network,
    plan: &Plan,
    canvas: &[f32],
    maps: &[Map],
    what: &str,
) -> (Tensor, Vec<Option<Map>>) {
    let content = picture(plan, 11);
    backend
        .prepare(&Tiling::whole(plan).unwrap())
        .expect("the plan is good");
    let energies = backend.hold_content(0, &tensor(plan, &content)).expect("content");
    let statistics = backend.forward(0, &tensor(plan, canvas)).expect("forward");
    let asked = statistics_gradient(plan, &statistics);
    let gradient = backend.backward(&asked).expect("backward");

    let (held, _) = oracle::features(network, plan, &exact(&content));
    let region_values: Vec<Option<Vec<f32>>> = match &plan.regions {
        None => vec![None],
        Some(regions) => (0..regions.dims()[0])
            .map(|region| Some(values(&regions.get(region).expect("a region"))))
            .collect(),
    };
    let mut at_features: Vec<Option<Map>> = maps.iter().map(|_| None).collect();
    for (index, layer) in plan.style_layers.iter().enumerate() {
        let map = &maps[layer.index()];
        let mut added = Map::zero(map.channels, map.height, map.width);
        for (region, weights) in region_values.iter().enumerate() {
            let weights = oracle::weights(plan, *layer, weights.as_deref());
            let (second, mean, total) = oracle::moments(map, &weights);
            let got = &statistics.moments[index][region];
            assert!((got.weight - total).abs() <= 1e-5 * total, "{what}: weight of {layer}");
            let error = relative_error(values(&got.second), second);
            assert!(error < 1e-5, "{what}: second moments of {layer} are off by {error:e}");
            let error = relative_error(values(&got.mean), mean);
            assert!(error < 1e-5, "{what}: mean of {layer} is off by {error:e}");
            add_moments_gradient(map, &weights, total, &asked.moments[index][region], &mut added);
        }
        at_features[layer.index()] = Some(added);
    }
    for (index, layer) in plan.content_layers.iter().enumerate() {
        let (map, held) = (&maps[layer.index()], &held[layer.index()]);
        let inside = oracle::weights(plan, *layer, None);
        let elements = inside.iter().sum::<f64>() * map.channels as f64;
        let (mut distance, mut energy) = (0.0, 0.0);
        let added = at_features[layer.index()].get_or_insert_with(|| Map::zero(map.channels, map.height, map.width));
        for (place, (value, held)) in map.values.iter().zip(&held.values).enumerate() {
            let weight = inside[place % inside.len()];
            distance += weight * (value - held).powi(2) / elements;
            energy += weight * held.powi(2) / elements;
            added.values[place] += asked.content[index] * 2.0 * weight * (value - held) / elements;
        }
        let got = statistics.content[index];
        assert_eq!(got.elements, elements);
        assert!(
            (got.mean_square - distance).abs() < 1e-5 * distance,
            "{what}: content distance"
        );
        assert!(
            (energies[index].mean_square - energy).abs() < 1e-5 * energy,
            "{what}: content energy"
        );
    }
    (gradient, at_features)
}

fn add_moments_gradient(map: &Map, weights: &[f64], total: f64, gradient: &MomentsGradient, added: &mut Map) {
    let (second, mean) = (values(&gradient.second), values(&gradient.mean));
    let pixels = weights.len();
    for a in 0..map.channels {
        let target = &mut added.values[a * pixels..][..pixels];
        for b in 0..map.channels {
            let factor = f64::from(second[a * map.channels + b]) + f64::from(second[b * map.channels + a]);
            for ((target, value), weight) in target.iter_mut().zip(&map.values[b * pixels..]).zip(weights) {
                *target += factor * value * weight / total;
            }
        }
        for (target, weight) in target.iter_mut().zip(weights) {
            *target += f64::from(mean[a]) * weight / total;
        }
    }
}

fn backend(instructions: InstructionSet, threads: usize) -> CpuBackend {
    CpuBackend::with_instructions(NETWORK.clone(), threads, instructions).expect("threads")
}

#[test]
fn every_instruction_set_agrees_with_the_oracle() {
    for set in InstructionSet::available() {
        check_against_oracle(&mut backend(set, 2), &plan(21, 34), set.name());
    }
}

#[test]
fn every_pooling_agrees_with_the_oracle_at_odd_sizes() {
    let mut backend = backend(InstructionSet::detect(), 2);
    for pooling in [Pooling::Max, Pooling::Average, Pooling::L2] {
        for (height, width) in [(16, 16), (19, 29), (31, 17)] {
            let plan = Plan {
                pooling,
                ..plan(height, width)
            };
            check_against_oracle(&mut backend, &plan, &format!("{pooling:?} at {height} x {width}"));
        }
    }
}

#[test]
fn layers_before_a_pooling_can_be_tapped() {
    let mut backend = backend(InstructionSet::detect(), 2);
    for pooling in [Pooling::Max, Pooling::Average, Pooling::L2] {
        let plan = Plan {
            pooling,
            style_layers: layers(&["conv1_2", "conv2_2", "conv3_2", "conv3_4"]),
            content_layers: layers(&["conv2_2", "conv3_3"]),
            ..plan(19, 27)
        };
        check_against_oracle(&mut backend, &plan, &format!("{pooling:?}, tapped"));
    }
    let lowest = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: Vec::new(),
        ..plan(20, 30)
    };
    check_against_oracle(&mut backend, &lowest, "conv1_1 alone");
}

#[test]
fn windows_and_regions_agree_with_the_oracle() {
    let mut backend = backend(InstructionSet::detect(), 2);
    let window = Window {
        top: 16,
        left: 16,
        height: 16,
        width: 21,
    };
    let windowed = Plan { window, ..plan(32, 37) };
    check_against_oracle(&mut backend, &windowed, "a window");

    let mut random = noise(5);
    let mut weights: Vec<f32> = (0..3 * 24 * 20).map(|_| (0.5 + 0.5 * random()) as f32).collect();
    weights[24 * 20..][..200].fill(0.0);
    let regions = Tensor::from_vec(weights, (3, 24, 20), &Device::Cpu).expect("weights");
    let regional = Plan {
        regions: Some(regions),
        ..plan(24, 20)
    };
    check_against_oracle(&mut backend, &regional, "regions");
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
