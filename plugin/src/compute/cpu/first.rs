//! conv1_1, from the picture and back to it.
//!
//! With three input channels Winograd has nothing to save: the sums are made directly. Forward, a register tile of
//! neighbouring pixels collects its 27 products from the picture as it lies, one value at a time. Backward, each pixel's
//! 64 gradients are multiplied by the transposed matrix into what they give to each of the 27 neighbours (padded to 32),
//! and every pixel of the picture collects its nine shares.
//!
//! The picture crosses the seam as RGB from 0 to 1; the network wants `(255 picture - mean) / deviation`, with its
//! channels in its own order, and the zeros around the map are zeros of that space.

use std::array::from_fn;

use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes, WIDTH};
use super::maps::Sink;
use super::product::{COLUMNS, pack_columns, packed_columns, panel_len};
use super::workers::{Task, Workers};
use crate::network::{Convolution, Normalisation};

/// Channels of the picture.
pub const CHANNELS: usize = 3;
/// Numbers in a 3 x 3 neighbourhood: `[tap][channel]`, so that backward a tap's channels lie side by side.
const TAPS: usize = 9 * CHANNELS;
/// [`TAPS`] rounded up to whole lanes.
const DEPTH: usize = COLUMNS;
/// Output channels of conv1_1.
const FEATURES: usize = 64;
/// Pixels of a forward tile, whose sums with 32 features stay in 32 wide registers.
const TILE: usize = 14;
/// The same where registers are fewer or narrower, with sixteen features.
const NARROW_TILE: usize = 6;
/// Picture rows in a piece of the backward pass.
const BAND: usize = 32;
/// Rows of the gradient that reach a row of the picture.
const REACH: usize = 3;

/// conv1_1's weights as the matrices of its two products, and the network's input space.
pub struct FirstLayer {
    forward: Vec<[Lanes; 2]>,
    backward: Vec<Lanes>,
    normalisation: Normalisation,
}

impl FirstLayer {
    /// Multiplications for a pixel in either direction, those with what is padded left out.
    pub const MULTIPLICATIONS: usize = TAPS * FEATURES;

    /// Packs the weights `[64, 3, 3, 3]`.
    pub fn new(workers: &Workers, convolution: &Convolution, normalisation: Normalisation) -> Self {
        let weight = |tap: usize, feature: usize| {
            let (tap, channel) = (tap / CHANNELS, tap % CHANNELS);
            convolution.weight[(feature * CHANNELS + channel) * 9 + tap]
        };
        // Taps that are padded are never read.
        let forward = (0..FEATURES / COLUMNS * DEPTH).map(|index| {
            let (panel, tap) = (index / DEPTH, (index % DEPTH).min(TAPS - 1));
            let lanes = |half| Lanes(from_fn(|lane| weight(tap, panel * COLUMNS + half * WIDTH + lane)));
            [lanes(0), lanes(1)]
        });
        let forward = forward.collect();
        let mut backward = vec![Lanes::ZERO; packed_columns(workers.instructions(), FEATURES, TAPS)];
        pack_columns(workers, FEATURES, TAPS, &mut backward, |feature, tap| {
            weight(tap, feature)
        });
        Self {
            forward,
            backward,
            normalisation,
        }
    }

    /// The number of values in the network's view of a picture: with a border of one pixel, and as many more as the
    /// last tile may read beyond it.
    pub fn input_len(grid: Grid) -> usize {
        CHANNELS * (grid.height + 2) * (grid.width + 2) + TILE - 1
    }

    /// Brings a picture `[3][H][W]` into the network's space, inside a border of 0.
    pub fn normalise(&self, grid: Grid, picture: &[f32], input: &mut [f32]) {
        let Normalisation {
            channels,
            mean,
            deviation,
        } = self.normalisation;
        let stride = grid.width + 2;
        let planes = input.chunks_exact_mut((grid.height + 2) * stride);
        for (channel, plane) in planes.take(CHANNELS).enumerate() {
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

impl<K: Sink> Forward<'_, K> {
    /// The sums of up to `PIXELS` neighbours, `VECTORS` times sixteen features at a time. Pixels beyond the row are
    /// computed of whatever follows it, and dropped.
    #[inline(always)]
    fn tile<I: Instructions, const PIXELS: usize, const VECTORS: usize>(
        &self,
        row: usize,
        first: usize,
        product: &mut [Lanes],
    ) {
        let stride = self.grid.width + 2;
        let plane = (self.grid.height + 2) * stride;
        let product = product.as_chunks_mut::<VECTORS>().0;
        let count = PIXELS.min(self.grid.width - first);
        for (panel, columns) in self.layer.forward.chunks_exact(DEPTH).enumerate() {
            for half in (0..2).step_by(VECTORS) {
                let mut sums = [[Lanes::ZERO; VECTORS]; PIXELS];
                for at in 0..9 {
                    for channel in 0..CHANNELS {
                        let values = &self.input[channel * plane + (row + at / 3) * stride + first + at % 3..];
                        let values = values
                            .first_chunk::<PIXELS>()
                            .expect("the input ends with a tile's length");
                        let weights = &columns[at * CHANNELS + channel];
                        for pixel in 0..PIXELS {
                            for vector in 0..VECTORS {
                                sums[pixel][vector] =
                                    I::multiply_add(values[pixel], weights[half + vector], sums[pixel][vector]);
                            }
                        }
                    }
                }
                product[..PIXELS].copy_from_slice(&sums);
                for (pixel, sums) in product.iter().take(count).enumerate() {
                    for (vector, sum) in sums.iter().enumerate() {
                        // SAFETY: this row's pixels are in this piece alone.
                        unsafe {
                            let block = 2 * panel + half + vector;
                            self.sink.put::<I, 1>(block, row, first + pixel, &[[*sum]]);
                        }
                    }
                }
            }
        }
    }
}

impl<K: Sink> Task for Forward<'_, K> {
    fn scratch<I: Instructions>(&self) -> usize {
        TILE * COLUMNS / WIDTH
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, row: usize, scratch: &mut [Lanes]) {
        let width = self.grid.width;
        if I::WIDE {
            for first in (0..width).step_by(TILE) {
                self.tile::<I, TILE, 2>(row, first, scratch);
            }
        } else {
            for first in (0..width).step_by(NARROW_TILE) {
                self.tile::<I, NARROW_TILE, 1>(row, first, scratch);
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
    /// Shares of a row in the scratch: a border of one pixel on the left, whole panels, and one more pixel.
    fn stride<I: Instructions>(&self) -> usize {
        self.grid.width.next_multiple_of(I::ROWS) + 2
    }

    /// What a row of the gradient gives to its neighbours, `[1 + W + 1][32]`: beyond the map, and for rows that are
    /// beyond it, 0.
    #[inline(always)]
    fn shares<I: Instructions>(&self, row: usize, packed: &mut [Lanes], shares: &mut [[Lanes; 2]]) {
        let Grid { height, width } = self.grid;
        if row >= height {
            shares.fill([Lanes::ZERO; 2]);
            return;
        }
        let pixels = (0..width).step_by(I::ROWS);
        for (first, shares) in pixels.zip(shares[1..].chunks_exact_mut(I::ROWS)) {
            let count = I::ROWS.min(width - first);
            for pair in 0..FEATURES / COLUMNS {
                let [low, high] =
                    [2 * pair, 2 * pair + 1].map(|block| &self.gradient[self.grid.index(block, row, first)..][..count]);
                let depths = panel_len::<I>(count, COLUMNS);
                let packed = &mut packed[pair * depths..][..depths];
                for (row, (low, high)) in low.iter().zip(high).enumerate() {
                    I::pack_row(packed, row, [*low, *high]);
                }
            }
            let packed = &packed[..panel_len::<I>(count, FEATURES)];
            I::begin(count);
            // SAFETY: between the two.
            unsafe { I::multiply(count, packed, &self.layer.backward, &mut shares[..count], [&[]; 2]) }
            I::end();
        }
        shares[0] = [Lanes::ZERO; 2];
        shares[1 + width] = [Lanes::ZERO; 2];
    }
}

impl Task for Backward<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        panel_len::<I>(I::ROWS, FEATURES) + REACH * self.stride::<I>() * COLUMNS / WIDTH
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let Grid { height, width } = self.grid;
        let Normalisation {
            channels, deviation, ..
        } = self.layer.normalisation;
        let (packed, shares) = scratch.split_at_mut(panel_len::<I>(I::ROWS, FEATURES));
        let shares = shares.as_chunks_mut().0;
        let stride = self.stride::<I>();
        // Each row's shares take the place of those that nothing needs any more. The one above the first is row -1.
        let place = |row: usize| row.wrapping_add(1) % REACH * stride;
        let band = piece * BAND..height.min((piece + 1) * BAND);
        for row in [band.start.wrapping_sub(1), band.start] {
            self.shares::<I>(row, packed, &mut shares[place(row)..][..stride]);
        }
        for row in band {
            self.shares::<I>(row + 1, packed, &mut shares[place(row + 1)..][..stride]);
            // A tap reaches up from the row below first.
            let rows: [&[[Lanes; 2]]; REACH] =
                std::array::from_fn(|up| &shares[place((row + 1).wrapping_sub(up))..][..width + 2]);
            for column in 0..width {
                // Four at once, of which the last is nothing.
                let mut sums = [0f32; CHANNELS + 1];
                for tap in 0..9 {
                    let shares: &[f32; COLUMNS] = bytemuck::cast_ref(&rows[tap / 3][column + 2 - tap % 3]);
                    for (sum, share) in sums.iter_mut().zip(&shares[tap * CHANNELS..]) {
                        *sum += share;
                    }
                }
                for (channel, sum) in sums.iter().take(CHANNELS).enumerate() {
                    let index = channels[channel] * height * width + row * width + column;
                    // SAFETY: this row of the picture is in this piece alone.
                    unsafe { self.picture.write(index, sum * (255.0 / deviation[channel])) }
                }
            }
        }
    }
}
