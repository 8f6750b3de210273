//! The memory that a plan will take, without taking it.
//!
//! All maps grow with the picture's pixels, so a small arena tells what a large one will be: nothing about the layout is
//! said twice.

use super::arena::Arena;
use super::model::KEPT;
use super::moments::Sums;
use super::winograd::{Variant, Weights};
use crate::compute::{Plan, Window};

/// The side of the small arena, a multiple of 16: nothing is lost by rounding, and a large picture loses next to nothing.
const SIDE: usize = 64;
/// What each thread needs for the transformed tiles of its block, at most.
const SCRATCH: usize = 20 << 20;
/// Bytes per pixel of the pictures that go in and come out, and of copies on their way.
const PICTURES: usize = 4 * 3 * size_of::<f32>();

/// The peak in bytes of a forward and a backward pass on so many threads, transformed weights included.
pub fn bytes(plan: &Plan, threads: usize) -> u64 {
    let small = Plan {
        height: SIDE,
        width: SIDE,
        window: Window {
            top: 0,
            left: 0,
            height: SIDE,
            width: SIDE,
        },
        regions: None,
        ..plan.clone()
    };
    let arena = Arena::new(&small, Vec::new());
    let pixels = plan.height * plan.width;
    let maps = (arena.bytes() as f64 * pixels as f64 / (SIDE * SIDE) as f64) as usize;
    // As they come, and once more on each coarser grid: a third more.
    let regions = plan
        .regions
        .as_ref()
        .map_or(0, |regions| regions.elem_count() * 4 * 7 / 3);

    let transformed = |above: usize| {
        let layer = arena.layers[above].layer;
        Weights::bytes(Variant::F4, layer.inputs(), layer.outputs())
    };
    let sums = plan.style_layers.iter().map(|layer| {
        let window = plan.window.at_depth(layer.pools());
        Sums::bytes(layer.outputs(), window.height * window.width)
    });
    let both_ways: usize = (1..arena.layers.len()).map(|layer| 2 * transformed(layer)).sum();
    let passing = (1..arena.layers.len()).map(transformed).max().unwrap_or(0);
    let weights = both_ways.min(KEPT.saturating_sub(maps) + passing);
    (maps + regions + sums.sum::<usize>() + weights + threads * SCRATCH + PICTURES * pixels) as u64
}
