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
}
