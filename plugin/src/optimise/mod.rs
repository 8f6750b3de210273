//! How pixels are moved: minimising a loss over pictures whose samples stay within 0 and 1.
//!
//! One evaluation of the loss and its gradient runs the network both ways and takes most of a second or more; anything
//! done to a picture as a vector takes milliseconds. So the optimisers here spend arithmetic to save evaluations, and
//! their unit is the evaluation: **a step is exactly one evaluation**. A trial point that a line search refuses is a
//! step too. Between two steps the caller may report progress, show a preview, stop or cancel, and every way of leaving,
//! an error out of the evaluation among them, finds the optimiser sound: nothing changes before the evaluation returned.
//!
//! Every point that is evaluated or shown lies in the box `0 <= x <= 1`. Clipping only at the end would throw most of
//! the work away: unconstrained, a good part of the pixels wanders out of gamut. (The one exception is
//! [`AdamOptions::plain`], which is there to reproduce programs that do so.)
//!
//! - [`Lbfgs`]: few, good steps; a projected quasi-Newton method with a line search of its own.
//! - [`Adam`]: many, steady steps; candle-nn's Adam, projected, with averaged iterates, or plain.
//!
//! ```text
//! while evaluations are left {
//!     let step = optimiser.step(&mut problem)?;     // one evaluation
//!     report(step.loss, optimiser.picture())        // stop or cancel here
//!     if let Some(ending) = step.ended { break }    // "converged: ..."
//! }
//! optimiser.picture()
//! ```

pub mod adam;
pub mod average;
pub mod history;
pub mod lbfgs;
pub mod line_search;
pub mod local_scale;
pub mod moments;
pub mod octaves;
pub mod picture_metric;
pub mod plateau;
pub mod vector;

#[cfg(test)]
pub(crate) mod problems;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::Result;

pub use adam::{Adam, AdamOptions, Shown};
pub use history::{History, Identity, Metric};
pub use lbfgs::{Lbfgs, LbfgsOptions};
pub use picture_metric::PictureMetric;
pub use vector::{Home, Resampler, Vector};

/// What an evaluation gives back.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The value of the loss. It may be infinite or NaN: optimisers take that for a step that went too far.
    pub loss: f64,
    /// Its derivatives with respect to the picture: the picture's shape, type and place. Its memory is the optimiser's.
    pub gradient: Vector,
}

/// A loss as a function of a picture. The same picture must give the same loss.
pub trait Problem {
    /// The loss and its gradient at `x`, a contiguous vector of f32 with all elements within 0 and 1.
    ///
    /// # Errors
    /// Any error ends the step at once and is handed through. The optimiser is then as it was before the step, so an
    /// evaluation that was interrupted may be tried again, or the best picture so far taken.
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation>;
}

/// What a step, one evaluation, did.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The loss at the point evaluated.
    pub loss: f64,
    /// Whether the optimiser went there; `false` for a trial that it refused.
    pub accepted: bool,
    /// Evaluations so far.
    pub evaluations: usize,
    /// Why it is at its end, when it is. Further steps evaluate nothing and say the same.
    pub ended: Option<Ending>,
}

/// Something that moves a picture downhill.
pub trait Optimiser: Send {
    /// Evaluates once and acts on it. The first step evaluates the picture to start from.
    ///
    /// # Errors
    /// Those of [`Problem::evaluate`], handed through, and a gradient unlike the picture.
    fn step(&mut self, problem: &mut dyn Problem) -> Result<Step>;

    /// What should be shown or saved now: the best picture so far, or the averaged one where iterates are averaged.
    fn picture(&self) -> &Vector;

    /// The point with the lowest loss of those evaluated, and that loss: the start and infinity before the first step.
    fn best(&self) -> (&Vector, f64);
}

/// Why an optimiser came to its end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The loss has all but ceased to fall, or no pixel can be moved downhill.
    Converged,
    /// No trial along the gradient lowered the loss: it is as low as the arithmetic's precision allows.
    Stalled,
    /// The loss was not finite, or far above the start, several times in a row.
    Diverged,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Converged => "converged: the loss has all but ceased to fall",
            Self::Stalled => "stalled: no step along the gradient lowers the loss any further",
            Self::Diverged => "diverged: the loss exploded or was not finite; the best picture so far is kept",
        })
    }
}
