//! The curvature that limited-memory BFGS remembers: the last few steps and what they did to the gradient.
//!
//! Nocedal's two-loop recursion (1980) turns those pairs and an initial metric into the product of an approximate
//! inverse Hessian with a vector, without ever forming a matrix. Under bounds it is taken on the free pixels only: the
//! pairs are seen through a mask of ones and zeros, which gives the approximation that plain L-BFGS would have made had
//! the held pixels been constants of the problem (compare Kim, Sra and Dhillon 2010).

use std::collections::VecDeque;

use candle_core::Tensor;

use super::vector::{self, Change, Vector};
use crate::Result;

/// A symmetric, positive definite linear map on pictures: the first guess of the inverse Hessian, up to a factor.
pub trait Metric: Send {
    /// The image of `v`, of the same shape, type and place; it may be made in the memory of `v`.
    fn apply(&self, v: Vector) -> Result<Vector>;

    /// Takes the gradient at a new iterate into account, where a metric follows the loss.
    fn learn(&mut self, _gradient: &Vector) -> Result<()> {
        Ok(())
    }
}

/// The metric in which every pixel counts alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Metric for Identity {
    fn apply(&self, v: Vector) -> Result<Vector> {
        Ok(v)
    }
}

/// The share of `|s| |y|` that `s . y` must exceed for a pair to say anything about curvature.
const CURVATURE: f64 = 1e-8;

/// How much further than the newest pair's curvature the first guess goes. That curvature is measured where the gradient
/// changed most, so it is that of steep directions, while what the history knows nothing of is flatter. With 1 the slope
/// at the end of a step is still a sixth of what it was at its start, with 2 it is about 0, with 4 steps are refused.
const STRETCH: f64 = 2.0;

/// A picture and the gradient there.
pub struct Point {
    /// The picture.
    pub x: Vector,
    /// The gradient.
    pub gradient: Vector,
}

/// A step `s` and the change `y` of the gradient over it.
struct Pair {
    s: Vector,
    y: Vector,
    /// What `s . y` must exceed, on all pixels and on those that are free later.
    bound: f64,
}

impl Pair {
    /// How far along the pair a vector goes, in steps: `along` is its product with one of the two, and `curvature` that of
    /// both on the free pixels. 0 where the pair, sound on all pixels, says nothing, or nonsense, about the free ones.
    fn share(&self, along: f64, curvature: f64) -> f64 {
        if curvature > self.bound { along / curvature } else { 0.0 }
    }
}

/// The last few pairs, oldest first, in halves: each element to about three digits. What a pair says is a sum over all
/// pixels, whose errors are independent, and a direction need be no better than its curvature, so the loss falls as with
/// whole pairs; and to read them is most of what a step takes beside the network. Each costs the memory of a picture:
/// 3.1 MB at 512 x 512, 50 MB at 2048 x 2048.
pub struct History {
    pairs: VecDeque<Pair>,
    capacity: usize,
}

impl History {
    /// An empty history of up to `capacity` pairs.
    pub fn new(capacity: usize) -> Self {
        Self {
            pairs: VecDeque::with_capacity(capacity),
            capacity,
        }
    }

    /// The most bytes that so many pairs of pictures of so many samples take.
    pub fn bytes(pairs: usize, samples: usize) -> u64 {
        (pairs * 2 * samples * size_of::<half::bf16>()) as u64
    }

    /// The number of pairs held.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether no pair is held.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Forgets all pairs.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Forgets the oldest pairs but for so many.
    pub fn shorten(&mut self, pairs: usize) {
        self.pairs.drain(..self.pairs.len().saturating_sub(pairs));
    }

    /// Keeps the pair between two points if the curvature along it is positive, in place of the oldest when there are too
    /// many. Returns whether it was kept. What is forgotten goes before the pair is made, and each vector of `from` as
    /// soon as it was seen.
    pub fn learn(&mut self, from: Point, to: &Point, change: &Change) -> Result<bool> {
        let bound = bound(change.step, change.gradient);
        let keeps = says_something(change.curvature, bound);
        if keeps && self.capacity > 0 {
            self.shorten(self.capacity - 1);
            let s = vector::halved_difference(&to.x, &from.x)?;
            drop(from.x);
            let y = vector::halved_difference(&to.gradient, &from.gradient)?;
            self.pairs.push_back(Pair { s, y, bound });
        }
        Ok(keeps)
    }

    /// As [`Self::learn`], of a pair that was made and [halved](vector::halved).
    pub fn push(&mut self, s: Vector, y: Vector) -> Result<bool> {
        let bound = bound(vector::dot(&s, &s)?, vector::dot(&y, &y)?);
        let keeps = says_something(vector::dot(&s, &y)?, bound);
        if keeps && self.capacity > 0 {
            self.shorten(self.capacity - 1);
            self.pairs.push_back(Pair { s, y, bound });
        }
        Ok(keeps)
    }

    /// `H` times the part of a gradient on the pixels where `free` is 1, and the inner product of both; the result is 0
    /// on the others. `None` when no pair has positive curvature there, so that the scale of the metric is unknown.
    pub fn apply(&self, gradient: &Vector, free: &Vector, metric: &dyn Metric) -> Result<Option<(Vector, f64)>> {
        let (Some(oldest), Some(newest)) = (self.pairs.front(), self.pairs.back()) else {
            return Ok(None);
        };
        // Before there are other vectors.
        let Some(scale) = self.scale(free, metric)? else {
            return Ok(None);
        };
        // What a turn of the loops wants of a pair is taken while the vector passes by in the turn before.
        let (mut q, mut beside) = vector::masked_beside(free, gradient, [&newest.s, &newest.y])?;
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (k, pair) in self.pairs.iter().enumerate().rev() {
            let [along, curvature] = beside;
            let alpha = pair.share(along, curvature);
            shares.push((alpha, curvature));
            // Nobody asks for what is beside the oldest.
            let older = &self.pairs[k.saturating_sub(1)];
            (q, beside) = vector::add_masked_beside(q, -alpha, free, &pair.y, [&older.s, &older.y])?;
        }
        let image = vector::admit("metric's image", &metric.apply(q)?, gradient)?;
        let (mut r, mut along) = vector::scale_masked_then_dot(image, scale, free, &oldest.y)?;
        for (k, (pair, (alpha, curvature))) in self.pairs.iter().zip(shares.into_iter().rev()).enumerate() {
            let beta = pair.share(along, curvature);
            let next = self.pairs.get(k + 1).map_or(gradient, |newer| &newer.y);
            (r, along) = vector::add_masked_then_dot(r, alpha - beta, free, &pair.s, next)?;
        }
        Ok(Some((r, along)))
    }

    /// What the metric is multiplied by, from the newest pair that has positive curvature on the free pixels.
    fn scale(&self, free: &Vector, metric: &dyn Metric) -> Result<Option<f64>> {
        for Pair { s, y, bound } in self.pairs.iter().rev() {
            let curvature = vector::weighted_dot(free, s, y)?;
            if curvature > *bound {
                let image = metric.apply(vector::product(free, y)?)?;
                return Ok(Some(STRETCH * curvature / vector::weighted_dot(free, y, &image)?));
            }
        }
        Ok(None)
    }

    /// The history seen on another grid, of another capacity. `resample` maps a picture to a contiguous vector of the new
    /// grid, wherever that is to live; gradients shrink as pixels become more, since each pixel's share in a loss that is
    /// a mean over the picture does. Each pair goes when it was seen.
    pub fn resized(mut self, capacity: usize, resample: &dyn Fn(&Tensor) -> Result<Vector>) -> Result<Self> {
        self.shorten(capacity);
        let mut history = Self::new(capacity);
        let resample = |vector: &Vector| resample(&vector.to_tensor()?);
        for pair in self.pairs {
            let s = resample(&pair.s)?;
            let share = pair.y.elem_count() as f64 / s.elem_count() as f64;
            let s = vector::halved(&s)?;
            let y = vector::scale(share, resample(&pair.y)?)?;
            history.push(s, vector::halved(&y)?)?;
        }
        Ok(history)
    }
}

/// What the curvature `s . y` must exceed, from the squares of both lengths.
fn bound(s: f64, y: f64) -> f64 {
    CURVATURE * s.sqrt() * y.sqrt()
}

/// Whether a curvature does; written so that a NaN does not.
fn says_something(curvature: f64, bound: f64) -> bool {
    curvature > bound && curvature.is_finite()
}
