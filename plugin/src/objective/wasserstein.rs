//! The part of the 2-Wasserstein distance that candle has no expression for: `trace (R X R)^(1/2)` with `R R = T`.
//!
//! For Gaussians with covariances `X` and `T` (Dowson and Landau 1982)
//! `W^2 = |means apart|^2 + trace X + trace T - 2 trace (T^(1/2) X T^(1/2))^(1/2)`.
//!
//! With the target's eigenvectors `V_k` and eigenvalues `L_k` of the `k` directions that hold (nearly) all of its
//! energy, the last term is the trace of the root of the small matrix `M = B X B^T`, `B = L_k^(1/2) V_k^T`, and its
//! derivative is `1/2 B^T M^(-1/2) B`. Directions in which the picture has no energy have no derivative to speak of. What
//! stands in for it there is of no account to the features that the moments came from, since those have no component
//! there either, but `M` is known to f32's precision only, and the root of its rounding would be a thousand times
//! larger than the rounding: below [`ROUNDING`] a parabola takes the root's place, of the same value and slope where
//! they meet, and 0 at 0. Painted styles hold 99.9 % of their energy in a small part of the channels, so that the
//! eigenvalue problem of each step is a small one.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};
use faer::{Mat, MatRef, Side};

use crate::{Error, Result};

/// The share of the target's energy that may be left out.
const NEGLIGIBLE: f64 = 1e-3;
/// The share of the largest eigenvalue below which eigenvalues are mostly rounding.
const ROUNDING: f64 = 1e-6;

/// The function `X -> trace (T^(1/2) X T^(1/2))^(1/2)` of covariances for a fixed `T`.
#[derive(Clone, Debug)]
pub(super) struct RootTrace {
    /// `B`, `[k, C]`.
    basis: Arc<Mat<f32>>,
    /// `trace T` over the directions kept.
    trace: f64,
}

/// Eigenvalues in ascending order and eigenvectors in columns.
fn eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>), String> {
    let decomposed = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| format!("eigenvalues: {error:?}"))?;
    let values = decomposed.S().column_vector().iter().copied().collect();
    Ok((values, decomposed.U().to_owned()))
}

fn to_matrix(tensor: &Tensor) -> Result<Mat<f64>> {
    let rows = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let columns = rows.first().map_or(0, Vec::len);
    Ok(Mat::from_fn(rows.len(), columns, |row, column| rows[row][column]))
}

impl RootTrace {
    /// For the covariance `T`, `[C, C]`.
    pub(super) fn new(covariance: &Tensor) -> Result<Self> {
        let channels = covariance.dim(0)?;
        let (values, vectors) = eigen(&to_matrix(covariance)?).map_err(Error::Internal)?;
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
        Ok(Self {
            basis: Arc::new(Mat::from_fn(rows, channels, entry)),
            trace,
        })
    }

    /// The function's value at `X`, a scalar on candle's tape.
    pub(super) fn apply(&self, covariance: &Tensor) -> Result<Tensor> {
        let operation = TraceOfRoot {
            basis: self.basis.clone(),
            derivative: Mutex::default(),
        };
        let root = covariance
            .to_device(&Device::Cpu)?
            .contiguous()?
            .apply_op1_arc(Arc::new(Box::new(operation)))?;
        Ok(root.to_device(covariance.device())?)
    }

    /// `trace T`.
    pub(super) fn trace(&self) -> f64 {
        self.trace
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

/// `X -> trace M^(1/2)`, `M = B X B^T`, for covariances `X`, `[C, C]`. Eigenvalues are found in f64.
struct TraceOfRoot {
    basis: Arc<Mat<f32>>,
    /// `1/2 B^T M^(-1/2) B` (see [`root`]), `[C, C]`, found along with the value.
    derivative: Mutex<Vec<f32>>,
}

impl CustomOp1 for TraceOfRoot {
    fn name(&self) -> &'static str {
        "trace-of-root"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (channels, _) = layout.shape().dims2()?;
        let start = layout.start_offset();
        let entries = &storage.as_slice::<f32>()?[start..start + channels * channels];
        let basis = &*self.basis;
        let small = basis * MatRef::from_row_major_slice(entries, channels, channels) * basis.transpose();
        // Rounding leaves M a little askew; the mean of both halves is symmetric.
        let matrix = Mat::from_fn(small.nrows(), small.ncols(), |row, column| {
            0.5 * (f64::from(small[(row, column)]) + f64::from(small[(column, row)]))
        });
        let (values, vectors) = eigen(&matrix).map_err(candle_core::Error::msg)?;
        let largest = values.iter().copied().fold(0.0, f64::max);
        let roots: Vec<_> = values
            .into_iter()
            .map(|value| root(value, ROUNDING * largest))
            .collect();
        let trace: f64 = roots.iter().map(|(root, _)| root).sum();
        // `M^(-1/2) = V S V^T`, so the derivative is that of `S^(1/2) V^T B` with itself.
        let half = Mat::from_fn(roots.len(), roots.len(), |row, column| {
            (roots[row].1.sqrt() * vectors[(column, row)]) as f32
        });
        let turned = half * basis;
        let derivative = turned.transpose() * &turned;
        let flat = (0..channels * channels).map(|at| derivative[(at / channels, at % channels)]);
        *self.derivative.lock().expect("no panic while it is held") = flat.collect();
        Ok((CpuStorage::F32(vec![trace as f32]), Shape::from(())))
    }

    fn bwd(&self, argument: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let derivative = self.derivative.lock().expect("no panic while it is held").clone();
        let derivative = Tensor::from_vec(derivative, argument.shape(), argument.device())?;
        Ok(Some(derivative.broadcast_mul(gradient)?))
    }
}
