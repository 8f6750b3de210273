//! The same operations as candle expressions, for tensors that live on a GPU.

use candle_core::{DType, Tensor};

use crate::Result;

/// Elements that are summed in f32 where there is no f64: few enough for six digits.
pub(super) const RUN: usize = 64;

/// Halves as f32; f32 as it is.
fn single(a: &Tensor) -> Result<Tensor> {
    Ok(a.to_dtype(DType::F32)?)
}

pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok((single(a)? * single(b)?)?)
}

pub(super) fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    sum(&product(a, b)?)
}

pub(super) fn weighted_dot(weight: &Tensor, a: &Tensor, b: &Tensor) -> Result<f64> {
    sum(&product(&product(a, b)?, weight)?)
}

pub(super) fn add_scaled(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    Ok((a + (single(b)? * factor)?)?)
}

pub(super) fn project(x: &Tensor) -> Result<Tensor> {
    Ok(x.clamp(0f32, 1f32)?)
}

pub(super) fn free_pixels(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let low = (x.le(0f32)?.to_dtype(DType::F32)? * gradient.ge(0f32)?.to_dtype(DType::F32)?)?;
    let high = (x.ge(1f32)?.to_dtype(DType::F32)? * gradient.le(0f32)?.to_dtype(DType::F32)?)?;
    Ok((1.0 - low.maximum(&high)?)?)
}

/// The sum of a tensor's elements: runs on the device, the rest here.
pub(super) fn sum(terms: &Tensor) -> Result<f64> {
    let terms = terms.flatten_all()?;
    let count = terms.elem_count();
    let whole = count / RUN * RUN;
    let mut total = 0f64;
    if whole > 0 {
        let runs = terms.narrow(0, 0, whole)?.reshape((whole / RUN, RUN))?.sum(1)?;
        total += runs.to_vec1::<f32>()?.iter().map(|&run| f64::from(run)).sum::<f64>();
    }
    if whole < count {
        let rest = terms.narrow(0, whole, count - whole)?.to_vec1::<f32>()?;
        total += rest.iter().map(|&term| f64::from(term)).sum::<f64>();
    }
    Ok(total)
}
