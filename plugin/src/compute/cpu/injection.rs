//! What statistics say to features: their derivatives enter the gradient on its way down, at the layers they tap.
//!
//! Of a loss `L` that depends on the second moments `M = sum_n w_n F_n F_n^T / W` and the mean `m = sum_n w_n F_n / W`,
//! the derivative with respect to the features of pixel `n` is
//!
//! ```text
//!   dL/dF_n = w_n / W [ (S + S^T) F_n + s ],      S = dL/dM,  s = dL/dm
//! ```
//!
//! and of one that depends on `d = mean (F - P)^2` over `E` elements it is `dL/dd 2 (F - P) / E`. The first is a matrix
//! product of pixels by channels with channels by channels. It passes through the layer's ReLU: where a feature is not
//! above 0, nothing.
//!
//! These derivatives are written before the gradient from above is added to them. So they can take the place of the
//! features that they are made from, which nothing needs afterwards but their signs.

use std::ops::Range;

use super::disjoint::Disjoint;
use super::instructions::{InstructionSet, Instructions};
use super::lanes::{Grid, Lanes, WIDTH};
use super::moments::runs;
use super::product::{COLUMNS, pack_columns, packed_columns, panel_len};
use super::workers::{Task, Workers};
use crate::compute::Window;

/// Register panels of pixels in a chunk.
const PANELS: usize = 8;
/// The most chunks in a piece: while one is multiplied, the next is fetched.
const CHUNKS: usize = 32;

/// The derivatives with respect to the moments over one region, ready to be multiplied.
pub struct MomentsFactor {
    /// `(S + S^T) / W`, packed.
    second: Vec<Lanes>,
    /// `s / W`, `[C/32]`.
    mean: Vec<[Lanes; 2]>,
}

impl MomentsFactor {
    /// Room for a layer's channels, a multiple of 32, as these instructions want them.
    pub fn new(set: InstructionSet, channels: usize) -> Self {
        Self {
            second: vec![Lanes::ZERO; packed_columns(set, channels, channels)],
            mean: vec![[Lanes::ZERO; 2]; channels / COLUMNS],
        }
    }

    /// Takes the derivatives `second` `[C, C]` and `mean` `[C]` over a region whose weights sum to `weight`.
    pub fn set(&mut self, workers: &Workers, second: &[f32], mean: &[f32], weight: f64) {
        let channels = mean.len();
        let scale = if weight > 0.0 { (1.0 / weight) as f32 } else { 0.0 };
        pack_columns(workers, channels, channels, &mut self.second, |row, column| {
            (second[row * channels + column] + second[column * channels + row]) * scale
        });
        for (lanes, mean) in self.mean.as_flattened_mut().iter_mut().zip(mean.chunks_exact(WIDTH)) {
            *lanes = Lanes::load(mean) * scale;
        }
    }
}

/// All that one layer's statistics add to its gradient.
pub struct Injection<'a> {
    /// The size of the layer's map.
    pub grid: Grid,
    /// The part of it that was measured.
    pub window: Window,
    /// Its features, `[C/16][H][W]`.
    pub features: Disjoint<'a, Lanes>,
    /// Whether each is above 0.
    pub positive: &'a [u16],
    /// For each region its derivatives and its weight at each pixel of the map (`None` is 1).
    pub moments: Vec<(&'a MomentsFactor, Option<&'a [f32]>)>,
    /// The content's features inside the window, and `2 dL/dd / E`.
    pub content: Option<(&'a [Lanes], f32)>,
    /// What comes down from above to the whole of the map, before its ReLU, unless that is added later.
    pub above: Option<&'a [Lanes]>,
}

impl Injection<'_> {
    /// Writes the gradient with respect to the layer's sums before its ReLU. It may be the features' own memory.
    pub fn write_to(&self, workers: &Workers, gradient: Disjoint<Lanes>) {
        // So many pieces for each thread that none waits long for another.
        const PIECES: usize = 8;
        let chunk = PANELS * workers.instructions().rows();
        let chunks = self.pixels() / (PIECES * workers.threads() * chunk);
        let task = Writing {
            injection: self,
            chunk,
            piece: chunks.clamp(1, CHUNKS) * chunk,
            gradient,
        };
        workers.run(self.pixels().div_ceil(task.piece), &task);
        if self.window != Window::whole(self.grid.height, self.grid.width) {
            let rows = self.blocks() * self.grid.height;
            workers.run(
                rows,
                &Clearing {
                    injection: self,
                    gradient,
                },
            );
        }
    }

    fn pixels(&self) -> usize {
        self.window.height * self.window.width
    }

    fn blocks(&self) -> usize {
        self.features.len() / self.grid.pixels()
    }
}

/// Each piece is so many pixels of the window, in reading order.
struct Writing<'a> {
    injection: &'a Injection<'a>,
    /// The pixels that are multiplied together.
    chunk: usize,
    /// A multiple of them.
    piece: usize,
    gradient: Disjoint<'a, Lanes>,
}

impl Writing<'_> {
    /// Packs the pixels' features as the left operand of a product.
    #[inline(always)]
    fn pack<I: Instructions>(&self, pixels: Range<usize>, packed: &mut [Lanes]) {
        let Injection {
            grid, window, features, ..
        } = *self.injection;
        let blocks = self.injection.blocks();
        let (panel, depths) = (
            panel_len::<I>(I::ROWS, blocks * WIDTH),
            panel_len::<I>(I::ROWS, COLUMNS),
        );
        for pair in 0..blocks / 2 {
            let mut row = 0;
            for (start, length) in runs(grid, window, pixels.clone()) {
                let [low, high] = [2 * pair, 2 * pair + 1].map(|block| {
                    // SAFETY: these pixels are in this piece alone, and written only after they are packed.
                    unsafe { &*features.slice(block * grid.pixels() + start, length) }
                });
                for (low, high) in low.iter().zip(high) {
                    let start = row / I::ROWS * panel + pair * depths;
                    I::pack_row(&mut packed[start..start + depths], row % I::ROWS, [*low, *high]);
                    row += 1;
                }
            }
        }
    }

    /// The pixels' products with two blocks of channels; meanwhile, what will be needed `next` is fetched.
    #[inline(always)]
    fn multiply<I: Instructions>(
        &self,
        factor: &MomentsFactor,
        pair: usize,
        packed: &[Lanes],
        product: &mut [[Lanes; 2]],
        next: [&[Lanes]; 2],
    ) {
        let depth = self.injection.blocks() * WIDTH;
        let columns = panel_len::<I>(COLUMNS, depth);
        let columns = &factor.second[pair * columns..][..columns];
        let rows = packed.len() / panel_len::<I>(1, depth);
        I::begin(I::ROWS);
        // SAFETY: between the two.
        unsafe { I::multiply(I::ROWS, packed, columns, &mut product[..rows], next) }
        I::end();
    }

    /// Adds a region's product with two blocks of channels to the pixels' sums.
    #[inline(always)]
    fn add_moments<I: Instructions>(
        &self,
        region: usize,
        pair: usize,
        pixels: Range<usize>,
        packed: &[Lanes],
        product: &mut [[Lanes; 2]],
        sums: &mut [[Lanes; 2]],
    ) {
        let Injection { grid, window, .. } = *self.injection;
        let (factor, weights) = self.injection.moments[region];
        self.multiply::<I>(factor, pair, packed, product, Default::default());
        let mut row = 0;
        let mean = factor.mean[pair];
        for (start, length) in runs(grid, window, pixels) {
            let products = product[row..row + length].iter();
            for (offset, (product, sum)) in products.zip(&mut sums[row..row + length]).enumerate() {
                let weight = weights.map_or(1.0, |weights| weights[start + offset]);
                for half in 0..2 {
                    sum[half] = I::multiply_add(weight, product[half] + mean[half], sum[half]);
                }
            }
            row += length;
        }
    }

    /// The features of a pair of blocks of channels at pixels of the window, as far as the map's first row of them goes.
    #[inline(always)]
    fn next_features(&self, pair: usize, pixels: Range<usize>) -> [&[Lanes]; 2] {
        let Injection { grid, window, .. } = *self.injection;
        let features = &self.injection.features;
        let (start, length) = runs(grid, window, pixels).next().unwrap_or_default();
        [2 * pair, 2 * pair + 1].map(|block| {
            // SAFETY: these pixels are in this piece alone, and written only after they are packed.
            unsafe { &*features.slice(block * grid.pixels() + start, length) }
        })
    }

    /// Writes the gradient at the pixels `pixels`, and fetches the features at the `next`.
    #[inline(always)]
    fn write_chunk<I: Instructions>(&self, pixels: Range<usize>, next: Range<usize>, scratch: &mut [Lanes]) {
        let Injection {
            grid,
            window,
            features,
            positive,
            content,
            above,
            ..
        } = *self.injection;
        let blocks = self.injection.blocks();
        let total = self.injection.pixels();
        let (packed, rest) = scratch.split_at_mut(panel_len::<I>(self.chunk, blocks * WIDTH));
        let (product, sums) = rest.as_chunks_mut().0.split_at_mut(self.chunk);
        let panels = pixels.len().next_multiple_of(I::ROWS);
        let packed = &mut packed[..panel_len::<I>(panels, blocks * WIDTH)];
        if !self.injection.moments.is_empty() {
            self.pack::<I>(pixels.clone(), packed);
        }
        for pair in 0..blocks / 2 {
            let next = self.next_features(pair, next.clone());
            // What is to be added to every pixel's sum.
            let mut everywhere = [Lanes::ZERO; 2];
            if let [(factor, None)] = self.injection.moments[..] {
                self.multiply::<I>(factor, pair, packed, sums, next);
                everywhere = factor.mean[pair];
            } else {
                sums.fill([Lanes::ZERO; 2]);
                for region in 0..self.injection.moments.len() {
                    self.add_moments::<I>(region, pair, pixels.clone(), packed, product, sums);
                }
            }
            for half in 0..2 {
                let block = 2 * pair + half;
                let mut row = 0;
                for (start, length) in runs(grid, window, pixels.clone()) {
                    let first = block * grid.pixels() + start;
                    let sums = &mut sums[row..row + length];
                    if let Some((content, factor)) = content {
                        let held = &content[block * total + pixels.start + row..][..length];
                        // SAFETY: these pixels are in this piece alone, and not written before this loop is over.
                        let features = unsafe { &*features.slice(first, length) };
                        for ((sum, feature), held) in sums.iter_mut().zip(features).zip(held) {
                            sum[half] = I::multiply_add(factor, *feature - *held, sum[half]);
                        }
                    }
                    if let Some(above) = above {
                        for (sum, above) in sums.iter_mut().zip(&above[first..first + length]) {
                            sum[half] = sum[half] + *above;
                        }
                    }
                    // SAFETY: these pixels are in this piece alone.
                    let gradient = unsafe { self.gradient.slice(first, length) };
                    let positive = &positive[first..first + length];
                    for ((gradient, sum), bits) in gradient.iter_mut().zip(&*sums).zip(positive) {
                        *gradient = I::masked(sum[half] + everywhere[half], *bits);
                    }
                    row += length;
                }
            }
        }
    }
}

impl Task for Writing<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        panel_len::<I>(self.chunk, self.injection.blocks() * WIDTH) + 4 * self.chunk
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let end = self.injection.pixels().min((piece + 1) * self.piece);
        for start in (piece * self.piece..end).step_by(self.chunk) {
            let chunk_end = end.min(start + self.chunk);
            self.write_chunk::<I>(start..chunk_end, chunk_end..end.min(chunk_end + self.chunk), scratch);
        }
    }
}

/// Writes what comes from above, or zeros, outside the window. Each piece is a row of one block of channels.
struct Clearing<'a> {
    injection: &'a Injection<'a>,
    gradient: Disjoint<'a, Lanes>,
}

impl Task for Clearing<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let Injection {
            grid,
            window,
            positive,
            above,
            ..
        } = *self.injection;
        let start = piece * grid.width;
        // SAFETY: this row of this block is in this piece alone.
        let row = unsafe { self.gradient.slice(start, grid.width) };
        let mut clear = |columns: Range<usize>| {
            for column in columns {
                let pixel = start + column;
                row[column] = above.map_or(Lanes::ZERO, |above| I::masked(above[pixel], positive[pixel]));
            }
        };
        if (window.top..window.top + window.height).contains(&(piece % grid.height)) {
            clear(0..window.left);
            clear(window.left + window.width..grid.width);
        } else {
            clear(0..grid.width);
        }
    }
}
