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
//! are not made where a product with them is all that is wanted, and products that are wanted next are taken while a
//! vector passes by.

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

/// `w_i a_i`; with the inner product of that with `s`, and `sum w_i s_i y_i`.
pub fn masked_beside(weight: &Tensor, a: &Tensor, [s, y]: [&Tensor; 2]) -> Result<(Tensor, [f64; 2])> {
    let terms = |masked: f32, [w, _, s, y]: [f32; 4]| [product_of(masked, s), f64::from(w) * product_of(s, y)];
    match host::map([weight, a, s, y], |[w, a, _, _]| w * a, terms)? {
        Some(masked) => Ok(masked),
        None => device::beside(device::product(weight, a)?, weight, [s, y]),
    }
}

/// `a + factor w_i b_i` in the memory of `a`; with the inner product of that with `s`, and `sum w_i s_i y_i` (0 without
/// them).
pub fn add_masked_beside(
    a: Tensor,
    factor: f64,
    weight: &Tensor,
    b: &Tensor,
    beside: Option<[&Tensor; 2]>,
) -> Result<(Tensor, [f64; 2])> {
    if !a.device().is_cpu() {
        let moved = device::add_weighted(&a, factor, weight, b)?;
        return match beside {
            Some(pair) => device::beside(moved, weight, pair),
            None => Ok((moved, [0.0; 2])),
        };
    }
    let f = factor as f32;
    match beside {
        None => {
            let (moved, []) = host::update(a, [weight, b], |a, [w, b]| a + f * (w * b), |_, _| [])?;
            Ok((moved, [0.0; 2]))
        }
        Some([s, y]) => host::update(
            a,
            [weight, b, s, y],
            |a, [w, b, _, _]| a + f * (w * b),
            |moved, [w, _, s, y]| [product_of(moved, s), f64::from(w) * product_of(s, y)],
        ),
    }
}

/// `a + factor w_i b_i` in the memory of `a`, and the inner product of that with `c`.
pub fn add_masked_then_dot(a: Tensor, factor: f64, weight: &Tensor, b: &Tensor, c: &Tensor) -> Result<(Tensor, f64)> {
    if a.device().is_cpu() {
        let f = factor as f32;
        let (moved, [along]) = host::update(
            a,
            [weight, b, c],
            |a, [w, b, _]| a + f * (w * b),
            |moved, [_, _, c]| [product_of(moved, c)],
        )?;
        return Ok((moved, along));
    }
    let moved = device::add_weighted(&a, factor, weight, b)?;
    let along = device::dot(&moved, c)?;
    Ok((moved, along))
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
        let (x, ascent) = (vector(&[0.5, 0.5, 0.5, 0.0]), vector(&[-2.0, 2.0, -0.5, 2.0]));
        let (point, along) = descend(&x, 0.5, &ascent, &vector(&[1.0, 2.0, 4.0, 8.0])).unwrap();
        assert_eq!(point.to_vec1::<f32>().unwrap(), [1.0, 0.0, 0.75, 0.0]);
        assert_eq!(along, 0.5 - 1.0 + 1.0);
    }

    #[test]
    fn pixels_are_held_only_where_descent_leads_out() {
        let (x, g) = (
            vector(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.5]),
            vector(&[1.0, -1.0, 0.0, -1.0, 1.0, 1.0]),
        );
        let free = free_pixels(&x, &g).unwrap().to_dtype(DType::F32).unwrap();
        let free = free.to_vec1::<f32>().unwrap();
        assert_eq!(free, [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn linear_combinations_are_what_they_say() {
        let [a, b, w] = [vector(&[1.0, 2.0]), vector(&[3.0, -4.0]), vector(&[0.0, 1.0])];
        let read = |t: Result<Tensor>| t.unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(read(add_scaled(&a, 2.0, &b)), [7.0, -6.0]);
        let (moved, along) = add_masked_then_dot(vector(&[1.0, 2.0]), 2.0, &w, &b, &b).unwrap();
        assert_eq!((read(Ok(moved)), along), (vec![1.0, -6.0], 27.0));
        let (moved, beside) = add_masked_beside(vector(&[1.0, 2.0]), 2.0, &w, &b, Some([&b, &a])).unwrap();
        assert_eq!((read(Ok(moved)), beside), (vec![1.0, -6.0], [27.0, -8.0]));
        let (moved, beside) = add_masked_beside(vector(&[1.0, 2.0]), 2.0, &w, &b, None).unwrap();
        assert_eq!((read(Ok(moved)), beside), (vec![1.0, -6.0], [0.0, 0.0]));
        let (masked, beside) = masked_beside(&w, &a, [&b, &b]).unwrap();
        assert_eq!((read(Ok(masked)), beside), (vec![0.0, 2.0], [-8.0, 16.0]));
        let (scaled, along) = scale_masked_then_dot(vector(&[3.0, -4.0]), -0.5, &w, &b).unwrap();
        assert_eq!((read(Ok(scaled)), along), (vec![0.0, 2.0], -8.0));
        // From (0, 1) to (1, 2), where the gradient goes from (1, -2) to (3, -4).
        let changed = Change {
            step: 2.0,
            gradient: 8.0,
            curvature: 0.0,
            slope: -1.0,
        };
        assert_eq!(change([&w, &a], [&vector(&[1.0, -2.0]), &b]).unwrap(), changed);
        assert_eq!(
            read(
                halved_difference(&a, &b)
                    .unwrap()
                    .to_dtype(DType::F32)
                    .map_err(Into::into)
            ),
            [-2.0, 6.0]
        );
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
        let (moved, along) = add_masked_then_dot(a.copy().unwrap(), 0.3, &b, &c, &x).unwrap();
        let on_device = device::add_weighted(&a, 0.3, &b, &c).unwrap();
        close(along, device::dot(&on_device, &x).unwrap());
        same(moved, Ok(on_device));
        same(add_scaled(&a, 0.3, &b).unwrap(), device::add_scaled(&a, 0.3, &b));
        same(x.clone(), device::project(&a));
        same(
            free_pixels(&x, &b).unwrap().to_dtype(DType::F32).unwrap(),
            device::free_pixels(&x, &b),
        );
        let (masked, beside) = masked_beside(&a, &b, [&c, &x]).unwrap();
        let (on_device, beside_device) = device::beside(device::product(&a, &b).unwrap(), &a, [&c, &x]).unwrap();
        same(masked, Ok(on_device));
        beside.into_iter().zip(beside_device).for_each(|(a, b)| close(a, b));
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
            let (moved, along) = add_masked_then_dot(a.copy().unwrap(), 0.3, &w, b, c).unwrap();
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
