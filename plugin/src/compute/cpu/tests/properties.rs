//! Convolutions and moments of whatever size, beside what they are defined as.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use super::convolution::{case, convolved};
use super::*;
use crate::compute::cpu::lanes::{Grid, Lanes, WIDTH};
use crate::compute::cpu::moments::{Region, Sums};
use crate::compute::cpu::weights::{Direction, Kernels};
use crate::compute::cpu::winograd::Variant;
use crate::compute::cpu::workers::Workers;

/// So many cases, the same each time.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn convolutions_are_what_they_are_defined_as(
        (height, width) in (1usize..22, 1usize..22),
        (inputs, outputs) in (1usize..=6, 1usize..=6),
        direction in select(vec![Direction::Forward, Direction::Backward]),
        variant in select(Variant::ALL.to_vec()),
        set in select(InstructionSet::tested()),
        threads in select(vec![1, 2, 3, 5, 24]),
        held in select(vec![1, usize::MAX]),
        seed in 1u64..1 << 32,
    ) {
        let (inputs, outputs) = (32 * inputs, 32 * outputs);
        let mut random = noise(seed);
        let values: Vec<f32> = (0..9 * inputs * outputs).map(|_| random() as f32).collect();
        let kernels = Kernels { values: &values, outputs, inputs, direction };
        let (input, expected) = case(&mut random, kernels, height, width);
        let workers = Workers::new(threads, set).expect("threads");
        let found = convolved(&workers, variant, kernels, &input, held);
        let error = relative_error(found, expected.values);
        prop_assert!(error < 1e-5, "off by {:e}", error);
    }
}

/// A size, and a window of it.
fn any_window() -> impl Strategy<Value = (Grid, Window)> {
    let side = prop_oneof![1usize..20, 60usize..90];
    (side.clone(), side).prop_flat_map(|(height, width)| {
        let grid = Grid { height, width };
        let part = |side: usize| (0..side).prop_flat_map(move |start| (Just(start), 1..=side - start));
        let part = (part(height), part(width)).prop_map(|((top, height), (left, width))| Window {
            top,
            left,
            height,
            width,
        });
        (Just(grid), prop_oneof![Just(Window::whole(height, width)), part])
    })
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn moments_are_what_they_are_defined_as(
        (grid, window) in any_window(),
        channels in select(vec![64, 128, 192]),
        is_weighted: bool,
        set in select(InstructionSet::available()),
        threads in 1usize..5,
        seed in 1u64..1 << 32,
    ) {
        let mut random = noise(seed);
        let mut features = vec![Lanes::ZERO; channels / WIDTH * grid.pixels()];
        // As after a ReLU.
        features.iter_mut().flat_map(|lanes| &mut lanes.0).for_each(|value| *value = random().max(0.0) as f32);
        let weights: Vec<f32> = (0..grid.pixels()).map(|_| random().max(0.0) as f32).collect();
        let weights = is_weighted.then_some(&weights[..]);

        let mut inside = Map::zero(channels, window.height, window.width);
        for (index, value) in inside.values.iter_mut().enumerate() {
            let (channel, pixel) = (index / (window.height * window.width), index % (window.height * window.width));
            let (row, column) = (window.top + pixel / window.width, window.left + pixel % window.width);
            *value = f64::from(features[grid.index(channel / WIDTH, row, column)].0[channel % WIDTH]);
        }
        let rows = window.top..window.top + window.height;
        let places = rows.flat_map(|row| (window.left..window.left + window.width).map(move |column| grid.index(0, row, column)));
        let of_inside: Vec<f64> = places.map(|place| weights.map_or(1.0, |weights| f64::from(weights[place]))).collect();
        prop_assume!(of_inside.iter().any(|weight| *weight > 0.0));
        let (second, mean, total) = oracle::moments(&inside, &of_inside);

        let workers = Workers::new(threads, set).expect("threads");
        let mut sums = Sums::new(channels, grid.pixels());
        let whole = Region { grid, window: Window::whole(grid.height, grid.width), features: &features, weights: None };
        // Nothing of what was summed before may be left.
        sums.over(&workers, whole, 1.0);
        let found = sums.over(&workers, Region { window, weights, ..whole }, total);
        for (what, found, expected) in [("second moments", found.0, second), ("mean", found.1, mean)] {
            // Where there is nothing in the window but zeros, so are its moments.
            let error = if expected.iter().all(|value| *value == 0.0) {
                f64::from(u8::from(found.iter().any(|value| *value != 0.0)))
            } else {
                relative_error(found, expected)
            };
            prop_assert!(error < 1e-6, "{} off by {:e}", what, error);
        }
    }
}
