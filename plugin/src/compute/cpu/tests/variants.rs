//! Which size of tiles a layer is given.

use super::*;
use crate::compute::cpu::lanes::Grid;
use crate::compute::cpu::winograd::Variant;

/// The sets with a matrix unit.
fn has_unit(set: InstructionSet) -> bool {
    ["AMX", "emulated AMX"].contains(&set.name())
}

fn choose(set: InstructionSet, side: usize, inputs: usize, outputs: usize) -> Variant {
    let grid = Grid {
        height: side,
        width: side,
    };
    Variant::choose(set, grid, inputs, outputs)
}

#[test]
fn the_largest_tiles_are_for_few_channels_and_for_no_matrix_unit() {
    for set in InstructionSet::tested() {
        let largest = if has_unit(set) { Variant::F4 } else { Variant::F6 };
        for (inputs, outputs) in [(64, 64), (64, 128), (128, 128), (128, 64)] {
            let found = choose(set, 240, inputs, outputs);
            assert_eq!(found, largest, "{inputs} x {outputs} on {}", set.name());
        }
        for (inputs, outputs) in [(128, 256), (256, 128), (160, 32), (256, 256), (512, 512)] {
            let found = choose(set, 240, inputs, outputs);
            assert_eq!(found, Variant::F4, "{inputs} x {outputs} on {}", set.name());
        }
    }
}

/// There the transformed weights weigh most, which tiles of 2 x 2 have the fewest of.
#[test]
fn the_smallest_tiles_are_for_tiny_maps() {
    for set in InstructionSet::tested() {
        for (inputs, outputs) in [(64, 128), (128, 256), (256, 512), (512, 512)] {
            for side in [1, 2, 5, 8, 16] {
                let found = choose(set, side, inputs, outputs);
                let what = format!("{inputs} x {outputs} at {side} x {side} on {}", set.name());
                assert_eq!(found, Variant::F2, "{what}");
            }
        }
        for side in [24, 27, 64] {
            assert_eq!(choose(set, side, 512, 512), Variant::F4, "{side} x {side}");
        }
    }
}

#[test]
fn none_of_those_that_are_allowed_would_be_cheaper() {
    let sides = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610];
    let grids = sides
        .iter()
        .flat_map(|&height| sides.map(|width| Grid { height, width }));
    for grid in grids {
        for layer in &Layer::ALL[1..] {
            for (inputs, outputs) in [(layer.inputs(), layer.outputs()), (layer.outputs(), layer.inputs())] {
                for set in InstructionSet::tested() {
                    let chosen = Variant::choose(set, grid, inputs, outputs);
                    let what = format!("{chosen:?} of {inputs} x {outputs} at {grid:?} on {}", set.name());
                    for other in Variant::ALL {
                        let is_allowed = other != Variant::F6 || !has_unit(set) && inputs.max(outputs) <= 128;
                        assert!(is_allowed || other != chosen, "{what}");
                        let cost = |variant: Variant| variant.cost(grid, inputs, outputs);
                        assert!(!is_allowed || cost(chosen) <= cost(other), "{what}: {other:?}");
                    }
                }
            }
        }
    }
}
