//! All threads take one large block of tiles from inputs to products to outputs.
//!
//! Weights are packed where they are used, for as many tiles: in parts, all of them would take half as much memory again.

use std::ops::Range;

use super::super::disjoint::Disjoint;
use super::super::instructions::Instructions;
use super::super::lanes::Lanes;
use super::super::maps::{Sink, Source};
use super::super::product::{COLUMNS, pack_panel, panel_len};
use super::super::transform::Transform;
use super::super::workers::{Task, Workers};
use super::{Block, Convolution};

/// Bytes of transformed inputs and products of a block.
pub const HELD: usize = 48 << 20;
/// Pieces for each thread, so that none waits long for another.
const PIECES: usize = 2;

/// Convolves so many tiles, in blocks that hold so many bytes, or a panel of tiles where that is more.
pub fn convolve<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize>(
    workers: &Workers,
    convolution: &Convolution<F, S, K, OUT, IN>,
    tiles: usize,
    held: usize,
) {
    let (rows, packed) = (workers.instructions().rows(), workers.instructions().packed());
    let (inputs, columns) = (convolution.weights.inputs, convolution.weights.outputs / COLUMNS);
    let per_tile = IN * IN * (inputs / COLUMNS * packed + 2 * columns) * size_of::<Lanes>();
    let held = (held / per_tile).max(rows);
    let tiles_in_block = tiles.div_ceil(tiles.div_ceil(held)).next_multiple_of(rows);
    let mut shared = workers.shared();
    for first in (0..tiles).step_by(tiles_in_block) {
        let tiles = first..tiles.min(first + tiles_in_block);
        let block = Block::new(tiles, rows);
        let panels = block.panels;
        let transformed = IN * IN * block.input_stride(inputs, packed);
        shared.fit(transformed + 2 * IN * IN * block.product_stride(columns));
        let (transformed, products) = shared.split_at_mut(transformed);
        let products = &mut products.as_chunks_mut().0[..];
        let pieces = PIECES * workers.threads();
        let groups = pieces.div_ceil(panels).min(inputs / COLUMNS);
        let pairs = (inputs / COLUMNS).div_ceil(groups);
        let task = Inputs {
            convolution,
            block: &block,
            pairs,
            transformed: Disjoint::new(transformed),
        };
        workers.run(panels * (inputs / COLUMNS).div_ceil(pairs), &task);
        let positions = (IN * IN / pieces).max(1);
        let groups = pieces.div_ceil(IN * IN).min(columns);
        let task = Products {
            convolution,
            block: &block,
            positions,
            group: columns.div_ceil(groups),
            transformed,
            products: Disjoint::new(products),
        };
        workers.run((IN * IN).div_ceil(positions) * columns.div_ceil(task.group), &task);
        let task = Outputs {
            convolution,
            block: &block,
            products,
        };
        workers.run(panels * columns, &task);
    }
}

/// Each piece is a panel of tiles and some pairs of blocks of channels.
struct Inputs<'a, F, S, K, const OUT: usize, const IN: usize> {
    convolution: &'a Convolution<'a, F, S, K, OUT, IN>,
    block: &'a Block,
    pairs: usize,
    transformed: Disjoint<'a, Lanes>,
}

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Task
    for Inputs<'_, F, S, K, OUT, IN>
{
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let (panel, first) = (piece % self.block.panels, piece / self.block.panels * self.pairs);
        let end = self.convolution.weights.inputs / COLUMNS;
        // SAFETY: this panel's pairs are in this piece alone.
        unsafe {
            let pairs = first..end.min(first + self.pairs);
            self.convolution
                .transform_inputs::<I>(self.block, panel, pairs, self.transformed);
        }
    }
}

/// Each piece is some positions, and a group of panels of output channels.
struct Products<'a, F, S, K, const OUT: usize, const IN: usize> {
    convolution: &'a Convolution<'a, F, S, K, OUT, IN>,
    block: &'a Block,
    positions: usize,
    /// Panels of output channels in a group.
    group: usize,
    transformed: &'a [Lanes],
    products: Disjoint<'a, [Lanes; 2]>,
}

impl<F, S, K, const OUT: usize, const IN: usize> Products<'_, F, S, K, OUT, IN> {
    /// The weights of a position for a panel of output channels.
    #[inline(always)]
    fn weights(&self, position: usize, panel: usize) -> &[[Lanes; 2]] {
        let weights = self.convolution.weights;
        let start = (position * weights.outputs / COLUMNS + panel) * weights.inputs;
        &weights.values[start..start + weights.inputs]
    }
}

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Task
    for Products<'_, F, S, K, OUT, IN>
{
    fn scratch<I: Instructions>(&self) -> usize {
        panel_len::<I>(COLUMNS, self.convolution.weights.inputs)
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let block = self.block;
        let weights = self.convolution.weights;
        let all = weights.outputs / COLUMNS;
        let ranges = (IN * IN).div_ceil(self.positions);
        let (first, first_panel) = (piece % ranges * self.positions, piece / ranges * self.group);
        let panels: Range<usize> = first_panel..all.min(first_panel + self.group);
        let stride = block.input_stride(weights.inputs, I::PACKED);
        let rows = block.panels * block.rows;
        let end = (IN * IN).min(first + self.positions);
        I::begin(block.rows);
        for position in first..end {
            let left = &self.transformed[position * stride..][..stride - 1];
            let next_left = if position + 1 < end {
                &self.transformed[(position + 1) * stride..][..stride - 1]
            } else {
                &[]
            };
            let mut next_left = next_left.chunks(stride.div_ceil(panels.len()));
            for panel in panels.clone() {
                pack_panel::<I>(self.weights(position, panel), scratch);
                let next = if panel + 1 < panels.end {
                    self.weights(position, panel + 1)
                } else if position + 1 < end {
                    self.weights(position + 1, panels.start)
                } else {
                    &[]
                };
                // SAFETY: these products are in this piece alone.
                let product = unsafe {
                    self.products
                        .slice(position * block.product_stride(all) + panel * rows, rows)
                };
                let next = [next.as_flattened(), next_left.next().unwrap_or_default()];
                // SAFETY: it has begun with as many rows.
                unsafe { I::multiply(block.rows, left, scratch, product, next) }
            }
        }
        I::end();
    }
}

/// Each piece is a panel of tiles and one of output channels.
struct Outputs<'a, F, S, K, const OUT: usize, const IN: usize> {
    convolution: &'a Convolution<'a, F, S, K, OUT, IN>,
    block: &'a Block,
    products: &'a [[Lanes; 2]],
}

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Task
    for Outputs<'_, F, S, K, OUT, IN>
{
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let (panel, column) = (piece % self.block.panels, piece / self.block.panels);
        let all = 0..self.convolution.weights.outputs / COLUMNS;
        // SAFETY: these tiles and channels are in this piece alone, and all products are made.
        unsafe {
            self.convolution
                .transform_outputs::<I>(self.block, panel, column..column + 1, self.products, all);
        }
    }
}
