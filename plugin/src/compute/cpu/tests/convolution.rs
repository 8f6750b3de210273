//! Winograd's algorithm, of every size and both ways, beside convolution as it is defined.

use super::*;
use crate::compute::cpu::disjoint::Disjoint;
use crate::compute::cpu::lanes::{Grid, Lanes, WIDTH};
use crate::compute::cpu::maps::{Gate, Gradient, Stored};
use crate::compute::cpu::weights::{Direction, Kernels, Weights};
use crate::compute::cpu::winograd::{Variant, convolve_holding};
use crate::compute::cpu::workers::Workers;

#[test]
fn every_variant_convolves_both_ways_on_every_instruction_set() {
    let mut random = noise(3);
    for (inputs, outputs, height, width) in [(64, 96, 19, 26), (32, 64, 1, 5), (128, 32, 12, 12), (160, 192, 21, 23)] {
        let values: Vec<f32> = (0..9 * inputs * outputs).map(|_| random() as f32).collect();
        for direction in [Direction::Forward, Direction::Backward] {
            let kernels = Kernels {
                values: &values,
                outputs,
                inputs,
                direction,
            };
            let (input, expected) = case(&mut random, kernels, height, width);
            for set in InstructionSet::tested() {
                for variant in Variant::ALL {
                    let workers = Workers::new(2, set).expect("threads");
                    let output = convolved(&workers, variant, kernels, &input, usize::MAX);
                    let error = relative_error(output, expected.values.iter().copied());
                    let what = format!("{variant:?} {direction:?} {inputs} x {outputs} on {}", set.name());
                    assert!(error < 1e-5, "{what} is off by {error:e}");
                }
            }
        }
    }
}

/// With many channels all threads take one block of tiles together. How many threads there are and what a block holds
/// decide who computes what, and when, and nothing else.
#[test]
fn neither_threads_nor_blocks_change_a_bit() {
    let mut random = noise(4);
    // Three panels of channels and five, which groups of two leave one of.
    let (inputs, outputs) = (96, 160);
    let values: Vec<f32> = (0..9 * inputs * outputs).map(|_| random() as f32).collect();
    let kernels = Kernels {
        values: &values,
        outputs,
        inputs,
        direction: Direction::Forward,
    };
    // A few more tiles than the unit's panels have rows.
    for (variant, height, width) in [(Variant::F2, 13, 11), (Variant::F4, 21, 23)] {
        let (input, expected) = case(&mut random, kernels, height, width);
        for set in InstructionSet::tested() {
            let found = [1, 2, 24].map(|threads| {
                let workers = Workers::new(threads, set).expect("threads");
                // All tiles in one block, and no more than a panel of them in each.
                [usize::MAX, 1].map(|held| convolved(&workers, variant, kernels, &input, held))
            });
            let what = format!("{variant:?} on {}", set.name());
            let error = relative_error(found[0][1].clone(), expected.values.iter().copied());
            assert!(error < 1e-5, "{what} is off by {error:e} in several blocks");
            assert!(found[0][0] == found[0][1], "{what}: one block and several differ");
            assert!(found[1] == found[0], "{what}: one thread and two differ");
            assert!(found[2] == found[0], "{what}: one thread and 24 differ");
        }
    }
}

/// A map of noise, and what these kernels make of it by definition.
pub(super) fn case(random: &mut impl FnMut() -> f64, kernels: Kernels, height: usize, width: usize) -> (Map, Map) {
    let (to, from) = kernels.channels();
    let mut input = Map::zero(from, height, width);
    input.values.fill_with(|| f64::from(random() as f32));
    let expected = match kernels.direction {
        Direction::Forward => oracle::convolve(&input, kernels.values, to),
        Direction::Backward => oracle::convolve_transposed(&input, kernels.values, to),
    };
    (input, expected)
}

/// A convolution of a planar map into a planar map, where a block that all threads take together holds so many bytes.
pub(super) fn convolved(workers: &Workers, variant: Variant, kernels: Kernels, input: &Map, held: usize) -> Vec<f32> {
    let (outputs, _) = kernels.channels();
    let grid = Grid {
        height: input.height,
        width: input.width,
    };
    let mut packed = vec![Lanes::ZERO; input.channels / WIDTH * grid.pixels()];
    for (index, value) in input.values.iter().enumerate() {
        let (channel, pixel) = (index / grid.pixels(), index % grid.pixels());
        packed[channel / WIDTH * grid.pixels() + pixel].0[channel % WIDTH] = *value as f32;
    }
    let mut output = vec![Lanes::splat(f32::NAN); outputs / WIDTH * grid.pixels()];
    let mut weights = Weights::empty();
    weights.transform(workers, variant, kernels);
    let source = Stored { grid, values: &packed };
    let sink = Gradient {
        grid,
        gate: Gate::Open,
        adds: false,
        values: Disjoint::new(&mut output),
    };
    convolve_holding(workers, &weights, grid, &source, &sink, held);
    let value = |channel: usize, pixel: usize| output[channel / WIDTH * grid.pixels() + pixel].0[channel % WIDTH];
    let channels = (0..outputs).flat_map(|channel| (0..grid.pixels()).map(move |pixel| (channel, pixel)));
    channels.map(|(channel, pixel)| value(channel, pixel)).collect()
}
