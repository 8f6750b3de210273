//! Convolution by Winograd's algorithm ([`super::transform`]), forward and backward with one kernel.
//!
//! The map is cut into tiles of `OUT` x `OUT` outputs, and the tiles, in reading order, into blocks that one thread
//! computes in its own scratch:
//!
//! 1. input: each tile's `IN` x `IN` inputs (overlapping the neighbours by two) are transformed and written, already
//!    packed, as the left operands of `IN * IN` matrix products, one for each position;
//! 2. products: tiles x input channels by input channels x output channels, at each position;
//! 3. output: each tile's positions are transformed back and handed to the [`Sink`].
//!
//! A block is so small that one position's operands stay in the second cache and so large that the transformed weights,
//! which every block reads, are worth reading. What the next position needs is asked for while one is multiplied: the
//! processor itself does not look that far ahead, and waited for a sixth of its time (measured at conv4). Successive positions are a cache line further apart than they need be:
//! at powers of two they would all compete for the same few places in the cache.
//!
//! **Backward.** With respect to its input, the gradient of a convolution is again a convolution of the same kind, of
//! the output's gradient with the kernel turned by 180 degrees and its channels exchanged:
//! `W'[i][o][y][x] = W[o][i][2-y][2-x]`. So [`Weights::transform`] knows two directions, and [`convolve`] none.

use std::ops::Range;

use super::buffer::Buffer;
use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes, WIDTH};
use super::maps::{Sink, Source};
use super::product::{COLUMNS, packed_index, panels};
use super::transform::{F2, F4, F6, Transform};
use super::workers::{Task, Workers};

/// How many outputs a tile has on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// 2: four multiplications per output.
    F2,
    /// 4: two and a quarter.
    F4,
    /// 6: less than two.
    F6,
}

impl Variant {
    /// All.
    pub const ALL: [Self; 3] = [Self::F2, Self::F4, Self::F6];

    /// The cheapest for a layer of a size. F(6) rounds twice as much as F(4) and is for layers where it saves most: where
    /// transforms weigh most, with few channels.
    pub fn choose(grid: Grid, inputs: usize, outputs: usize) -> Self {
        let variants = if inputs.max(outputs) <= 128 {
            &Self::ALL[..]
        } else {
            &Self::ALL[..2]
        };
        let cost = |variant: &&Self| variant.cost(grid, inputs, outputs);
        *variants.iter().min_by_key(cost).expect("there are variants")
    }

    /// The time of a convolution, in multiplications.
    fn cost(self, grid: Grid, inputs: usize, outputs: usize) -> usize {
        /// What it costs to transform a number of a tile, there or back.
        const TRANSFORM: usize = 16;
        /// What it costs to fetch a transformed weight.
        const WEIGHT: usize = 40;
        let per_tile = inputs * outputs + TRANSFORM * (inputs + outputs);
        self.positions() * (self.tiles(grid) * per_tile + WEIGHT * inputs * outputs)
    }

    /// The tiles that cover a map.
    pub fn tiles(self, grid: Grid) -> usize {
        grid.height.div_ceil(self.outputs()) * grid.width.div_ceil(self.outputs())
    }

    /// The outputs on a tile's side.
    pub fn outputs(self) -> usize {
        match self {
            Self::F2 => 2,
            Self::F4 => 4,
            Self::F6 => 6,
        }
    }

    /// The number of matrix products: the square of the inputs on a tile's side.
    pub fn positions(self) -> usize {
        (self.outputs() + 2).pow(2)
    }
}

/// Which way a convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a layer's input to its output.
    Forward,
    /// From its output's gradient to its input's.
    Backward,
}

/// The kernels of a layer, and the direction in which they are applied.
#[derive(Clone, Copy)]
pub struct Kernels<'a> {
    /// `[outputs, inputs, 3, 3]` of the layer.
    pub values: &'a [f32],
    /// The layer's output channels, a multiple of 32.
    pub outputs: usize,
    /// The layer's input channels, a multiple of 32.
    pub inputs: usize,
    /// Forward, or turned and exchanged.
    pub direction: Direction,
}

impl Kernels<'_> {
    /// Output and input channels of the convolution in this direction.
    fn channels(&self) -> (usize, usize) {
        match self.direction {
            Direction::Forward => (self.outputs, self.inputs),
            Direction::Backward => (self.inputs, self.outputs),
        }
    }

    /// The taps from channel `input` to sixteen channels from `output` on, in this direction.
    #[inline(always)]
    fn taps(&self, output: usize, input: usize) -> [[Lanes; 3]; 3] {
        let row = 9 * self.inputs;
        let (start, step) = match self.direction {
            Direction::Forward => (output * row + input * 9, row),
            Direction::Backward => (input * row + output * 9, 9),
        };
        let mut taps = [[Lanes::ZERO; 3]; 3];
        for lane in 0..WIDTH {
            let kernel = &self.values[start + lane * step..][..9];
            for (tap, &value) in kernel.iter().enumerate() {
                let tap = match self.direction {
                    Direction::Forward => tap,
                    Direction::Backward => 8 - tap,
                };
                taps[tap / 3][tap % 3].0[lane] = value;
            }
        }
        taps
    }
}

/// Transformed weights, `[position][outputs/32][inputs][32]`.
pub struct Weights {
    variant: Variant,
    inputs: usize,
    outputs: usize,
    values: Buffer<[Lanes; 2]>,
}

impl Weights {
    /// The memory that a layer's weights take.
    pub fn bytes(variant: Variant, inputs: usize, outputs: usize) -> usize {
        variant.positions() * inputs * outputs * size_of::<f32>()
    }

    /// None yet, and no memory.
    pub fn empty() -> Self {
        Self {
            variant: Variant::F4,
            inputs: 0,
            outputs: 0,
            values: Buffer::EMPTY,
        }
    }

    /// Replaces these weights by those of a layer. The memory is kept where it suffices.
    pub fn transform(&mut self, workers: &Workers, variant: Variant, kernels: Kernels) {
        (self.outputs, self.inputs) = kernels.channels();
        self.variant = variant;
        let length = variant.positions() * self.inputs * self.outputs / COLUMNS;
        self.values.fit(length);
        let values = Disjoint::new(&mut self.values);
        match variant {
            Variant::F2 => transform_with(workers, F2, kernels, values),
            Variant::F4 => transform_with(workers, F4, kernels, values),
            Variant::F6 => transform_with(workers, F6, kernels, values),
        }
    }
}

fn transform_with<F: Transform<OUT, IN>, const OUT: usize, const IN: usize>(
    workers: &Workers,
    transform: F,
    kernels: Kernels,
    values: Disjoint<[Lanes; 2]>,
) {
    let (outputs, inputs) = kernels.channels();
    let task = WeightTransform {
        _transform: transform,
        kernels,
        values,
    };
    workers.run(outputs / COLUMNS * (inputs / COLUMNS), &task);
}

/// Each piece is 32 outputs by 32 inputs.
struct WeightTransform<'a, F, const OUT: usize, const IN: usize> {
    _transform: F,
    kernels: Kernels<'a>,
    values: Disjoint<'a, [Lanes; 2]>,
}

impl<F: Transform<OUT, IN>, const OUT: usize, const IN: usize> Task for WeightTransform<'_, F, OUT, IN> {
    fn scratch<I: Instructions>(&self) -> usize {
        2 * IN * IN * (COLUMNS + 1)
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let (outputs, inputs) = self.kernels.channels();
        let panels = outputs / COLUMNS;
        let (panel, first) = (piece % panels, piece / panels * COLUMNS);
        // Positions are far apart in the end, at a power of two: so they are first gathered where they are not.
        let gathered = scratch.as_chunks_mut().0;
        for input in 0..COLUMNS {
            let output = panel * COLUMNS;
            let low = F::weights::<I>(&self.kernels.taps(output, first + input));
            let high = F::weights::<I>(&self.kernels.taps(output + WIDTH, first + input));
            for position in 0..IN * IN {
                let (row, column) = (position / IN, position % IN);
                gathered[position * (COLUMNS + 1) + input] = [low[row][column], high[row][column]];
            }
        }
        for (position, gathered) in gathered.chunks_exact(COLUMNS + 1).enumerate() {
            // SAFETY: this panel's inputs from `first` on are this piece's.
            let values = unsafe { self.values.slice((position * panels + panel) * inputs + first, COLUMNS) };
            values.copy_from_slice(&gathered[..COLUMNS]);
        }
    }
}

/// Convolves a map of `weights`' input channels, with zeros around it, into one of their output channels.
pub fn convolve<S: Source, K: Sink>(workers: &Workers, weights: &Weights, grid: Grid, source: &S, sink: &K) {
    match weights.variant {
        Variant::F2 => convolve_with(workers, F2, weights, grid, source, sink),
        Variant::F4 => convolve_with(workers, F4, weights, grid, source, sink),
        Variant::F6 => convolve_with(workers, F6, weights, grid, source, sink),
    }
}

fn convolve_with<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize>(
    workers: &Workers,
    transform: F,
    weights: &Weights,
    grid: Grid,
    source: &S,
    sink: &K,
) {
    let tiles = weights.variant.tiles(grid);
    let columns = weights.outputs / COLUMNS;
    let (blocks, groups) = pieces(workers.threads(), tiles, columns, weights.inputs.max(weights.outputs));
    let task = Convolution {
        _transform: transform,
        weights,
        grid,
        source,
        sink,
        across: grid.width.div_ceil(OUT),
        tiles,
        block: tiles.div_ceil(blocks),
        group: columns.div_ceil(groups),
    };
    workers.run(tiles.div_ceil(task.block) * columns.div_ceil(task.group), &task);
}

/// In how many blocks the tiles and in how many groups the panels of output channels are computed. A block has as many
/// tiles as the second cache holds (measured), or fewer, so that all threads have as many; where there are fewer blocks
/// than threads, these share the outputs, though each transforms the block's inputs for itself.
fn pieces(threads: usize, tiles: usize, columns: usize, channels: usize) -> (usize, usize) {
    const GROUPS: usize = 4;
    let held = match channels {
        0..=64 => 14,
        65..=128 => 28,
        129..=256 => 112,
        _ => 140,
    };
    let blocks = tiles.div_ceil(held);
    let groups = threads.div_ceil(blocks).min(GROUPS).min(columns);
    (blocks.next_multiple_of(threads.div_ceil(groups)), groups)
}

/// Each piece is a block of tiles and a group of output channels.
struct Convolution<'a, F, S, K, const OUT: usize, const IN: usize> {
    _transform: F,
    weights: &'a Weights,
    grid: Grid,
    source: &'a S,
    sink: &'a K,
    /// Tiles in a row of tiles.
    across: usize,
    tiles: usize,
    /// Tiles in a block.
    block: usize,
    /// Panels of output channels in a group.
    group: usize,
}

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Convolution<'_, F, S, K, OUT, IN> {
    /// Row and column of a tile's first output.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize) {
        (tile / self.across * OUT, tile % self.across * OUT)
    }

    #[inline(always)]
    fn transform_inputs<I: Instructions>(&self, tiles: Range<usize>, stride: usize, transformed: &mut [Lanes]) {
        let blocks = self.weights.inputs / WIDTH;
        let (_, rows) = panels(tiles.len(), I::ROWS);
        let Grid { height, width } = self.grid;
        let mut half = [[Lanes::ZERO; IN]; IN];
        for block in 0..blocks {
            for (row, tile) in tiles.clone().enumerate() {
                let (y, x) = self.place(tile);
                let packed = packed_index(rows, blocks, row, block);
                let write = |position: usize, value| transformed[position * stride + packed] = value;
                // A tile's inputs begin one row above and one column left of its outputs, and are 0 outside the map.
                if y > 0 && x > 0 && y + IN <= height + 1 && x + IN <= width + 1 {
                    let read = |row, column| self.source.pixel::<I>(block, y + row - 1, x + column - 1);
                    F::input_tile::<I>(&mut half, read, write);
                } else {
                    let read = |row, column| {
                        let (y, x) = (y + row, x + column);
                        if (1..=height).contains(&y) && (1..=width).contains(&x) {
                            self.source.pixel::<I>(block, y - 1, x - 1)
                        } else {
                            Lanes::ZERO
                        }
                    };
                    F::input_tile::<I>(&mut half, read, write);
                }
            }
        }
    }

    /// Multiplies the tiles' transformed inputs with the weights of some panels of output channels. While one position
    /// is multiplied, the next one's operands are fetched, unless all weights are near.
    #[inline(always)]
    fn multiply<I: Instructions>(
        &self,
        tiles: usize,
        columns: Range<usize>,
        transformed: &[Lanes],
        products: &mut [[Lanes; 2]],
    ) {
        let depth = self.weights.inputs;
        let (row_panels, rows) = panels(tiles, I::ROWS);
        let weights = self.weights.values.chunks_exact(self.weights.outputs / COLUMNS * depth);
        let operands = transformed
            .chunks_exact(row_panels * rows * depth / WIDTH + 1)
            .zip(weights.map(|weights| &weights[columns.start * depth..columns.end * depth]));
        let next = operands
            .clone()
            .skip(1)
            .filter(|_| size_of_val(&*self.weights.values) > NEAR);
        let next = next.map(Some).chain(std::iter::repeat(None));
        let products = products.chunks_exact_mut(row_panels * rows * columns.len() + 1);
        for (((transformed, weights), products), next) in operands.zip(products).zip(next) {
            let (next_transformed, next_weights) = next.unwrap_or_default();
            let next_weights = next_weights.as_flattened();
            let share = (next_transformed.len() + next_weights.len()) / (row_panels * columns.len());
            let mut next = next_weights
                .chunks(share.max(1))
                .chain(next_transformed.chunks(share.max(1)));
            for (columns, products) in weights
                .chunks_exact(depth)
                .zip(products.chunks_exact_mut(row_panels * rows))
            {
                let row_panels = transformed.chunks_exact(rows * depth / WIDTH);
                for (rows, product) in row_panels.zip(products.chunks_exact_mut(rows)) {
                    I::multiply(rows, columns, product, next.next().unwrap_or_default());
                }
            }
        }
    }

    #[inline(always)]
    fn transform_outputs<I: Instructions>(&self, tiles: Range<usize>, columns: Range<usize>, products: &[[Lanes; 2]]) {
        let (row_panels, rows) = panels(tiles.len(), I::ROWS);
        let rows = row_panels * rows;
        let stride = rows * columns.len() + 1;
        let (mut half, mut outputs) = ([[Lanes::ZERO; IN]; OUT], [[Lanes::ZERO; OUT]; OUT]);
        for block in 0..2 * columns.len() {
            for (row, tile) in tiles.clone().enumerate() {
                let read = |position: usize| products[position * stride + block / 2 * rows + row][block % 2];
                let (y, x) = self.place(tile);
                let block = 2 * columns.start + block;
                F::output_tile::<I>(&mut half, &mut outputs, read);
                // SAFETY: tiles do not overlap, and this tile's block of channels is in this piece alone.
                unsafe { self.sink.put::<I, OUT>(block, y, x, &outputs) }
            }
        }
    }
}

/// The largest weights, in bytes, that stay in the second cache beside the tiles.
const NEAR: usize = 1 << 20;

/// Panels of output channels that are multiplied before they are transformed back: their products stay in the cache.
const TOGETHER: usize = 4;

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Task
    for Convolution<'_, F, S, K, OUT, IN>
{
    fn scratch<I: Instructions>(&self) -> usize {
        let (row_panels, rows) = panels(self.block, I::ROWS);
        let channels = self.weights.inputs + TOGETHER.min(self.group) * COLUMNS;
        IN * IN * (channels / WIDTH * row_panels * rows + 3)
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let blocks = self.tiles.div_ceil(self.block);
        let first = piece % blocks * self.block;
        let tiles = first..self.tiles.min(first + self.block);
        let (row_panels, rows) = panels(tiles.len(), I::ROWS);
        let rows = row_panels * rows;
        let stride = rows * self.weights.inputs / WIDTH + 1;
        let (transformed, products) = scratch.split_at_mut(IN * IN * stride);
        self.transform_inputs::<I>(tiles.clone(), stride, transformed);
        let first = piece / blocks * self.group;
        let end = (first + self.group).min(self.weights.outputs / COLUMNS);
        for first in (first..end).step_by(TOGETHER) {
            let columns = first..end.min(first + TOGETHER);
            let products = products.as_chunks_mut().0;
            let products = &mut products[..IN * IN * (rows * columns.len() + 1)];
            self.multiply::<I>(tiles.len(), columns.clone(), transformed, products);
            self.transform_outputs::<I>(tiles.clone(), columns, products);
        }
    }
}
