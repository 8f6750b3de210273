//! The curvature that limited-memory BFGS remembers: the last few steps and what they did to the gradient.
//!
//! Nocedal's two-loop recursion (1980) turns those pairs and an initial metric into the product of an approximate
//! inverse Hessian with a vector, without ever forming a matrix. Under bounds it is taken on the free pixels only: the
//! pairs are seen through a mask of ones and zeros, which gives the approximation that plain L-BFGS would have made had
//! the held pixels been constants of the problem (compare Kim, Sra and Dhillon 2010).

use std::collections::VecDeque;

use candle_core::Tensor;

use super::vector;
use crate::Result;

/// A symmetric, positive definite linear map on pictures: the first guess of the inverse Hessian, up to a factor.
pub trait Metric: Send {
    /// The image of `v`, of the same shape, type and device.
    fn apply(&self, v: &Tensor) -> Result<Tensor>;
}

/// The metric in which every pixel counts alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Metric for Identity {
    fn apply(&self, v: &Tensor) -> Result<Tensor> {
        Ok(v.clone())
    }
}

/// The share of `|s| |y|` that `s . y` must exceed for a pair to say anything about curvature.
const CURVATURE: f64 = 1e-8;

/// A step `s` and the change `y` of the gradient over it.
struct Pair {
    s: Tensor,
    y: Tensor,
    /// What `s . y` must exceed, on all pixels and on those that are free later.
    bound: f64,
}

/// The last few pairs, oldest first. Each costs two pictures of memory: 6.3 MB at 512 x 512, 100 MB at 2048 x 2048.
pub struct History {
    pairs: VecDeque<Pair>,
    limit: usize,
}

impl History {
    /// An empty history of at most `limit` pairs.
    pub fn new(limit: usize) -> Self {
        let pairs = VecDeque::with_capacity(limit);
        Self { pairs, limit }
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

    /// Keeps a pair if the curvature along it is positive, in place of the oldest when there are too many. Returns
    /// whether it was kept.
    pub fn push(&mut self, s: Tensor, y: Tensor) -> Result<bool> {
        let curvature = vector::dot(&s, &y)?;
        let bound = CURVATURE * vector::norm(&s)? * vector::norm(&y)?;
        // Written so that a NaN is refused.
        let keeps = curvature > bound && curvature.is_finite();
        if keeps && self.limit > 0 {
            if self.pairs.len() == self.limit {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { s, y, bound });
        }
        Ok(keeps)
    }

    /// `H v` on the pixels where `free` is 1; `v` is 0 elsewhere and so is the result. `None` when no pair has positive
    /// curvature there, so that the scale of the metric is unknown.
    pub fn apply(&self, v: &Tensor, free: &Tensor, metric: &dyn Metric) -> Result<Option<Tensor>> {
        let sound = self.sound(free)?;
        let Some((newest, curvature)) = sound.first() else {
            return Ok(None);
        };
        let mut alphas = Vec::with_capacity(sound.len());
        let mut q = v.clone();
        let mut along = vector::dot(&newest.s, &q)?;
        for (k, (pair, curvature)) in sound.iter().enumerate() {
            let alpha = along / curvature;
            alphas.push(alpha);
            // The inner product that the next turn wants is taken while the vector passes by.
            let next = sound.get(k + 1).map(|(next, _)| &next.s);
            (q, along) = vector::add_weighted_then_dot(&q, -alpha, free, &pair.y, next)?;
        }
        let y = vector::product(free, &newest.y)?;
        let scale = curvature / vector::dot(&y, &metric.apply(&y)?)?;
        let image = vector::admit("metric's image", &metric.apply(&q)?, v)?;
        let mut r = vector::scale(scale, &vector::product(free, &image)?)?;
        let mut along = match sound.last() {
            Some((oldest, _)) => vector::dot(&oldest.y, &r)?,
            None => 0.0,
        };
        for (k, (pair, curvature)) in sound.iter().enumerate().rev() {
            let beta = along / curvature;
            let next = k.checked_sub(1).map(|next| &sound[next].0.y);
            (r, along) = vector::add_weighted_then_dot(&r, alphas[k] - beta, free, &pair.s, next)?;
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

    /// The history seen on another grid, with another limit. `resample` maps a picture to the new grid; gradients shrink as pixels become
    /// more, since each pixel's share in a loss that is a mean over the picture does.
    pub fn resized(&self, limit: usize, resample: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let mut history = Self::new(limit);
        for pair in self.pairs.iter().skip(self.pairs.len().saturating_sub(limit)) {
            let s = resample(&pair.s)?.contiguous()?;
            let y = vector::admit("resampled gradient", &resample(&pair.y)?, &s)?;
            let share = pair.y.elem_count() as f64 / y.elem_count() as f64;
            history.push(s, vector::scale(share, &y)?)?;
        }
        Ok(history)
    }
}
