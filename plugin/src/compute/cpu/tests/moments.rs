//! Means and second moments of many pixels.

use super::*;
use crate::compute::cpu::lanes::{Grid, Lanes, WIDTH};
use crate::compute::cpu::moments::{Region, Sums};
use crate::compute::cpu::workers::Workers;

/// As many as 64 channels of a planar map are stored in.
const BLOCKS: usize = 64 / WIDTH;
/// What moments may be off by, of however many pixels: as much as one float32 from the next.
const BOUND: f64 = f32::EPSILON as f64;
/// How often the same row is repeated.
const TIMES: usize = 256;

/// The same row of features again and again, a million pixels: moments stay, and what is summed grows. A row is no multiple
/// of what is summed in float32, so those sums differ. All features are about as large, as where a layer has found one
/// thing everywhere: what is added is small beside the sum.
#[test]
fn however_many_pixels_there_are_moments_are_as_exact() {
    let mut random = noise(6);
    let width = 4093;
    let mut row = Map::zero(BLOCKS * WIDTH, 1, width);
    for (index, value) in row.values.iter_mut().enumerate() {
        let channel = index / width;
        *value = f64::from((100.0 + channel as f64 + random()) as f32);
    }
    let (second, mean, _) = oracle::moments(&row, &vec![1.0; width]);
    for height in [1, TIMES] {
        let grid = Grid { height, width };
        let mut features = vec![Lanes::ZERO; BLOCKS * grid.pixels()];
        for (index, lanes) in features.iter_mut().enumerate() {
            let (block, column) = (index / grid.pixels(), index % width);
            for (lane, value) in lanes.0.iter_mut().enumerate() {
                *value = row.values[(block * WIDTH + lane) * width + column] as f32;
            }
        }
        let region = Region {
            grid,
            window: Window::whole(height, width),
            features: &features,
            weights: None,
        };
        for set in InstructionSet::available() {
            let workers = Workers::new(2, set).expect("threads");
            let mut sums = Sums::new(BLOCKS * WIDTH, grid.pixels());
            let found = sums.over(&workers, region, grid.pixels() as f64);
            for (what, found, expected) in [("second moments", found.0, &second), ("means", found.1, &mean)] {
                let error = relative_error(found, expected.iter().copied());
                let what = format!("{what} of {height} x {width} on {}", set.name());
                assert!(error < BOUND, "{what} are off by {error:e}");
            }
        }
    }
    // A plain sum in float32 loses four digits of that.
    let squares = std::iter::repeat_n(&row.values[..width], TIMES)
        .flatten()
        .map(|value| (value * value) as f32);
    let plain = f64::from(squares.sum::<f32>()) / (TIMES * width) as f64;
    let error = (plain - second[0]).abs() / second[0];
    assert!(error > 1e4 * BOUND, "a plain sum is off by {error:e}");
}
