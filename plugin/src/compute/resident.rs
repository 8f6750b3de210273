//! Pictures that stay on a card: the seam without the way through main memory.
//!
//! A backend whose card is an optimiser's [`Home`](crate::optimise::Home) takes boxes of a picture that lives there, and
//! leaves their gradients there. What boxes there are is the business of [`super::Tiled`], as it is for other pictures.

use super::{Statistics, StatisticsGradient, Window};
use crate::Result;
use crate::optimise::Vector;

/// A box of a picture in its padded form.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Where it lies in the picture with its border.
    pub window: Window,
    /// The reflected pixels of that border, on each side.
    pub margin: usize,
}

/// What statistics are means over.
#[derive(Clone, Debug)]
pub struct Amounts {
    /// `[style layer][region]`: the sum of the pixels' weights.
    pub weights: Vec<Vec<f64>>,
    /// `[content layer]`: the elements.
    pub elements: Vec<f64>,
}

/// The style's side of a squared 2-Wasserstein distance between Gaussians, over the `k` directions that count.
#[derive(Clone, Debug)]
pub struct GaussianTarget {
    /// `[C]`.
    pub mean: Vec<f32>,
    /// `[k][C]`: unit vectors across one another.
    pub directions: Vec<f32>,
    /// `[k]`: the standard deviation along each, above 0.
    pub lengths: Vec<f64>,
    /// The trace of the covariance over them.
    pub trace: f64,
    /// The variance in all directions that is added to the picture's covariance, relative to the trace of its second
    /// moments.
    pub noise: f64,
}

/// A squared distance of second moments `[C, C]` and a mean `[C]` from a style's, that is known without main memory.
#[derive(Clone, Debug)]
pub enum MomentsDistance {
    /// The sum of squares of second moments less these, `[C][C]`.
    Second(Vec<f32>),
    /// That of Gaussians.
    Gaussian(GaussianTarget),
}

impl MomentsDistance {
    /// `C`.
    pub fn channels(&self) -> usize {
        match self {
            Self::Second(wanted) => wanted.len().isqrt(),
            Self::Gaussian(target) => target.mean.len(),
        }
    }
}

/// A distance in a total.
#[derive(Clone, Debug)]
pub struct MomentsLoss {
    /// What it is.
    pub distance: MomentsDistance,
    /// What it is multiplied by.
    pub slope: f64,
}

/// A content distance in a total.
#[derive(Clone, Copy, Debug)]
pub struct ContentLoss {
    /// The elements that it is a mean square of.
    pub elements: f64,
    /// What it is multiplied by.
    pub slope: f64,
}

/// The weighted sum of losses that a backend finds by itself.
#[derive(Clone, Debug)]
pub struct Losses {
    /// `[style layer][region]`.
    pub style: Vec<Vec<MomentsLoss>>,
    /// `[content layer]`.
    pub content: Vec<ContentLoss>,
}

/// A backend that computes where an optimiser's vectors live.
pub trait Resident {
    /// As [`super::Backend::forward`], of what a part's box shows of a picture `[1, 3, H, W]`.
    ///
    /// # Errors
    /// Failures of the card, and a picture that is not there.
    fn forward_box(&mut self, part: usize, picture: &Vector, seen: Seen) -> Result<Statistics>;

    /// As [`super::Backend::backward`]; the gradient is added to that of the picture which the box was cut out of.
    ///
    /// # Errors
    /// Failures of the card, and a sum that is not there.
    fn backward_box(&mut self, gradient: &StatisticsGradient, seen: Seen, sum: &Vector) -> Result<()>;

    /// What the statistics of a part are means over.
    ///
    /// # Errors
    /// Where there is no such part.
    fn amounts(&self, part: usize) -> Result<Amounts>;

    /// Takes losses of the statistics of a part that holds its content, for [`Self::evaluate_box`], until the backend is
    /// prepared anew.
    ///
    /// # Errors
    /// Losses of other statistics, failures of the card, and one that is full.
    fn take_losses(&mut self, part: usize, losses: &Losses) -> Result<()>;

    /// Whether losses of a part are taken.
    fn has_losses(&self, part: usize) -> bool;

    /// The total of the losses that were taken, of what a part's box shows of a picture; the gradient is added to that of the
    /// picture. `None`, and a sum that is none, where it cannot be told: of statistics that are not those of features
    /// to the last digits, say.
    ///
    /// # Errors
    /// As of [`Self::forward_box`] and [`Self::backward_box`], and where no losses were taken.
    fn evaluate_box(&mut self, part: usize, picture: &Vector, seen: Seen, sum: &Vector) -> Result<Option<f64>>;
}
