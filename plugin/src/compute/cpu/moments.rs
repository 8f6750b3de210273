//! Means and second moments of features, weighted, in one pass and without loss of precision at any size.
//!
//! The second moments `sum_n w_n F_n F_n^T` are the product of the matrix of features, each pixel scaled by `sqrt w_n`,
//! with its own transpose: symmetric, so only the half on and above the diagonal is computed. Pixels are taken in
//! chunks whose scaled features are packed into the second cache; within a chunk sums are f32 in registers, from chunk
//! to chunk they are f64, so the error does not grow with the picture.
//!
//! The pixels are divided into a number of ranges that depends on the picture alone, and the totals of the ranges are
//! added in order: the result does not depend on who computed what.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::buffer::Buffer;
use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes, WIDTH};
use super::product::COLUMNS;
use super::workers::{Task, Workers};
use crate::compute::Window;

/// Pixels whose products are summed in f32.
const CHUNK: usize = 256;
/// Channels that one piece takes as rows of the result.
const BAND: usize = 4 * WIDTH;
/// Pixels in a range, at least.
const RANGE: usize = 2048;
/// The largest number of ranges: it bounds the memory for their totals.
const RANGES: usize = 16;

/// A layer's features inside a window, taken in reading order.
#[derive(Clone, Copy)]
pub struct Region<'a> {
    /// The size of the layer's map.
    pub grid: Grid,
    /// The part of it that counts, on the layer's own grid.
    pub window: Window,
    /// `[C/16][H][W]`.
    pub features: &'a [Lanes],
    /// A weight for each pixel of the whole map; `None` is 1.
    pub weights: Option<&'a [f32]>,
}

impl Region<'_> {
    fn pixels(&self) -> usize {
        self.window.height * self.window.width
    }

    fn blocks(&self) -> usize {
        self.features.len() / self.grid.pixels()
    }

    /// The features of one block of channels at pixels of the window, as far as the map's first row of them goes.
    #[inline(always)]
    fn first_run(&self, block: usize, pixels: Range<usize>) -> &[Lanes] {
        let (start, length) = runs(self.grid, self.window, pixels).next().unwrap_or_default();
        &self.features[block * self.grid.pixels() + start..][..length]
    }
}

/// The runs of neighbouring pixels, `(index in the map, length)`, of the pixels `pixels` of a window in reading order.
#[inline(always)]
pub fn runs(grid: Grid, window: Window, pixels: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let mut next = pixels.start;
    std::iter::from_fn(move || {
        if next >= pixels.end {
            return None;
        }
        let (row, column) = (next / window.width, next % window.width);
        let length = (window.width - column).min(pixels.end - next);
        next += length;
        Some((grid.index(0, window.top + row, window.left + column), length))
    })
}

/// Sums over one range for one band of channels.
struct Total {
    /// `[BAND][C]`; only columns from the band's first on are used.
    second: Buffer<f64>,
    /// `[BAND]`.
    mean: Vec<f64>,
}

/// The sums of one layer's features, and the memory that they are made in.
pub struct Sums {
    channels: usize,
    /// `[range][band]`.
    totals: Vec<Mutex<Total>>,
}

impl Sums {
    /// Room for the sums over up to so many pixels of so many channels, a multiple of 64.
    pub fn new(channels: usize, pixels: usize) -> Self {
        let totals = (0..Self::ranges(pixels) * (channels / BAND)).map(|_| {
            Mutex::new(Total {
                second: Buffer::zeros(BAND * channels),
                mean: vec![0.0; BAND],
            })
        });
        Self {
            channels,
            totals: totals.collect(),
        }
    }

    fn ranges(pixels: usize) -> usize {
        (pixels / RANGE).clamp(1, RANGES)
    }

    /// The size of such room.
    pub fn bytes(channels: usize, pixels: usize) -> usize {
        Self::ranges(pixels) * channels * channels * size_of::<f64>()
    }

    /// Sums over a region: `sum w F F^T`, `[C, C]`, and `sum w F`, `[C]`, each divided by `weight`.
    pub fn over(&mut self, workers: &Workers, region: Region, weight: f64) -> (Vec<f32>, Vec<f32>) {
        let ranges = Self::ranges(region.pixels());
        let pieces = ranges * (self.channels / BAND);
        let task = Accumulation {
            region,
            ranges,
            sums: self,
        };
        workers.run(pieces, &task);
        let bands = self.channels / BAND;
        let totals = self.totals[..pieces].iter_mut();
        let totals: Vec<&Total> = totals
            .map(|total| &*total.get_mut().unwrap_or_else(PoisonError::into_inner))
            .collect();
        // Nothing was measured where nothing has weight.
        let scale = if weight > 0.0 { weight.recip() } else { 0.0 };
        let mut second = vec![0f32; self.channels * self.channels];
        let reduction = Reduction {
            channels: self.channels,
            totals: &totals,
            scale,
            second: Disjoint::new(&mut second),
        };
        workers.run(self.channels / WIDTH, &reduction);
        let mean = (0..self.channels).map(|channel| {
            let ranges = totals.iter().skip(channel / BAND).step_by(bands);
            (ranges.map(|total| total.mean[channel % BAND]).sum::<f64>() * scale) as f32
        });
        let mean = mean.collect();
        (second, mean)
    }
}

/// Adds the ranges' totals, in order, into the whole symmetric matrix. Each piece is sixteen rows of it, and as many
/// columns.
struct Reduction<'a> {
    channels: usize,
    /// `[range][band]`.
    totals: &'a [&'a Total],
    scale: f64,
    /// `[C, C]`.
    second: Disjoint<'a, f32>,
}

impl Task for Reduction<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let channels = self.channels;
        for row in piece * WIDTH..(piece + 1) * WIDTH {
            let ranges = || self.totals.iter().skip(row / BAND).step_by(channels / BAND);
            for column in row..channels {
                let at = row % BAND * channels + column;
                let sum: f64 = ranges().map(|total| total.second[at]).sum();
                let value = (sum * self.scale) as f32;
                // SAFETY: this entry and its mirror image are in this piece alone: the one that has the lesser of row
                // and column as its row.
                unsafe {
                    self.second.write(row * channels + column, value);
                    self.second.write(column * channels + row, value);
                }
            }
        }
    }
}

/// Each piece is one range of pixels and one band of channels.
struct Accumulation<'a> {
    region: Region<'a>,
    ranges: usize,
    sums: &'a Sums,
}

impl Accumulation<'_> {
    /// Packs a chunk's features from block `first` on as `[block][CHUNK]`, scaled by the roots of the weights, and adds
    /// the band's weighted features to `mean`. Returns the number of pixels.
    #[inline(always)]
    fn pack(&self, pixels: Range<usize>, first: usize, packed: &mut [Lanes], mean: &mut [f64]) {
        let Region {
            grid,
            window,
            features,
            weights,
        } = self.region;
        for (offset, packed) in packed.chunks_exact_mut(CHUNK).enumerate() {
            let block = first + offset;
            let mut sum = Lanes::ZERO;
            let mut place = 0;
            for (start, length) in runs(grid, window, pixels.clone()) {
                let features = &features[block * grid.pixels() + start..][..length];
                let packed = &mut packed[place..place + length];
                match weights {
                    None => {
                        for (packed, feature) in packed.iter_mut().zip(features) {
                            *packed = *feature;
                            sum = sum + *feature;
                        }
                    }
                    Some(weights) => {
                        let weights = &weights[start..start + length];
                        for ((packed, feature), weight) in packed.iter_mut().zip(features).zip(weights) {
                            *packed = *feature * weight.sqrt();
                            sum = sum + *feature * *weight;
                        }
                    }
                }
                place += length;
            }
            if let Some(mean) = mean.get_mut(offset * WIDTH..(offset + 1) * WIDTH) {
                for (mean, value) in mean.iter_mut().zip(sum.0) {
                    *mean += f64::from(value);
                }
            }
        }
    }
}

impl Task for Accumulation<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        self.region.blocks() * CHUNK
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let Self { region, ranges, sums } = self;
        let mut total = sums.totals[piece].lock().unwrap_or_else(PoisonError::into_inner);
        let Total { second, mean } = &mut *total;
        second.fill(0.0);
        mean.fill(0.0);
        let bands = sums.channels / BAND;
        let (range, first) = (piece / bands, piece % bands * (BAND / WIDTH));
        let packed = &mut scratch[..(region.blocks() - first) * CHUNK];
        let pixels = region.pixels();
        let share = pixels.div_ceil(*ranges);
        let range = range * share..pixels.min((range + 1) * share);
        for start in range.clone().step_by(CHUNK) {
            let chunk = start..range.end.min(start + CHUNK);
            self.pack(chunk.clone(), first, packed, mean);
            let next = chunk.end..range.end.min(chunk.end + CHUNK);
            for band_block in 0..BAND / WIDTH {
                let rows = &packed[band_block * CHUNK..][..chunk.len()];
                // Columns from this block on, in pairs of blocks; the pair that holds the block itself comes first.
                for pair in band_block / 2..packed.len() / CHUNK / 2 {
                    let low = &packed[2 * pair * CHUNK..][..chunk.len()];
                    let high = &packed[(2 * pair + 1) * CHUNK..][..chunk.len()];
                    let column = first * WIDTH + pair * COLUMNS;
                    // Two rows of blocks have all the pairs: with each, one of the next chunk's blocks is fetched.
                    let next = match band_block {
                        0 | 1 => region.first_run(first + 2 * pair + band_block, next.clone()),
                        _ => &[],
                    };
                    let target = &mut second[band_block * WIDTH * sums.channels + column..];
                    if I::WIDE {
                        add_outer::<I, 8, 2>(rows, [low, high], sums.channels, target, next);
                    } else {
                        add_outer::<I, 4, 1>(rows, [low, high], sums.channels, target, next);
                    }
                }
            }
        }
    }
}

/// Adds `sum_n rows_n columns_n^T`, sixteen rows by 32 columns, to `target`, in register tiles of `ROWS` rows and
/// `VECTORS` times sixteen columns; meanwhile, what will be needed `next` is fetched.
#[inline(always)]
fn add_outer<I: Instructions, const ROWS: usize, const VECTORS: usize>(
    rows: &[Lanes],
    columns: [&[Lanes]; 2],
    stride: usize,
    target: &mut [f64],
    next: &[Lanes],
) {
    let mut next = next.iter();
    for first_row in (0..WIDTH).step_by(ROWS) {
        for first in (0..2).step_by(VECTORS) {
            let mut sums = [[Lanes::ZERO; VECTORS]; ROWS];
            for ((row, low), high) in rows.iter().zip(columns[0]).zip(columns[1]) {
                if let Some(lanes) = next.next() {
                    I::fetch(lanes);
                }
                let columns = [low, high];
                for offset in 0..ROWS {
                    for vector in 0..VECTORS {
                        sums[offset][vector] = I::multiply_add(
                            row.0[first_row + offset],
                            *columns[first + vector],
                            sums[offset][vector],
                        );
                    }
                }
            }
            for offset in 0..ROWS {
                for vector in 0..VECTORS {
                    let target = &mut target[(first_row + offset) * stride + (first + vector) * WIDTH..][..WIDTH];
                    for (target, sum) in target.iter_mut().zip(sums[offset][vector].0) {
                        *target += f64::from(sum);
                    }
                }
            }
        }
    }
}
