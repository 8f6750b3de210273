//! The loss of a picture as the optimiser sees it: everything between pixels and a number.
//!
//! `picture -> network -> statistics -> objective`, and the gradient back the same way; the total variation
//! of the pixels is added beside it. Where a plan defers its highest layer, not every evaluation goes up to it
//! ([`super::deferral`]).

use super::deferral::Deferral;
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
    /// What is known of the highest layer.
    pub deferral: Deferral,
}

impl Painting<'_, '_> {
    /// The loss of a picture's statistics and its gradient with respect to the pixels.
    fn evaluate_network(&mut self, picture: &Vector) -> Result<(f64, Vector)> {
        let Self {
            network,
            objective,
            deferral,
            ..
        } = self;
        if let Some(evaluated) = network.evaluate_losses(picture)? {
            return Ok(evaluated);
        }
        if !network.defers() {
            let ask = |statistics: &Statistics, _| {
                let valued = objective.evaluate(statistics)?;
                Ok((valued.total, valued.gradient))
            };
            return network.evaluate(picture, ask);
        }
        if deferral.spares_next() {
            let ask = |statistics: &Statistics, change| {
                let valued = objective.evaluate(statistics)?;
                Ok((deferral.spared(valued.total, change), valued.gradient))
            };
            return network.evaluate_to_joint(picture, ask);
        }
        let ask = |statistics: &Statistics, change| {
            let valued = objective.evaluate(statistics)?;
            let above = objective.beta * valued.style.last().copied().unwrap_or(0.0);
            Ok((deferral.seen(valued.total - above, above, change), valued.gradient))
        };
        network.evaluate(picture, ask)
    }
}

impl Problem for Painting<'_, '_> {
    fn evaluate(&mut self, picture: &Vector) -> Result<Evaluation> {
        let (loss, gradient) = self.evaluate_network(picture)?;
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
