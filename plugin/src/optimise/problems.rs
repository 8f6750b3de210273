//! Functions whose minima are known, and some that behave like the real one.

use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Evaluation, Problem, Vector};
use crate::{Error, Result};

/// Numbers between `low` and `high`, the same for the same seed.
pub fn random(seed: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(low..high)).collect()
}

/// A vector's elements.
fn values(x: &Vector) -> Result<Vec<f32>> {
    Ok(x.to_tensor()?.flatten_all()?.to_vec1()?)
}

/// A vector of these elements, of another one's shape and in its place.
fn like(x: &Vector, values: Vec<f32>) -> Result<Vector> {
    x.home().bring(&Tensor::from_vec(values, x.shape(), &Device::Cpu)?)
}

/// `1/2 sum c_i (x_i - m_i)^2`: the minimum in the box is `m` clamped.
pub struct Quadratic {
    pub curvature: Vec<f32>,
    pub minimum: Vec<f32>,
}

impl Quadratic {
    /// Curvatures spread over `1 ... condition` evenly in their logarithm, minima both inside and outside the box.
    pub fn new(count: usize, condition: f32) -> Self {
        let curvature = random(1, count, 0.0, 1.0)
            .into_iter()
            .map(|u| condition.powf(u))
            .collect();
        let minimum = random(2, count, -0.5, 1.5);
        Self { curvature, minimum }
    }

    pub fn value(&self, x: &[f32]) -> f64 {
        let terms = x.iter().zip(&self.curvature).zip(&self.minimum);
        terms
            .map(|((&x, &c), &m)| 0.5 * f64::from(c) * f64::from(x - m).powi(2))
            .sum()
    }

    pub fn solution(&self) -> Vec<f32> {
        self.minimum.iter().map(|m| m.clamp(0.0, 1.0)).collect()
    }
}

impl Problem for Quadratic {
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation> {
        let values = values(x)?;
        let terms = values.iter().zip(&self.curvature).zip(&self.minimum);
        let gradient: Vec<f32> = terms.map(|((x, c), m)| c * (x - m)).collect();
        Ok(Evaluation {
            loss: self.value(&values),
            gradient: like(x, gradient)?,
        })
    }
}

/// Rosenbrock's valley, `100 (v - u^2)^2 + (1 - u)^2`, with `(u, v) = -1.5 + 2 x`: both stay below 0.5, so the minimum
/// lies at `u = 0.5` (a bound, `x_0 = 1`) and `v = 0.25` (inside, `x_1 = 0.875`), where the value is 0.25.
pub struct Rosenbrock;

impl Problem for Rosenbrock {
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation> {
        let x0 = values(x)?;
        let [u, v] = [x0[0], x0[1]].map(|x| -1.5 + 2.0 * f64::from(x));
        let bend = v - u * u;
        let gradient = [-400.0 * u * bend - 2.0 * (1.0 - u), 200.0 * bend].map(|g| (2.0 * g) as f32);
        Ok(Evaluation {
            loss: 100.0 * bend * bend + (1.0 - u) * (1.0 - u),
            gradient: like(x, gradient.to_vec())?,
        })
    }
}

/// Style transfer in miniature: two random convolutions with ReLU, Gram matrices of both compared with those of another
/// random picture, features of the second with those of the start.
pub struct Miniature {
    kernels: [Tensor; 2],
    grams: [Tensor; 2],
    content: Tensor,
    pub start: Vector,
}

const MINIATURE_CHANNELS: usize = 12;

impl Miniature {
    pub fn new(size: usize) -> Self {
        let tensor = |seed, shape: (usize, usize, usize, usize), low, high| {
            let count = shape.0 * shape.1 * shape.2 * shape.3;
            Tensor::from_vec(random(seed, count, low, high), shape, &Device::Cpu).unwrap()
        };
        let c = MINIATURE_CHANNELS;
        let kernels = [tensor(3, (c, 3, 3, 3), -1.0, 1.0), tensor(4, (c, c, 3, 3), -0.4, 0.4)];
        // Flat patches: a picture, as far as two convolutions can tell.
        let picture = |seed| {
            tensor(seed, (1, 3, size / 4, size / 4), 0.0, 1.0)
                .upsample_nearest2d(size, size)
                .unwrap()
        };
        let (style, start) = (tensor(5, (1, 3, size, size), 0.0, 1.0), picture(6));
        let grams = Self::features(&kernels, &style).map(|f| Self::gram(&f));
        let content = Self::features(&kernels, &start)[1].clone();
        Self {
            kernels,
            grams,
            content,
            start: start.into(),
        }
    }

    fn features(kernels: &[Tensor; 2], x: &Tensor) -> [Tensor; 2] {
        let first = (x - 0.5)
            .unwrap()
            .conv2d(&kernels[0], 1, 1, 1, 1)
            .unwrap()
            .relu()
            .unwrap();
        let second = first.conv2d(&kernels[1], 1, 1, 1, 1).unwrap().relu().unwrap();
        [first, second]
    }

    fn gram(features: &Tensor) -> Tensor {
        let f = features.flatten(2, 3).unwrap().squeeze(0).unwrap();
        (f.matmul(&f.t().unwrap()).unwrap() / f.dim(1).unwrap() as f64).unwrap()
    }
}

impl Problem for Miniature {
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation> {
        let here = Var::from_tensor(&x.to_tensor()?)?;
        let features = Self::features(&self.kernels, &here);
        let mut loss = ((&features[1] - &self.content)?.sqr()?.mean_all()? * 0.05)?;
        for (features, gram) in features.iter().zip(&self.grams) {
            loss = (loss + (Self::gram(features) - gram)?.sqr()?.mean_all()?)?;
        }
        let mut gradients = loss.backward()?;
        let gradient = gradients
            .remove(&here)
            .ok_or_else(|| Error::Internal("no gradient".into()))?;
        Ok(Evaluation {
            loss: f64::from(loss.to_scalar::<f32>()?),
            gradient: x.home().bring(&gradient)?,
        })
    }
}

/// What befalls an evaluation of [`Faulty`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The loss is NaN.
    LossNan,
    /// The loss is fine and an element of the gradient is NaN.
    GradientNan,
    /// The loss is infinite.
    Infinite,
    /// The evaluation is interrupted.
    Interrupted,
}

/// Another problem with faults in some of its evaluations; it asserts that every point lies in the box.
pub struct Faulty<P> {
    pub inner: P,
    /// The evaluation's number, from 1, to its fault.
    pub fault: fn(usize) -> Option<Fault>,
    pub evaluations: usize,
}

impl<P> Faulty<P> {
    pub fn new(inner: P, fault: fn(usize) -> Option<Fault>) -> Self {
        Self {
            inner,
            fault,
            evaluations: 0,
        }
    }
}

impl<P: Problem> Problem for Faulty<P> {
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation> {
        let values = values(x)?;
        assert!(
            values.iter().all(|x| (0.0..=1.0).contains(x)),
            "a point outside the box"
        );
        self.evaluations += 1;
        let mut evaluation = self.inner.evaluate(x)?;
        match (self.fault)(self.evaluations) {
            None => {}
            Some(Fault::LossNan) => evaluation.loss = f64::NAN,
            Some(Fault::Infinite) => evaluation.loss = f64::INFINITY,
            Some(Fault::GradientNan) => {
                let mut gradient = self::values(&evaluation.gradient)?;
                gradient[0] = f32::NAN;
                evaluation.gradient = like(x, gradient)?;
            }
            Some(Fault::Interrupted) => return Err(Error::State("interrupted".into())),
        }
        Ok(evaluation)
    }
}
