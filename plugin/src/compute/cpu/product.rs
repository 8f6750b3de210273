//! Small matrix products, packed and kept in registers: where nine tenths of the time go.
//!
//! A product `[rows, depth] x [depth, columns]` is cut into register tiles of up to [`Instructions::ROWS`] rows and 32
//! columns whose sums stay in registers (Goto and van de Geijn 2008, without their outer loops: the depth is at most 512, so
//! a panel of rows and one of columns fit into the first two caches). Both operands are packed in the order in which the
//! tile reads them:
//!
//! - rows:    `[panel][depth/16][row in panel][16]`, a pixel's channels as they lie in a feature map;
//! - columns: `[columns/32][depth][32]`;
//! - product: `[columns/32][row][32]`.
//!
//! Sums run over 64 depths at a time, and are then added to the product: over the whole depth rounding errors would be
//! nearly twice as large with 256 channels, and of a product's errors F(6) makes more than F(4) does.
//!
//! For each depth a tile multiplies `ROWS` broadcast values by two (AVX-512: 14 x 32 in 28 of 32 registers) or one
//! vector of lanes (AVX2: 6 x 16 in twelve of sixteen registers, twice).

use super::disjoint::Disjoint;
use super::instructions::{InstructionSet, Instructions};
use super::lanes::{Lanes, WIDTH, one_by_one};
use super::workers::{Task, Workers};

/// Columns of a product that are stored together.
pub const COLUMNS: usize = 2 * WIDTH;
/// Depths whose products are summed before they are added to the others'.
const SUMMED: usize = 64;

/// The fewest panels of at most `most` rows that hold so many rows, and the rows of each, as even as can be: what fills
/// up the last one is computed for nothing.
#[inline(always)]
pub fn panels(rows: usize, most: usize) -> (usize, usize) {
    let panels = rows.div_ceil(most);
    (panels, rows.div_ceil(panels.max(1)))
}

/// The length of a panel of so many rows of a left operand, or of its 32 columns of a right one, as they are packed.
#[inline(always)]
pub fn panel_len<I: Instructions>(rows: usize, depth: usize) -> usize {
    rows * depth / COLUMNS * I::PACKED
}

/// Multiplies panels of `rows` rows, one after the other, with 32 columns. Each gets a share of what is to be fetched.
#[inline(always)]
pub fn multiply_panels(
    rows: usize,
    left: &[Lanes],
    columns: &[Lanes],
    product: &mut [[Lanes; 2]],
    next: [&[Lanes]; 2],
    tile: impl Fn(&[Lanes], &[Lanes], &mut [[Lanes; 2]], &[Lanes]),
) {
    let panels = left.chunks_exact(rows * columns.len() / COLUMNS);
    let share = (next[0].len() + next[1].len()) * rows / product.len();
    let mut next = next.into_iter().flat_map(|next| next.chunks(share.max(1)));
    for (panel, product) in panels.zip(product.chunks_exact_mut(rows)) {
        tile(panel, columns, product, next.next().unwrap_or_default());
    }
}

/// The product of one panel of `ROWS` rows and one of 32 columns, `VECTORS` times sixteen columns at a time. Meanwhile,
/// what will be needed `next` is fetched, a share of it with each sixteen depths.
#[inline(always)]
pub fn register_tile<I: Instructions, const ROWS: usize, const VECTORS: usize>(
    rows: &[Lanes],
    columns: &[Lanes],
    product: &mut [[Lanes; 2]],
    next: &[Lanes],
) {
    let (columns, _) = columns.as_chunks::<2>();
    let product = product.first_chunk_mut::<ROWS>().expect("a product has a panel's rows");
    let (rows, _) = rows.as_chunks::<ROWS>();
    let (depths, _) = columns.as_chunks::<WIDTH>();
    product.fill([Lanes::ZERO; 2]);
    for first in (0..2).step_by(VECTORS) {
        let mut next = next.chunks((next.len() * WIDTH).div_ceil(columns.len()).max(1));
        for (rows, depths) in rows.chunks(SUMMED / WIDTH).zip(depths.chunks(SUMMED / WIDTH)) {
            let mut sums = [[Lanes::ZERO; VECTORS]; ROWS];
            for (panel, depths) in rows.iter().zip(depths) {
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
                    one_by_one();
                    product[row][first + vector] = product[row][first + vector] + sums[row][vector];
                }
            }
        }
    }
}

/// A matrix `[depth, columns]`, given entry by entry, as a right operand. `columns` and `depth` are rounded up to
/// multiples of 32; what is added is 0. Each piece is 32 depths of 32 columns.
struct Columns<'a, E> {
    depth: usize,
    columns: usize,
    packed: Disjoint<'a, Lanes>,
    entry: E,
}

impl<E: Fn(usize, usize) -> f32 + Sync> Task for Columns<'_, E> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let blocks = self.depth.div_ceil(COLUMNS);
        let (first_column, first_row) = (piece / blocks * COLUMNS, piece % blocks * COLUMNS);
        let mut depths = [[Lanes::ZERO; 2]; COLUMNS];
        for (row, lanes) in (first_row..self.depth).zip(&mut depths) {
            let values = lanes.iter_mut().flat_map(|lanes| &mut lanes.0);
            for (column, value) in (first_column..self.columns).zip(values) {
                *value = (self.entry)(row, column);
            }
        }
        let length = panel_len::<I>(COLUMNS, COLUMNS);
        // SAFETY: this block is in this piece alone.
        I::pack_columns(unsafe { self.packed.slice(piece * length, length) }, &depths);
    }
}

/// Packs a matrix `[depth, columns]`, given entry by entry, as a right operand for the workers' instructions.
pub fn pack_columns(
    workers: &Workers,
    depth: usize,
    columns: usize,
    packed: &mut [Lanes],
    entry: impl Fn(usize, usize) -> f32 + Sync,
) {
    let pieces = depth.div_ceil(COLUMNS) * columns.div_ceil(COLUMNS);
    let task = Columns {
        depth,
        columns,
        packed: Disjoint::new(packed),
        entry,
    };
    workers.run(pieces, &task);
}

/// Packs columns `[depth][32]`, a panel of a right operand.
#[inline(always)]
pub fn pack_panel<I: Instructions>(columns: &[[Lanes; 2]], packed: &mut [Lanes]) {
    let depths = columns.as_chunks::<COLUMNS>().0;
    for (depths, packed) in depths.iter().zip(packed.chunks_exact_mut(COLUMNS * I::PACKED)) {
        I::pack_columns(packed, depths);
    }
}

/// The length of a packed right operand.
pub fn packed_columns(set: InstructionSet, depth: usize, columns: usize) -> usize {
    depth.next_multiple_of(COLUMNS) * columns.div_ceil(COLUMNS) * set.packed()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::instructions::Kernel;
    use super::*;

    struct Product<'a> {
        depth: usize,
        rows: usize,
        left: &'a [f32],
        columns: &'a [Lanes],
        /// Rounded up to whole panels.
        product: &'a mut [[Lanes; 2]],
    }

    impl Kernel for Product<'_> {
        #[inline(always)]
        fn run<I: Instructions>(self) {
            let panel = panel_len::<I>(self.rows, self.depth);
            let depths = panel_len::<I>(self.rows, COLUMNS);
            let mut rows = vec![Lanes::ZERO; self.product.len() / self.rows * panel];
            for (row, values) in self.left.chunks_exact(self.depth).enumerate() {
                for (pair, values) in values.chunks_exact(COLUMNS).enumerate() {
                    let channels = [Lanes::load(&values[..WIDTH]), Lanes::load(&values[WIDTH..])];
                    let start = row / self.rows * panel + pair * depths;
                    I::pack_row(&mut rows[start..start + depths], row % self.rows, channels);
                }
            }
            I::begin(self.rows);
            // SAFETY: between the two.
            unsafe { I::multiply(self.rows, &rows, self.columns, self.product, [&rows, &[]]) }
            I::end();
        }
    }

    /// The product of a matrix `[rows, depth]` and one `[depth, 32]`, in panels of so many rows.
    fn product(
        set: InstructionSet,
        panel: usize,
        depth: usize,
        left: &[f32],
        right: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Vec<f32> {
        let workers = Workers::new(1, set).expect("threads");
        let mut columns = vec![Lanes::ZERO; packed_columns(set, depth, COLUMNS)];
        pack_columns(&workers, depth, COLUMNS, &mut columns, right);
        let rows = left.len() / depth;
        let mut product = vec![[Lanes::splat(f32::NAN); 2]; rows.next_multiple_of(panel)];
        set.run(Product {
            depth,
            rows: panel,
            left,
            columns: &columns,
            product: &mut product,
        });
        product[..rows].iter().flatten().flat_map(|lanes| lanes.0).collect()
    }

    #[test]
    fn every_instruction_set_multiplies_matrices() {
        let (rows, depth) = (37, 96);
        // Small whole numbers: every order of summation gives the same.
        let left: Vec<f32> = (0..rows * depth).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        let right = |k: usize, column: usize| ((k * 5 + column * 3) % 13) as f32 - 6.0;
        for set in InstructionSet::tested() {
            for panel in 1..=set.rows() {
                for (index, value) in product(set, panel, depth, &left, right).into_iter().enumerate() {
                    let (row, column) = (index / COLUMNS, index % COLUMNS);
                    let expected: f32 = (0..depth).map(|k| left[row * depth + k] * right(k, column)).sum();
                    let what = format!("{} in panels of {panel} at {row}, {column}", set.name());
                    assert_eq!(value, expected, "{what}");
                }
            }
        }
    }

    /// Numbers of all signs and of magnitudes from 1e-3 to 1e3, with all of their bits.
    fn numbers(seed: u64) -> impl Iterator<Item = f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        std::iter::repeat_with(move || {
            let magnitude = 10f32.powf(random.random_range(-3.0..3.0));
            if random.random() { magnitude } else { -magnitude }
        })
    }

    #[test]
    fn products_are_as_exact_as_those_of_float32() {
        let (rows, depth) = (32, 512);
        let left: Vec<f32> = numbers(1).take(rows * depth).collect();
        let columns: Vec<f32> = numbers(2).take(depth * COLUMNS).collect();
        for set in InstructionSet::tested() {
            let product = product(set, set.rows(), depth, &left, |k, column| columns[k * COLUMNS + column]);
            for (index, value) in product.into_iter().enumerate() {
                let terms = (0..depth).map(|k| {
                    let (row, column) = (index / COLUMNS, index % COLUMNS);
                    f64::from(left[row * depth + k]) * f64::from(columns[k * COLUMNS + column])
                });
                let size: f64 = terms.clone().map(f64::abs).sum();
                let error = (f64::from(value) - terms.sum::<f64>()).abs() / size;
                assert!(error < 1e-6, "{} is off by {error:e} of its terms", set.name());
            }
        }
    }

    #[test]
    fn the_matrix_unit_multiplies_as_it_is_defined() {
        let sets = InstructionSet::tested();
        let find = |name: &str| sets.iter().find(|set| set.name() == name);
        let emulated = find("emulated AMX").expect("it is always there");
        let Some(unit) = find("AMX") else {
            println!("skipped: this processor has no AMX, or the system does not give it");
            return;
        };
        let (rows, depth) = (45, 160);
        let left: Vec<f32> = numbers(3).take(rows * depth).collect();
        let columns: Vec<f32> = numbers(4).take(depth * COLUMNS).collect();
        for panel in [1, 15, 16, 17, 31, 32] {
            let of = |set| product(set, panel, depth, &left, |k, column| columns[k * COLUMNS + column]);
            assert_eq!(of(*unit), of(*emulated), "panels of {panel} rows");
        }
    }
}
