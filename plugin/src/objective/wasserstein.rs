//! The squared 2-Wasserstein distance between Gaussians, and its derivatives.
//!
//! For Gaussians with means `m` and `t` and covariances `X` and `T` (Dowson and Landau 1982)
//! `W^2 = |m - t|^2 + trace X + trace T - 2 trace (T^(1/2) X T^(1/2))^(1/2)`.
//!
//! With the target's eigenvectors `V_k` and eigenvalues `L_k` of the `k` directions that hold (nearly) all of its
//! energy, the last trace is that of the root of the small matrix `M = B X B^T`, `B = L_k^(1/2) V_k^T`, and its
//! derivative with respect to `X` is `1/2 B^T M^(-1/2) B`. Directions in which the picture has no energy have no
//! derivative to speak of. What stands in for it there is of no account to the features that the moments came from,
//! since those have no component there either, but `M` is known to f32's precision only, and the root of its rounding
//! would be a thousand times larger than the rounding: below [`ROUNDING`] a parabola takes the root's place, of the same
//! value and slope where they meet, and 0 at 0. Painted styles hold 99.9 % of their energy in a part of the channels, so
//! that the eigenvalue problem of each step is smaller than the matrices.
//!
//! The eigenvalue problem is one thread's work; the products around it are made strip by strip, on all of them.
//!
//! What comes in are second moments `S = X + m m^T`, so that with `G = dW^2/dX` the derivatives are `dW^2/dS = G` and
//! `dW^2/dm = 2 (m - t) - 2 G m`.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;

use super::style::{Distance, Values};
use crate::{Error, Result};

/// The share of the target's energy that may be left out.
const NEGLIGIBLE: f64 = 1e-3;
/// The share of the largest eigenvalue below which eigenvalues are mostly rounding.
const ROUNDING: f64 = 1e-6;
/// Columns of a product that one thread makes at a time.
const STRIP: usize = 64;

/// A Gaussian to measure distances from.
#[derive(Clone, Debug)]
pub(super) struct Gaussian(Arc<Target>);

#[derive(Debug)]
struct Target {
    /// `t`, `[C]`.
    mean: Vec<f32>,
    /// `B`, `[k, C]`.
    basis: Mat<f32>,
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
        let rows = kept.len().max(1);
        let entry = |row: usize, channel: usize| match kept.get(row) {
            Some(&index) => (values[index].sqrt() * vectors[(channel, index)]) as f32,
            None => 0.0,
        };
        Ok(Self(Arc::new(Target {
            mean: mean.to_vec(),
            basis: Mat::from_fn(rows, channels, entry),
            trace,
        })))
    }

    /// The squared distance of moments `S` and `m`.
    pub(super) fn distance(&self, own: &Values) -> Result<Distance> {
        let Target {
            mean: wanted, trace, ..
        } = &*self.0;
        let channels = wanted.len();
        let covariance = own.covariance();
        let (root, root_derivative) = self.0.root_trace(&covariance)?;

        let apart: Vec<f32> = own.mean.iter().zip(wanted).map(|(own, wanted)| own - wanted).collect();
        let of_means: f64 = apart.iter().map(|&apart| f64::from(apart).powi(2)).sum();
        let own_trace: f64 = covariance
            .iter()
            .step_by(channels + 1)
            .map(|&variance| f64::from(variance))
            .sum();

        // It is symmetric: its columns are its rows.
        let mut second = root_derivative;
        second.iter_mut().for_each(|slope| *slope *= -2.0);
        second
            .iter_mut()
            .step_by(channels + 1)
            .for_each(|diagonal| *diagonal += 1.0);
        let rows = second.chunks_exact(channels).zip(&apart);
        let mean = rows.map(|(row, apart)| {
            let along: f32 = row.iter().zip(own.mean).map(|(slope, mean)| slope * mean).sum();
            2.0 * (apart - along)
        });
        Ok(Distance {
            value: of_means + own_trace + trace - 2.0 * root,
            mean: mean.collect(),
            second,
        })
    }
}

/// The root of an eigenvalue and its derivative; below `rounding`, of the parabola that continues them.
fn root(value: f64, rounding: f64) -> (f64, f64) {
    if value > rounding {
        (value.sqrt(), 0.5 / value.sqrt())
    } else if rounding > 0.0 {
        let share = value / rounding;
        let unit = rounding.sqrt();
        (unit * share * (1.5 - 0.5 * share), (1.5 - share) / unit)
    } else {
        (0.0, 0.0)
    }
}

/// The product of two matrices, column by column. Strips are of one width, so that any number of threads gives the same
/// bits.
fn product(a: MatRef<f32>, b: MatRef<f32>) -> Vec<f32> {
    let rows = a.nrows();
    let mut product = vec![0f32; rows * b.ncols()];
    let strips = product.par_chunks_mut((rows * STRIP).max(1)).enumerate();
    strips.for_each(|(index, strip)| {
        let columns = strip.len() / rows;
        let into = MatMut::from_column_major_slice_mut(strip, rows, columns);
        let factor = b.subcols(index * STRIP, columns);
        matmul(into, Accum::Replace, a, factor, 1.0, Par::Seq);
    });
    product
}

impl Target {
    /// `trace (T^(1/2) X T^(1/2))^(1/2)` and its derivative with respect to `X`, `[C, C]`.
    fn root_trace(&self, covariance: &[f32]) -> Result<(f64, Vec<f32>)> {
        let (channels, kept) = (self.mean.len(), self.basis.nrows());
        let basis = self.basis.as_ref();
        let left = product(basis, MatRef::from_row_major_slice(covariance, channels, channels));
        let small = product(
            MatRef::from_column_major_slice(&left, kept, channels),
            basis.transpose(),
        );
        let small = MatRef::from_column_major_slice(&small, kept, kept);
        // Rounding leaves M a little askew; the mean of both halves is symmetric. Its eigenvalues are found in f64.
        let matrix = Mat::from_fn(small.nrows(), small.ncols(), |row, column| {
            0.5 * (f64::from(small[(row, column)]) + f64::from(small[(column, row)]))
        });
        let (values, vectors) = eigen(&matrix)?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        let roots: Vec<_> = values
            .into_iter()
            .map(|value| root(value, ROUNDING * largest))
            .collect();
        // `M^(-1/2) = V S V^T`, so the derivative is the product of `S^(1/2) V^T B` with itself.
        let factors: Vec<f64> = roots.iter().map(|(_, derivative)| derivative.sqrt()).collect();
        let half = Mat::from_fn(kept, kept, |row, column| (factors[row] * vectors[(column, row)]) as f32);
        let turned = product(half.as_ref(), basis);
        let turned = MatRef::from_column_major_slice(&turned, kept, channels);
        Ok((
            roots.iter().map(|(root, _)| root).sum(),
            product(turned.transpose(), turned),
        ))
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
            let whole = &a * &b;
            for threads in [1, 3] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let made = pool.install(|| product(a.as_ref(), b.as_ref()));
                assert_eq!(MatRef::from_column_major_slice(&made, rows, columns), whole);
            }
        }
    }
}
