//! The loss of a picture as the optimiser sees it: everything between pixels and a number.
//!
//! `picture -> network -> statistics -> objective`, and the gradient back the same way; the total variation
//! of the pixels is added beside it.

use crate::Result;
use crate::compute::{Statistics, Tiled};
use crate::objective::Objective;
use crate::objective::variation::add_variation;
use crate::optimise::{Evaluation, Problem, Vector};

/// A picture of one size being painted.
pub struct Painting<'a, 'b> {
    /// Prepared for the picture, with the content held.
    pub network: &'a mut Tiled<'b>,
    /// What the picture's statistics should come to.
    pub objective: Objective,
    /// The factor of the total variation.
    pub smoothness: f64,
}

impl Problem for Painting<'_, '_> {
    fn evaluate(&mut self, picture: &Vector) -> Result<Evaluation> {
        let ask = |statistics: &Statistics| {
            let valued = self.objective.evaluate(statistics)?;
            Ok((valued.total, valued.gradient))
        };
        let (loss, gradient) = self.network.evaluate(picture, ask)?;
        if self.smoothness == 0.0 {
            return Ok(Evaluation { loss, gradient });
        }
        let (roughness, gradient) = add_variation(picture, self.smoothness, gradient)?;
        Ok(Evaluation {
            loss: loss + self.smoothness * roughness,
            gradient,
        })
    }
}
