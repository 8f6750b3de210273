//! Vectors of pixels: the few operations that optimisers are made of, on tensors of any shape and device.
//!
//! An inner product over a million f32 terms, summed in f32, is good to three or four digits: too few for a line
//! search that asks whether a loss fell by a thousandth, and for curvatures that are differences of nearly equal
//! gradients. So products are formed and summed in f64. On the CPU the terms are taken in blocks of fixed size whose
//! sums are added in order: any number of threads gives the same bits. Elsewhere (some devices have no f64) short runs
//! are summed on the device in f32 and the rest on the host in f64.
//!
//! All tensors of a call are contiguous, of one shape and on one device: [`admit`] sees to it where they come in. They are
//! f32, but for those that only products are taken of, which may have been [`halved`]. Pictures are large: what comes by
//! value is changed in its own memory, which nobody else may hold, and differences are not made where a product with them
//! is all that is wanted.

mod device;
mod host;

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
    match host::sum([a, b], |[a, b]| f64::from(a) * f64::from(b))? {
        Some(value) => Ok(value),
        None => device::dot(a, b),
    }
}

/// `sum w_i a_i b_i`
pub fn weighted_dot(weight: &Tensor, a: &Tensor, b: &Tensor) -> Result<f64> {
    let term = |[w, a, b]: [f32; 3]| f64::from(w) * f64::from(a) * f64::from(b);
    match host::sum([weight, a, b], term)? {
        Some(value) => Ok(value),
        None => device::weighted_dot(weight, a, b),
    }
}

/// `v . (to - from)`
pub fn dot_step(v: &Tensor, to: &Tensor, from: &Tensor) -> Result<f64> {
    let term = |[v, to, from]: [f32; 3]| f64::from(v) * f64::from(to - from);
    match host::sum([v, to, from], term)? {
        Some(value) => Ok(value),
        None => device::dot(v, &(to - from)?),
    }
}

/// `(a - b) . (c - d)`
pub fn dot_steps([a, b]: [&Tensor; 2], [c, d]: [&Tensor; 2]) -> Result<f64> {
    let term = |[a, b, c, d]: [f32; 4]| f64::from(a - b) * f64::from(c - d);
    match host::sum([a, b, c, d], term)? {
        Some(value) => Ok(value),
        None => device::dot(&(a - b)?, &(c - d)?),
    }
}

/// The Euclidean length.
pub fn norm(a: &Tensor) -> Result<f64> {
    Ok(dot(a, a)?.sqrt())
}

/// `factor a` in the memory of `a`.
pub fn scale(factor: f64, a: Tensor) -> Result<Tensor> {
    if a.device().is_cpu() {
        let f = factor as f32;
        return Ok(host::update(a, [], None, |a, []| f * a)?.0);
    }
    Ok((a * factor)?)
}

/// `a - b`
pub fn difference(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map([a, b], |[a, b]| a - b)? {
        Some(tensor) => Ok(tensor),
        None => Ok((a - b)?),
    }
}

/// `a_i b_i`
pub fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match host::map([a, b], |[a, b]| a * b)? {
        Some(tensor) => Ok(tensor),
        None => device::product(a, b),
    }
}

/// `a + factor b`
pub fn add_scaled(a: &Tensor, factor: f64, b: &Tensor) -> Result<Tensor> {
    let f = factor as f32;
    match host::map([a, b], |[a, b]| a + f * b)? {
        Some(tensor) => Ok(tensor),
        None => device::add_scaled(a, factor, b),
    }
}

/// `a + factor w_i b_i` in the memory of `a`, and the inner product of that with `c` (0 without one), in one pass.
pub fn add_weighted_then_dot(
    a: Tensor,
    factor: f64,
    weight: &Tensor,
    b: &Tensor,
    c: Option<&Tensor>,
) -> Result<(Tensor, f64)> {
    if a.device().is_cpu() {
        let f = factor as f32;
        return host::update(a, [weight, b], c, |a, [w, b]| a + f * (w * b));
    }
    let moved = device::add_weighted(&a, factor, weight, b)?;
    let along = c.map(|c| device::dot(&moved, c)).transpose()?;
    Ok((moved, along.unwrap_or(0.0)))
}

/// `factor w_i a_i` in the memory of `a`.
pub fn scale_weighted(a: Tensor, factor: f64, weight: &Tensor) -> Result<Tensor> {
    if a.device().is_cpu() {
        let f = factor as f32;
        return Ok(host::update(a, [weight], None, |a, [w]| f * (w * a))?.0);
    }
    scale(factor, device::product(weight, &a)?)
}

/// In half of the memory, each element to about three digits.
pub fn halved(a: &Tensor) -> Result<Tensor> {
    Ok(a.to_dtype(DType::BF16)?)
}

/// The nearest point of the box: every element clamped to 0 ... 1.
pub fn project(x: &Tensor) -> Result<Tensor> {
    match host::map([x], |[x]| x.clamp(0.0, 1.0))? {
        Some(tensor) => Ok(tensor),
        None => device::project(x),
    }
}

/// The point at `length` on the path that starts at `x` along `direction` and is bent into the box.
pub fn project_step(x: &Tensor, length: f64, direction: &Tensor) -> Result<Tensor> {
    let t = length as f32;
    match host::map([x, direction], |[x, d]| (x + t * d).clamp(0.0, 1.0))? {
        Some(tensor) => Ok(tensor),
        None => device::project(&device::add_scaled(x, length, direction)?),
    }
}

/// 1 where a step against the gradient may move the pixel, 0 where it would only push it out of the box.
pub fn free_pixels(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let free = host::map([x, gradient], |[x, g]| {
        let held = (x <= 0.0 && g >= 0.0) || (x >= 1.0 && g <= 0.0);
        if held { 0.0 } else { 1.0 }
    })?;
    match free {
        Some(tensor) => Ok(tensor),
        None => device::free_pixels(x, gradient),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::optimise::problems::random;

    fn vector(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    #[test]
    fn inner_products_are_good_to_twelve_digits() {
        for count in [1, 15, 16, 17, host::BLOCK, 3 * host::BLOCK + 5, 786_432] {
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
        for count in [1, device::RUN, 5 * device::RUN + 3, 786_432] {
            let a = vector(&random(1, count, 0.0, 1.0));
            let (runs, exact) = (device::sum(&a.sqr().unwrap()).unwrap(), dot(&a, &a).unwrap());
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
        let (moved, along) = add_weighted_then_dot(vector(&[1.0, 2.0]), 2.0, &w, &b, Some(&b)).unwrap();
        assert_eq!((read(Ok(moved)), along), (vec![1.0, -6.0], 27.0));
        let (moved, along) = add_weighted_then_dot(vector(&[1.0, 2.0]), 2.0, &w, &b, None).unwrap();
        assert_eq!((read(Ok(moved)), along), (vec![1.0, -6.0], 0.0));
        assert_eq!(read(scale_weighted(vector(&[3.0, -4.0]), -0.5, &w)), [0.0, 2.0]);
        assert_eq!(dot_step(&b, &a, &w).unwrap(), 3.0 - 4.0);
        assert_eq!(dot_steps([&a, &w], [&b, &a]).unwrap(), 2.0 - 6.0);
        assert_eq!(read(difference(&a, &b)), [-2.0, 6.0]);
        assert_eq!(read(product(&a, &b)), [3.0, -8.0]);
        assert_eq!(read(scale(-0.5, b)), [-1.5, 2.0]);
    }

    #[test]
    fn host_and_device_agree() {
        let [a, b, c] = [1, 2, 3].map(|seed| vector(&random(seed, 1000, -0.5, 1.5)));
        let (x, close) = (project(&a).unwrap(), |a: f64, b: f64| {
            assert!((a - b).abs() < 1e-4, "{a} {b}")
        });
        let same = |host: Tensor, device: Result<Tensor>| {
            let [host, device] = [host, device.unwrap()].map(|t| t.to_vec1::<f32>().unwrap());
            for (host, device) in host.iter().zip(device) {
                close(f64::from(*host), f64::from(device));
            }
        };
        close(dot(&a, &b).unwrap(), device::dot(&a, &b).unwrap());
        close(
            weighted_dot(&a, &b, &c).unwrap(),
            device::weighted_dot(&a, &b, &c).unwrap(),
        );
        let (moved, along) = add_weighted_then_dot(a.copy().unwrap(), 0.3, &b, &c, Some(&x)).unwrap();
        let on_device = device::add_weighted(&a, 0.3, &b, &c).unwrap();
        close(along, device::dot(&on_device, &x).unwrap());
        same(moved, Ok(on_device));
        same(add_scaled(&a, 0.3, &b).unwrap(), device::add_scaled(&a, 0.3, &b));
        same(x.clone(), device::project(&a));
        same(free_pixels(&x, &b).unwrap(), device::free_pixels(&x, &b));
    }

    #[test]
    fn halves_are_within_half_a_percent_and_reckoned_with_as_they_are() {
        let [a, b, w] = [1, 2, 3].map(|seed| vector(&random(seed, 2 * host::BLOCK + 7, -2.0, 2.0)));
        let (half_a, half_b) = (halved(&a).unwrap(), halved(&b).unwrap());
        let [wide_a, wide_b] = [&half_a, &half_b].map(|half| half.to_dtype(DType::F32).unwrap());
        let values = |t: &Tensor| t.to_vec1::<f32>().unwrap();
        for (wide, exact) in values(&wide_a).iter().zip(values(&a)) {
            assert!((wide - exact).abs() <= 0.004 * exact.abs(), "{wide} for {exact}");
        }
        assert_eq!(dot(&half_a, &half_b).unwrap(), dot(&wide_a, &wide_b).unwrap());
        assert_eq!(
            dot(&half_a, &half_b).unwrap().signum(),
            device::dot(&half_a, &half_b).unwrap().signum()
        );
        assert_eq!(
            weighted_dot(&w, &half_a, &half_b).unwrap(),
            weighted_dot(&w, &wide_a, &wide_b).unwrap()
        );
        assert_eq!(
            values(&product(&w, &half_b).unwrap()),
            values(&product(&w, &wide_b).unwrap())
        );
        let moved = |b: &Tensor, c: &Tensor| {
            let (moved, along) = add_weighted_then_dot(a.copy().unwrap(), 0.3, &w, b, Some(c)).unwrap();
            (values(&moved), along)
        };
        assert_eq!(moved(&half_b, &half_a), moved(&wide_b, &wide_a));
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
