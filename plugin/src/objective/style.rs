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

use super::wasserstein::{Gaussian, Problem};
use crate::compute::{Moments, MomentsDistance};
use crate::optimise::vector;
use crate::{Result, samples};

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

/// Second moments `[C, C]` and means `[C]`, where they can be read.
pub(super) struct Values<'a> {
    pub(super) second: &'a [f32],
    pub(super) mean: &'a [f32],
}

impl Values<'_> {
    /// What `read` makes of moments.
    pub(super) fn lend<T>(moments: &Moments, read: impl FnOnce(Values) -> T) -> Result<T> {
        samples::lend(&moments.second.contiguous()?, |second| {
            samples::lend(&moments.mean.contiguous()?, |mean| read(Values { second, mean }))
        })?
    }

    /// The covariance, `[C, C]`: second moments less the products of the means.
    pub(super) fn covariance(&self) -> Vec<f32> {
        let mut covariance = self.second.to_vec();
        for (row, own) in covariance.chunks_exact_mut(self.mean.len()).zip(self.mean) {
            let pairs = row.iter_mut().zip(self.mean);
            pairs.for_each(|(moment, other)| *moment -= own * other);
        }
        covariance
    }

    /// The energy of the features.
    pub(super) fn trace(&self) -> f64 {
        trace(self.second, self.mean.len())
    }
}

/// The sum of a square matrix's diagonal.
pub(super) fn trace(matrix: &[f32], side: usize) -> f64 {
    let diagonal = matrix.iter().step_by(side + 1);
    diagonal.map(|&entry| f64::from(entry)).sum()
}

/// A squared distance and its derivatives.
pub(super) struct Distance {
    pub(super) value: f64,
    /// With respect to the second moments, `[C, C]`.
    pub(super) second: Vec<f32>,
    /// With respect to the means, `[C]`.
    pub(super) mean: Vec<f32>,
}

/// A squared distance on its way: what threads share of the work is done before it is solved, and after.
pub(super) enum Begun {
    /// There is nothing to solve.
    Known(Distance),
    /// One thread has to.
    Problem(Box<Problem>),
}

impl Begun {
    /// How large a problem there is to solve.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Known(_) => 0,
            Self::Problem(problem) => problem.size(),
        }
    }

    /// Solves what there is, on this thread.
    pub(super) fn solve(&mut self) -> Result<()> {
        match self {
            Self::Known(_) => Ok(()),
            Self::Problem(problem) => problem.solve(),
        }
    }

    /// The distance, once it is solved.
    pub(super) fn end(self) -> Result<Distance> {
        match self {
            Self::Known(distance) => Ok(distance),
            Self::Problem(problem) => problem.distance(),
        }
    }
}

/// `|a - b|^2` and its derivative with respect to `a`.
fn squares(a: &[f32], b: &[f32]) -> (f64, Vec<f32>) {
    let derivative: Vec<f32> = a.iter().zip(b).map(|(a, b)| 2.0 * (a - b)).collect();
    (0.25 * vector::square(&derivative), derivative)
}

/// What a picture's moments are to come near to.
#[derive(Clone, Debug)]
pub struct StyleTarget {
    wanted: Wanted,
    energy: f64,
}

/// What each [`StyleLoss`] wants to know of the style.
#[derive(Clone, Debug)]
enum Wanted {
    Second(Vec<f32>),
    Apart {
        covariance: Vec<f32>,
        mean: Vec<f32>,
        /// What the means count in the units of the covariance, so that the scalings mean what they say.
        factor: f64,
    },
    Gaussian(Gaussian),
}

impl StyleTarget {
    /// A target for the given distance.
    pub fn new(moments: &Moments, loss: StyleLoss) -> Result<Self> {
        Values::lend(moments, |values| Self::of(&values, loss))?
    }

    fn of(values: &Values, loss: StyleLoss) -> Result<Self> {
        let square_sum = |values: &[f32]| -> f64 { values.iter().map(|&value| f64::from(value).powi(2)).sum() };
        let of_second = square_sum(values.second);
        let (wanted, energy) = match loss {
            StyleLoss::Gram => (Wanted::Second(values.second.to_vec()), of_second),
            StyleLoss::Covariance => {
                let covariance = values.covariance();
                let energy = square_sum(&covariance).max(LEAST_COVARIANCE * of_second);
                let of_means = square_sum(values.mean);
                let factor = energy.max(f64::MIN_POSITIVE) / of_means.max(f64::MIN_POSITIVE);
                let mean = values.mean.to_vec();
                (
                    Wanted::Apart {
                        covariance,
                        mean,
                        factor,
                    },
                    energy,
                )
            }
            StyleLoss::Wasserstein => {
                let gaussian = Gaussian::new(values.mean, &values.covariance())?;
                (Wanted::Gaussian(gaussian), values.trace())
            }
        };
        Ok(Self { wanted, energy })
    }

    /// The distance for a backend that finds it by itself; `None` for those that are left to this module.
    pub(super) fn distance(&self) -> Option<MomentsDistance> {
        match &self.wanted {
            Wanted::Second(wanted) => Some(MomentsDistance::Second(wanted.clone())),
            Wanted::Apart { .. } => None,
            Wanted::Gaussian(gaussian) => gaussian.target().map(MomentsDistance::Gaussian),
        }
    }

    /// Begins with the squared distance of moments from the target.
    pub(super) fn begin(&self, own: &Moments) -> Result<Begun> {
        Values::lend(own, |own| self.begin_with(&own))
    }

    fn begin_with(&self, own: &Values) -> Begun {
        match &self.wanted {
            Wanted::Second(wanted) => {
                let (value, second) = squares(own.second, wanted);
                let mean = vec![0.0; own.mean.len()];
                Begun::Known(Distance { value, second, mean })
            }
            Wanted::Apart {
                covariance,
                mean,
                factor,
            } => {
                let (of_covariances, second) = squares(&own.covariance(), covariance);
                let (of_means, apart) = squares(own.mean, mean);
                // The covariance falls by `m m^T`, and its derivative is symmetric.
                let rows = second.chunks_exact(own.mean.len()).zip(&apart);
                let mean = rows.map(|(row, apart)| {
                    let along: f32 = row.iter().zip(own.mean).map(|(slope, mean)| slope * mean).sum();
                    *factor as f32 * apart - 2.0 * along
                });
                Begun::Known(Distance {
                    value: of_covariances + factor * of_means,
                    mean: mean.collect(),
                    second,
                })
            }
            Wanted::Gaussian(gaussian) => Begun::Problem(Box::new(gaussian.problem(own))),
        }
    }

    /// What a distance is divided by to be relative to the style: `sum A^2` for second moments, `sum covariance^2` (at
    /// least [`LEAST_COVARIANCE`] of the former) for means and covariances, and for Gaussians the energy of the
    /// features, `trace A`.
    pub(super) fn energy(&self) -> f64 {
        self.energy
    }
}
