//! The curvature that limited-memory BFGS remembers: the last few steps and what they did to the gradient.
//!
//! Nocedal's two-loop recursion (1980) turns those pairs and an initial metric into the product of an approximate
//! inverse Hessian with a vector, without ever forming a matrix. Under bounds it is taken on the free pixels only: the
//! pairs are seen through a mask of ones and zeros, which gives the approximation that plain L-BFGS would have made had
//! the held pixels been constants of the problem (compare Kim, Sra and Dhillon 2010).

use std::collections::VecDeque;

use candle_core::{DType, Tensor};

use super::vector;
use crate::Result;

/// A symmetric, positive definite linear map on pictures: the first guess of the inverse Hessian, up to a factor.
pub trait Metric: Send {
    /// The image of `v`, of the same shape, type and device; it may be made in the memory of `v`.
    fn apply(&self, v: Tensor) -> Result<Tensor>;

    /// Takes the gradient at a new iterate into account, where a metric follows the loss.
    fn learn(&mut self, _gradient: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// The metric in which every pixel counts alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Metric for Identity {
    fn apply(&self, v: Tensor) -> Result<Tensor> {
        Ok(v)
    }
}

/// How a vector is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As it is.
    Single,
    /// In half of the memory, each element to about three digits. What a pair says is a sum over all pixels, whose
    /// errors are independent, and a direction need be no better than its curvature: the loss falls as with whole pairs.
    Half,
}

/// What a history may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most pairs.
    pub pairs: usize,
    /// How they are kept.
    pub precision: Precision,
}

impl Capacity {
    /// So many pairs as they are.
    pub fn of(pairs: usize) -> Self {
        Self {
            pairs,
            precision: Precision::Single,
        }
    }

    /// The most bytes that pairs of pictures of so many samples take.
    pub fn bytes(self, samples: usize) -> u64 {
        let element = match self.precision {
            Precision::Single => size_of::<f32>(),
            Precision::Half => size_of::<half::bf16>(),
        };
        (self.pairs * 2 * samples * element) as u64
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
    pub x: Tensor,
    /// The gradient.
    pub gradient: Tensor,
}

/// A step `s` and the change `y` of the gradient over it.
struct Pair {
    s: Tensor,
    y: Tensor,
    /// What `s . y` must exceed, on all pixels and on those that are free later.
    bound: f64,
}

/// The last few pairs, oldest first. Each costs two pictures of memory, or one: 6.3 MB at 512 x 512, 100 MB at 2048 x 2048.
pub struct History {
    pairs: VecDeque<Pair>,
    capacity: Capacity,
}

impl History {
    /// An empty history.
    pub fn new(capacity: Capacity) -> Self {
        let pairs = VecDeque::with_capacity(capacity.pairs);
        Self { pairs, capacity }
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
    pub fn learn(&mut self, from: Point, to: &Point) -> Result<bool> {
        let (s, y) = ([&to.x, &from.x], [&to.gradient, &from.gradient]);
        let bound = bound(vector::dot_steps(s, s)?, vector::dot_steps(y, y)?);
        let keeps = says_something(vector::dot_steps(s, y)?, bound);
        if keeps && self.capacity.pairs > 0 {
            self.shorten(self.capacity.pairs - 1);
            let s = self.kept(vector::difference(&to.x, &from.x)?)?;
            drop(from.x);
            let y = self.kept(vector::difference(&to.gradient, &from.gradient)?)?;
            self.pairs.push_back(Pair { s, y, bound });
        }
        Ok(keeps)
    }

    /// As [`Self::learn`], of a pair that was made.
    pub fn push(&mut self, s: Tensor, y: Tensor) -> Result<bool> {
        let (s, y) = (self.kept(s)?, self.kept(y)?);
        self.insert(s, y)
    }

    /// As [`Self::push`], of vectors as they are to be kept.
    fn insert(&mut self, s: Tensor, y: Tensor) -> Result<bool> {
        let bound = bound(vector::dot(&s, &s)?, vector::dot(&y, &y)?);
        let keeps = says_something(vector::dot(&s, &y)?, bound);
        if keeps && self.capacity.pairs > 0 {
            self.shorten(self.capacity.pairs - 1);
            self.pairs.push_back(Pair { s, y, bound });
        }
        Ok(keeps)
    }

    fn kept(&self, vector: Tensor) -> Result<Tensor> {
        match self.capacity.precision {
            Precision::Single => Ok(vector),
            Precision::Half => vector::halved(&vector),
        }
    }

    /// `H` times the part of a gradient on the pixels where `free` is 1; the result is 0 elsewhere. `None` when no pair
    /// has positive curvature there, so that the scale of the metric is unknown.
    pub fn apply(&self, gradient: &Tensor, free: &Tensor, metric: &dyn Metric) -> Result<Option<Tensor>> {
        let sound = self.sound(free)?;
        let (Some((newest, curvature)), Some((oldest, _))) = (sound.first(), sound.last()) else {
            return Ok(None);
        };
        // Before there are other vectors.
        let image = metric.apply(vector::product(free, &newest.y)?)?;
        let scale = STRETCH * curvature / vector::weighted_dot(free, &newest.y, &image)?;
        drop(image);
        let mut alphas = Vec::with_capacity(sound.len());
        let mut q = vector::product(free, gradient)?;
        let mut along = vector::dot(&newest.s, &q)?;
        for (k, (pair, curvature)) in sound.iter().enumerate() {
            let alpha = along / curvature;
            alphas.push(alpha);
            // The inner product that the next turn wants is taken while the vector passes by.
            let next = sound.get(k + 1).map(|(next, _)| &next.s);
            (q, along) = vector::add_weighted_then_dot(q, -alpha, free, &pair.y, next)?;
        }
        let image = vector::admit("metric's image", &metric.apply(q)?, gradient)?;
        let mut r = vector::scale_weighted(image, scale, free)?;
        let mut along = vector::dot(&oldest.y, &r)?;
        for (k, (pair, curvature)) in sound.iter().enumerate().rev() {
            let beta = along / curvature;
            let next = k.checked_sub(1).map(|next| &sound[next].0.y);
            (r, along) = vector::add_weighted_then_dot(r, alphas[k] - beta, free, &pair.s, next)?;
        }
        Ok(Some(r))
    }

    /// The pairs that have positive curvature on the free pixels, newest first, and that curvature. A pair that was
    /// sound on all pixels may say nothing, or nonsense, about those that are free now.
    fn sound(&self, free: &Tensor) -> Result<Vec<(&Pair, f64)>> {
        let mut sound = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let curvature = vector::weighted_dot(free, &pair.s, &pair.y)?;
            if curvature > pair.bound {
                sound.push((pair, curvature));
            }
        }
        Ok(sound)
    }

    /// The history seen on another grid, with another capacity. `resample` maps a picture to the new grid; gradients
    /// shrink as pixels become more, since each pixel's share in a loss that is a mean over the picture does. Each pair
    /// goes when it was seen.
    pub fn resized(mut self, capacity: Capacity, resample: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.shorten(capacity.pairs);
        let mut history = Self::new(capacity);
        let resample = |vector: &Tensor| resample(&vector.to_dtype(DType::F32)?);
        for pair in self.pairs {
            let s = resample(&pair.s)?.contiguous()?;
            let share = pair.y.elem_count() as f64 / s.elem_count() as f64;
            let s = history.kept(s)?;
            let y = vector::scale(share, resample(&pair.y)?.contiguous()?)?;
            history.insert(s, history.kept(y)?)?;
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
