//! Vectors of pixels: the few operations that optimisers are made of, on tensors of any shape and device.
//!
//! An inner product over a million f32 terms, summed in f32, is good to three or four digits: too few for a line
//! search that asks whether a loss fell by a thousandth, and for curvatures that are differences of nearly equal
//! gradients. So products are formed and summed in f64. On the CPU the terms are taken in blocks of fixed size whose
//! sums are added in order: any number of threads gives the same bits. Elsewhere (some devices have no f64) short runs
//! are summed on the device in f32 and the rest on the host in f64.
//!
//! All tensors of a call are contiguous f32 of one shape on one device: [`admit`] sees to it where they come in.

use candle_core::{DType, Device, Storage, Tensor};
use rayon::prelude::*;

use crate::{Error, Result};

/// Elements that one thread takes at a time: 32 kB of each vector, so that a handful stay in the first-level cache.
const BLOCK: usize = 8192;

/// Running sums within a block, independent of each other so that they vectorise.
const LANES: usize = 16;

/// Elements that are summed in f32 where there is no f64: few enough for six digits.
const RUN: usize = 64;

/// Brings a vector into the form that the other functions expect, and checks that it is like `model`.
///
/// # Errors
/// [`Error::Internal`] when shape, type or device differ; `what` names the vector.
pub fn admit(what: &str, vector: &Tensor, model: &Tensor) -> Result<Tensor> {
    if vector.shape() != model.shape()
        || vector.dtype() != model.dtype()
        || !vector.device().same_device(model.device())
    {
        return Err(Error::Internal(format!(
            "the {what} is {:?} of {:?} on {:?} and not {:?} of {:?} on {:?}",
            vector.shape(),
            vector.dtype(),
            vector.device().location(),
            model.shape(),
            model.dtype(),
            model.device().location(),
        )));
    }
    Ok(vector.detach().contiguous()?)
}

/// A point to start from: contiguous, f32, projected onto the box `0 <= x <= 1`.
///
/// # Errors
/// [`Error::Internal`] when it is not f32, empty, or not finite.
pub fn admit_start(start: &Tensor) -> Result<Tensor> {
    if start.dtype() != DType::F32 || start.elem_count() == 0 {
        return Err(Error::Internal(format!(
            "an optimiser starts from f32 pixels, not from {:?} of {:?}",
            start.shape(),
            start.dtype()
        )));
    }
    let start = start.detach().contiguous()?;
    if !norm(&start)?.is_finite() {
        return Err(Error::Internal(
            "an optimiser cannot start from pixels that are not finite".into(),
        ));
    }
    project(&start)
}

/// `a . b`
pub fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    match on_cpu([a, b], |[a, b]| sum(a.len(), |i| f64::from(a[i]) * f64::from(b[i])))? {
        Some(value) => Ok(value),
        None => sum_runs(&(a * b)?),
    }
}

/// `sum w_i a_i b_i`
pub fn weighted_dot(weight: &Tensor, a: &Tensor, b: &Tensor) -> Result<f64> {
    let value = on_cpu([weight, a, b], |[w, a, b]| {
        let (a, b) = (&a[..w.len()], &b[..w.len()]);
        sum(w.len(), |i| f64::from(w[i]) * f64::from(a[i]) * f64::from(b[i]))
    })?;
    match value {
        Some(value) => Ok(value),
        None => sum_runs(&((a * b)? * weight)?),
    }
}

/// The Euclidean length.
pub fn norm(a: &Tensor) -> Result<f64> {
    Ok(dot(a, a)?.sqrt())
}

/// `factor a`
pub fn scale(factor: f64, a: &Tensor) -> Result<Tensor> {
    let f = factor as f32;
    match map([a], |[a], i| f * a[i])? {
        Some(tensor) => Ok(tensor),
        None => Ok((a * factor)?),
    }
}

/// `a - b`
pub fn difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match map([a, b], |[a, b], i| a[i] - b[i])? {
        Some(tensor) => Ok(tensor),
        None => Ok((a - b)?),
    }
}

/// `a_i b_i`
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match map([a, b], |[a, b], i| a[i] * b[i])? {
        Some(tensor) => Ok(tensor),
        None => Ok((a * b)?),
    }
}

/// `a + factor b`
pub fn add_scaled(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    let f = factor as f32;
    match map([a, b], |[a, b], i| a[i] + f * b[i])? {
        Some(tensor) => Ok(tensor),
        None => Ok((a + (b * factor)?)?),
    }
}

/// `a + factor w_i b_i`
pub fn add_weighted(a: &Tensor, factor: f64, weight: &Tensor, b: &Tensor) -> Result<Tensor> {
    let f = factor as f32;
    match map([a, weight, b], |[a, w, b], i| a[i] + f * (w[i] * b[i]))? {
        Some(tensor) => Ok(tensor),
        None => Ok((a + ((weight * b)? * factor)?)?),
    }
}

/// The nearest point of the box: every element clamped to 0 ... 1.
pub fn project(x: &Tensor) -> Result<Tensor> {
    match map([x], |[x], i| x[i].clamp(0.0, 1.0))? {
        Some(tensor) => Ok(tensor),
        None => Ok(x.clamp(0f32, 1f32)?),
    }
}

/// The point at `length` on the path that starts at `x` along `direction` and is bent into the box.
pub fn project_step(x: &Tensor, length: f64, direction: &Tensor) -> Result<Tensor> {
    let t = length as f32;
    match map([x, direction], |[x, d], i| (x[i] + t * d[i]).clamp(0.0, 1.0))? {
        Some(tensor) => Ok(tensor),
        None => project(&add_scaled(x, length, direction)?),
    }
}

/// 1 where a step against the gradient may move the pixel, 0 where it would only push it out of the box.
pub fn free_pixels(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let free = map([x, gradient], |[x, g], i| {
        let held = (x[i] <= 0.0 && g[i] >= 0.0) || (x[i] >= 1.0 && g[i] <= 0.0);
        if held { 0.0 } else { 1.0 }
    })?;
    match free {
        Some(tensor) => Ok(tensor),
        None => {
            let low = (x.le(0f32)?.to_dtype(DType::F32)? * gradient.ge(0f32)?.to_dtype(DType::F32)?)?;
            let high = (x.ge(1f32)?.to_dtype(DType::F32)? * gradient.le(0f32)?.to_dtype(DType::F32)?)?;
            Ok((1.0 - low.maximum(&high)?)?)
        }
    }
}

/// Lends the elements of tensors in main memory; `None` when they live elsewhere.
fn on_cpu<const N: usize, T>(tensors: [&Tensor; N], read: impl FnOnce([&[f32]; N]) -> T) -> Result<Option<T>> {
    let stored = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&stored) {
        let Storage::Cpu(cpu) = &**storage else {
            return Ok(None);
        };
        let Some((from, to)) = layout.contiguous_offsets() else {
            return Err(Error::Internal("an optimiser's vector is not contiguous".into()));
        };
        *slice = &cpu.as_slice::<f32>()?[from..to];
    }
    let length = slices[0].len();
    if slices.iter().any(|slice| slice.len() != length) {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    Ok(Some(read(slices)))
}

/// A new tensor in main memory whose element `i` is `f(slices, i)`; `None` when the tensors live elsewhere.
fn map<const N: usize>(tensors: [&Tensor; N], f: impl Fn([&[f32]; N], usize) -> f32 + Sync) -> Result<Option<Tensor>> {
    let values = on_cpu(tensors, |slices| {
        let mut values = vec![0f32; slices[0].len()];
        values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
            let (from, length) = (block * BLOCK, values.len());
            let slices = slices.map(|slice| &slice[from..from + length]);
            for (i, value) in values.iter_mut().enumerate() {
                *value = f(slices, i);
            }
        });
        values
    })?;
    match values {
        Some(values) => Ok(Some(Tensor::from_vec(values, tensors[0].shape(), &Device::Cpu)?)),
        None => Ok(None),
    }
}

/// `sum of term(i) for i < count`, the same bits on any number of threads.
fn sum(count: usize, term: impl Fn(usize) -> f64 + Sync) -> f64 {
    let blocks: Vec<f64> = (0..count.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let (from, to) = (block * BLOCK, count.min((block + 1) * BLOCK));
            let mut lanes = [0f64; LANES];
            let whole = from + (to - from) / LANES * LANES;
            for i in (from..whole).step_by(LANES) {
                for (lane, sum) in lanes.iter_mut().enumerate() {
                    *sum += term(i + lane);
                }
            }
            let rest: f64 = (whole..to).map(&term).sum();
            lanes.iter().sum::<f64>() + rest
        })
        .collect();
    blocks.iter().sum()
}

/// The sum of a tensor's elements where main memory and f64 are out of reach: runs on the device, the rest here.
fn sum_runs(terms: &Tensor) -> Result<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise::problems::random;

    fn vector(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    #[test]
    fn inner_products_are_good_to_twelve_digits() {
        for count in [1, 15, 16, 17, BLOCK, 3 * BLOCK + 5, 786_432] {
            let [a, b, w] = [1, 2, 3].map(|seed| random(seed, count, -1.0, 1.0));
            let exact: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let weighted: f64 = (0..count)
                .map(|i| f64::from(w[i]) * f64::from(a[i]) * f64::from(b[i]))
                .sum();
            let [a, b, w] = [a, b, w].map(|v| vector(&v));
            assert!((dot(&a, &b).unwrap() - exact).abs() < 1e-12 * count as f64);
            assert!((weighted_dot(&w, &a, &b).unwrap() - weighted).abs() < 1e-12 * count as f64);
        }
    }

    #[test]
    fn sums_of_runs_are_good_to_six_digits() {
        for count in [1, RUN, 5 * RUN + 3, 786_432] {
            let a = vector(&random(1, count, 0.0, 1.0));
            let (runs, exact) = (sum_runs(&a.sqr().unwrap()).unwrap(), dot(&a, &a).unwrap());
            assert!((runs - exact).abs() < 1e-6 * exact, "{runs} {exact}");
        }
    }

    #[test]
    fn a_step_stops_at_the_box() {
        let (x, d) = (vector(&[0.5, 0.5, 0.5, 0.0]), vector(&[1.0, -1.0, 0.25, -1.0]));
        let stepped = project_step(&x, 1.0, &d).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(stepped, [1.0, 0.0, 0.75, 0.0]);
    }

    #[test]
    fn pixels_are_held_only_where_descent_leads_out() {
        let (x, g) = (
            vector(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.5]),
            vector(&[1.0, -1.0, 0.0, -1.0, 1.0, 1.0]),
        );
        let free = free_pixels(&x, &g).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(free, [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn linear_combinations_are_what_they_say() {
        let [a, b, w] = [vector(&[1.0, 2.0]), vector(&[3.0, -4.0]), vector(&[0.0, 1.0])];
        let read = |t: Result<Tensor>| t.unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(read(add_scaled(&a, 2.0, &b)), [7.0, -6.0]);
        assert_eq!(read(add_weighted(&a, 2.0, &w, &b)), [1.0, -6.0]);
        assert_eq!(read(difference(&a, &b)), [-2.0, 6.0]);
        assert_eq!(read(product(&a, &b)), [3.0, -8.0]);
        assert_eq!(read(scale(-0.5, &b)), [-1.5, 2.0]);
    }

    #[test]
    fn a_view_is_read_as_it_is() {
        let whole = vector(&[1.0, 2.0, 3.0, 4.0]);
        let part = whole.narrow(0, 1, 2).unwrap();
        assert_eq!(dot(&part, &part).unwrap(), 13.0);
        assert!(dot(&part, &whole).is_err());
        let turned = whole.reshape((2, 2)).unwrap().t().unwrap();
        assert!(dot(&turned, &turned).is_err());
        assert_eq!(
            dot(&admit("view", &turned, &turned).unwrap(), &turned.contiguous().unwrap()).unwrap(),
            30.0
        );
    }
}
