//! Products of matrices of a few hundred rows, many at a time: the tables that `kernels/matrices.cu` takes.

use bytemuck::{Pod, Zeroable};

/// Rows and columns that a block makes of a product.
const TILE: usize = 32;

/// A matrix on the card, row by row.
#[derive(Clone, Copy)]
pub struct Matrix {
    pub address: u64,
    pub rows: usize,
    pub columns: usize,
    is_transposed: bool,
}

impl Matrix {
    /// `[rows, columns]` at an address.
    pub fn new(address: u64, rows: usize, columns: usize) -> Self {
        Self {
            address,
            rows,
            columns,
            is_transposed: false,
        }
    }

    /// The same memory, columns for rows.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            is_transposed: !self.is_transposed,
            ..self
        }
    }

    /// How far apart neighbours are in a column, and in a row.
    fn strides(&self) -> [i32; 2] {
        match self.is_transposed {
            false => [self.columns as i32, 1],
            true => [1, self.rows as i32],
        }
    }
}

/// `result = factor left right + diagonal 1`, as the kernels take it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Product {
    left: u64,
    right: u64,
    result: u64,
    factor: f64,
    diagonal: f64,
    rows: i32,
    columns: i32,
    depth: i32,
    is_symmetric: i32,
    left_strides: [i32; 2],
    right_strides: [i32; 2],
}

impl Product {
    /// The product of two matrices into memory that is neither's. Of one that `is_symmetric`, half is made.
    pub fn new(left: Matrix, right: Matrix, result: u64, is_symmetric: bool) -> Self {
        Self {
            left: left.address,
            right: right.address,
            result,
            factor: 1.0,
            diagonal: 0.0,
            rows: left.rows as i32,
            columns: right.columns as i32,
            depth: left.columns as i32,
            is_symmetric: is_symmetric.into(),
            left_strides: left.strides(),
            right_strides: right.strides(),
        }
    }

    /// So many times the product, and so much more on the diagonal.
    pub fn scaled(self, factor: f64, diagonal: f64) -> Self {
        Self {
            factor,
            diagonal,
            ..self
        }
    }

    /// The blocks that make it.
    pub fn blocks(&self) -> usize {
        let tiles = |side: i32| (side as usize).div_ceil(TILE);
        match self.is_symmetric {
            0 => tiles(self.rows) * tiles(self.columns),
            _ => tiles(self.rows) * (tiles(self.rows) + 1) / 2,
        }
    }
}
