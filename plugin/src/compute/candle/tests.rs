//! Each part and the whole, against exact cases, finite differences and the f64 oracle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use candle_core::{Device, Tensor};
use rayon::ThreadPoolBuilder;

use super::pooling::Pooled;
use super::{CandleBackend, Kernel, convolve};
use crate::compute::cpu::tests::{NETWORK, check_against_oracle, picture, plan, statistics_gradient, tensor, values};
use crate::compute::{Backend, MomentsGradient, Plan, Pooling, Statistics, StatisticsGradient, Tiling, Window};
use crate::network::Layer;

const POOLINGS: [Pooling; 3] = [Pooling::Max, Pooling::Average, Pooling::L2];

/// Numbers from 0 to 1 that look random, `[1, channels, height, width]`.
fn map(seed: u64, channels: usize, height: usize, width: usize) -> Tensor {
    let count = channels * height * width;
    // Whole numbers are exact, and no two of a small map are equal.
    let values: Vec<f32> = (0..count as u64)
        .map(|index| ((index * 7919 + seed * 104_729) % 10_007) as f32 / 10_007.0)
        .collect();
    Tensor::from_vec(values, (1, channels, height, width), &Device::Cpu).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn backend(threads: usize) -> CandleBackend {
    CandleBackend::new(NETWORK.clone(), Device::Cpu, threads).unwrap()
}

/// A plan with a window and two regions.
fn regional(pooling: Pooling) -> Plan {
    let (height, width) = (32, 37);
    let left: Vec<f32> = (0..height * width)
        .map(|pixel| (pixel % width) as f32 / width as f32)
        .collect();
    let right = left.iter().map(|weight| 1.0 - weight);
    let weights: Vec<f32> = left.iter().copied().chain(right).collect();
    Plan {
        window: Window {
            top: 0,
            left: 16,
            height: 32,
            width: 21,
        },
        pooling,
        regions: Some(Tensor::from_vec(weights, (2, height, width), &Device::Cpu).unwrap()),
        ..plan(height, width)
    }
}

#[test]
fn it_computes_on_threads_of_the_plugins_own() {
    let names = backend(2)
        .pool
        .broadcast(|_| thread::current().name().map(str::to_owned));
    assert_eq!(names, [0, 1].map(|index| Some(format!("pentimento-plain-{index}"))));
    // A host's thread takes up nothing else while it waits for them.
    let host = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let busy = AtomicBool::new(false);
    let plan = plan(16, 16);
    let pass = || {
        let mut backend = backend(1);
        backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        assert!(!busy.swap(true, Ordering::SeqCst), "one pass on top of another");
        let canvas = tensor(&plan, &picture(&plan, 1));
        backend.hold_content(0, &canvas).unwrap();
        let statistics = backend.forward(0, &canvas).unwrap();
        backend.backward(&statistics_gradient(&plan, &statistics)).unwrap();
        busy.store(false, Ordering::SeqCst);
    };
    host.scope(|scope| (0..2).for_each(|_| scope.spawn(|_| pass())));
}

#[test]
fn convolving_back_is_the_adjoint_of_convolving() {
    for name in ["conv1_1", "conv2_1"] {
        let layer: Layer = name.parse().unwrap();
        let kernel = Kernel::new(&NETWORK, layer, &Device::Cpu).unwrap();
        let (input, output) = (map(1, layer.inputs(), 5, 7), map(2, layer.outputs(), 5, 7));
        let there = dot(&convolve(&input, &kernel.forward).unwrap(), &output);
        let back = dot(&input, &convolve(&output, &kernel.backward).unwrap());
        assert!((there - back).abs() < 1e-5 * there.abs(), "{name}: {there} and {back}");
    }
}

#[test]
fn poolings_pull_back_what_is_their_slope() {
    for pooling in POOLINGS {
        for (height, width) in [(4, 6), (5, 7), (3, 2)] {
            let (input, along) = (map(1, 2, height, width), map(3, 2, height, width));
            let at = map(2, 2, height / 2, width / 2);
            let gradient = Pooled::new(&input, pooling).unwrap().pull_back(&at).unwrap();
            let step = 1e-3;
            let moved = |step: f64| {
                let moved = (&input + (&along * step).unwrap()).unwrap();
                values(Pooled::new(&moved, pooling).unwrap().output())
            };
            let (high, low) = (moved(step), moved(-step));
            let apart: Vec<f32> = high.iter().zip(low).map(|(high, low)| high - low).collect();
            let apart = Tensor::from_vec(apart, at.dims(), &Device::Cpu).unwrap();
            let (slope, promised) = (dot(&apart, &at) / (2.0 * step), dot(&gradient, &along));
            assert!(
                (slope - promised).abs() < 1e-3 * promised.abs(),
                "{pooling:?} at {height} x {width}: {slope} and {promised}"
            );
        }
    }
}

#[test]
fn poolings_pull_back_exactly() {
    // Two windows and a column over: a tie, a winner in the last place, and what no window sees.
    let input = [2.0f32, 2.0, 0.0, 1.0, 9.0, 1.0, 2.0, 3.0, 4.0, 9.0];
    let input = Tensor::from_slice(&input, (1, 1, 2, 5), &Device::Cpu).unwrap();
    let at = Tensor::new(&[[[[4.0f32, 8.0]]]], &Device::Cpu).unwrap();
    let pulled = |pooling| {
        let pooled = Pooled::new(&input, pooling).unwrap();
        (values(pooled.output()), values(&pooled.pull_back(&at).unwrap()))
    };
    let (output, gradient) = pulled(Pooling::Max);
    assert_eq!(output, [2.0, 4.0]);
    assert_eq!(gradient, [4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0]);
    let (output, gradient) = pulled(Pooling::Average);
    assert_eq!(output, [1.75, 2.0]);
    assert_eq!(gradient, [1.0, 1.0, 2.0, 2.0, 0.0, 1.0, 1.0, 2.0, 2.0, 0.0]);
}

#[test]
fn the_slope_of_l2_pooling_at_zero_is_zero() {
    let zero = Tensor::zeros((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
    let pooled = Pooled::new(&zero, Pooling::L2).unwrap();
    assert_eq!(values(pooled.output()), [0.0]);
    let one = Tensor::new(&[[[[1.0f32]]]], &Device::Cpu).unwrap();
    assert_eq!(values(&pooled.pull_back(&one).unwrap()), [0.0; 4]);
}

#[test]
fn the_backend_agrees_with_the_oracle() {
    let mut backend = backend(2);
    for (pooling, (height, width)) in POOLINGS.into_iter().zip([(19, 29), (31, 17), (16, 16)]) {
        let plan = Plan {
            pooling,
            ..plan(height, width)
        };
        check_against_oracle(
            &mut backend,
            &plan,
            &format!("plain, {pooling:?} at {height} x {width}"),
        );
    }
    check_against_oracle(&mut backend, &regional(Pooling::Max), "plain, a window and regions");
}

/// A linear function of statistics: the one whose derivatives are `slopes`.
fn weigh(statistics: &Statistics, slopes: &StatisticsGradient) -> f64 {
    let moments = statistics.moments.iter().flatten().zip(slopes.moments.iter().flatten());
    let moments: f64 = moments
        .map(|(moments, MomentsGradient { second, mean })| dot(&moments.second, second) + dot(&moments.mean, mean))
        .sum();
    let content = statistics.content.iter().zip(&slopes.content);
    let content: f64 = content.map(|(distance, slope)| distance.mean_square * slope).sum();
    moments + content
}

#[test]
fn the_gradient_is_the_slope_along_any_direction() {
    let mut backend = backend(2);
    for pooling in POOLINGS {
        let plan = regional(pooling);
        backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        backend.hold_content(0, &tensor(&plan, &picture(&plan, 1))).unwrap();
        let canvas = tensor(&plan, &picture(&plan, 2));
        let statistics = backend.forward(0, &canvas).unwrap();
        let slopes = statistics_gradient(&plan, &statistics);
        let gradient = backend.backward(&slopes).unwrap();
        let length = dot(&gradient, &gradient).sqrt();
        for seed in 3..5 {
            let noise = (tensor(&plan, &picture(&plan, seed)) - 0.5).unwrap();
            let noise_length = dot(&noise, &noise).sqrt();
            let along = ((&gradient / length).unwrap() + (noise / noise_length).unwrap()).unwrap();
            let mut at = |step: f64| {
                let moved = (&canvas + (&along * step).unwrap()).unwrap();
                weigh(&backend.forward(0, &moved).unwrap(), &slopes)
            };
            let step = 0.01;
            let (slope, promised) = ((at(step) - at(-step)) / (2.0 * step), dot(&gradient, &along));
            assert!(
                (slope - promised).abs() < 1e-2 * promised.abs(),
                "{pooling:?}: {slope} and {promised}"
            );
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let plan = regional(Pooling::L2);
    let results = [1, 3].map(|threads| {
        let mut backend = backend(threads);
        backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        backend.hold_content(0, &tensor(&plan, &picture(&plan, 1))).unwrap();
        let statistics = backend.forward(0, &tensor(&plan, &picture(&plan, 2))).unwrap();
        let gradient = backend.backward(&statistics_gradient(&plan, &statistics)).unwrap();
        let moments = statistics.moments.iter().flatten();
        let moments = moments.flat_map(|moments| [values(&moments.second), values(&moments.mean)].concat());
        let bits: Vec<u32> = moments.chain(values(&gradient)).map(f32::to_bits).collect();
        (bits, statistics.content[0].mean_square.to_bits())
    });
    assert!(results[0] == results[1]);
}
