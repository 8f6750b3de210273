//! The loss of a picture as the optimiser sees it: everything between pixels and a number.
//!
//! `picture -> margin -> network -> statistics -> objective`, and the gradient back the same way; the total variation
//! of the pixels is added beside it.

use candle_core::Tensor;

use super::margin::Margin;
use crate::Result;
use crate::compute::{Statistics, Tiled};
use crate::objective::{Objective, variation};
use crate::optimise::{Evaluation, Problem};

/// A picture of one size being painted.
pub struct Painting<'a, 'b> {
    /// Prepared for the padded picture, with the content held.
    pub network: &'a mut Tiled<'b>,
    /// What the picture's statistics should come to.
    pub objective: Objective,
    /// What lies around the picture.
    pub margin: Margin,
    /// The factor of the total variation.
    pub smoothness: f64,
}

impl Problem for Painting<'_, '_> {
    fn evaluate(&mut self, picture: &Tensor) -> Result<Evaluation> {
        let ask = |statistics: &Statistics| {
            let valued = self.objective.evaluate(statistics)?;
            Ok((valued.total, valued.gradient))
        };
        let (loss, gradient) = self.network.evaluate(&self.margin.pad(picture)?, ask)?;
        let gradient = self.margin.fold(gradient)?;
        if self.smoothness == 0.0 {
            return Ok(Evaluation { loss, gradient });
        }
        let (roughness, slope) = variation::variation(picture)?;
        Ok(Evaluation {
            loss: loss + self.smoothness * roughness,
            gradient: (gradient + (slope * self.smoothness)?)?,
        })
    }
}
