//! Winograd's algorithm, of every size and both ways, beside convolution as it is defined.

use super::*;
use crate::compute::cpu::disjoint::Disjoint;
use crate::compute::cpu::lanes::{Grid, Lanes, WIDTH};
use crate::compute::cpu::maps::{Gate, Gradient, Stored};
use crate::compute::cpu::weights::{Direction, Kernels, Weights};
use crate::compute::cpu::winograd::{Variant, convolve};
use crate::compute::cpu::workers::Workers;

#[test]
fn every_variant_convolves_both_ways_on_every_instruction_set() {
    let mut random = noise(3);
    for (inputs, outputs, height, width) in [(64, 96, 19, 26), (32, 64, 1, 5), (128, 32, 12, 12), (160, 192, 21, 23)] {
        let kernels: Vec<f32> = (0..9 * inputs * outputs).map(|_| random() as f32).collect();
        for direction in [Direction::Forward, Direction::Backward] {
            let (from, to) = match direction {
                Direction::Forward => (inputs, outputs),
                Direction::Backward => (outputs, inputs),
            };
            let mut input = Map::zero(from, height, width);
            input.values.fill_with(|| f64::from(random() as f32));
            let expected = match direction {
                Direction::Forward => oracle::convolve(&input, &kernels, to),
                Direction::Backward => oracle::convolve_transposed(&input, &kernels, to),
            };
            let kernels = Kernels {
                values: &kernels,
                outputs,
                inputs,
                direction,
            };
            for set in InstructionSet::tested() {
                for variant in Variant::ALL {
                    let workers = Workers::new(2, set).expect("threads");
                    let output = convolved(&workers, variant, kernels, &input, to);
                    let error = relative_error(output, expected.values.iter().copied());
                    let what = format!("{variant:?} {direction:?} {inputs} x {outputs} on {}", set.name());
                    assert!(error < 1e-5, "{what} is off by {error:e}");
                }
            }
        }
    }
}

/// A convolution of a planar map into a planar map.
fn convolved(workers: &Workers, variant: Variant, kernels: Kernels, input: &Map, outputs: usize) -> Vec<f32> {
    let grid = Grid {
        height: input.height,
        width: input.width,
    };
    let mut packed = vec![Lanes::ZERO; input.channels / WIDTH * grid.pixels()];
    for (index, value) in input.values.iter().enumerate() {
        let (channel, pixel) = (index / grid.pixels(), index % grid.pixels());
        packed[channel / WIDTH * grid.pixels() + pixel].0[channel % WIDTH] = *value as f32;
    }
    let mut output = vec![Lanes::ZERO; outputs / WIDTH * grid.pixels()];
    let mut weights = Weights::empty();
    weights.transform(workers, variant, kernels);
    let source = Stored { grid, values: &packed };
    let sink = Gradient {
        grid,
        gate: Gate::Open,
        adds: false,
        values: Disjoint::new(&mut output),
    };
    convolve(workers, &weights, grid, &source, &sink);
    let value = |channel: usize, pixel: usize| output[channel / WIDTH * grid.pixels() + pixel].0[channel % WIDTH];
    let channels = (0..outputs).flat_map(|channel| (0..grid.pixels()).map(move |pixel| (channel, pixel)));
    channels.map(|(channel, pixel)| value(channel, pixel)).collect()
}
