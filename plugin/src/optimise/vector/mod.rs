//! Vectors of pixels: the few operations that optimisers are made of, on tensors of any shape and device.
//!
//! An inner product over a million f32 terms, summed in f32, is good to three or four digits: too few for a line
//! search that asks whether a loss fell by a thousandth, and for curvatures that are differences of nearly equal
//! gradients. So products are formed and summed in f64. On the CPU the terms are taken in blocks of fixed size whose
//! sums are added in order: any number of threads gives the same bits. Elsewhere (some devices have no f64) short runs
//! are summed on the device in f32 and the rest on the host in f64.
//!
//! All tensors of a call are contiguous, of one shape and on one device: [`admit`] sees to it where they come in. They are
//! f32, but for those that only products are taken of, which may have been [`halved`]. Pictures are large, and memory is
//! what such loops wait for: what comes by value is changed in its own memory, which nobody else may hold, differences
//! are not made where a product with them is all that is wanted, and a vector that is wanted with many others is read
//! once.

mod blocks;
mod device;
mod host;
#[cfg(test)]
mod tests;

use candle_core::{DType, Tensor};

use crate::{Error, Result};

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
    match host::sum([a, b], |[a, b]| [product_of(a, b)])? {
        Some([dot]) => Ok(dot),
        None => device::dot(a, b),
    }
}

/// `sum w_i a_i b_i`
pub fn weighted_dot(weight: &Tensor, a: &Tensor, b: &Tensor) -> Result<f64> {
    match host::sum([weight, a, b], |[w, a, b]| [f64::from(w) * product_of(a, b)])? {
        Some([dot]) => Ok(dot),
        None => device::weighted_dot(weight, a, b),
    }
}

/// What a step `s` from one point to another did: the inner products of `s` and of the change `y` of the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// `s . s`
    pub step: f64,
    /// `y . y`
    pub gradient: f64,
    /// `s . y`
    pub curvature: f64,
    /// `s` and the gradient at its end.
    pub slope: f64,
}

/// See [`Change`]; of points and gradients `[from, to]`.
pub fn change(x: [&Tensor; 2], gradient: [&Tensor; 2]) -> Result<Change> {
    let terms = |[x0, x1, g0, g1]: [f32; 4]| {
        let (s, y) = (x1 - x0, g1 - g0);
        [product_of(s, s), product_of(y, y), product_of(s, y), product_of(s, g1)]
    };
    let sums = match host::sum([x[0], x[1], gradient[0], gradient[1]], terms)? {
        Some(sums) => sums,
        None => {
            let (s, y) = ((x[1] - x[0])?, (gradient[1] - gradient[0])?);
            let dots = [(&s, &s), (&y, &y), (&s, &y), (&s, gradient[1])].map(|(a, b)| device::dot(a, b));
            let [step, gradient, curvature, slope] = dots;
            [step?, gradient?, curvature?, slope?]
        }
    };
    let [step, gradient, curvature, slope] = sums;
    Ok(Change {
        step,
        gradient,
        curvature,
        slope,
    })
}

/// The Euclidean length.
pub fn norm(a: &Tensor) -> Result<f64> {
    Ok(dot(a, a)?.sqrt())
}

/// `factor a` in the memory of `a`.
pub fn scale(factor: f64, a: Tensor) -> Result<Tensor> {
    if a.device().is_cpu() {
        let f = factor as f32;
        return Ok(host::update(a, [], |a, []| f * a, |_, []| [])?.0);
    }
    Ok((a * factor)?)
}

/// `a - b`
pub fn difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map([a, b], |[a, b]| a - b, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => Ok((a - b)?),
    }
}

/// `a - b`, halved as by [`halved`].
pub fn halved_difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map_to_halves([a, b], |[a, b]| a - b)? {
        Some(tensor) => Ok(tensor),
        None => halved(&(a - b)?),
    }
}

/// `a_i b_i`
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map([a, b], |[a, b]| a * b, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => device::product(a, b),
    }
}

/// `a + factor b`
pub fn add_scaled(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    let f = factor as f32;
    match host::map([a, b], |[a, b]| a + f * b, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => device::add_scaled(a, factor, b),
    }
}

/// The inner products of a vector with each of others, good to six digits of what they are sums of: short runs are summed
/// in f32 and the runs in f64. A direction need not be better, and takes half of the time.
pub fn dots(others: &[&Tensor], a: &Tensor) -> Result<Vec<f64>> {
    match host::dots(others, a)? {
        Some(dots) => Ok(dots),
        None => others.iter().map(|other| device::dot(other, a)).collect(),
    }
}

/// `a + sum factors_k others_k` in the memory of `a`.
pub fn add_combination(a: Tensor, factors: &[f64], others: &[&Tensor]) -> Result<Tensor> {
    if a.device().is_cpu() {
        return host::add_combination(a, factors, others);
    }
    let mut terms = factors.iter().zip(others);
    terms.try_fold(a, |a, (&factor, other)| device::add_scaled(&a, factor, other))
}

/// `factor w_i a_i` in the memory of `a`, and the inner product of that with `c`.
pub fn scale_masked_then_dot(a: Tensor, factor: f64, weight: &Tensor, c: &Tensor) -> Result<(Tensor, f64)> {
    if a.device().is_cpu() {
        let f = factor as f32;
        let (scaled, [along]) = host::update(
            a,
            [weight, c],
            |a, [w, _]| f * (w * a),
            |scaled, [_, c]| [product_of(scaled, c)],
        )?;
        return Ok((scaled, along));
    }
    let scaled = scale(factor, device::product(weight, &a)?)?;
    let along = device::dot(&scaled, c)?;
    Ok((scaled, along))
}

/// In half of the memory, each element to about three digits.
pub fn halved(a: &Tensor) -> Result<Tensor> {
    Ok(a.to_dtype(DType::BF16)?)
}

/// The nearest point of the box: every element clamped to 0 ... 1.
pub fn project(x: &Tensor) -> Result<Tensor> {
    match host::map([x], |[x]| x.clamp(0.0, 1.0), |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => device::project(x),
    }
}

/// The point at `length` on the path that starts at `x` against `ascent` and is bent into the box; and the inner product of
/// the step there with `gradient`.
pub fn descend(x: &Tensor, length: f64, ascent: &Tensor, gradient: &Tensor) -> Result<(Tensor, f64)> {
    let t = length as f32;
    let point = host::map(
        [x, ascent, gradient],
        |[x, ascent, _]| (x - t * ascent).clamp(0.0, 1.0),
        |to, [x, _, gradient]| [product_of(to - x, gradient)],
    )?;
    if let Some((point, [along])) = point {
        return Ok((point, along));
    }
    let point = device::project(&device::add_scaled(x, -length, ascent)?)?;
    let along = device::dot(&(&point - x)?, gradient)?;
    Ok((point, along))
}

/// 1 where a step against the gradient may move the pixel, 0 where it would only push it out of the box; in halves, which
/// hold both exactly.
pub fn free_pixels(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let free = host::map_to_halves([x, gradient], |[x, g]| {
        let held = (x <= 0.0 && g >= 0.0) || (x >= 1.0 && g <= 0.0);
        if held { 0.0 } else { 1.0 }
    })?;
    match free {
        Some(tensor) => Ok(tensor),
        None => halved(&device::free_pixels(x, gradient)?),
    }
}

/// Exact: f64 holds all digits of the product of two f32.
#[inline(always)]
fn product_of(a: f32, b: f32) -> f64 {
    f64::from(a) * f64::from(b)
}
