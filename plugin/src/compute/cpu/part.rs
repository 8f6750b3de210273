//! What is kept of each part of a picture from step to step: its plan, its regions, and the content's features.

use super::buffer::Buffer;
use super::halves::Halves;
use super::lanes::Lanes;
use crate::Result;
use crate::compute::Plan;
use crate::compute::regions::Regions;

/// A part of a picture.
pub struct Part {
    /// What is to be computed of it.
    pub plan: Plan,
    /// `[poolings before][region]`: the weight of each pixel of that grid; no regions where the plan has none.
    pub regions: Vec<Vec<Vec<f32>>>,
    /// `[poolings before][region]`: the sum of the weights inside the window; without regions, its number of pixels.
    pub weights: Vec<Vec<f64>>,
    /// The content's features inside the window, `[content layer]`, once they are held.
    pub content: Option<Vec<Buffer<Lanes>>>,
    /// The same in halves, where it is held like that: `content` is then of the part alone that was looked at last.
    pub halves: Option<Halves>,
    /// What comes down to the joint, once it is held.
    pub deferred: Option<Deferred>,
}

/// What the layers above the joint said when they were last passed.
pub struct Deferred {
    /// The derivative of their loss with respect to the joint's features, `[C/16][H][W]`.
    pub gradient: Buffer<Lanes>,
    /// The product of that with those features.
    pub along: f64,
}

impl Part {
    /// A part whose plan has been checked.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] where regions' weights are not weights.
    pub fn new(plan: &Plan) -> Result<Self> {
        let Regions { maps, totals } = Regions::new(plan)?;
        Ok(Self {
            plan: plan.clone(),
            weights: totals,
            regions: maps,
            content: None,
            halves: None,
            deferred: None,
        })
    }
}
