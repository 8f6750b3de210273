//! Small matrix products, packed and kept in registers: where nine tenths of the time go.
//!
//! A product `[rows, depth] x [depth, columns]` is cut into register tiles of up to [`Instructions::ROWS`] rows and 32
//! columns whose sums stay in registers over the whole depth (Goto and van de Geijn 2008, without their outer loops:
//! the depth is at most 512, so a panel of rows and one of columns fit into the first two caches). Both operands are
//! packed in the order in which the tile reads them:
//!
//! - rows:    `[panel][depth/16][row in panel][16]`, a pixel's channels as they lie in a feature map;
//! - columns: `[columns/32][depth][32]`;
//! - product: `[columns/32][row][32]`.
//!
//! For each depth a tile multiplies `ROWS` broadcast values by two (AVX-512: 14 x 32 in 28 of 32 registers) or one
//! vector of lanes (AVX2: 6 x 16 in twelve of sixteen registers, twice).

use super::instructions::Instructions;
use super::lanes::{Lanes, WIDTH};

/// Columns of a product that are stored together.
pub const COLUMNS: usize = 2 * WIDTH;

/// The fewest panels of at most `most` rows that hold so many rows, and the rows of each, as even as can be: what fills
/// up the last one is computed for nothing.
#[inline(always)]
pub fn panels(rows: usize, most: usize) -> (usize, usize) {
    let panels = rows.div_ceil(most);
    (panels, rows.div_ceil(panels.max(1)))
}

/// Where `row` of the packed left operand has the channels of `block`, for operands of `blocks` blocks of channels and
/// panels of `rows` rows.
#[inline(always)]
pub fn packed_index(rows: usize, blocks: usize, row: usize, block: usize) -> usize {
    ((row / rows) * blocks + block) * rows + row % rows
}

/// The product of one panel of `ROWS` rows and one of 32 columns, `VECTORS` times sixteen columns at a time. Meanwhile,
/// what will be needed `next` is fetched, a share of it with each sixteen depths.
#[inline(always)]
pub fn register_tile<I: Instructions, const ROWS: usize, const VECTORS: usize>(
    rows: &[Lanes],
    columns: &[[Lanes; 2]],
    product: &mut [[Lanes; 2]],
    next: &[Lanes],
) {
    let product = product.first_chunk_mut::<ROWS>().expect("a product has a panel's rows");
    for first in (0..2).step_by(VECTORS) {
        let mut sums = [[Lanes::ZERO; VECTORS]; ROWS];
        let mut next = next.chunks((next.len() * WIDTH).div_ceil(columns.len()).max(1));
        for (panel, depths) in rows.as_chunks::<ROWS>().0.iter().zip(columns.as_chunks::<WIDTH>().0) {
            for lanes in next.next().unwrap_or_default() {
                I::fetch(lanes);
            }
            for lane in 0..WIDTH {
                for row in 0..ROWS {
                    for vector in 0..VECTORS {
                        sums[row][vector] =
                            I::multiply_add(panel[row].0[lane], depths[lane][first + vector], sums[row][vector]);
                    }
                }
            }
        }
        for row in 0..ROWS {
            for vector in 0..VECTORS {
                product[row][first + vector] = sums[row][vector];
            }
        }
    }
}

/// Packs a matrix `[depth, columns]`, given entry by entry, as a right operand. `columns` is rounded up to a multiple
/// of 32 and `depth` to one of 16; what is added is 0.
pub fn pack_columns(depth: usize, columns: usize, packed: &mut [[Lanes; 2]], entry: impl Fn(usize, usize) -> f32) {
    let padded = depth.next_multiple_of(WIDTH);
    for (panel, depths) in packed.chunks_exact_mut(padded).enumerate() {
        for (row, lanes) in depths.iter_mut().enumerate() {
            for offset in 0..COLUMNS {
                let column = panel * COLUMNS + offset;
                let inside = row < depth && column < columns;
                lanes[offset / WIDTH].0[offset % WIDTH] = if inside { entry(row, column) } else { 0.0 };
            }
        }
    }
}

/// The length of a packed right operand.
pub fn packed_columns(depth: usize, columns: usize) -> usize {
    depth.next_multiple_of(WIDTH) * columns.div_ceil(COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::super::instructions::{InstructionSet, Kernel};
    use super::*;

    struct Product<'a> {
        depth: usize,
        left: &'a [f32],
        columns: &'a [[Lanes; 2]],
        product: &'a mut Vec<f32>,
    }

    impl Kernel for Product<'_> {
        #[inline(always)]
        fn run<I: Instructions>(self) {
            let blocks = self.depth / WIDTH;
            let mut rows = vec![Lanes::ZERO; I::ROWS * blocks];
            for row in 0..I::ROWS {
                for k in 0..self.depth {
                    rows[packed_index(I::ROWS, blocks, row, k / WIDTH)].0[k % WIDTH] = self.left[row * self.depth + k];
                }
            }
            let mut product = vec![[Lanes::ZERO; 2]; I::ROWS];
            I::multiply(&rows, self.columns, &mut product, &[]);
            self.product.clear();
            self.product.extend(product.iter().flatten().flat_map(|lanes| lanes.0));
        }
    }

    #[test]
    fn every_instruction_set_multiplies_matrices() {
        let depth = 48;
        // Small whole numbers: every order of summation gives the same.
        let left: Vec<f32> = (0..14 * depth).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        let right = |k: usize, column: usize| ((k * 5 + column * 3) % 13) as f32 - 6.0;
        let mut columns = vec![[Lanes::ZERO; 2]; packed_columns(depth, COLUMNS)];
        pack_columns(depth, COLUMNS, &mut columns, right);
        for set in InstructionSet::available() {
            let mut product = Vec::new();
            set.run(Product {
                depth,
                left: &left,
                columns: &columns,
                product: &mut product,
            });
            assert_eq!(product.len(), set.rows() * COLUMNS);
            for (index, value) in product.iter().enumerate() {
                let (row, column) = (index / COLUMNS, index % COLUMNS);
                let expected: f32 = (0..depth).map(|k| left[row * depth + k] * right(k, column)).sum();
                assert_eq!(*value, expected, "{} at {row}, {column}", set.name());
            }
        }
    }
}
