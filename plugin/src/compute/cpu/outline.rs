//! The shape of a plan's memory, without the memory: what is kept of each layer, and how long it is.

use super::lanes::{Grid, WIDTH};
use crate::compute::{Plan, Pooling, Window};
use crate::network::Layer;

/// What a plan remembers of a layer between forward and backward.
#[derive(Clone, Copy)]
pub struct Outline {
    /// The layer.
    pub layer: Layer,
    /// The size of its map.
    pub grid: Grid,
    /// The size of the map after the pooling that follows, where the plan goes through it.
    pub pooled: Option<Grid>,
    /// Whether statistics are taken here.
    pub tap: Option<OutlinedTap>,
    pooling: Pooling,
}

/// What is measured at a layer.
#[derive(Clone, Copy)]
pub struct OutlinedTap {
    /// The plan's window on this layer's grid.
    pub window: Window,
    /// Whether it is a style layer.
    pub is_style: bool,
    /// Whether it is a content layer.
    pub is_content: bool,
}

impl Outline {
    /// The layers from conv1_1 to the highest that is tapped.
    pub fn of(plan: &Plan) -> Vec<Self> {
        let tapped = plan.style_layers.iter().chain(&plan.content_layers);
        let top = tapped.map(|layer| layer.index()).max().unwrap_or(0);
        let outline = |&layer: &Layer| {
            let grid = Grid {
                height: plan.height >> layer.pools(),
                width: plan.width >> layer.pools(),
            };
            let is_pooled = layer.index() < top && Layer::ALL[layer.index() + 1].follows_pool();
            let tap = OutlinedTap {
                window: plan.window.at_depth(layer.pools()),
                is_style: plan.style_layers.contains(&layer),
                is_content: plan.content_layers.contains(&layer),
            };
            Self {
                layer,
                grid,
                pooled: is_pooled.then(|| grid.halved()),
                tap: (tap.is_style || tap.is_content).then_some(tap),
                pooling: plan.pooling,
            }
        };
        Layer::ALL[..=top].iter().map(outline).collect()
    }

    /// Blocks of sixteen channels.
    pub fn blocks(&self) -> usize {
        self.layer.outputs() / WIDTH
    }

    /// The length of its map.
    pub fn len(&self) -> usize {
        self.blocks() * self.grid.pixels()
    }

    /// The length of the map that the next layer reads.
    pub fn output_len(&self) -> usize {
        self.blocks() * self.pooled.unwrap_or(self.grid).pixels()
    }

    /// The number of activations kept: all or, where they are not kept, 0.
    pub fn features(&self) -> usize {
        let is_l2 = self.pooled.is_some() && self.pooling == Pooling::L2;
        if self.tap.is_some() || is_l2 { self.len() } else { 0 }
    }

    /// The number of bits kept of the activations: whether each is above 0.
    pub fn positive(&self) -> usize {
        let pools_without = self.pooled.is_some() && self.pooling != Pooling::Average;
        if self.tap.is_some() || !pools_without {
            self.len()
        } else {
            0
        }
    }

    /// The number of pooled values kept, for L2.
    pub fn roots(&self) -> usize {
        self.pooled_with(Pooling::L2)
    }

    /// The number of choices kept, for Max.
    pub fn choices(&self) -> usize {
        self.pooled_with(Pooling::Max)
    }

    fn pooled_with(&self, pooling: Pooling) -> usize {
        let length = self.pooled.map_or(0, |grid| self.blocks() * grid.pixels());
        if self.pooling == pooling { length } else { 0 }
    }

    /// Whether what the next layer reads is kept; else it is in a buffer.
    pub fn keeps_output(&self) -> bool {
        match self.pooled {
            Some(_) => self.roots() > 0,
            None => self.features() > 0,
        }
    }

    /// Whether the gradient before its pooling must be written out, because that of statistics is added to it.
    pub fn unpools(&self) -> bool {
        self.pooled.is_some() && self.tap.is_some()
    }

    /// Whether what the layer above says is added to the gradient that statistics left here, so that no buffer is written.
    pub fn adds(&self) -> bool {
        self.pooled.is_none() && self.overwrites()
    }

    /// How many buffers are written on the way down from the layer above.
    pub fn buffers_written(&self) -> usize {
        let unpooled = self.unpools() && !self.overwrites();
        usize::from(!self.adds()) + usize::from(unpooled)
    }

    /// Whether the gradient at this layer takes the place of its features: where they were kept to be measured, and L2
    /// pooling does not need them for its own gradient.
    pub fn overwrites(&self) -> bool {
        self.tap.is_some() && self.roots() == 0
    }
}

/// The lengths of the two buffers. Forward, layer `k` writes buffer `k % 2` unless its output is kept; backward, see
/// [`super::pass`].
pub fn buffers(layers: &[Outline]) -> [usize; 2] {
    let mut lengths = [0; 2];
    let mut uses = |buffer: usize, length: usize| lengths[buffer] = length.max(lengths[buffer]);
    let top = layers.len() - 1;
    for (index, layer) in layers[..top].iter().enumerate() {
        if !layer.keeps_output() {
            uses(index % 2, layer.output_len());
        }
    }
    let mut buffer = top % 2;
    for below in layers[..top].iter().rev() {
        if below.unpools() || !below.overwrites() {
            buffer = 1 - buffer;
            uses(buffer, below.output_len());
        }
        if below.unpools() && !below.overwrites() {
            buffer = 1 - buffer;
            uses(buffer, below.len());
        }
    }
    lengths
}
