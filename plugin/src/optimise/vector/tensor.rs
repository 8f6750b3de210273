//! The operations on tensors, on any of candle's devices: a pass over main memory where they are there, and candle
//! expressions elsewhere.

use candle_core::{DType, Tensor};

use super::{device, host};
use crate::Result;

pub(super) fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    match host::sum([a, b], |[a, b]| [product_of(a, b)])? {
        Some([dot]) => Ok(dot),
        None => device::dot(a, b),
    }
}

pub(super) fn weighted_dot(weight: &Tensor, a: &Tensor, b: &Tensor) -> Result<f64> {
    match host::sum([weight, a, b], |[w, a, b]| [f64::from(w) * product_of(a, b)])? {
        Some([dot]) => Ok(dot),
        None => device::weighted_dot(weight, a, b),
    }
}

/// The sums of [`super::Change`], in its order.
pub(super) fn change(x: [&Tensor; 2], gradient: [&Tensor; 2]) -> Result<[f64; 4]> {
    let terms = |[x0, x1, g0, g1]: [f32; 4]| {
        let (s, y) = (x1 - x0, g1 - g0);
        [product_of(s, s), product_of(y, y), product_of(s, y), product_of(s, g1)]
    };
    if let Some(sums) = host::sum([x[0], x[1], gradient[0], gradient[1]], terms)? {
        return Ok(sums);
    }
    let (s, y) = ((x[1] - x[0])?, (gradient[1] - gradient[0])?);
    let dots = [(&s, &s), (&y, &y), (&s, &y), (&s, gradient[1])].map(|(a, b)| device::dot(a, b));
    let [step, gradient, curvature, slope] = dots;
    Ok([step?, gradient?, curvature?, slope?])
}

pub(super) fn scale(factor: f64, a: Tensor) -> Result<Tensor> {
    if a.device().is_cpu() {
        let f = factor as f32;
        return Ok(host::update(a, [], |a, []| f * a, |_, []| [])?.0);
    }
    Ok((a * factor)?)
}

pub(super) fn difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map([a, b], |[a, b]| a - b, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => Ok((a - b)?),
    }
}

pub(super) fn halved_difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map_to_halves([a, b], |[a, b]| a - b)? {
        Some(tensor) => Ok(tensor),
        None => halved(&(a - b)?),
    }
}

pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map([a, b], |[a, b]| a * b, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => device::product(a, b),
    }
}

pub(super) fn add_scaled(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    let f = factor as f32;
    match host::map([a, b], |[a, b]| a + f * b, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => device::add_scaled(a, factor, b),
    }
}

pub(super) fn dots(others: &[&Tensor], a: &Tensor) -> Result<Vec<f64>> {
    match host::dots(others, a)? {
        Some(dots) => Ok(dots),
        None => others.iter().map(|other| device::dot(other, a)).collect(),
    }
}

pub(super) fn add_combination(a: Tensor, factors: &[f64], others: &[&Tensor]) -> Result<Tensor> {
    if a.device().is_cpu() {
        return host::add_combination(a, factors, others);
    }
    let mut terms = factors.iter().zip(others);
    terms.try_fold(a, |a, (&factor, other)| device::add_scaled(&a, factor, other))
}

pub(super) fn scale_masked_then_dot(a: Tensor, factor: f64, weight: &Tensor, c: &Tensor) -> Result<(Tensor, f64)> {
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

pub(super) fn halved(a: &Tensor) -> Result<Tensor> {
    match host::map_to_halves([a], |[a]| a)? {
        Some(tensor) => Ok(tensor),
        None => Ok(a.to_dtype(DType::BF16)?),
    }
}

pub(super) fn widened(a: &Tensor) -> Result<Tensor> {
    match host::map([a], |[a]| a, |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => Ok(a.to_dtype(DType::F32)?.copy()?),
    }
}

pub(super) fn project(x: &Tensor) -> Result<Tensor> {
    match host::map([x], |[x]| x.clamp(0.0, 1.0), |_, _| [])? {
        Some((tensor, [])) => Ok(tensor),
        None => device::project(x),
    }
}

pub(super) fn descend(x: &Tensor, length: f64, ascent: &Tensor, gradient: &Tensor) -> Result<(Tensor, f64)> {
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

pub(super) fn free_pixels(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
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
pub(super) fn product_of(a: f32, b: f32) -> f64 {
    f64::from(a) * f64::from(b)
}
