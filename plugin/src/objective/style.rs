//! Distances between the moments of a picture's features and those of a style.
//!
//! All are squared distances, sums over channels:
//!
//! - [`StyleLoss::Gram`]: `|G - A|^2` between second moments (Gatys, Ecker and Bethge 2015).
//! - [`StyleLoss::Covariance`]: means and covariances apart, each relative to the style's own. A Gram matrix mixes
//!   the two, and its largest entries are products of means.
//! - [`StyleLoss::Wasserstein`]: the squared 2-Wasserstein distance between Gaussians with these moments. It is of the
//!   features' own degree (squared), not of the fourth as the others are, so that strong and weak directions of
//!   the style both count.

use candle_core::Tensor;

use super::wasserstein::Gaussian;
use crate::Result;
use crate::compute::Moments;

/// Which distance is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StyleLoss {
    /// Between second moments.
    Gram,
    /// Between means and between covariances.
    Covariance,
    /// Between the Gaussians that have these moments.
    #[default]
    Wasserstein,
}

/// A style of one colour has no covariance to be relative to; this share of its second moments stands in for it.
const LEAST_COVARIANCE: f64 = 1e-6;

/// The moments to come near to, with what each distance wants to know of them beforehand.
#[derive(Clone, Debug)]
pub struct StyleTarget {
    second: Tensor,
    mean: Tensor,
    covariance: Tensor,
    /// `sum A^2`, `sum mean^2`, `sum covariance^2` (at least [`LEAST_COVARIANCE`] of the first).
    square_sums: [f64; 3],
    /// `trace A`: the energy of the features.
    trace: f64,
    gaussian: Option<Gaussian>,
}

fn covariance(second: &Tensor, mean: &Tensor) -> Result<Tensor> {
    Ok((second - mean.unsqueeze(1)?.broadcast_mul(&mean.unsqueeze(0)?)?)?)
}

fn sum(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.sum_all()?)
}

fn trace(matrix: &Tensor) -> Result<f64> {
    let unit = Tensor::eye(matrix.dim(0)?, matrix.dtype(), matrix.device())?;
    super::value(&sum(&(matrix * unit)?)?)
}

fn square_sum(tensor: &Tensor) -> Result<f64> {
    super::value(&sum(&tensor.sqr()?)?)
}

impl StyleTarget {
    /// A target for the given distance.
    pub fn new(moments: &Moments, loss: StyleLoss) -> Result<Self> {
        let covariance = covariance(&moments.second, &moments.mean)?;
        let gaussian = (loss == StyleLoss::Wasserstein)
            .then(|| Gaussian::new(&moments.mean, &covariance))
            .transpose()?;
        let of_second = square_sum(&moments.second)?;
        let of_covariance = square_sum(&covariance)?.max(LEAST_COVARIANCE * of_second);
        Ok(Self {
            second: moments.second.clone(),
            mean: moments.mean.clone(),
            square_sums: [of_second, square_sum(&moments.mean)?, of_covariance],
            trace: trace(&moments.second)?,
            covariance,
            gaussian,
        })
    }

    /// The squared distance of moments `[C, C]` and `[C]` from the target, a scalar on candle's tape.
    pub(super) fn distance(&self, loss: StyleLoss, second: &Tensor, mean: &Tensor) -> Result<Tensor> {
        match loss {
            StyleLoss::Gram => sum(&(second - &self.second)?.sqr()?),
            StyleLoss::Covariance => {
                let [_, means, covariances] = self.square_sums.map(|sum| sum.max(f64::MIN_POSITIVE));
                let of_means = sum(&(mean - &self.mean)?.sqr()?)?;
                let of_covariances = sum(&(covariance(second, mean)? - &self.covariance)?.sqr()?)?;
                // In the units of the covariance, so that the scalings mean what they say.
                Ok((of_covariances + (of_means * (covariances / means))?)?)
            }
            StyleLoss::Wasserstein => match &self.gaussian {
                Some(gaussian) => gaussian.distance(second, mean),
                None => Gaussian::new(&self.mean, &self.covariance)?.distance(second, mean),
            },
        }
    }

    /// What a distance is divided by to be relative to the style.
    pub(super) fn energy(&self, loss: StyleLoss) -> f64 {
        match loss {
            StyleLoss::Gram => self.square_sums[0],
            StyleLoss::Covariance => self.square_sums[2],
            StyleLoss::Wasserstein => self.trace,
        }
    }
}
