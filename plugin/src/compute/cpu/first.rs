//! conv1_1, from the picture and back to it.
//!
//! With three input channels Winograd has nothing to save. Instead each pixel's 3 x 3 neighbourhood, 27 numbers, is laid
//! out as one row of a matrix product (padded to 32). Backward, each pixel's 64 gradients are multiplied by the
//! transposed matrix into what they give to each of the 27 neighbours, and every pixel of the picture collects its
//! nine shares.
//!
//! The picture crosses the seam as RGB from 0 to 1; the network wants `(255 picture - mean) / deviation`, with its
//! channels in its own order, and the zeros around the map are zeros of that space.

use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes, WIDTH};
use super::maps::Sink;
use super::product::{COLUMNS, pack_columns, packed_columns, packed_index};
use super::workers::{Task, Workers};
use crate::network::{Convolution, Normalisation};

/// Channels of the picture.
const CHANNELS: usize = 3;
/// Numbers in a 3 x 3 neighbourhood: `[tap][channel]`, so that backward a tap's channels lie side by side.
const TAPS: usize = 9 * CHANNELS;
/// [`TAPS`] rounded up to whole lanes.
const DEPTH: usize = COLUMNS;
/// Output channels of conv1_1.
const FEATURES: usize = 64;
/// Picture rows in a piece of the backward pass.
const BAND: usize = 16;

/// conv1_1's weights as the matrices of its two products, and the network's input space.
pub struct FirstLayer {
    forward: Vec<[Lanes; 2]>,
    backward: Vec<[Lanes; 2]>,
    normalisation: Normalisation,
}

impl FirstLayer {
    /// Multiplications for a pixel in either direction, those with what is padded included.
    pub const MULTIPLICATIONS: usize = DEPTH * FEATURES;

    /// Packs the weights `[64, 3, 3, 3]`.
    pub fn new(convolution: &Convolution, normalisation: Normalisation) -> Self {
        let weight = |tap: usize, feature: usize| {
            let (tap, channel) = (tap / CHANNELS, tap % CHANNELS);
            convolution.weight[(feature * CHANNELS + channel) * 9 + tap]
        };
        let mut forward = vec![[Lanes::ZERO; 2]; packed_columns(DEPTH, FEATURES)];
        let mut backward = vec![[Lanes::ZERO; 2]; packed_columns(FEATURES, DEPTH)];
        pack_columns(DEPTH, FEATURES, &mut forward, |tap, feature| {
            if tap < TAPS { weight(tap, feature) } else { 0.0 }
        });
        pack_columns(FEATURES, TAPS, &mut backward, |feature, tap| weight(tap, feature));
        Self {
            forward,
            backward,
            normalisation,
        }
    }

    /// The number of values in the network's view of a picture: with a border of one pixel.
    pub fn input_len(grid: Grid) -> usize {
        CHANNELS * (grid.height + 2) * (grid.width + 2)
    }

    /// Brings a picture `[3][H][W]` into the network's space, inside a border of 0.
    pub fn normalise(&self, grid: Grid, picture: &[f32], input: &mut [f32]) {
        let Normalisation {
            channels,
            mean,
            deviation,
        } = self.normalisation;
        let stride = grid.width + 2;
        for (channel, plane) in input.chunks_exact_mut((grid.height + 2) * stride).enumerate() {
            let (above, below) = (0..stride, (grid.height + 1) * stride..plane.len());
            plane[above].fill(0.0);
            plane[below].fill(0.0);
            let samples = picture[channels[channel] * grid.pixels()..][..grid.pixels()].chunks_exact(grid.width);
            for (row, samples) in plane[stride..].chunks_exact_mut(stride).zip(samples) {
                (row[0], row[grid.width + 1]) = (0.0, 0.0);
                for (value, sample) in row[1..].iter_mut().zip(samples) {
                    *value = (sample * 255.0 - mean[channel]) / deviation[channel];
                }
            }
        }
    }

    /// conv1_1 of a normalised picture.
    pub fn forward<K: Sink>(&self, workers: &Workers, grid: Grid, input: &[f32], sink: &K) {
        workers.run(
            grid.height,
            &Forward {
                layer: self,
                grid,
                input,
                sink,
            },
        );
    }

    /// The gradient with respect to the picture `[3][H][W]` from that with respect to the sums of conv1_1.
    pub fn backward(&self, workers: &Workers, grid: Grid, gradient: &[Lanes], picture: &mut [f32]) {
        let task = Backward {
            layer: self,
            grid,
            gradient,
            picture: Disjoint::new(picture),
        };
        workers.run(grid.height.div_ceil(BAND), &task);
    }
}

/// Each piece is a row.
struct Forward<'a, K> {
    layer: &'a FirstLayer,
    grid: Grid,
    input: &'a [f32],
    sink: &'a K,
}

impl<K: Sink> Task for Forward<'_, K> {
    fn scratch<I: Instructions>(&self) -> usize {
        I::ROWS * (DEPTH + COLUMNS) / WIDTH
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, row: usize, scratch: &mut [Lanes]) {
        let stride = self.grid.width + 2;
        let plane = (self.grid.height + 2) * stride;
        let (neighbourhoods, product) = scratch.split_at_mut(I::ROWS * DEPTH / WIDTH);
        let product = product.as_chunks_mut().0;
        neighbourhoods.fill(Lanes::ZERO);
        for first in (0..self.grid.width).step_by(I::ROWS) {
            let count = I::ROWS.min(self.grid.width - first);
            for tap in 0..TAPS {
                let (at, channel) = (tap / CHANNELS, tap % CHANNELS);
                let values = &self.input[channel * plane + (row + at / 3) * stride + first + at % 3..][..count];
                let neighbourhoods = &mut neighbourhoods[tap / WIDTH * I::ROWS..][..count];
                for (lanes, value) in neighbourhoods.iter_mut().zip(values) {
                    lanes.0[tap % WIDTH] = *value;
                }
            }
            for (panel, columns) in self.layer.forward.chunks_exact(DEPTH).enumerate() {
                I::multiply(neighbourhoods, columns, product);
                for (pixel, sums) in product.iter().take(count).enumerate() {
                    for (half, sum) in sums.iter().enumerate() {
                        // SAFETY: this row's pixels are in this piece alone.
                        unsafe { self.sink.put::<I, 1>(2 * panel + half, row, first + pixel, &[[*sum]]) }
                    }
                }
            }
        }
    }
}

/// Each piece is a band of rows.
struct Backward<'a> {
    layer: &'a FirstLayer,
    grid: Grid,
    gradient: &'a [Lanes],
    picture: Disjoint<'a, f32>,
}

impl Backward<'_> {
    /// The shares that a row of pixels gives to its neighbours, `[W][32]`, for a row of the gradient.
    #[inline(always)]
    fn shares<I: Instructions>(&self, row: usize, packed: &mut [Lanes], shares: &mut [[Lanes; 2]]) {
        let blocks = FEATURES / WIDTH;
        for (first, shares) in (0..self.grid.width)
            .step_by(I::ROWS)
            .zip(shares.chunks_exact_mut(I::ROWS))
        {
            let count = I::ROWS.min(self.grid.width - first);
            for block in 0..blocks {
                let start = self.grid.index(block, row, first);
                packed[packed_index(I::ROWS, blocks, 0, block)..][..count]
                    .copy_from_slice(&self.gradient[start..start + count]);
            }
            I::multiply(packed, &self.layer.backward, shares);
        }
    }
}

impl Task for Backward<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        let row = self.grid.width.next_multiple_of(I::ROWS) * COLUMNS / WIDTH;
        I::ROWS * FEATURES / WIDTH + (BAND + 2) * row
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let Grid { height, width } = self.grid;
        let Normalisation {
            channels, deviation, ..
        } = self.layer.normalisation;
        let (packed, shares) = scratch.split_at_mut(I::ROWS * FEATURES / WIDTH);
        let shares = shares.as_chunks_mut().0;
        let stride = width.next_multiple_of(I::ROWS);
        // Rows `above .. below` of the gradient reach this band; row `above` comes first in the scratch.
        let band = piece * BAND..height.min((piece + 1) * BAND);
        let above = band.start.saturating_sub(1);
        let below = height.min(band.end + 1);
        for (row, shares) in (above..below).zip(shares.chunks_exact_mut(stride)) {
            self.shares::<I>(row, packed, shares);
        }
        for row in band {
            for column in 0..width {
                let mut sums = [0.0f32; CHANNELS];
                for tap in 0..9 {
                    // The neighbour that reaches here by this tap; beyond the border there is none.
                    let (y, x) = ((row + 1).wrapping_sub(tap / 3), (column + 1).wrapping_sub(tap % 3));
                    if (above..below).contains(&y) && x < width {
                        let shares = &shares[(y - above) * stride + x];
                        for (channel, sum) in sums.iter_mut().enumerate() {
                            let index = tap * CHANNELS + channel;
                            *sum += shares[index / WIDTH].0[index % WIDTH];
                        }
                    }
                }
                for (channel, sum) in sums.iter().enumerate() {
                    let index = channels[channel] * height * width + row * width + column;
                    // SAFETY: this row of the picture is in this piece alone.
                    unsafe { self.picture.write(index, sum * (255.0 / deviation[channel])) }
                }
            }
        }
    }
}
