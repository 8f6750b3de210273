//! The memory that plans will take, without taking it.

use half::f16;

use super::first::{CHANNELS, FirstLayer};
use super::instructions::InstructionSet;
use super::lanes::Lanes;
use super::moments::Sums;
use super::outline::{Outline, buffers};
use super::weights::Weights;
use super::winograd::Variant;
use crate::compute::{Holding, Plan, Tiling};
use crate::network::Layer;

/// Transformed weights are kept while they and all other memory take no more bytes than this, or the weights no more
/// than half of the others.
const KEPT: usize = 512 << 20;
/// What each thread needs for the transformed tiles of its block, at most.
const SCRATCH: usize = 20 << 20;
/// The same where numbers are multiplied in parts, and what the threads have together for theirs.
const PARTS_SCRATCH: usize = 4 << 20;
const PARTS_SHARED: usize = 52 << 20;
/// Bytes per pixel of the pictures that go in and come out, and of copies on their way.
const PICTURES: usize = 3 * CHANNELS * size_of::<f32>();

/// The arena of a plan, but for what is small, in bytes.
pub fn arena(plan: &Plan) -> usize {
    let layers = Outline::of(plan);
    let kept = layers.iter().map(|layer| {
        let lanes = layer.features() + layer.roots();
        let bits = (layer.positive() + layer.choices()) * size_of::<u16>() + layer.choices() * size_of::<u32>();
        lanes * size_of::<Lanes>() + bits
    });
    let passing = buffers(&layers).map(|length| length * size_of::<Lanes>());
    let grid = layers[0].grid;
    let pictures = FirstLayer::input_len(grid) + CHANNELS * grid.pixels();
    kept.chain(passing).sum::<usize>() + pictures * size_of::<f32>()
}

/// The maps that parts hold from step to step, the content's features and what comes down to the joint, in bytes.
pub fn held(tiling: &Tiling) -> usize {
    let parts = tiling.parts().iter();
    let deferred = parts.clone().map(|part| {
        let length = |joint: Layer| joint.outputs() * (part.height >> joint.pools()) * (part.width >> joint.pools());
        part.joint().map_or(0, length) * size_of::<f32>()
    });
    let content = match tiling.holding() {
        Holding::AsTheyAre | Holding::Aside => tiling.content_bytes(),
        Holding::Halves => {
            let widened = parts.map(Plan::all_content_features).max().unwrap_or(0) * size_of::<f32>();
            tiling.content_bytes() / size_of::<f32>() * size_of::<f16>() + widened
        }
    };
    content + deferred.sum::<usize>()
}

/// The bytes of transformed weights that may be kept from step to step. Where memory is short there are none: larger tiles
/// are worth more.
pub fn kept_weights(tiling: &Tiling) -> usize {
    match tiling.is_thrifty() {
        false => {
            let others = arena(&tiling.largest()) + held(tiling);
            KEPT.saturating_sub(others).max(others / 2)
        }
        true => 0,
    }
}

/// The peak in bytes of forward and backward passes on so many threads, transformed weights included.
pub fn bytes(tiling: &Tiling, threads: usize, instructions: InstructionSet) -> u64 {
    let largest = tiling.largest();
    let maps = arena(&largest) + held(tiling);
    // As they come, and once more on each coarser grid: a third more.
    let regions = |part: &Plan| {
        let weights = part.regions.as_ref();
        weights.map_or(0, |weights| weights.elem_count() * size_of::<f32>() * 7 / 3)
    };
    let regions: usize = tiling.parts().iter().map(regions).sum();
    let sums = largest.style_layers.iter().map(|layer| {
        let window = largest.window.at_depth(layer.pools());
        Sums::bytes(layer.outputs(), window.height * window.width)
    });

    // Tiles go by the variants of the whole.
    let layers = Outline::of(tiling.plan()).into_iter().skip(1);
    let transformed = layers.map(|Outline { layer, grid, .. }| {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        Weights::bytes(Variant::choose(instructions, grid, inputs, outputs), inputs, outputs)
    });
    let both_ways = 2 * transformed.clone().sum::<usize>();
    let passing = transformed.max().unwrap_or(0);
    let weights = both_ways.min(kept_weights(tiling) + passing);
    let pictures = PICTURES * largest.height * largest.width;
    let scratch = if instructions.multiplies_parts() {
        PARTS_SHARED + threads * PARTS_SCRATCH
    } else {
        threads * SCRATCH
    };
    (maps + regions + sums.sum::<usize>() + weights + scratch + pictures) as u64
}
