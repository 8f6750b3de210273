//! The settings of the filter "style-transfer". The manifest says what they mean and how far they go.

use serde::Deserialize;

use super::{Device, layers};
use crate::compute::Pooling;
use crate::network::Layer;
use crate::objective::{Scaling, StyleLoss};

/// Everything that can be set about a style transfer: one field for each parameter of the manifest, of the same name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StyleTransfer {
    /// The preset that the other values started from; it has done its work by now.
    pub preset: String,
    /// How far the picture gives way to the style: a factor of the style loss, 0 or more.
    pub style_strength: f64,
    /// The size of the style relative to the canvas, above 0.
    pub brush_size: f64,
    /// A factor of the total variation, 0 or more.
    pub smoothness: f64,
    /// A factor of the number of steps, above 0.
    pub quality: f64,
    /// What the painting starts from.
    pub start: Start,
    /// Chooses the random numbers.
    pub seed: u64,
    /// Which statistics the result must share with the style.
    pub loss: StyleLoss,
    /// How losses of different layers and sizes are made comparable.
    pub scaling: Scaling,
    /// The layers that make the style and their weights of 0 or more, in the network's order, one at least.
    #[serde(deserialize_with = "layers::some")]
    pub style_layers: Vec<(Layer, f64)>,
    /// The layers that make the content and their weights of 0 or more, in the network's order; may be none.
    #[serde(deserialize_with = "layers::any")]
    pub content_layers: Vec<(Layer, f64)>,
    /// The factor of the content loss, 0 or more.
    pub alpha: f64,
    /// The factor of the style loss, 0 or more.
    pub beta: f64,
    /// How the network shrinks its feature maps.
    #[serde(with = "PoolingId")]
    pub pooling: Pooling,
    /// What the network sees beyond the border.
    pub edges: Edges,
    /// How the pixels are moved.
    pub optimiser: Optimiser,
    /// About how far either Adam moves a sample at a step, of a range of 1; above 0.
    pub learning_rate: f64,
    /// Whether to paint coarse to fine.
    pub pyramid: bool,
    /// The longer side at which to paint, in pixels; 0 is the canvas's own.
    pub working_size: usize,
    /// Where to compute.
    pub device: Device,
    /// How exactly to compute on a card.
    pub precision: Precision,
    /// Processor threads; 0 is all.
    pub threads: usize,
    /// The most main memory that a render may take with everything, in gigabytes, and the most of a card's own; 0 is most of
    /// what is available.
    pub memory_limit: f64,
    /// A model file to use in place of the built-in network, unless empty.
    pub model: String,
}

/// What a painting starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The content.
    Canvas,
    /// Random colours.
    Noise,
    /// The first style, stretched to the canvas.
    Style,
}

/// What the network sees beyond the border of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edges {
    /// The picture's own reflection.
    Reflect,
    /// Nothing.
    Zero,
}

/// How the pixels are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Few, good steps.
    Lbfgs,
    /// Many, steady steps; averaged, and in gamut throughout.
    Adam,
    /// The same as the article's program has it: neither averaged nor kept in gamut.
    PlainAdam,
}

/// How exactly a card computes that can do so in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// As exactly as does not show.
    Standard,
    /// As fast as can be.
    Draft,
}

/// The manifest's names for [`Pooling`].
#[derive(Deserialize)]
#[serde(remote = "Pooling", rename_all = "kebab-case")]
enum PoolingId {
    Max,
    Average,
    L2,
}
