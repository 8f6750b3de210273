//! What is known of each part of a picture: its plan, and its regions' weights on the grid of every layer.

use crate::Result;
use crate::compute::Plan;
use crate::compute::regions::Regions;

/// A part of a picture.
pub struct Part {
    /// What is to be computed of it.
    pub plan: Plan,
    /// `[poolings before][region]`: the sum of the weights inside the window.
    pub totals: Vec<Vec<f64>>,
    /// Whether the content's features are held.
    pub holds_content: bool,
}

impl Part {
    /// A part, and its regions' weights `[poolings before][region][H * W]`, none without regions.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] where regions' weights are not weights.
    pub fn new(plan: &Plan) -> Result<(Self, Vec<Vec<Vec<f32>>>)> {
        let Regions { maps, totals } = Regions::new(plan)?;
        let part = Self {
            plan: plan.clone(),
            totals,
            holds_content: false,
        };
        Ok((part, maps))
    }
}
