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

/// The most channels that the largest tiles are for.
fn most(set: InstructionSet, pixels: usize) -> usize {
    match (has_unit(set), set.takes_turns()) {
        (true, _) => 0,
        (false, false) => 128,
        (false, true) if pixels < 96 * 96 => 256,
        (false, true) => 512,
    }
}

#[test]
fn the_largest_tiles_are_for_few_channels_or_slow_products_and_for_no_matrix_unit() {
    for set in InstructionSet::tested() {
        for side in [60, 90, 240] {
            for (inputs, outputs) in [
                (64, 64),
                (64, 128),
                (128, 128),
                (128, 64),
                (128, 256),
                (256, 128),
                (160, 32),
                (256, 256),
                (512, 512),
            ] {
                let largest = inputs.max(outputs) <= most(set, side * side);
                let expected = if largest { Variant::F6 } else { Variant::F4 };
                let what = format!("{inputs} x {outputs} at {side} x {side} on {}", set.name());
                assert_eq!(choose(set, side, inputs, outputs), expected, "{what}");
            }
        }
    }
}

#[test]
fn only_avx_512_may_have_units_for_all_of_its_lanes() {
    for set in InstructionSet::tested() {
        match set.name() {
            "plain" | "AVX2" => assert!(set.takes_turns()),
            "AMX" => assert!(!set.takes_turns()),
            _ => {}
        }
    }
}

/// There the transformed weights weigh most, which tiles of 2 x 2 have the fewest of.
#[test]
fn the_smallest_tiles_are_for_tiny_maps() {
    const SHAPES: [(usize, usize); 4] = [(64, 128), (128, 256), (256, 512), (512, 512)];
    for set in InstructionSet::tested() {
        let all_are = |expected: Variant, sides: &[usize], shapes: &[(usize, usize)]| {
            for (&side, &(inputs, outputs)) in sides
                .iter()
                .flat_map(|side| shapes.iter().map(move |shape| (side, shape)))
            {
                let found = choose(set, side, inputs, outputs);
                let what = format!("{inputs} x {outputs} at {side} x {side} on {}", set.name());
                assert_eq!(found, expected, "{what}");
            }
        };
        all_are(Variant::F2, &[1, 2, 5, 8], &SHAPES);
        all_are(Variant::F4, &[24, 27, 64], &SHAPES[3..]);
        // Where multiplying is slow, fetching weights is less in proportion.
        if set.takes_turns() {
            all_are(Variant::F2, &[10], &SHAPES);
            all_are(Variant::F4, &[16, 20], &SHAPES[3..]);
        } else {
            all_are(Variant::F2, &[16], &SHAPES);
            all_are(Variant::F2, &[20], &SHAPES[3..]);
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
                        let is_allowed = other != Variant::F6 || inputs.max(outputs) <= most(set, grid.pixels());
                        assert!(is_allowed || other != chosen, "{what}");
                        let cost = |variant: Variant| variant.cost(set, grid, inputs, outputs);
                        assert!(!is_allowed || cost(chosen) <= cost(other), "{what}: {other:?}");
                    }
                }
            }
        }
    }
}
