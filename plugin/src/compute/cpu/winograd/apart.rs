//! Each thread takes blocks of tiles of its own from inputs to outputs.
//!
//! Weights in parts are packed beforehand, for all blocks: with few channels it is little.

use super::super::disjoint::Disjoint;
use super::super::instructions::{InstructionSet, Instructions};
use super::super::lanes::Lanes;
use super::super::maps::{Sink, Source};
use super::super::product::{COLUMNS, pack_panel, packed_columns, panel_len};
use super::super::transform::Transform;
use super::super::workers::{Task, Workers};
use super::{Block, Convolution, Variant};

/// Panels of output channels that are multiplied before they are transformed back: their products stay in the cache.
const TOGETHER: usize = 4;
/// The largest weights, in bytes, that stay in the second cache beside the tiles.
const NEAR: usize = 1 << 20;

/// Convolves so many tiles.
pub fn convolve<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize>(
    workers: &Workers,
    convolution: &Convolution<F, S, K, OUT, IN>,
    tiles: usize,
) {
    let weights = convolution.weights;
    let set = workers.instructions();
    let mut shared = workers.shared();
    let packed = if set.multiplies_parts() {
        shared.fit(IN * IN * packed_columns(set, weights.inputs, weights.outputs));
        let task = Packing {
            values: &weights.values,
            depth: weights.inputs,
            packed: Disjoint::new(&mut shared),
        };
        workers.run(IN * IN * weights.outputs / COLUMNS, &task);
        &shared[..]
    } else {
        weights.values.as_flattened()
    };
    let columns = weights.outputs / COLUMNS;
    let held = held(set, weights.inputs.max(weights.outputs), weights.variant);
    let (blocks, groups) = pieces(workers.threads(), tiles, columns, held);
    let task = Blocks {
        convolution,
        packed,
        tiles,
        block: tiles.div_ceil(blocks),
        group: columns.div_ceil(groups),
    };
    workers.run(tiles.div_ceil(task.block) * columns.div_ceil(task.group), &task);
}

/// As many tiles as the second cache holds, measured.
fn held(set: InstructionSet, channels: usize, variant: Variant) -> usize {
    match (channels, set.multiplies_parts(), variant) {
        (0..=64, true, _) => 32,
        (_, true, _) => 64,
        (0..=64, false, _) => 14,
        (65..=128, false, _) => 28,
        (129..=256, false, _) => 112,
        (_, false, Variant::F6) => 80,
        (_, false, _) => 140,
    }
}

/// In how many blocks the tiles and in how many groups the panels of output channels are computed. A block has as many
/// tiles as are held, or fewer, so that all threads have as many; where there are fewer blocks than threads, these share
/// the outputs, though each transforms the block's inputs for itself.
fn pieces(threads: usize, tiles: usize, columns: usize, held: usize) -> (usize, usize) {
    const GROUPS: usize = 4;
    let blocks = tiles.div_ceil(held);
    let groups = threads.div_ceil(blocks).min(GROUPS).min(columns);
    (blocks.next_multiple_of(threads.div_ceil(groups)), groups)
}

/// Each piece is one position's weights for 32 output channels.
struct Packing<'a> {
    values: &'a [[Lanes; 2]],
    depth: usize,
    packed: Disjoint<'a, Lanes>,
}

impl Task for Packing<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let length = panel_len::<I>(COLUMNS, self.depth);
        // SAFETY: this panel is in this piece alone.
        let packed = unsafe { self.packed.slice(piece * length, length) };
        pack_panel::<I>(&self.values[piece * self.depth..][..self.depth], packed);
    }
}

/// Each piece is a block of tiles and a group of output channels.
struct Blocks<'a, F, S, K, const OUT: usize, const IN: usize> {
    convolution: &'a Convolution<'a, F, S, K, OUT, IN>,
    packed: &'a [Lanes],
    tiles: usize,
    /// Tiles in a block.
    block: usize,
    /// Panels of output channels in a group.
    group: usize,
}

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Task
    for Blocks<'_, F, S, K, OUT, IN>
{
    fn scratch<I: Instructions>(&self) -> usize {
        let weights = self.convolution.weights;
        let block = Block::new(0..self.block, I::ROWS);
        let columns = TOGETHER.min(self.group);
        IN * IN * (block.input_stride(weights.inputs, I::PACKED) + 2 * block.product_stride(columns))
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let convolution = self.convolution;
        let weights = convolution.weights;
        let blocks = self.tiles.div_ceil(self.block);
        let first = piece % blocks * self.block;
        let block = Block::new(first..self.tiles.min(first + self.block), I::ROWS);
        let stride = block.input_stride(weights.inputs, I::PACKED);
        let (transformed, products) = scratch.split_at_mut(IN * IN * stride);
        let products = products.as_chunks_mut().0;
        for panel in 0..block.panels {
            // SAFETY: the scratch is this thread's alone.
            unsafe {
                convolution.transform_inputs::<I>(
                    &block,
                    panel,
                    0..weights.inputs / COLUMNS,
                    Disjoint::new(transformed),
                );
            }
        }
        let panel = panel_len::<I>(COLUMNS, weights.inputs);
        let all = weights.outputs / COLUMNS;
        let first = piece / blocks * self.group;
        let end = all.min(first + self.group);
        for first in (first..end).step_by(TOGETHER) {
            let columns = first..end.min(first + TOGETHER);
            let product_stride = block.product_stride(columns.len());
            I::begin(block.rows);
            for position in 0..IN * IN {
                let operands = |position: usize| {
                    let weights = &self.packed[(position * all + columns.start) * panel..][..columns.len() * panel];
                    [weights, &transformed[position * stride..][..stride - 1]]
                };
                let [right, left] = operands(position);
                // Unless all weights are near, the next position's operands are fetched.
                let next = if position + 1 < IN * IN && size_of_val(self.packed) > NEAR {
                    operands(position + 1)
                } else {
                    [&[][..]; 2]
                };
                let share = |next: &[Lanes]| next.len().div_ceil(columns.len()).max(1);
                let [mut weights, mut inputs] = next.map(|next| next.chunks(share(next)));
                let product = &mut products[position * product_stride..][..product_stride - 1];
                let product = product.chunks_exact_mut(block.panels * block.rows);
                for (right, product) in right.chunks_exact(panel).zip(product) {
                    let next = [&mut weights, &mut inputs].map(|next| next.next().unwrap_or_default());
                    // SAFETY: it has begun with as many rows.
                    unsafe { I::multiply(block.rows, left, right, product, next) }
                }
            }
            I::end();
            for panel in 0..block.panels {
                // SAFETY: this block is in this piece alone.
                unsafe {
                    convolution.transform_outputs::<I>(&block, panel, columns.clone(), products, columns.clone());
                }
            }
        }
    }
}
