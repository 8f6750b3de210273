//! Numbers of float32 in three parts of bfloat16, for matrix units that multiply nothing wider.
//!
//! A bfloat16 is the upper half of a float32, with 8 of its 24 significant bits. So three of them, each the upper half of
//! what those before leave, are the whole of a float32, and a product is a sum of products of parts:
//!
//! ```text
//!   x = high + middle + low
//!   x y = high high + (high middle + middle high) + (middle middle + high low + low high) + less than 2^-21 of it
//! ```
//!
//! Six products in place of one have float32's accuracy (Henry, Tang and Heinecke 2019). They are summed from the least to
//! the greatest.
//!
//! Operands are packed as parts when they are made:
//!
//! - rows:    `[panel][depth/32][row in panel][high, middle, low][16][2]`;
//! - columns: `[columns/32][depth/32][high, middle, low][columns/16][16][16 columns][2]`,
//!
//! where the last two depths are sixteen apart: so parts come to lie side by side without being moved.

use bytemuck::cast;

use super::lanes::{Lanes, WIDTH};
use super::product::COLUMNS;

/// Parts of a number.
pub const PARTS: usize = 3;

/// The upper half of a float32.
const UPPER: u32 = 0xffff_0000;

/// The parts of two times sixteen numbers, each beside that of its counterpart.
#[inline(always)]
fn parts(numbers: [Lanes; 2]) -> [Lanes; PARTS] {
    let [mut even, mut odd] = numbers;
    std::array::from_fn(|_| {
        let mut part = [0; WIDTH];
        for lane in 0..WIDTH {
            let (low, high) = (even.0[lane].to_bits(), odd.0[lane].to_bits());
            part[lane] = high & UPPER | low >> 16;
            even.0[lane] -= f32::from_bits(low & UPPER);
            odd.0[lane] -= f32::from_bits(high & UPPER);
        }
        cast(part)
    })
}

/// Packs two blocks of channels of a row, 32 depths of a left operand.
#[inline(always)]
pub fn pack_row(packed: &mut [Lanes], row: usize, channels: [Lanes; 2]) {
    packed[row * PARTS..][..PARTS].copy_from_slice(&parts(channels));
}

/// Packs 32 depths of 32 columns, of a right operand.
#[inline(always)]
pub fn pack_columns(packed: &mut [Lanes], depths: &[[Lanes; 2]; COLUMNS]) {
    let (packed, _) = packed.as_chunks_mut::<WIDTH>();
    for depth in 0..WIDTH {
        for half in 0..2 {
            let parts = parts([depths[depth][half], depths[depth + WIDTH][half]]);
            for (part, lanes) in parts.into_iter().enumerate() {
                packed[2 * part + half][depth] = lanes;
            }
        }
    }
}

/// The product of panels of rows and 32 columns as [`super::amx::multiply`] makes it, step by step.
#[cfg(test)]
pub fn multiply(rows: usize, left: &[Lanes], columns: &[Lanes], product: &mut [[Lanes; 2]]) {
    /// Part of the rows and of the columns.
    const ORDER: [(usize, usize); 6] = [(0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0)];
    let halves = |lanes: Lanes| {
        [
            Lanes(lanes.0.map(|both| f32::from_bits(both.to_bits() << 16))),
            Lanes(lanes.0.map(|both| f32::from_bits(both.to_bits() & UPPER))),
        ]
    };
    let depths = columns.len() / (COLUMNS * PARTS);
    let panels = left.chunks_exact(depths * rows * PARTS);
    for (panel, product) in panels.zip(product.chunks_exact_mut(rows)) {
        for (row, product) in product.iter_mut().enumerate() {
            *product = [Lanes::ZERO; 2];
            for depth in 0..depths {
                let left = &panel[(depth * rows + row) * PARTS..][..PARTS];
                let right = &columns[depth * COLUMNS * PARTS..][..COLUMNS * PARTS];
                for (of_row, of_column) in ORDER {
                    let row = halves(left[of_row]);
                    let columns = right[2 * of_column * WIDTH..].chunks_exact(WIDTH);
                    for (product, columns) in product.iter_mut().zip(columns) {
                        let mut sums = [Lanes::ZERO; 2];
                        for (pair, columns) in columns.iter().enumerate() {
                            for (sum, (row, columns)) in sums.iter_mut().zip(row.iter().zip(halves(*columns))) {
                                // Eight bits by eight are exact, so this rounds once, as the unit does.
                                *sum = *sum + columns * row.0[pair];
                            }
                        }
                        *product = *product + (sums[0] + sums[1]);
                    }
                }
            }
        }
    }
}
