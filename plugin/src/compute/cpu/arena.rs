//! The memory of a picture's way up and down, laid out before the first step. What a later step allocates is what it hands
//! over, as whoever asked may keep it: the matrices of the moments, 2.4 MB for the usual layers whatever the picture's
//! size, and the gradient where it is not only lent. Nothing else is large, but for the threads' scratch and the
//! transformed weights, which come with the first step and stay.
//!
//! Features are kept where they are tapped (and, for L2 pooling, where its gradient needs them). All else that the
//! backward pass needs of a layer is a bit per activation or two per pooled window. Maps on their way between two
//! layers live in two buffers in turn: a layer reads one and writes the other, forward and backward. Where features were
//! kept to be measured, the gradient takes their place: the largest maps are so held once, not twice.
//!
//! A picture that is looked at in parts has one arena, as large as the largest takes, and laid out anew where the next
//! part has another size. Nothing in it counts on what it held before.

use super::buffer::Buffer;
use super::first::{CHANNELS, FirstLayer};
use super::injection::MomentsFactor;
use super::instructions::InstructionSet;
use super::lanes::Lanes;
use super::moments::Sums;
use super::outline::{Outline, buffers};
use crate::compute::Plan;

/// What is remembered of a layer between forward and backward.
pub struct LayerMemory {
    /// The shape of it.
    pub outline: Outline,
    /// The activations, `[C/16][H][W]`; empty where they are not kept.
    pub features: Buffer<Lanes>,
    /// Whether each activation is above 0; empty where nobody asks.
    pub positive: Buffer<u16>,
    /// Where a pooling follows that the plan goes through.
    pub pool: Option<PoolMemory>,
    /// Where moments are taken.
    pub style: Option<StyleMemory>,
}

/// What is remembered of a pooling.
pub struct PoolMemory {
    /// L2: the pooled values; else empty.
    pub roots: Buffer<Lanes>,
    /// Max: which element was chosen; else empty.
    pub choices: Buffer<u32>,
    /// Max: whether it is above 0; else empty.
    pub positive: Buffer<u16>,
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
    pub buffers: [Buffer<Lanes>; 2],
    /// The picture in the network's space, inside a border of zeros.
    pub input: Buffer<f32>,
    /// The gradient with respect to the picture, `[3][H][W]`.
    pub gradient: Buffer<f32>,
}

impl Arena {
    /// Memory for a plan that has been checked, and for all that are no larger and otherwise alike.
    pub fn new(plan: &Plan, instructions: InstructionSet) -> Self {
        let regions = plan.regions.as_ref().map_or(1, |regions| regions.dims()[0]);
        let layers = Outline::of(plan).into_iter().map(|outline| LayerMemory {
            outline,
            features: Buffer::EMPTY,
            positive: Buffer::EMPTY,
            pool: outline.pooled.map(|_| PoolMemory {
                roots: Buffer::EMPTY,
                choices: Buffer::EMPTY,
                positive: Buffer::EMPTY,
            }),
            style: outline.tap.filter(|tap| tap.is_style).map(|tap| {
                let channels = outline.layer.outputs();
                StyleMemory {
                    sums: Sums::new(channels, tap.window.height * tap.window.width),
                    factors: (0..regions)
                        .map(|_| MomentsFactor::new(instructions, channels))
                        .collect(),
                }
            }),
        });
        let mut arena = Self {
            layers: layers.collect(),
            buffers: [Buffer::EMPTY, Buffer::EMPTY],
            input: Buffer::EMPTY,
            gradient: Buffer::EMPTY,
        };
        arena.lay_out(plan);
        arena
    }

    /// Turns to a plan that is no larger than the first and otherwise alike.
    pub fn lay_out(&mut self, plan: &Plan) {
        let outlines = Outline::of(plan);
        for (memory, length) in self.buffers.iter_mut().zip(buffers(&outlines)) {
            memory.fit(length);
        }
        self.input.fit(FirstLayer::input_len(outlines[0].grid));
        self.gradient.fit(CHANNELS * outlines[0].grid.pixels());
        for (layer, outline) in self.layers.iter_mut().zip(outlines) {
            layer.outline = outline;
            layer.features.fit(outline.features());
            layer.positive.fit(outline.positive());
            if let Some(pool) = &mut layer.pool {
                pool.roots.fit(outline.roots());
                pool.choices.fit(outline.choices());
                pool.positive.fit(outline.choices());
            }
        }
    }
}

impl LayerMemory {
    /// What the next layer reads, if it is kept; else it is in a buffer.
    pub fn kept_output(&self) -> Option<&[Lanes]> {
        let kept = self.pool.as_ref().map_or(&self.features, |pool| &pool.roots);
        self.outline.keeps_output().then_some(kept)
    }
}
