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
use super::instructions::Instructions;
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
    /// Max pooling: which element of each window was chosen; see [`Spread::Chosen`].
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
    pub unsafe fn put<I: Instructions, const N: usize>(
        &self,
        block: usize,
        row: usize,
        column: usize,
        tile: &[[Lanes; N]; N],
    ) {
        for y in 0..(N / 2).min(self.grid.height.saturating_sub(row)) {
            for x in 0..(N / 2).min(self.grid.width.saturating_sub(column)) {
                one_by_one();
                let window = [
                    tile[2 * y][2 * x],
                    tile[2 * y][2 * x + 1],
                    tile[2 * y + 1][2 * x],
                    tile[2 * y + 1][2 * x + 1],
                ];
                let (value, choice) = pool::<I>(self.pooling, window);
                let index = self.grid.index(block, row + y, column + x);
                // SAFETY: this window is handed over once, and only here are its places written.
                unsafe {
                    self.values.write(index, value);
                    if let Some(choices) = &self.choices {
                        choices.write(index, choice);
                    }
                    if let Some(positive) = &self.positive {
                        positive.write(index, I::above(value, Lanes::ZERO));
                    }
                }
            }
        }
    }
}

/// The pooled value of a window in reading order, and which of it was the first maximum: see [`Spread::Chosen`].
#[inline(always)]
fn pool<I: Instructions>(pooling: Pooling, [a, b, c, d]: [Lanes; 4]) -> (Lanes, u32) {
    match pooling {
        Pooling::Max => {
            let (upper, lower) = (a.maximum(b), c.maximum(d));
            let (right_above, right_below) = (I::above(b, a), I::above(d, c));
            let below = I::above(lower, upper);
            let right = (right_above & !below) | (right_below & below);
            (upper.maximum(lower), u32::from(right) | u32::from(below) << WIDTH)
        }
        Pooling::Average => ((a + b + c + d) * 0.25, 0),
        Pooling::L2 => {
            let mut root = (a * a + b * b + c * c + d * d) * 0.25;
            for value in &mut root.0 {
                *value = Pooling::L2_SCALE * value.sqrt();
            }
            (root, 0)
        }
    }
}

/// How a pooled map's gradient is spread over the full map, behind its ReLU.
pub enum Spread<'a> {
    /// Max: to the chosen elements, `[C/16][H/2][W/2]`: two bits per lane, the lower sixteen say whether it is in the
    /// right column of its window, the upper sixteen whether it is in the lower row.
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
    fn pixel<I: Instructions>(&self, block: usize, row: usize, column: usize) -> Lanes {
        let half = self.grid.halved();
        if row / 2 >= half.height || column / 2 >= half.width {
            return Lanes::ZERO;
        }
        let window = half.index(block, row / 2, column / 2);
        let gradient = self.pooled[window];
        match self.spread {
            Spread::Chosen(choices) => {
                // Where bits that should be 0 are inverted, the chosen lanes are those with both bits set.
                let right = choices[window] as u16 ^ (column % 2).wrapping_sub(1) as u16;
                let below = (choices[window] >> WIDTH) as u16 ^ (row % 2).wrapping_sub(1) as u16;
                I::masked(gradient, right & below)
            }
            Spread::Even(bits) => I::masked(gradient * 0.25, bits[self.grid.index(block, row, column)]),
            Spread::Proportional(features) => gradient * features[self.grid.index(block, row, column)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instructions::{InstructionSet, Kernel};
    use super::*;

    /// Pools one window and spreads a gradient of 1 over it again.
    struct There<'a> {
        window: [f32; 4],
        value: &'a mut f32,
        spread: &'a mut [f32; 4],
    }

    impl Kernel for There<'_> {
        #[inline(always)]
        fn run<I: Instructions>(self) {
            let (value, choice) = pool::<I>(Pooling::Max, self.window.map(Lanes::splat));
            *self.value = value.0[5];
            let gradient = PoolGradient {
                grid: Grid { height: 3, width: 2 },
                pooled: &[Lanes::splat(1.0)],
                spread: Spread::Chosen(&[choice]),
            };
            for (place, spread) in self.spread.iter_mut().enumerate() {
                *spread = gradient.pixel::<I>(0, place / 2, place % 2).0[5];
            }
            // The third row belongs to no window.
            assert_eq!(gradient.pixel::<I>(0, 2, 1), Lanes::ZERO);
        }
    }

    #[test]
    fn of_equal_maxima_the_first_in_reading_order_receives_the_gradient() {
        for set in InstructionSet::available() {
            // Every window of three different values.
            for code in 0..81 {
                let window = [code % 3, code / 3 % 3, code / 9 % 3, code / 27].map(|value| value as f32);
                let (mut value, mut spread) = (0.0, [0.0; 4]);
                set.run(There {
                    window,
                    value: &mut value,
                    spread: &mut spread,
                });
                let largest = window.into_iter().fold(0.0, f32::max);
                let first = window.iter().position(|&member| member == largest);
                assert_eq!(value, largest);
                let expected = std::array::from_fn(|place| if Some(place) == first { 1.0 } else { 0.0 });
                assert_eq!(spread, expected, "{window:?} on {}", set.name());
            }
        }
    }
}
