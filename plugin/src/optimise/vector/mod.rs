//! Vectors of pixels: the few operations that optimisers are made of, on vectors of any shape, wherever they live.
//!
//! An inner product over a million f32 terms, summed in f32, is good to three or four digits: too few for a line
//! search that asks whether a loss fell by a thousandth, and for curvatures that are differences of nearly equal
//! gradients. So products are formed and summed in f64. On the CPU the terms are taken in blocks of fixed size whose
//! sums are added in order: any number of threads gives the same bits. So it is on a card of our own backend
//! ([`crate::compute::cuda`]), whose elements are the CPU's to the bit, and whose sums are in an order of their own. On
//! candle's other devices (some have no f64) short runs are summed on the device in f32 and the rest on the host in f64.
//!
//! All vectors of a call are contiguous, of one shape and in one place: [`admit`] sees to it where they come in. They are
//! f32, but for those that only products are taken of, which may have been [`halved`]. Pictures are large, and memory is
//! what such loops wait for: what comes by value is changed in its own memory, which nobody else may hold, differences
//! are not made where a product with them is all that is wanted, and a vector that is wanted with many others is read
//! once.

mod blocks;
#[cfg(not(feature = "cuda"))]
mod card;
mod device;
mod host;
mod many;
mod place;
mod resampler;
mod tensor;
#[cfg(test)]
mod tests;

use candle_core::Tensor;

use self::blocks::Elements;
use self::place::{Among, Together, among, together};
pub use self::place::{Home, Vector};
pub use self::resampler::Resampler;
#[cfg(test)]
pub use self::resampler::TOGETHER;
#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::{self, Samples};
use crate::{Error, Result};

/// Brings a vector into the form that the other functions expect, and checks that it is like `model`.
///
/// # Errors
/// [`Error::Internal`] when shape, type or place differ; `what` names the vector.
pub fn admit(what: &str, vector: &Vector, model: &Vector) -> Result<Vector> {
    let is_like = vector.shape() == model.shape() && vector.is_single() && model.is_single();
    match together([vector, model]) {
        Ok(Together::Tensors([vector, model])) if is_like && vector.device().same_device(model.device()) => {
            Ok(vector.detach().contiguous()?.into())
        }
        #[cfg(not(feature = "cuda"))]
        Ok(Together::OnCard([vector, _])) if is_like => Ok(Vector::OnCard(vector.clone())),
        _ => Err(Error::Internal(format!("the {what} is {vector} and not {model}"))),
    }
}

/// A point to start from: contiguous, f32, projected onto the box `0 <= x <= 1`.
///
/// # Errors
/// [`Error::Internal`] when it is not f32, empty, or not finite.
pub fn admit_start(start: &Vector) -> Result<Vector> {
    if !start.is_single() || start.elem_count() == 0 {
        return Err(Error::Internal(format!(
            "an optimiser starts from f32 pixels, not from {start}"
        )));
    }
    let start = admit("start", start, start)?;
    if !norm(&start)?.is_finite() {
        return Err(Error::Internal(
            "an optimiser cannot start from pixels that are not finite".into(),
        ));
    }
    project(&start)
}

/// `a . a` of elements in main memory.
pub fn square(a: &[f32]) -> f64 {
    let [square] = host::sum_of([Elements::Single(a)], |[a]| [tensor::product_of(a, a)]);
    square
}

/// `a . b`
pub fn dot(a: &Vector, b: &Vector) -> Result<f64> {
    match together([a, b])? {
        Together::Tensors([a, b]) => tensor::dot(a, b),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([a, b]) => card::dot(a, b),
    }
}

/// `sum w_i a_i b_i`
pub fn weighted_dot(weight: &Vector, a: &Vector, b: &Vector) -> Result<f64> {
    match together([weight, a, b])? {
        Together::Tensors([weight, a, b]) => tensor::weighted_dot(weight, a, b),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([weight, a, b]) => card::weighted_dot(weight, a, b),
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
pub fn change(x: [&Vector; 2], gradient: [&Vector; 2]) -> Result<Change> {
    let [step, gradient, curvature, slope] = match together([x[0], x[1], gradient[0], gradient[1]])? {
        Together::Tensors([x0, x1, g0, g1]) => tensor::change([x0, x1], [g0, g1])?,
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([x0, x1, g0, g1]) => cuda::compare([x0, x1], [g0, g1])?,
    };
    Ok(Change {
        step,
        gradient,
        curvature,
        slope,
    })
}

/// The Euclidean length.
pub fn norm(a: &Vector) -> Result<f64> {
    Ok(dot(a, a)?.sqrt())
}

/// `factor a` in the memory of `a`.
pub fn scale(factor: f64, a: Vector) -> Result<Vector> {
    match a {
        Vector::Tensor(a) => Ok(tensor::scale(factor, a)?.into()),
        #[cfg(not(feature = "cuda"))]
        Vector::OnCard(a) => Ok(Vector::OnCard(card::scale(factor, a)?)),
    }
}

/// `a - b`
pub fn difference(a: &Vector, b: &Vector) -> Result<Vector> {
    match together([a, b])? {
        Together::Tensors([a, b]) => Ok(tensor::difference(a, b)?.into()),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([a, b]) => Ok(Vector::OnCard(card::add_scaled(a, -1.0, b)?)),
    }
}

/// `a - b`, halved as by [`halved`].
pub fn halved_difference(a: &Vector, b: &Vector) -> Result<Vector> {
    match together([a, b])? {
        Together::Tensors([a, b]) => Ok(tensor::halved_difference(a, b)?.into()),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([a, b]) => Ok(Vector::OnCard(card::halved_difference(a, b)?)),
    }
}

/// `a_i b_i`
pub fn product(a: &Vector, b: &Vector) -> Result<Vector> {
    match together([a, b])? {
        Together::Tensors([a, b]) => Ok(tensor::product(a, b)?.into()),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([a, b]) => Ok(Vector::OnCard(card::product(a, b)?)),
    }
}

/// `a + factor b`
pub fn add_scaled(a: &Vector, factor: f64, b: &Vector) -> Result<Vector> {
    match together([a, b])? {
        Together::Tensors([a, b]) => Ok(tensor::add_scaled(a, factor, b)?.into()),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([a, b]) => Ok(Vector::OnCard(card::add_scaled(a, factor, b)?)),
    }
}

/// The inner products of a vector with each of others, good to six digits of what they are sums of: in main memory short
/// runs are summed in f32 and the runs in f64. A direction need not be better, and takes half of the time.
pub fn dots(others: &[&Vector], a: &Vector) -> Result<Vec<f64>> {
    match among(a, others)? {
        Among::Tensors(a, others) => tensor::dots(&others, a),
        #[cfg(not(feature = "cuda"))]
        Among::OnCard(a, others) => cuda::dots(&others, a),
    }
}

/// `a + sum factors_k others_k` in the memory of `a`.
pub fn add_combination(a: Vector, factors: &[f64], others: &[&Vector]) -> Result<Vector> {
    match among(&a, others)? {
        Among::Tensors(a, others) => Ok(tensor::add_combination(a.clone(), factors, &others)?.into()),
        #[cfg(not(feature = "cuda"))]
        Among::OnCard(on_card, others) => {
            cuda::add_multiples(on_card, factors, &others)?;
            Ok(a)
        }
    }
}

/// `factor w_i a_i` in the memory of `a`, and the inner product of that with `c`.
pub fn scale_masked_then_dot(a: Vector, factor: f64, weight: &Vector, c: &Vector) -> Result<(Vector, f64)> {
    Ok(match together([&a, weight, c])? {
        Together::Tensors([a, weight, c]) => with(tensor::scale_masked_then_dot(a.clone(), factor, weight, c)?),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([a, weight, c]) => on_card(card::scale_masked_then_dot(a.clone(), factor, weight, c)?),
    })
}

/// In half of the memory, each element to about three digits.
pub fn halved(a: &Vector) -> Result<Vector> {
    match a {
        Vector::Tensor(a) => Ok(tensor::halved(a)?.into()),
        #[cfg(not(feature = "cuda"))]
        Vector::OnCard(a) => Ok(Vector::OnCard(card::halved(a)?)),
    }
}

/// In f32, in memory of its own.
pub fn widened(a: &Vector) -> Result<Vector> {
    match a {
        Vector::Tensor(a) => Ok(tensor::widened(a)?.into()),
        #[cfg(not(feature = "cuda"))]
        Vector::OnCard(a) => Ok(Vector::OnCard(card::widened(a)?)),
    }
}

/// The nearest point of the box: every element clamped to 0 ... 1.
pub fn project(x: &Vector) -> Result<Vector> {
    match x {
        Vector::Tensor(x) => Ok(tensor::project(x)?.into()),
        #[cfg(not(feature = "cuda"))]
        Vector::OnCard(x) => Ok(Vector::OnCard(card::project(x)?)),
    }
}

/// The point at `length` on the path that starts at `x` against `ascent` and is bent into the box; and the inner product of
/// the step there with `gradient`.
pub fn descend(x: &Vector, length: f64, ascent: &Vector, gradient: &Vector) -> Result<(Vector, f64)> {
    Ok(match together([x, ascent, gradient])? {
        Together::Tensors([x, ascent, gradient]) => with(tensor::descend(x, length, ascent, gradient)?),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([x, ascent, gradient]) => on_card(card::descend(x, length, ascent, gradient)?),
    })
}

/// 1 where a step against the gradient may move the pixel, 0 where it would only push it out of the box; in halves, which
/// hold both exactly.
pub fn free_pixels(x: &Vector, gradient: &Vector) -> Result<Vector> {
    match together([x, gradient])? {
        Together::Tensors([x, gradient]) => Ok(tensor::free_pixels(x, gradient)?.into()),
        #[cfg(not(feature = "cuda"))]
        Together::OnCard([x, gradient]) => Ok(Vector::OnCard(cuda::free_pixels(x, gradient)?)),
    }
}

/// What an operation on tensors gave, as one on vectors.
fn with<T>((made, sums): (Tensor, T)) -> (Vector, T) {
    (made.into(), sums)
}

/// What an operation on a card gave, as one on vectors.
#[cfg(not(feature = "cuda"))]
fn on_card<T>((made, sums): (Samples, T)) -> (Vector, T) {
    (Vector::OnCard(made), sums)
}
