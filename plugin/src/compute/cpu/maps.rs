//! What a convolution reads and what becomes of what it computes.
//!
//! A convolution need not know whether its input lies in memory as it is or is made on the fly (the gradient of a
//! pooling), nor whether its output is rectified, pooled, masked or kept. It asks a [`Source`] for pixels and hands
//! tiles to a [`Sink`]: so bias, ReLU, pooling and their gradients cost no pass over memory of their own.

use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes, one_by_one};
use super::pool::{PoolGradient, Pooled};

/// A feature map that can be read anywhere.
pub trait Source: Sync {
    /// The channels of `block` at a pixel inside the map.
    fn pixel<I: Instructions>(&self, block: usize, row: usize, column: usize) -> Lanes;
}

/// A feature map that can be written tile by tile.
pub trait Sink: Sync {
    /// Takes the channels of `block` of a tile of convolution sums whose first pixel is inside the map; pixels beyond
    /// its last row or column are to be ignored.
    ///
    /// # Safety
    /// Each pixel of each block is handed over once. `row` and `column` are multiples of `N`, which is even or 1.
    unsafe fn put<I: Instructions, const N: usize>(
        &self,
        block: usize,
        row: usize,
        column: usize,
        tile: &[[Lanes; N]; N],
    );
}

/// A feature map that lies in memory.
pub struct Stored<'a> {
    /// Its size.
    pub grid: Grid,
    /// `[C/16][H][W]`.
    pub values: &'a [Lanes],
}

impl Source for Stored<'_> {
    #[inline(always)]
    fn pixel<I: Instructions>(&self, block: usize, row: usize, column: usize) -> Lanes {
        self.values[self.grid.index(block, row, column)]
    }
}

/// Forward: adds the bias, rectifies, and keeps what later steps need.
pub struct Activation<'a> {
    /// The size of the layer's map.
    pub grid: Grid,
    /// `[C/16]`.
    pub bias: &'a [Lanes],
    /// The activations, `[C/16][H][W]`.
    pub features: Option<Disjoint<'a, Lanes>>,
    /// One bit per activation: whether it is above 0. Same order as the activations.
    pub positive: Option<Disjoint<'a, u16>>,
    /// The activations after pooling.
    pub pooled: Option<Pooled<'a>>,
}

impl Sink for Activation<'_> {
    #[inline(always)]
    unsafe fn put<I: Instructions, const N: usize>(
        &self,
        block: usize,
        row: usize,
        column: usize,
        tile: &[[Lanes; N]; N],
    ) {
        let mut tile = *tile;
        for pixel in tile.as_flattened_mut() {
            one_by_one();
            *pixel = (*pixel + self.bias[block]).rectified();
        }
        let rows = N.min(self.grid.height - row);
        let columns = N.min(self.grid.width - column);
        for y in 0..rows {
            for x in 0..columns {
                one_by_one();
                let index = self.grid.index(block, row + y, column + x);
                // SAFETY: this pixel's block is handed over once, and only here is it written.
                unsafe {
                    if let Some(features) = &self.features {
                        features.write(index, tile[y][x]);
                    }
                    if let Some(positive) = &self.positive {
                        positive.write(index, I::above(tile[y][x], Lanes::ZERO));
                    }
                }
            }
        }
        if let Some(pooled) = &self.pooled {
            // SAFETY: as above; the 2 x 2 windows of a tile are its own.
            unsafe { pooled.put::<I, N>(block, row / 2, column / 2, &tile) }
        }
    }
}

/// Which elements of a gradient survive on its way down.
pub enum Gate<'a> {
    /// All.
    Open,
    /// Those whose bit is set: the layer below was rectified, and this remembers where it was above 0.
    Bits(&'a [u16]),
    /// All, divided by these: the upper half of the gradient of L2 pooling, see [`PoolGradient`].
    Roots(&'a [Lanes]),
}

/// Backward: the gradient with respect to a layer's input, passed through what made that input.
pub struct Gradient<'a> {
    /// The size of the input's map.
    pub grid: Grid,
    /// What stands between the gradient and what made the input.
    pub gate: Gate<'a>,
    /// The gradient, `[C/16][H][W]`.
    pub values: Disjoint<'a, Lanes>,
    /// Whether it is added to what is there, the gradient of the layer's own statistics.
    pub adds: bool,
}

impl Sink for Gradient<'_> {
    #[inline(always)]
    unsafe fn put<I: Instructions, const N: usize>(
        &self,
        block: usize,
        row: usize,
        column: usize,
        tile: &[[Lanes; N]; N],
    ) {
        let rows = N.min(self.grid.height - row);
        let columns = N.min(self.grid.width - column);
        for y in 0..rows {
            for x in 0..columns {
                one_by_one();
                let index = self.grid.index(block, row + y, column + x);
                let value = match self.gate {
                    Gate::Open => tile[y][x],
                    Gate::Bits(bits) => I::masked(tile[y][x], bits[index]),
                    Gate::Roots(roots) => PoolGradient::divided_by_root(tile[y][x], roots[index]),
                };
                // SAFETY: this pixel's block is handed over once, and only here is it read or written.
                unsafe {
                    let sum = if self.adds {
                        self.values.read(index) + value
                    } else {
                        value
                    };
                    self.values.write(index, sum);
                }
            }
        }
    }
}
