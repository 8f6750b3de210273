//! Winograd's minimal filtering: fewer multiplications for a convolution (Winograd 1980; Lavin and Gray 2015).
//!
//! **One dimension.** A filter `g` of three taps slides over six inputs `d` and gives four outputs,
//! `y[i] = d[i] g[0] + d[i+1] g[1] + d[i+2] g[2]`: twelve multiplications. Turned round (transposed), this is the product
//! of two polynomials, one with three coefficients and one with four, and a product of degree 5 is known from its
//! values at six points. So: evaluate both at six points, multiply value by value (six multiplications), and
//! interpolate. Evaluation and interpolation are multiplications by small fixed matrices,
//!
//! ```text
//!   y = A^T [ (G g) * (B^T d) ]         * is element by element
//! ```
//!
//! with five points and infinity (the leading coefficient). This is F(4, 3): four outputs of three taps.
//!
//! **Two dimensions.** The same along rows and along columns: a tile of 6 x 6 inputs gives 4 x 4 outputs with 36
//! multiplications in place of 144,
//!
//! ```text
//!   Y = A^T [ (G g G^T) * (B^T d B) ] A
//! ```
//!
//! **Many channels.** The sum over input channels can be taken before `A^T`, which is linear. Then at each of the 36
//! positions the element-by-element product becomes a matrix product, tiles x input channels by input channels x output
//! channels, and the transforms before and after it are cheap. That is [`super::winograd`].
//!
//! More outputs per tile save more and lose more to rounding, since high powers of the points enter: F(2) needs 16
//! multiplications for 4 outputs (4 each), F(4) 36 for 16 (2.25), F(6) 64 for 36 (1.78). Which points are chosen does
//! not change the cost but does change the rounding (Barabasz et al. 2020): at 0, 11/16, -11/16, 3/2, -3/2 a layer of
//! F(4) loses about half of what it loses at the customary 0, 1, -1, 2, -2.

use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Lanes, one_by_one};

/// A tile's inputs. (A closure might be compiled by itself, for the target's baseline.)
pub trait Inputs {
    /// Sixteen channels of one of two blocks of them, at a row and a column of the tile. Must be `#[inline(always)]`.
    fn read<I: Instructions>(&self, block: usize, row: usize, column: usize) -> Lanes;
}

/// Where a tile's transformed inputs go: into a row of the left operand of each position's product.
pub struct Packing<'a> {
    /// The left operands.
    pub operand: Disjoint<'a, Lanes>,
    /// Where the first position has two blocks of channels of the row's panel.
    pub first: usize,
    /// Their length.
    pub length: usize,
    /// From there to the next position's.
    pub stride: usize,
    /// The tile's row in the panel.
    pub row: usize,
}

impl Packing<'_> {
    /// # Safety
    /// No other thread uses these channels of this panel.
    #[inline(always)]
    unsafe fn write<I: Instructions>(&mut self, position: usize, channels: [Lanes; 2]) {
        // SAFETY: as the caller says.
        let packed = unsafe { self.operand.slice(self.first + position * self.stride, self.length) };
        I::pack_row(packed, self.row, channels);
    }
}

/// F(OUT, 3) in one dimension; `IN` is `OUT + 2`.
pub trait Transform<const OUT: usize, const IN: usize>: Sync {
    /// `G`: row by row, what each position takes of the three taps.
    const G: [[f32; 3]; IN];

    /// `B^T d`.
    fn input<I: Instructions>(d: [Lanes; IN]) -> [Lanes; IN];

    /// `A^T m`.
    fn output<I: Instructions>(m: [Lanes; IN]) -> [Lanes; OUT];

    /// `B^T d B` of two blocks of channels: takes the inputs by block, row and column, and packs what becomes of them by
    /// position. In `half` the columns are transformed meanwhile, over anything that is in it: to set it to 0 for each
    /// tile would take a while.
    ///
    /// # Safety
    /// No other thread uses these channels of the panel that they are packed into.
    #[inline(always)]
    unsafe fn input_tile<I: Instructions>(
        half: &mut [[[Lanes; IN]; IN]; 2],
        inputs: &impl Inputs,
        packing: &mut Packing,
    ) {
        for block in 0..2 {
            for column in 0..IN {
                one_by_one();
                let mut d = [Lanes::ZERO; IN];
                for row in 0..IN {
                    d[row] = inputs.read::<I>(block, row, column);
                }
                let d = Self::input::<I>(d);
                for row in 0..IN {
                    half[block][row][column] = d[row];
                }
            }
        }
        for row in 0..IN {
            one_by_one();
            let (low, high) = (Self::input::<I>(half[0][row]), Self::input::<I>(half[1][row]));
            for column in 0..IN {
                // SAFETY: as the caller says.
                unsafe { packing.write::<I>(row * IN + column, [low[column], high[column]]) }
            }
        }
    }

    /// `A^T m A`: reads `m` by position. `half` is as above, and so is `tile`, which the outputs come into.
    #[inline(always)]
    fn output_tile<I: Instructions>(
        half: &mut [[Lanes; IN]; OUT],
        tile: &mut [[Lanes; OUT]; OUT],
        read: impl Fn(usize) -> Lanes,
    ) {
        for column in 0..IN {
            one_by_one();
            let mut values = [Lanes::ZERO; IN];
            for row in 0..IN {
                values[row] = read(row * IN + column);
            }
            let values = Self::output::<I>(values);
            for row in 0..OUT {
                half[row][column] = values[row];
            }
        }
        for row in 0..OUT {
            one_by_one();
            tile[row] = Self::output::<I>(half[row]);
        }
    }

    /// `G g G^T`.
    #[inline(always)]
    fn weights<I: Instructions>(g: &[[Lanes; 3]; 3]) -> [[Lanes; IN]; IN] {
        let mut half = [[Lanes::ZERO; 3]; IN];
        for position in 0..IN {
            one_by_one();
            for tap in 0..3 {
                for along in 0..3 {
                    half[position][tap] = I::multiply_add(Self::G[position][along], g[along][tap], half[position][tap]);
                }
            }
        }
        let mut tile = [[Lanes::ZERO; IN]; IN];
        for row in 0..IN {
            for position in 0..IN {
                one_by_one();
                for tap in 0..3 {
                    tile[row][position] = I::multiply_add(Self::G[position][tap], half[row][tap], tile[row][position]);
                }
            }
        }
        tile
    }
}

/// F(2, 3): points 0, 1, -1, infinity.
pub struct F2;

impl Transform<2, 4> for F2 {
    const G: [[f32; 3]; 4] = [[1., 0., 0.], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0., 0., 1.]];

    #[inline(always)]
    fn input<I: Instructions>(d: [Lanes; 4]) -> [Lanes; 4] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]]
    }

    #[inline(always)]
    fn output<I: Instructions>(m: [Lanes; 4]) -> [Lanes; 2] {
        [m[0] + m[1] + m[2], m[1] - m[2] + m[3]]
    }
}

/// F(4, 3): points 0, a, -a, b, -b, infinity, with a = 11/16 and b = 3/2, whose powers are exact. Values at a point and
/// its negative share their even and odd parts.
pub struct F4;

const A: f32 = 11. / 16.;
const B: f32 = 3. / 2.;
const A2: f32 = A * A;
const B2: f32 = B * B;

impl Transform<4, 6> for F4 {
    const G: [[f32; 3]; 6] = {
        // Each point's powers, divided by the product of its distances from the other points.
        let at_a = 1. / (2. * A2 * (A2 - B2));
        let at_b = 1. / (2. * B2 * (B2 - A2));
        [
            [1. / (A2 * B2), 0., 0.],
            [at_a, at_a * A, at_a * A2],
            [at_a, -at_a * A, at_a * A2],
            [at_b, at_b * B, at_b * B2],
            [at_b, -at_b * B, at_b * B2],
            [0., 0., 1.],
        ]
    };

    #[inline(always)]
    fn input<I: Instructions>(d: [Lanes; 6]) -> [Lanes; 6] {
        let even_at_a = I::multiply_add(-B2, d[2], d[4]);
        let odd_at_a = I::multiply_add(-B2, d[1], d[3]);
        let even_at_b = I::multiply_add(-A2, d[2], d[4]);
        let odd_at_b = I::multiply_add(-A2, d[1], d[3]);
        [
            I::multiply_add(A2 * B2, d[0], I::multiply_add(-A2 - B2, d[2], d[4])),
            I::multiply_add(A, odd_at_a, even_at_a),
            I::multiply_add(-A, odd_at_a, even_at_a),
            I::multiply_add(B, odd_at_b, even_at_b),
            I::multiply_add(-B, odd_at_b, even_at_b),
            I::multiply_add(A2 * B2, d[1], I::multiply_add(-A2 - B2, d[3], d[5])),
        ]
    }

    #[inline(always)]
    fn output<I: Instructions>(m: [Lanes; 6]) -> [Lanes; 4] {
        let (even_a, odd_a) = (m[1] + m[2], m[1] - m[2]);
        let (even_b, odd_b) = (m[3] + m[4], m[3] - m[4]);
        [
            m[0] + even_a + even_b,
            I::multiply_add(A, odd_a, odd_b * B),
            I::multiply_add(A2, even_a, even_b * B2),
            I::multiply_add(A2 * A, odd_a, I::multiply_add(B2 * B, odd_b, m[5])),
        ]
    }
}

/// F(6, 3): points 0, 1, -1, 2, -2, 1/2, -1/2, infinity.
pub struct F6;

impl Transform<6, 8> for F6 {
    const G: [[f32; 3]; 8] = [
        [1., 0., 0.],
        [-2. / 9., -2. / 9., -2. / 9.],
        [-2. / 9., 2. / 9., -2. / 9.],
        [1. / 90., 1. / 45., 2. / 45.],
        [1. / 90., -1. / 45., 2. / 45.],
        [32. / 45., 16. / 45., 8. / 45.],
        [32. / 45., -16. / 45., 8. / 45.],
        [0., 0., 1.],
    ];

    #[inline(always)]
    fn input<I: Instructions>(d: [Lanes; 8]) -> [Lanes; 8] {
        let even_at_1 = I::multiply_add(-4.25, d[4], d[2]) + d[6];
        let odd_at_1 = I::multiply_add(-4.25, d[3], d[1]) + d[5];
        let even_at_2 = I::multiply_add(0.25, d[2], I::multiply_add(-1.25, d[4], d[6]));
        let odd_at_2 = I::multiply_add(0.5, d[1], I::multiply_add(-2.5, d[3], d[5] * 2.));
        let even_at_half = I::multiply_add(4., d[2], I::multiply_add(-5., d[4], d[6]));
        let odd_at_half = I::multiply_add(2., d[1], I::multiply_add(-2.5, d[3], d[5] * 0.5));
        [
            I::multiply_add(5.25, d[4] - d[2], d[0] - d[6]),
            even_at_1 + odd_at_1,
            even_at_1 - odd_at_1,
            even_at_2 + odd_at_2,
            even_at_2 - odd_at_2,
            even_at_half + odd_at_half,
            even_at_half - odd_at_half,
            I::multiply_add(5.25, d[3] - d[5], d[7] - d[1]),
        ]
    }

    #[inline(always)]
    fn output<I: Instructions>(m: [Lanes; 8]) -> [Lanes; 6] {
        let (even_1, odd_1) = (m[1] + m[2], m[1] - m[2]);
        let (even_2, odd_2) = (m[3] + m[4], m[3] - m[4]);
        let (even_half, odd_half) = (m[5] + m[6], m[5] - m[6]);
        [
            m[0] + even_1 + even_2 + even_half,
            I::multiply_add(0.5, odd_half, I::multiply_add(2., odd_2, odd_1)),
            I::multiply_add(0.25, even_half, I::multiply_add(4., even_2, even_1)),
            I::multiply_add(0.125, odd_half, I::multiply_add(8., odd_2, odd_1)),
            I::multiply_add(0.0625, even_half, I::multiply_add(16., even_2, even_1)),
            I::multiply_add(0.03125, odd_half, I::multiply_add(32., odd_2, odd_1)) + m[7],
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::instructions::Plain;
    use super::*;

    /// Each position of `G g` is, up to a factor, the value of the polynomial `g` at its point.
    fn positions_are_points<F: Transform<OUT, IN>, const OUT: usize, const IN: usize>(points: &[f32]) {
        for (row, &point) in F::G.iter().zip(points) {
            assert!(row[0] != 0.0);
            assert!((row[1] - row[0] * point).abs() < 1e-7 && (row[2] - row[1] * point).abs() < 1e-7);
        }
        assert_eq!(
            F::G[IN - 1],
            [0., 0., 1.],
            "the last is infinity: the leading coefficient"
        );
    }

    /// Both sides are bilinear in `g` and `d`, so they are equal if they are equal on the unit vectors.
    fn filters_as_defined<F: Transform<OUT, IN>, const OUT: usize, const IN: usize>() {
        for tap in 0..3 {
            for place in 0..IN {
                let mut d = [Lanes::ZERO; IN];
                d[place] = Lanes::splat(1.0);
                let mut m = F::input::<Plain>(d);
                for position in 0..IN {
                    m[position] = m[position] * F::G[position][tap];
                }
                for (output, value) in F::output::<Plain>(m).iter().enumerate() {
                    let expected = if output + tap == place { 1.0 } else { 0.0 };
                    assert!(
                        (value.0[0] - expected).abs() < 2e-6,
                        "F({OUT}): output {output} of input {place} by tap {tap} is {}",
                        value.0[0]
                    );
                }
            }
        }
    }

    #[test]
    fn transforms_evaluate_and_interpolate_polynomials() {
        positions_are_points::<F2, 2, 4>(&[0., 1., -1.]);
        positions_are_points::<F4, 4, 6>(&[0., A, -A, B, -B]);
        positions_are_points::<F6, 6, 8>(&[0., 1., -1., 2., -2., 0.5, -0.5]);
        filters_as_defined::<F2, 2, 4>();
        filters_as_defined::<F4, 4, 6>();
        filters_as_defined::<F6, 6, 8>();
    }
}
