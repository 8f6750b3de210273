//! The memory of a picture's way up and down, laid out before the first step: nothing large is allocated afterwards.
//!
//! Features are kept where they are tapped (and, for L2 pooling, where its gradient needs them). All else that the
//! backward pass needs of a layer is a bit per activation or two per pooled window. Maps on their way between two
//! layers live in two buffers in turn: a layer reads one and writes the other, forward and backward.
//!
//! A picture that is looked at in parts has one arena, as large as the largest takes, and laid out anew where the next
//! part has another size. Nothing in it counts on what it held before.

use super::first::FirstLayer;
use super::injection::MomentsFactor;
use super::lanes::Lanes;
use super::moments::Sums;
use super::outline::{Outline, buffers};
use crate::compute::Plan;

/// What is remembered of a layer between forward and backward.
pub struct LayerMemory {
    /// The shape of it.
    pub outline: Outline,
    /// The activations, `[C/16][H][W]`; empty where they are not kept.
    pub features: Vec<Lanes>,
    /// Whether each activation is above 0; empty where nobody asks or the activations are kept.
    pub positive: Vec<u16>,
    /// Where a pooling follows that the plan goes through.
    pub pool: Option<PoolMemory>,
    /// Where moments are taken.
    pub style: Option<StyleMemory>,
}

/// What is remembered of a pooling.
#[derive(Default)]
pub struct PoolMemory {
    /// L2: the pooled values; else empty.
    pub roots: Vec<Lanes>,
    /// Max: which element was chosen; else empty.
    pub choices: Vec<u32>,
    /// Max: whether it is above 0; else empty.
    pub positive: Vec<u16>,
}

/// What the moments of a style layer are made in and said with.
pub struct StyleMemory {
    /// The memory that they are summed in.
    pub sums: Sums,
    /// For each region the derivatives with respect to its moments.
    pub factors: Vec<MomentsFactor>,
}

/// All memory of a plan.
pub struct Arena {
    /// The layers from conv1_1 to the highest that is tapped.
    pub layers: Vec<LayerMemory>,
    /// Maps on their way, forward and backward.
    pub buffers: [Vec<Lanes>; 2],
    /// The picture in the network's space, inside a border of zeros.
    pub input: Vec<f32>,
}

impl Arena {
    /// Memory for a plan that has been checked, and for all that are no larger and otherwise alike.
    pub fn new(plan: &Plan) -> Self {
        let regions = plan.regions.as_ref().map_or(1, |regions| regions.dims()[0]);
        let layers = Outline::of(plan).into_iter().map(|outline| LayerMemory {
            outline,
            features: Vec::new(),
            positive: Vec::new(),
            pool: outline.pooled.map(|_| PoolMemory::default()),
            style: outline.tap.filter(|tap| tap.is_style).map(|tap| {
                let channels = outline.layer.outputs();
                StyleMemory {
                    sums: Sums::new(channels, tap.window.height * tap.window.width),
                    factors: (0..regions).map(|_| MomentsFactor::new(channels)).collect(),
                }
            }),
        });
        let mut arena = Self {
            layers: layers.collect(),
            buffers: [Vec::new(), Vec::new()],
            input: Vec::new(),
        };
        arena.lay_out(plan);
        arena
    }

    /// Turns to a plan that is no larger than the first and otherwise alike.
    pub fn lay_out(&mut self, plan: &Plan) {
        let outlines = Outline::of(plan);
        for (memory, length) in self.buffers.iter_mut().zip(buffers(&outlines)) {
            fit(memory, length, Lanes::ZERO);
        }
        fit(&mut self.input, FirstLayer::input_len(outlines[0].grid), 0.0);
        for (layer, outline) in self.layers.iter_mut().zip(outlines) {
            layer.outline = outline;
            fit(&mut layer.features, outline.features(), Lanes::ZERO);
            fit(&mut layer.positive, outline.positive(), 0);
            if let Some(pool) = &mut layer.pool {
                fit(&mut pool.roots, outline.roots(), Lanes::ZERO);
                fit(&mut pool.choices, outline.choices(), 0);
                fit(&mut pool.positive, outline.choices(), 0);
            }
        }
    }
}

/// Gives memory a length. Only the first time does it allocate; what it holds does not matter.
fn fit<T: Copy>(memory: &mut Vec<T>, length: usize, filler: T) {
    memory.reserve_exact(length.saturating_sub(memory.len()));
    memory.resize(length, filler);
}

impl LayerMemory {
    /// What the next layer reads, if it is kept; else it is in a buffer.
    pub fn kept_output(&self) -> Option<&[Lanes]> {
        let kept = self.pool.as_ref().map_or(&self.features, |pool| &pool.roots);
        self.outline.keeps_output().then_some(kept)
    }
}
