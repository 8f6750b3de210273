//! Sixteen channels of one pixel: the unit that everything here computes with.
//!
//! Feature maps are stored as `[C/16][H][W][16]`, so the sixteen channels of a pixel lie side by side and every kernel
//! treats them alike: one AVX-512 register, two of AVX2, four of NEON or SSE. The loops below are plain; the compiler
//! turns each into so many instructions of whichever set the enclosing kernel was compiled for
//! (see [`super::instructions`]).

use std::ops::{Add, Mul, Sub};

use bytemuck::{Pod, Zeroable};

/// The number of channels in [`Lanes`].
pub const WIDTH: usize = 16;

/// Sixteen channels of one pixel, in one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; WIDTH]);

impl Lanes {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0.0; WIDTH]);

    /// The same value sixteen times.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Self([value; WIDTH])
    }

    /// The values of a slice of sixteen.
    #[inline(always)]
    pub fn load(values: &[f32]) -> Self {
        let mut lanes = [0.0; WIDTH];
        lanes.copy_from_slice(values);
        Self(lanes)
    }

    /// The larger of each value and 0.
    #[inline(always)]
    pub fn rectified(self) -> Self {
        Self::ZERO.maximum(self)
    }

    /// One bit per lane: whether it is above the other's.
    #[inline(always)]
    pub fn above(self, other: Self) -> u16 {
        let mut bits = [0u16; WIDTH];
        for lane in 0..WIDTH {
            bits[lane] = if self.0[lane] > other.0[lane] { 1 << lane } else { 0 };
        }
        bits.into_iter().fold(0, |all, bit| all | bit)
    }

    /// The larger of each lane.
    #[inline(always)]
    pub fn maximum(mut self, other: Self) -> Self {
        for lane in 0..WIDTH {
            self.0[lane] = if other.0[lane] > self.0[lane] {
                other.0[lane]
            } else {
                self.0[lane]
            };
        }
        self
    }

    /// The lanes whose bit is set; 0 elsewhere.
    #[inline(always)]
    pub fn masked(mut self, bits: u16) -> Self {
        for lane in 0..WIDTH {
            self.0[lane] = if bits & (1 << lane) != 0 { self.0[lane] } else { 0.0 };
        }
        self
    }
}

/// Keeps the compiler from vectorising the surrounding loop across its iterations, where it would scatter lanes that
/// are vectors already.
#[inline(always)]
pub fn one_by_one() {
    std::hint::black_box(());
}

impl Add for Lanes {
    type Output = Self;

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for lane in 0..WIDTH {
            self.0[lane] += other.0[lane];
        }
        self
    }
}

impl Sub for Lanes {
    type Output = Self;

    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        for lane in 0..WIDTH {
            self.0[lane] -= other.0[lane];
        }
        self
    }
}

impl Mul for Lanes {
    type Output = Self;

    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for lane in 0..WIDTH {
            self.0[lane] *= other.0[lane];
        }
        self
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        self * Self::splat(factor)
    }
}

/// The size of a feature map: rows and columns, and the order in which its pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Grid {
    /// The number of pixels: the distance between one block of sixteen channels and the next.
    #[inline(always)]
    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Where a pixel of a block of sixteen channels is stored.
    #[inline(always)]
    pub fn index(self, block: usize, row: usize, column: usize) -> usize {
        (block * self.height + row) * self.width + column
    }

    /// The grid after 2 x 2 pooling; an odd last row or column is dropped.
    pub fn halved(self) -> Self {
        Self {
            height: self.height / 2,
            width: self.width / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_say_which_lanes_are_positive_and_select_them() {
        let mut lanes = Lanes::ZERO;
        for (lane, value) in lanes.0.iter_mut().enumerate() {
            *value = if lane % 3 == 0 { lane as f32 } else { -1.0 };
        }
        // Lane 0 holds 0, which is not above 0.
        assert_eq!(
            lanes.above(Lanes::ZERO),
            (1 << 3) | (1 << 6) | (1 << 9) | (1 << 12) | (1 << 15)
        );
        assert_eq!(lanes.masked(lanes.above(Lanes::ZERO)), lanes.rectified());
    }
}
