//! 2 x 2 pooling, fused into the convolutions on either side of it.
//!
//! Forward, a convolution's tile holds whole windows (its size is even), so pooled activations are made while the tile
//! is in registers, and the full map need not be stored. Backward, the convolution below reads the gradient with
//! respect to the full map through [`PoolGradient`], which makes each pixel of it from the pooled map's gradient:
//!
//! - Max: the element that was chosen receives all. Two bits remember the choice, and one whether it was above 0 (a
//!   window without positive activation passes no gradient through the ReLU).
//! - Average: each receives a quarter, gated by its own ReLU.
//! - L2: `y = s sqrt(mean x^2)`, so `dy/dx = s^2 x / (4 y)`. The factor `s^2 / (4 y)` is multiplied once per window, by
//!   the convolution above ([`super::maps::Gate::Roots`]); the factor `x` here. Where `x` is 0, so is the gradient.
//!
//! An odd last row or column belongs to no window: it is dropped, and its gradient is 0.

use super::disjoint::Disjoint;
use super::lanes::{Grid, Lanes, WIDTH, one_by_one};
use super::maps::Source;
use crate::compute::Pooling;

/// Pooled activations, and what their gradient will need.
pub struct Pooled<'a> {
    /// How windows are pooled.
    pub pooling: Pooling,
    /// The size of the pooled map.
    pub grid: Grid,
    /// `[C/16][H/2][W/2]`.
    pub values: Disjoint<'a, Lanes>,
    /// Max pooling: for each value two bits per lane, the place in the window (in reading order) that was chosen.
    pub choices: Option<Disjoint<'a, u32>>,
    /// Max pooling: whether the chosen activation is above 0.
    pub positive: Option<Disjoint<'a, u16>>,
}

impl Pooled<'_> {
    /// Pools the windows of a tile whose first window is at `row` and `column` of the pooled map.
    ///
    /// # Safety
    /// Each window of each block is handed over once.
    #[inline(always)]
    pub unsafe fn put<const N: usize>(&self, block: usize, row: usize, column: usize, tile: &[[Lanes; N]; N]) {
        for y in 0..(N / 2).min(self.grid.height.saturating_sub(row)) {
            for x in 0..(N / 2).min(self.grid.width.saturating_sub(column)) {
                one_by_one();
                let window = [
                    tile[2 * y][2 * x],
                    tile[2 * y][2 * x + 1],
                    tile[2 * y + 1][2 * x],
                    tile[2 * y + 1][2 * x + 1],
                ];
                let (value, choice) = pool(self.pooling, window);
                let index = self.grid.index(block, row + y, column + x);
                // SAFETY: this window is handed over once, and only here are its places written.
                unsafe {
                    self.values.write(index, value);
                    if let Some(choices) = &self.choices {
                        choices.write(index, choice);
                    }
                    if let Some(positive) = &self.positive {
                        positive.write(index, value.positive());
                    }
                }
            }
        }
    }
}

/// The pooled value of a window in reading order, and which of it was the first maximum (two bits per lane).
#[inline(always)]
fn pool(pooling: Pooling, window: [Lanes; 4]) -> (Lanes, u32) {
    match pooling {
        Pooling::Max => {
            let mut largest = window[0];
            let mut places = [0u32; WIDTH];
            for place in 1..4 {
                for lane in 0..WIDTH {
                    let larger = window[place].0[lane] > largest.0[lane];
                    largest.0[lane] = if larger { window[place].0[lane] } else { largest.0[lane] };
                    places[lane] = if larger { place as u32 } else { places[lane] };
                }
            }
            let mut choice = 0;
            for lane in 0..WIDTH {
                choice |= places[lane] << (2 * lane);
            }
            (largest, choice)
        }
        Pooling::Average => ((window[0] + window[1] + window[2] + window[3]) * 0.25, 0),
        Pooling::L2 => {
            let mut root = Lanes::ZERO;
            for value in window {
                root = root + value * value;
            }
            for value in &mut root.0 {
                *value = Pooling::L2_SCALE * (*value * 0.25).sqrt();
            }
            (root, 0)
        }
    }
}

/// How a pooled map's gradient is spread over the full map, behind its ReLU.
pub enum Spread<'a> {
    /// Max: to the chosen elements, `[C/16][H/2][W/2]`.
    Chosen(&'a [u32]),
    /// Average: a quarter to each whose bit is set, `[C/16][H][W]`.
    Even(&'a [u16]),
    /// L2: in proportion to the activations, `[C/16][H][W]`.
    Proportional(&'a [Lanes]),
}

/// The gradient with respect to a map before pooling and before its ReLU.
pub struct PoolGradient<'a> {
    /// The size of the full map.
    pub grid: Grid,
    /// The gradient with respect to the pooled map, gated (max) or divided by its roots (L2).
    pub pooled: &'a [Lanes],
    /// How it is spread.
    pub spread: Spread<'a>,
}

impl PoolGradient<'_> {
    /// `s^2 gradient / (4 root)`, and 0 where the root is 0.
    #[inline(always)]
    pub fn divided_by_root(mut gradient: Lanes, root: Lanes) -> Lanes {
        const FACTOR: f32 = Pooling::L2_SCALE * Pooling::L2_SCALE / 4.0;
        for lane in 0..WIDTH {
            let quotient = FACTOR * gradient.0[lane] / root.0[lane];
            gradient.0[lane] = if root.0[lane] > 0.0 { quotient } else { 0.0 };
        }
        gradient
    }
}

impl Source for PoolGradient<'_> {
    #[inline(always)]
    fn pixel(&self, block: usize, row: usize, column: usize) -> Lanes {
        let half = self.grid.halved();
        if row / 2 >= half.height || column / 2 >= half.width {
            return Lanes::ZERO;
        }
        let window = half.index(block, row / 2, column / 2);
        let mut gradient = self.pooled[window];
        match self.spread {
            Spread::Chosen(choices) => {
                let place = (2 * (row % 2) + column % 2) as u32;
                let choice = choices[window];
                for lane in 0..WIDTH {
                    let chosen = (choice >> (2 * lane)) & 3 == place;
                    gradient.0[lane] = if chosen { gradient.0[lane] } else { 0.0 };
                }
                gradient
            }
            Spread::Even(bits) => (gradient * 0.25).masked(bits[self.grid.index(block, row, column)]),
            Spread::Proportional(features) => gradient * features[self.grid.index(block, row, column)],
        }
    }
}
