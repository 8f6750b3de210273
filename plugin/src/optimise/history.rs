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
pub trait Metric {
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
        // Not `<=`: a NaN must be refused.
        let keeps = curvature > bound && curvature.is_finite();
        if keeps && self.limit > 0 {
            if self.pairs.len() == self.limit {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { s, y });
        }
        Ok(keeps)
    }

    /// `H v` on the pixels where `free` is 1; `v` is 0 elsewhere and so is the result. `None` when no pair has positive
    /// curvature there, so that the scale of the metric is unknown.
    pub fn apply(&self, v: &Tensor, free: &Tensor, metric: &dyn Metric) -> Result<Option<Tensor>> {
        let mut used = Vec::with_capacity(self.pairs.len());
        let mut q = v.clone();
        let mut scale = None;
        for pair in self.pairs.iter().rev() {
            let curvature = vector::weighted_dot(free, &pair.s, &pair.y)?;
            let y_y = vector::weighted_dot(free, &pair.y, &pair.y)?;
            let s_s = vector::weighted_dot(free, &pair.s, &pair.s)?;
            // A pair that was sound on all pixels may say nothing, or nonsense, about those that are free now.
            let sound = curvature > CURVATURE * (s_s * y_y).sqrt();
            if !sound {
                continue;
            }
            if scale.is_none() {
                let y = vector::product(free, &pair.y)?;
                scale = Some(curvature / vector::dot(&y, &metric.apply(&y)?)?);
            }
            let alpha = vector::dot(&pair.s, &q)? / curvature;
            q = vector::add_weighted(&q, -alpha, free, &pair.y)?;
            used.push((pair, curvature, alpha));
        }
        let Some(scale) = scale else {
            return Ok(None);
        };
        let mut r = vector::product(free, &vector::admit("metric's image", &metric.apply(&q)?, v)?)?;
        r = vector::scale(scale, &r)?;
        for (pair, curvature, alpha) in used.into_iter().rev() {
            let beta = vector::dot(&pair.y, &r)? / curvature;
            r = vector::add_weighted(&r, alpha - beta, free, &pair.s)?;
        }
        Ok(Some(r))
    }

    /// The history seen on another grid. `resample` maps a picture to the new grid; gradients shrink as pixels become
    /// more, since each pixel's share in a loss that is a mean over the picture does.
    pub fn resized(&self, resample: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let mut history = Self::new(self.limit);
        for pair in &self.pairs {
            let s = resample(&pair.s)?.contiguous()?;
            let y = vector::admit("resampled gradient", &resample(&pair.y)?, &s)?;
            let share = pair.y.elem_count() as f64 / y.elem_count() as f64;
            history.push(s, vector::scale(share, &y)?)?;
        }
        Ok(history)
    }
}
