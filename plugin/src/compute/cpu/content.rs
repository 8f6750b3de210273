//! The content: features that are held, and how far others are from them. Also the product of two maps, which is taken
//! likewise.

use std::ops::Range;

use super::buffer::Buffer;
use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes, WIDTH};
use super::moments::runs;
use super::workers::{Task, Workers};
use crate::compute::{ContentDistance, Window};

/// Pixels of one block of channels whose squares are summed in f32.
const CHUNK: usize = 1024;

/// Copies a layer's features inside a window, block by block in reading order.
pub fn hold(grid: Grid, window: Window, features: &[Lanes]) -> Buffer<Lanes> {
    let pixels = window.height * window.width;
    let blocks = features.chunks_exact(grid.pixels());
    let length = blocks.len() * pixels;
    let windows = blocks.flat_map(|features| {
        runs(grid, window, 0..pixels).map(move |(start, length)| &features[start..start + length])
    });
    Buffer::concatenated(length, windows)
}

/// How far a layer's features inside a window are from the held ones, or from 0 where none are held.
pub fn distance(
    workers: &Workers,
    grid: Grid,
    window: Window,
    features: &[Lanes],
    held: Option<&[Lanes]>,
) -> ContentDistance {
    let pixels = window.height * window.width;
    let blocks = features.len() / grid.pixels();
    let mut sums = vec![0.0; blocks * pixels.div_ceil(CHUNK)];
    let pieces = sums.len();
    let task = Squares {
        grid,
        window,
        features,
        held,
        sums: Disjoint::new(&mut sums),
    };
    workers.run(pieces, &task);
    let elements = (blocks * pixels * WIDTH) as f64;
    ContentDistance {
        mean_square: sums.iter().sum::<f64>() / elements.max(1.0),
        elements,
    }
}

/// The inner product of two maps of one size.
pub fn product(workers: &Workers, a: &[Lanes], b: &[Lanes]) -> f64 {
    let mut sums = vec![0.0; a.len().div_ceil(CHUNK)];
    let pieces = sums.len();
    let sums_of = Products {
        a,
        b,
        sums: Disjoint::new(&mut sums),
    };
    workers.run(pieces, &sums_of);
    sums.iter().sum()
}

/// Each piece is a chunk of two maps.
struct Products<'a> {
    a: &'a [Lanes],
    b: &'a [Lanes],
    sums: Disjoint<'a, f64>,
}

impl Task for Products<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let chunk = piece * CHUNK..self.a.len().min((piece + 1) * CHUNK);
        let mut sum = Lanes::ZERO;
        for (a, b) in self.a[chunk.clone()].iter().zip(&self.b[chunk]) {
            sum = sum + *a * *b;
        }
        // SAFETY: this place belongs to this piece alone.
        unsafe { self.sums.write(piece, total(sum)) }
    }
}

fn total(sum: Lanes) -> f64 {
    sum.0.iter().map(|&value| f64::from(value)).sum()
}

/// Each piece is a chunk of pixels of one block of channels.
struct Squares<'a> {
    grid: Grid,
    window: Window,
    features: &'a [Lanes],
    held: Option<&'a [Lanes]>,
    sums: Disjoint<'a, f64>,
}

impl Task for Squares<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let pixels = self.window.height * self.window.width;
        let chunks = pixels.div_ceil(CHUNK);
        let (block, chunk) = (piece / chunks, piece % chunks);
        let range: Range<usize> = chunk * CHUNK..pixels.min((chunk + 1) * CHUNK);
        let mut place = block * pixels + range.start;
        let mut sum = Lanes::ZERO;
        for (start, length) in runs(self.grid, self.window, range) {
            let features = &self.features[block * self.grid.pixels() + start..][..length];
            match self.held {
                None => {
                    for feature in features {
                        sum = sum + *feature * *feature;
                    }
                }
                Some(held) => {
                    for (feature, held) in features.iter().zip(&held[place..place + length]) {
                        let difference = *feature - *held;
                        sum = sum + difference * difference;
                    }
                }
            }
            place += length;
        }
        // SAFETY: this place belongs to this piece alone.
        unsafe { self.sums.write(piece, total(sum)) }
    }
}
