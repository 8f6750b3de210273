//! The squared 2-Wasserstein distance between Gaussians, and its derivatives.
//!
//! For Gaussians with means `m` and `t` and covariances `X` and `T` (Dowson and Landau 1982)
//! `W^2 = |m - t|^2 + trace X + trace T - 2 trace (T^(1/2) X T^(1/2))^(1/2)`.
//!
//! With the target's eigenvectors `V_k` and eigenvalues `L_k` of the `k` directions that hold (nearly) all of its
//! energy, the last trace is that of the root of the small matrix `M = L_k^(1/2) V_k^T X V_k L_k^(1/2)`, and its
//! derivative with respect to `X` is `1/2 V_k L_k^(1/2) M^(-1/2) L_k^(1/2) V_k^T`. Painted styles hold 99 % of their energy
//! in a part of the directions, three quarters of them at conv3_1 and two thirds at conv4_1, so that the problem of each
//! step is smaller than the matrices. (What the last percent is in, pictures do not show: see `docs/performance.md`.)
//!
//! Where a picture has no energy in a direction, as all pictures of fewer pixels than channels have in some, `M` has no
//! inverse, and `X` is known to f32's precision only. So the picture's features are taken with a little [`NOISE`], of the
//! same variance in all directions, a millionth of their energy: that makes `M` positive, by more than rounding comes to,
//! and is little beside the weakest direction that is kept.
//!
//! The eigenvalue problem is one thread's work; the products around it are made strip by strip, on all of them. So a
//! distance comes in three steps: [`Gaussian::problem`], [`Problem::solve`] and [`Problem::distance`].
//!
//! What comes in are second moments `S`, so that `X = S - m m^T + NOISE trace(S)`. With `G = dW^2/dX` the derivatives are
//! `dW^2/dS = G + NOISE trace(G)` and `dW^2/dm = 2 (m - t) - 2 G m`.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;

use super::style::{Distance, Values, trace};
use crate::compute::GaussianTarget;
use crate::{Error, Result};

/// The share of the target's energy that may be left out.
const NEGLIGIBLE: f64 = 1e-2;
/// The variance of the noise in each direction, relative to the energy of the features in all of them.
pub(super) const NOISE: f64 = 1e-6;
/// Columns of a product that one thread makes at a time.
const STRIP: usize = 64;

/// A Gaussian to measure distances from.
#[derive(Clone, Debug)]
pub(super) struct Gaussian(Arc<Target>);

#[derive(Debug)]
struct Target {
    /// `t`, `[C]`.
    mean: Vec<f32>,
    /// `V_k^T`, `[k, C]`.
    directions: Mat<f32>,
    /// The diagonal of `L_k^(1/2)`, `[k]`.
    lengths: Vec<f64>,
    /// `trace T` over the directions kept.
    trace: f64,
}

/// Eigenvalues in ascending order and eigenvectors in columns.
fn eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let decomposed = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| Error::Internal(format!("eigenvalues: {error:?}")))?;
    let values = decomposed.S().column_vector().iter().copied().collect();
    Ok((values, decomposed.U().to_owned()))
}

impl Gaussian {
    /// With mean `t`, `[C]`, and covariance `T`, `[C, C]`.
    pub(super) fn new(mean: &[f32], covariance: &[f32]) -> Result<Self> {
        let channels = mean.len();
        let covariance = MatRef::from_row_major_slice(covariance, channels, channels);
        let exact = Mat::from_fn(channels, channels, |row, column| f64::from(covariance[(row, column)]));
        let (values, vectors) = eigen(&exact)?;
        let energy: f64 = values.iter().map(|value| value.max(0.0)).sum();
        let mut kept = Vec::new();
        let mut trace = 0.0;
        for (index, &value) in values.iter().enumerate().rev() {
            if value <= 0.0 || energy - trace <= NEGLIGIBLE * energy {
                break;
            }
            kept.push(index);
            trace += value;
        }
        // A style of one colour has no covariance; one direction of length 0 keeps the shapes.
        if kept.is_empty() {
            kept.push(channels - 1);
        }
        Ok(Self(Arc::new(Target {
            mean: mean.to_vec(),
            directions: Mat::from_fn(kept.len(), channels, |row, channel| {
                vectors[(channel, kept[row])] as f32
            }),
            lengths: kept.iter().map(|&index| values[index].max(0.0).sqrt()).collect(),
            trace,
        })))
    }

    /// What a backend has to know of it to find distances by itself; `None` of a style of one colour.
    pub(super) fn target(&self) -> Option<GaussianTarget> {
        let Target {
            mean,
            directions,
            lengths,
            trace,
        } = &*self.0;
        let entries = |row| (0..directions.ncols()).map(move |channel| directions[(row, channel)]);
        (*trace > 0.0).then(|| GaussianTarget {
            mean: mean.clone(),
            directions: (0..directions.nrows()).flat_map(entries).collect(),
            lengths: lengths.clone(),
            trace: *trace,
            noise: NOISE,
        })
    }

    /// What is to be solved to know the squared distance of moments `S` and `m`.
    pub(super) fn problem(&self, own: &Values) -> Problem {
        let Target {
            directions, lengths, ..
        } = &*self.0;
        let (kept, channels) = directions.shape();
        let covariance = own.covariance();
        let left = MatRef::from_row_major_slice(&covariance, channels, channels);
        let left = product(directions.as_ref(), left);
        let left = MatRef::from_column_major_slice(&left, kept, channels);
        let turned = lower_product(left, directions.transpose());
        let turned = MatRef::from_column_major_slice(&turned, kept, kept);
        let noise = NOISE * own.trace();
        Problem {
            target: Arc::clone(&self.0),
            mean: own.mean.to_vec(),
            energy: trace(&covariance, channels) + channels as f64 * noise,
            // What f32 loses is relative to the largest entry: so weak directions are weighed after it.
            matrix: Mat::from_fn(kept, kept, |row, column| {
                let noise = if row == column { noise } else { 0.0 };
                lengths[row] * lengths[column] * (f64::from(turned[(row, column)]) + noise)
            }),
            solution: None,
        }
    }
}

/// The squared distance of moments from a Gaussian, as far as it is known before its eigenvalue problem is solved.
pub(super) struct Problem {
    target: Arc<Target>,
    /// `m`, `[C]`.
    mean: Vec<f32>,
    /// `trace X`.
    energy: f64,
    /// `M`, `[k, k]`, of which only the lower half is looked at.
    matrix: Mat<f64>,
    solution: Option<Solution>,
}

/// What eigenvalues and eigenvectors come to.
struct Solution {
    /// `trace M^(1/2)`.
    root: f64,
    /// The root of `1/2 L_k^(1/2) M^(-1/2) L_k^(1/2)`, `[k, k]`, but for a rotation from the left.
    half: Mat<f32>,
}

impl Problem {
    /// Rows of the matrix: the work grows with their third power.
    pub(super) fn size(&self) -> usize {
        self.matrix.nrows()
    }

    /// Solves it, which is one thread's work.
    pub(super) fn solve(&mut self) -> Result<()> {
        let (values, vectors) = eigen(&self.matrix)?;
        // `M = U D U^T`. Without a style's energy there is nothing to take the root of.
        let roots = values.into_iter().map(|value| value.max(0.0).sqrt());
        let roots: Vec<f64> = roots.collect();
        let factors: Vec<f64> = roots
            .iter()
            .map(|root| if *root > 0.0 { (0.5 / root).sqrt() } else { 0.0 })
            .collect();
        let lengths = &self.target.lengths;
        self.solution = Some(Solution {
            root: roots.iter().sum(),
            half: Mat::from_fn(factors.len(), factors.len(), |row, column| {
                (factors[row] * vectors[(column, row)] * lengths[column]) as f32
            }),
        });
        Ok(())
    }

    /// The distance, once it is solved.
    pub(super) fn distance(self) -> Result<Distance> {
        let Self {
            target, mean, energy, ..
        } = self;
        let unsolved = || Error::Internal("a distance before its eigenvalue problem is solved".into());
        let Solution { root, half } = self.solution.ok_or_else(unsolved)?;
        let (kept, channels) = target.directions.shape();

        let apart: Vec<f32> = mean
            .iter()
            .zip(&target.mean)
            .map(|(own, wanted)| own - wanted)
            .collect();
        let of_means: f64 = apart.iter().map(|&apart| f64::from(apart).powi(2)).sum();

        // The derivative of the root is the product of this with itself.
        let turned = product(half.as_ref(), target.directions.as_ref());
        let turned = MatRef::from_column_major_slice(&turned, kept, channels);
        let mut second = lower_product(turned.transpose(), turned);
        second.iter_mut().for_each(|slope| *slope *= -2.0);
        second
            .iter_mut()
            .step_by(channels + 1)
            .for_each(|diagonal| *diagonal += 1.0);
        mirror(&mut second, channels);
        let rows = second.chunks_exact(channels).zip(&apart);
        let mean = rows.map(|(row, apart)| {
            let along: f32 = row.iter().zip(&mean).map(|(slope, mean)| slope * mean).sum();
            2.0 * (apart - along)
        });
        let mean = mean.collect();
        let slope_of_noise = NOISE * trace(&second, channels);
        let diagonal = second.iter_mut().step_by(channels + 1);
        diagonal.for_each(|slope| *slope += slope_of_noise as f32);
        Ok(Distance {
            value: of_means + energy + target.trace - 2.0 * root,
            mean,
            second,
        })
    }
}

/// The product of two matrices, column by column. Strips are of one width, so that any number of threads gives the same
/// bits.
fn product(a: MatRef<f32>, b: MatRef<f32>) -> Vec<f32> {
    product_below(a, b, |_| 0)
}

/// The lower half of a product that is symmetric, column by column; above it there are other numbers.
fn lower_product(a: MatRef<f32>, b: MatRef<f32>) -> Vec<f32> {
    product_below(a, b, |column| column)
}

/// The rows of a product from that on which `first` says of a strip's first column; above them there are zeros.
fn product_below(a: MatRef<f32>, b: MatRef<f32>, first: impl Fn(usize) -> usize + Sync) -> Vec<f32> {
    let rows = a.nrows();
    let mut product = vec![0f32; rows * b.ncols()];
    let strips = product.par_chunks_mut((rows * STRIP).max(1)).enumerate();
    strips.for_each(|(index, strip)| {
        let (column, columns) = (index * STRIP, strip.len() / rows);
        let first = first(column);
        let into = MatMut::from_column_major_slice_mut(strip, rows, columns).subrows_mut(first, rows - first);
        let (a, b) = (a.subrows(first, rows - first), b.subcols(column, columns));
        matmul(into, Accum::Replace, a, b, 1.0, Par::Seq);
    });
    product
}

/// Fills the upper half of a square matrix, column by column, with what is in its lower half.
fn mirror(matrix: &mut [f32], side: usize) {
    for column in 1..side {
        for row in 0..column {
            matrix[column * side + row] = matrix[row * side + column];
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;

    #[test]
    fn products_in_strips_are_those_of_whole_matrices() {
        let matrix = |rows: usize, columns: usize, seed: usize| {
            Mat::<f32>::from_fn(rows, columns, |row, column| {
                ((row * 31 + column * 17 + seed) % 97) as f32 / 97.0 - 0.5
            })
        };
        for (rows, inner, columns) in [(1, 1, 1), (3, 70, 65), (100, 64, 128), (130, 90, 200)] {
            let (a, b) = (matrix(rows, inner, 1), matrix(inner, columns, 2));
            let (whole, square) = (&a * &b, &a * a.transpose());
            for threads in [1, 3] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let made = pool.install(|| product(a.as_ref(), b.as_ref()));
                assert_eq!(MatRef::from_column_major_slice(&made, rows, columns), whole);
                let mut made = pool.install(|| lower_product(a.as_ref(), a.transpose()));
                mirror(&mut made, rows);
                let made = MatRef::from_column_major_slice(&made, rows, rows);
                for (column, row) in (0..rows).flat_map(|column| (column..rows).map(move |row| (column, row))) {
                    let expected = square[(row, column)];
                    assert!((made[(row, column)] - expected).abs() <= 1e-5 * inner as f32);
                    assert_eq!(made[(row, column)], made[(column, row)]);
                }
            }
        }
    }
}
