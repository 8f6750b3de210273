//! What is known of each part of a picture: its plan, and its regions' weights on the grid of every layer.

use std::sync::Arc;

use super::driver::{Card, HostMemory};
use crate::Result;
use crate::compute::regions::Regions;
use crate::compute::{Amounts, Plan};

/// A part of a picture.
pub struct Part {
    /// What is to be computed of it.
    pub plan: Plan,
    /// `[poolings before][region]`: the sum of the weights inside the window.
    pub totals: Vec<Vec<f64>>,
    /// Whether the content's features are held.
    pub holds_content: bool,
    /// `[content layer]`: those features, where they are held in main memory; else empty.
    pub aside: Vec<HostMemory>,
}

impl Part {
    /// A part that holds no content yet, and its regions' weights `[poolings before][region][H * W]`, none without regions.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] where regions' weights are not weights.
    pub fn new(plan: &Plan) -> Result<(Self, Vec<Vec<Vec<f32>>>)> {
        let Regions { maps, totals } = Regions::new(plan)?;
        let part = Self {
            plan: plan.clone(),
            totals,
            holds_content: false,
            aside: Vec::new(),
        };
        Ok((part, maps))
    }

    /// What its statistics are means over.
    pub fn amounts(&self) -> Amounts {
        let style = self.plan.style_layers.iter();
        let content = self.plan.content_layers.iter();
        Amounts {
            weights: style.map(|layer| self.totals[layer.pools()].clone()).collect(),
            elements: content.map(|&layer| self.plan.content_features(layer) as f64).collect(),
        }
    }

    /// Makes room in main memory for the content's features.
    ///
    /// # Errors
    /// When the card fails.
    pub fn hold_aside(&mut self, card: &Arc<Card>) -> Result<()> {
        let layers = self.plan.content_layers.iter();
        let rooms = layers.map(|&layer| HostMemory::new(card, self.plan.content_features(layer) * size_of::<f32>()));
        self.aside = rooms.collect::<Result<_>>()?;
        Ok(())
    }
}
