//! Convolution by Winograd's algorithm ([`super::transform`]), forward and backward with one kernel
//! ([`super::weights`]).
//!
//! The map is cut into tiles of `OUT` x `OUT` outputs, and the tiles, in reading order, into blocks:
//!
//! 1. input: each tile's `IN` x `IN` inputs (overlapping the neighbours by two) are transformed and written, already
//!    packed, as the left operands of `IN * IN` matrix products, one for each position;
//! 2. products: tiles x input channels by input channels x output channels, at each position;
//! 3. output: each tile's positions are transformed back and handed to the [`Sink`].
//!
//! **Apart.** A thread takes a block of its own through all three ([`apart`]): one so small that one position's operands
//! stay in the second cache, and so large that the transformed weights, which every block reads, are worth reading.
//!
//! **Together.** A matrix unit ([`super::amx`]) is faster than these weights come, where there are many: a small block
//! reads them again and again, and a large one is not in the cache either. There all threads take one large block
//! through the three, one after the other ([`together`]): a product is one position's, of whose operands the smaller
//! part at a time stays in a cache, and each weight is read once. What is shared goes through the third cache, a few
//! times.
//!
//! What will be needed next is asked for while something is multiplied: the processor itself does not look that far
//! ahead. Successive positions are a cache line further apart than they need be: at powers of two they would all compete
//! for the same few places in the cache.

mod apart;
mod together;

use std::ops::Range;

use super::disjoint::Disjoint;
use super::instructions::{InstructionSet, Instructions};
use super::lanes::{Grid, Lanes};
use super::maps::{Sink, Source};
use super::product::{COLUMNS, panel_len, panels};
use super::transform::{F2, F4, F6, Inputs, Packing, Transform};
use super::weights::Weights;
use super::workers::Workers;

/// As many channels as are few.
const FEW: usize = 128;
/// As many as have transformed weights that a third cache may hold.
const SOME: usize = 256;
/// The pixels of a map that is worth fetching more weights for.
const LARGE: usize = 96 * 96;

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

    /// The cheapest for a layer of a size. F(6) rounds four times as much as F(4), has nearly twice the weights, and is for
    /// layers where it saves most: where transforms weigh most, with few channels, and, where multiplying is slow beside the
    /// caches, with as many more as pay for their weights. In parts its weights do not fit into the second cache, and it is
    /// slower.
    pub fn choose(set: InstructionSet, grid: Grid, inputs: usize, outputs: usize) -> Self {
        let most = if set.multiplies_parts() {
            0
        } else if !set.takes_turns() {
            FEW
        } else if grid.pixels() < LARGE {
            SOME
        } else {
            usize::MAX
        };
        let variants = if inputs.max(outputs) <= most {
            &Self::ALL[..]
        } else {
            &Self::ALL[..2]
        };
        let cost = |variant: &&Self| variant.cost(set, grid, inputs, outputs);
        *variants.iter().min_by_key(cost).expect("there are variants")
    }

    /// The time of a convolution, in multiplications.
    pub fn cost(self, set: InstructionSet, grid: Grid, inputs: usize, outputs: usize) -> usize {
        /// What it costs to transform a number of a tile, there or back.
        const TRANSFORM: usize = 16;
        // What it costs to fetch a transformed weight: half as many multiplications where they take twice as long.
        let weight = if set.takes_turns() { 20 } else { 40 };
        let per_tile = inputs * outputs + TRANSFORM * (inputs + outputs);
        self.positions() * (self.tiles(grid) * per_tile + weight * inputs * outputs)
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

/// Convolves a map of `weights`' input channels, with zeros around it, into one of their output channels.
pub fn convolve<S: Source, K: Sink>(workers: &Workers, weights: &Weights, grid: Grid, source: &S, sink: &K) {
    convolve_holding(workers, weights, grid, source, sink, together::HELD);
}

/// The same, where a block that all threads take together holds so many bytes.
pub fn convolve_holding<S: Source, K: Sink>(
    workers: &Workers,
    weights: &Weights,
    grid: Grid,
    source: &S,
    sink: &K,
    held: usize,
) {
    match weights.variant {
        Variant::F2 => convolve_with(workers, F2, weights, grid, source, sink, held),
        Variant::F4 => convolve_with(workers, F4, weights, grid, source, sink, held),
        Variant::F6 => convolve_with(workers, F6, weights, grid, source, sink, held),
    }
}

fn convolve_with<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize>(
    workers: &Workers,
    transform: F,
    weights: &Weights,
    grid: Grid,
    source: &S,
    sink: &K,
    held: usize,
) {
    let convolution = Convolution {
        _transform: transform,
        weights,
        grid,
        source,
        sink,
        across: grid.width.div_ceil(OUT),
    };
    let tiles = weights.variant.tiles(grid);
    if weights.inputs.max(weights.outputs) <= FEW || !workers.instructions().multiplies_parts() {
        apart::convolve(workers, &convolution, tiles);
    } else {
        together::convolve(workers, &convolution, tiles, held);
    }
}

/// A convolution, as far as it is the same for all tiles.
struct Convolution<'a, F, S, K, const OUT: usize, const IN: usize> {
    _transform: F,
    weights: &'a Weights,
    grid: Grid,
    source: &'a S,
    sink: &'a K,
    /// Tiles in a row of tiles.
    across: usize,
}

/// Tiles that are multiplied together, as rows of panels.
struct Block {
    tiles: Range<usize>,
    /// Rows of a panel.
    rows: usize,
    panels: usize,
}

impl Block {
    /// As few panels as hold the tiles, of at most so many rows.
    #[inline(always)]
    fn new(tiles: Range<usize>, most: usize) -> Self {
        let (panels, rows) = panels(tiles.len(), most);
        Self { tiles, rows, panels }
    }

    /// The tiles of a panel.
    #[inline(always)]
    fn panel(&self, panel: usize) -> Range<usize> {
        let first = self.tiles.start + panel * self.rows;
        first..self.tiles.end.min(first + self.rows)
    }

    /// From one position's transformed inputs to the next's, where 32 numbers take so many lanes.
    #[inline(always)]
    fn input_stride(&self, inputs: usize, packed: usize) -> usize {
        self.panels * self.rows * inputs / COLUMNS * packed + 1
    }

    /// From one position's products with so many panels of output channels to the next's.
    #[inline(always)]
    fn product_stride(&self, columns: usize) -> usize {
        self.panels * self.rows * columns + 1
    }
}

impl<F: Transform<OUT, IN>, S: Source, K: Sink, const OUT: usize, const IN: usize> Convolution<'_, F, S, K, OUT, IN> {
    /// Row and column of a tile's first output.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize) {
        (tile / self.across * OUT, tile % self.across * OUT)
    }

    /// Transforms some pairs of blocks of channels of a panel's tiles.
    ///
    /// # Safety
    /// No other thread uses these channels of this panel in `transformed`.
    #[inline(always)]
    unsafe fn transform_inputs<I: Instructions>(
        &self,
        block: &Block,
        panel: usize,
        pairs: Range<usize>,
        transformed: Disjoint<Lanes>,
    ) {
        let Grid { height, width } = self.grid;
        let inputs = self.weights.inputs;
        let (length, depths) = (panel_len::<I>(block.rows, inputs), panel_len::<I>(block.rows, COLUMNS));
        let mut half = [[[Lanes::ZERO; IN]; IN]; 2];
        for pair in pairs {
            for (row, tile) in block.panel(panel).enumerate() {
                let (y, x) = self.place(tile);
                let mut packing = Packing {
                    operand: transformed,
                    first: panel * length + pair * depths,
                    stride: block.input_stride(inputs, I::PACKED),
                    length: depths,
                    row,
                };
                // SAFETY: as the caller says.
                unsafe {
                    if y > 0 && x > 0 && y + IN <= height + 1 && x + IN <= width + 1 {
                        F::input_tile::<I>(&mut half, &Patch::<_, true>::new(self, pair, y, x), &mut packing);
                    } else {
                        F::input_tile::<I>(&mut half, &Patch::<_, false>::new(self, pair, y, x), &mut packing);
                    }
                }
            }
        }
    }

    /// Transforms products of a panel's tiles back, for some panels of output channels of those that `products` holds.
    ///
    /// # Safety
    /// These tiles and channels are in this piece alone, and no thread writes their products.
    #[inline(always)]
    unsafe fn transform_outputs<I: Instructions>(
        &self,
        block: &Block,
        panel: usize,
        columns: Range<usize>,
        products: &[[Lanes; 2]],
        held: Range<usize>,
    ) {
        let rows = block.panels * block.rows;
        let stride = block.product_stride(held.len());
        let (mut half, mut outputs) = ([[Lanes::ZERO; IN]; OUT], [[Lanes::ZERO; OUT]; OUT]);
        for channels in 2 * columns.start..2 * columns.end {
            let first = (channels / 2 - held.start) * rows + panel * block.rows;
            for (row, tile) in block.panel(panel).enumerate() {
                let read = |position: usize| products[position * stride + first + row][channels % 2];
                let (y, x) = self.place(tile);
                F::output_tile::<I>(&mut half, &mut outputs, read);
                // SAFETY: tiles do not overlap, and this tile's block of channels is in this piece alone.
                unsafe { self.sink.put::<I, OUT>(channels, y, x, &outputs) }
            }
        }
    }
}

/// A tile's inputs, of a pair of blocks of channels. They begin one row above and one column left of its outputs.
struct Patch<'a, S, const INSIDE: bool> {
    source: &'a S,
    grid: Grid,
    pair: usize,
    y: usize,
    x: usize,
}

impl<'a, S, const INSIDE: bool> Patch<'a, S, INSIDE> {
    #[inline(always)]
    fn new<F, K, const OUT: usize, const IN: usize>(
        convolution: &'a Convolution<F, S, K, OUT, IN>,
        pair: usize,
        y: usize,
        x: usize,
    ) -> Self {
        let Convolution { source, grid, .. } = *convolution;
        Self {
            source,
            grid,
            pair,
            y,
            x,
        }
    }
}

impl<S: Source, const INSIDE: bool> Inputs for Patch<'_, S, INSIDE> {
    #[inline(always)]
    fn read<I: Instructions>(&self, block: usize, row: usize, column: usize) -> Lanes {
        let Grid { height, width } = self.grid;
        let (y, x) = (self.y + row, self.x + column);
        // Outside the map there are zeros.
        if INSIDE || ((1..=height).contains(&y) && (1..=width).contains(&x)) {
            self.source.pixel::<I>(2 * self.pair + block, y - 1, x - 1)
        } else {
            Lanes::ZERO
        }
    }
}
