//! The curvature that limited-memory BFGS remembers: the last few steps and what they did to the gradient.
//!
//! Nocedal's two-loop recursion (1980) turns those pairs and an initial metric into the product of an approximate
//! inverse Hessian with a vector, without ever forming a matrix. Going through the pairs one after the other, it would
//! read the vector anew for each, and memory is what takes the time. But all that a turn of its loops wants to know of
//! the turns before are the products `s_i . y_j` of the pairs with each other, which do not change while the pairs are
//! held (Byrd, Nocedal and Schnabel 1994, section 2). With those at hand, each loop is a pass over all pairs for their
//! products with the vector, a few sums over numbers, and a pass that adds the pairs up:
//!
//! ```text
//!   a_i     = (s_i . q - sum_{j > i} (s_i . y_j) a_j) / (s_i . y_i)     newest first;   q - sum a_i y_i
//!   r       = the metric's image of that
//!   b_i     = (y_i . r + sum_{j < i} (s_j . y_i) (a_j - b_j)) / (s_i . y_i)     oldest first
//!   result  = r + sum (a_i - b_i) s_i
//! ```
//!
//! Under bounds, the gradient's part on the held pixels goes before and that of the result after. The pairs are taken
//! as they were seen: to see them through the mask of the free pixels, too, as if the held ones were constants of the
//! problem (compare Kim, Sra and Dhillon 2010), spares one evaluation of a hundred, and its products would have to be
//! taken anew at each step.

use std::collections::VecDeque;

use super::vector::{self, Change, Resampler, Vector};
use crate::Result;

/// A symmetric, positive definite linear map on pictures: the first guess of the inverse Hessian, up to a factor.
pub trait Metric: Send {
    /// The image of `v`, of the same shape, type and place; it may be made in the memory of `v`.
    fn apply(&self, v: Vector) -> Result<Vector>;

    /// The inner product of `v`, in halves or not, with its image.
    fn square(&self, v: &Vector) -> Result<f64> {
        vector::dot(v, &self.apply(vector::widened(v)?)?)
    }

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
    /// The products of `y` with the steps of the older pairs, oldest first, and with its own.
    products: VecDeque<f64>,
}

impl Pair {
    /// What the metric is multiplied by where this is the newest pair.
    fn scale(&self, metric: &dyn Metric) -> Result<f64> {
        let curvature = self.products.back().copied().unwrap_or(0.0);
        Ok(STRETCH * curvature / metric.square(&self.y)?)
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
        let oldest = self.pairs.len().saturating_sub(pairs);
        self.pairs.drain(..oldest);
        for pair in &mut self.pairs {
            pair.products.drain(..oldest);
        }
    }

    /// Keeps the pair between two points if the curvature along it is positive, in place of the oldest when there are too
    /// many. Returns whether it was kept. What is forgotten goes before the pair is made, and each vector of `from` as
    /// soon as it was seen.
    pub fn learn(&mut self, from: Point, to: &Point, change: &Change) -> Result<bool> {
        let keeps = says_something(change.step, change.gradient, change.curvature);
        if keeps && self.capacity > 0 {
            self.shorten(self.capacity - 1);
            let s = vector::halved_difference(&to.x, &from.x)?;
            drop(from.x);
            let y = vector::halved_difference(&to.gradient, &from.gradient)?;
            self.add(s, y)?;
        }
        Ok(keeps)
    }

    /// As [`Self::learn`], of a pair that was made and [halved](vector::halved).
    pub fn push(&mut self, s: Vector, y: Vector) -> Result<bool> {
        let keeps = says_something(vector::dot(&s, &s)?, vector::dot(&y, &y)?, vector::dot(&s, &y)?);
        if keeps && self.capacity > 0 {
            self.shorten(self.capacity - 1);
            self.add(s, y)?;
        }
        Ok(keeps)
    }

    fn add(&mut self, s: Vector, y: Vector) -> Result<()> {
        let steps: Vec<&Vector> = self.steps().chain([&s]).collect();
        let products = vector::dots(&steps, &y)?.into();
        self.pairs.push_back(Pair { s, y, products });
        Ok(())
    }

    fn steps(&self) -> impl Iterator<Item = &Vector> {
        self.pairs.iter().map(|pair| &pair.s)
    }

    fn changes(&self) -> impl Iterator<Item = &Vector> {
        self.pairs.iter().map(|pair| &pair.y)
    }

    /// `H` times the part of a gradient on the pixels where `free` is 1, and the inner product of both; the result is 0
    /// on the others. `None` while there are no pairs, so that the scale of the metric is unknown.
    pub fn apply(&self, gradient: &Vector, free: &Vector, metric: &dyn Metric) -> Result<Option<(Vector, f64)>> {
        let Some(newest) = self.pairs.back() else {
            return Ok(None);
        };
        // Before there are other vectors.
        let scale = newest.scale(metric)?;
        let (steps, changes): (Vec<&Vector>, Vec<&Vector>) = (self.steps().collect(), self.changes().collect());
        let q = vector::product(free, gradient)?;
        let mut shares = vector::dots(&steps, &q)?;
        for (k, Pair { products, .. }) in self.pairs.iter().enumerate().rev() {
            shares[k] /= products[k];
            for older in 0..k {
                shares[older] -= shares[k] * products[older];
            }
        }
        let back: Vec<f64> = shares.iter().map(|share| -share).collect();
        let q = vector::add_combination(q, &back, &changes)?;
        let image = vector::admit("metric's image", &metric.apply(q)?, gradient)?;
        let r = vector::scale(scale, image)?;
        let along = vector::dots(&changes, &r)?;
        for (k, Pair { products, .. }) in self.pairs.iter().enumerate() {
            let before: f64 = (0..k).map(|older| products[older] * shares[older]).sum();
            shares[k] -= (along[k] + before) / products[k];
        }
        let r = vector::add_combination(r, &shares, &steps)?;
        Ok(Some(vector::scale_masked_then_dot(r, 1.0, free, gradient)?))
    }

    /// The history seen on another grid, of another capacity. Gradients shrink as pixels become more, since each pixel's
    /// share in a loss that is a mean over the picture does. Pictures go when they were seen.
    pub fn resized(mut self, capacity: usize, resampler: &Resampler) -> Result<Self> {
        self.shorten(capacity);
        let mut history = Self::new(capacity);
        let coarse: VecDeque<Vector> = self.pairs.into_iter().flat_map(|pair| [pair.s, pair.y]).collect();
        let samples = coarse.front().map_or(0, Vector::elem_count);
        // A step that waits for its gradient.
        let mut step = None;
        resampler.apply_to_all(coarse, |picture| {
            let share = samples as f64 / picture.elem_count() as f64;
            match step.take() {
                None => step = Some(vector::halved(&picture)?),
                Some(s) => {
                    history.push(s, vector::halved(&vector::scale(share, picture)?)?)?;
                }
            }
            Ok(())
        })?;
        Ok(history)
    }
}

/// Whether the curvature `s . y` of a pair does, from the squares of both lengths; written so that a NaN does not.
fn says_something(s: f64, y: f64, curvature: f64) -> bool {
    curvature > CURVATURE * s.sqrt() * y.sqrt() && curvature.is_finite()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use half::bf16;

    use super::super::problems::random;
    use super::super::vector::{Home, TOGETHER};
    use super::*;

    const LENGTH: usize = 50;

    fn vector(values: &[f32]) -> Vector {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap().into()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// Step and change of the gradient of a bowl, as halves hold them.
    fn pair(seed: u64) -> [Vec<f32>; 2] {
        let s = random(seed, LENGTH, -0.1, 0.1);
        let y = s
            .iter()
            .zip(random(99, LENGTH, 0.5, 5.0))
            .map(|(s, curvature)| s * curvature);
        [s.clone(), y.collect()].map(|values| values.into_iter().map(|value| bf16::from_f32(value).to_f32()).collect())
    }

    /// Nocedal's recursion, turn by turn, in f64.
    fn textbook(pairs: &[[Vec<f32>; 2]], gradient: &[f32], free: &[f32]) -> Vec<f64> {
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<f64>>();
        let pairs: Vec<[Vec<f64>; 2]> = pairs.iter().map(|[s, y]| [wide(s), wide(y)]).collect();
        let free = wide(free);
        let mut q: Vec<f64> = wide(gradient).iter().zip(&free).map(|(g, free)| g * free).collect();
        let mut shares = vec![0.0; pairs.len()];
        for (share, [s, y]) in shares.iter_mut().zip(&pairs).rev() {
            *share = dot(s, &q) / dot(s, y);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= *share * y);
        }
        let [s, y] = pairs.last().unwrap();
        let mut r: Vec<f64> = q.iter().map(|q| STRETCH * dot(s, y) / dot(y, y) * q).collect();
        for (share, [s, y]) in shares.iter().zip(&pairs) {
            let back = dot(y, &r) / dot(s, y);
            r.iter_mut().zip(s).for_each(|(r, s)| *r += (share - back) * s);
        }
        r.iter().zip(&free).map(|(r, free)| r * free).collect()
    }

    #[test]
    fn directions_are_the_textbook_s_however_pairs_came() {
        const CAPACITY: usize = 4;
        let (gradient, mut free) = (random(98, LENGTH, -1.0, 1.0), vec![1.0; LENGTH]);
        free[3] = 0.0;
        let (mut history, mut pairs) = (History::new(CAPACITY), Vec::new());
        // Pushed or learnt, and looked at after it or not: in all orders, and more than are held.
        for seed in 0..16 {
            let [s, y] = pair(seed);
            if seed & 1 == 0 {
                let halves = [&s, &y].map(|values| vector::halved(&vector(values)).unwrap());
                let [s, y] = halves;
                assert!(history.push(s, y).unwrap());
            } else {
                let point = |x: &[f32], gradient: &[f32]| Point {
                    x: vector(x),
                    gradient: vector(gradient),
                };
                let (from, to) = (point(&[0.0; LENGTH], &[0.0; LENGTH]), point(&s, &y));
                let change = vector::change([&from.x, &to.x], [&from.gradient, &to.gradient]).unwrap();
                assert!(history.learn(from, &to, &change).unwrap());
            }
            pairs.push([s, y]);
            let held = &pairs[pairs.len().saturating_sub(CAPACITY)..];
            assert_eq!(history.len(), held.len());
            if seed % 3 != 0 {
                let (found, along) = history
                    .apply(&vector(&gradient), &vector(&free), &Identity)
                    .unwrap()
                    .unwrap();
                let (found, exact) = (
                    found.to_tensor().unwrap().to_vec1::<f32>().unwrap(),
                    textbook(held, &gradient, &free),
                );
                let size = dot(&exact, &exact).sqrt();
                for (found, exact) in found.iter().zip(&exact) {
                    assert!(
                        (f64::from(*found) - exact).abs() < 1e-5 * size,
                        "{seed}: {found} for {exact}"
                    );
                }
                let gradient: Vec<f64> = gradient.iter().copied().map(f64::from).collect();
                assert!((along - dot(&exact, &gradient)).abs() < 1e-5 * size);
            }
            if seed == 9 {
                history.shorten(2);
                pairs.drain(..pairs.len() - 2);
            }
        }
    }

    /// Three of four pictures come to the new grid together, the second change apart from its step.
    #[test]
    fn pictures_that_are_seen_apart_stay_pairs() {
        let samples = TOGETHER / 3;
        let filled = |value: f32| Tensor::full(value, samples, &Device::Cpu).unwrap().into();
        let mut history = History::new(2);
        for (s, y) in [(0.5, 1.0), (0.25, 2.0)] {
            let halves = [s, y].map(|value| vector::halved(&filled(value)).unwrap());
            let [s, y] = halves;
            assert!(history.push(s, y).unwrap());
        }
        let finer = move |coarse: &Tensor| Ok(coarse.narrow(0, 0, samples / 2)?.contiguous()?);
        let resampler = Resampler::new(&Home::Device(Device::Cpu), finer);
        let resized = history.resized(2, &resampler).unwrap();
        let first = |half: &Vector| {
            let values = vector::widened(half).unwrap().to_tensor().unwrap();
            assert_eq!(values.elem_count(), samples / 2);
            values.get(0).unwrap().to_scalar::<f32>().unwrap()
        };
        let steps: Vec<f32> = resized.steps().map(first).collect();
        let changes: Vec<f32> = resized.changes().map(first).collect();
        // Half as many samples, so each says twice as much of the gradient.
        assert_eq!((steps, changes), (vec![0.5, 0.25], vec![2.0, 4.0]));
    }
}
