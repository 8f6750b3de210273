//! Once up and once down the network: which kernel runs on what. What is measured on the way is the business of
//! `measures`.
//!
//! A gradient is always stored as it is below its layer's ReLU: whatever adds to it asks the layer's bits.

use super::driver::{Card, Memory};
use super::kernels::{Argument, MapWindow, Precision};
use super::layout::{LayerRoom, Layout, PartRoom, PooledRoom, measures};
use super::part::Part;
use super::tile::Tile;
use super::weights::Weights;
use crate::compute::Pooling;
use crate::network::Layer;
use crate::{Error, Result};

/// Pixels that a block deals with, and channels that one of products does.
pub(super) const PIXELS: usize = 128;
pub(super) const CHANNELS: usize = 64;
/// Rows and columns that a block of conv1_1 deals with.
const TILE: [usize; 2] = [8, 32];
/// Threads of kernels that have one to an element.
pub(super) const ELEMENTS: usize = 256;

/// The blocks of conv1_1.
fn tiles(height: usize, width: usize) -> usize {
    height.div_ceil(TILE[0]) * width.div_ceil(TILE[1])
}

/// A network and a picture's memory on a card, and what is to be computed.
pub struct Pass<'a> {
    pub card: &'a Card,
    pub weights: &'a Weights,
    pub layout: &'a Layout,
    pub memory: &'a Memory,
    pub part: &'a Part,
    pub room: &'a PartRoom,
}

impl Pass<'_> {
    pub(super) fn at(&self, offset: usize) -> Argument {
        self.memory.address(offset)
    }

    pub(super) fn size(&self, layer: Layer) -> (usize, usize) {
        (
            self.part.plan.height >> layer.pools(),
            self.part.plan.width >> layer.pools(),
        )
    }

    pub(super) fn window(&self, layer: Layer) -> (Argument, usize) {
        let window = self.part.plan.window.at_depth(layer.pools());
        let argument = Argument::Window(MapWindow {
            stride: self.size(layer).1 as i32,
            top: window.top as i32,
            left: window.left as i32,
            height: window.height as i32,
            width: window.width as i32,
        });
        (argument, window.height * window.width)
    }

    pub(super) fn layer_room(&self, layer: Layer) -> &LayerRoom {
        &self.layout.layers[layer.index()]
    }

    /// Where a measured layer's features are.
    pub(super) fn features(&self, layer: Layer) -> Result<Argument> {
        let features = self.layer_room(layer).features;
        let features = features.ok_or_else(|| Error::Internal("a measured layer kept no features".into()))?;
        Ok(self.at(features))
    }

    /// From the picture, which is in its place, to its statistics, which are left in the block.
    pub fn up(&self) -> Result<()> {
        self.forward()?;
        self.measure()
    }

    /// From the picture, which is in its place, to the features of every layer.
    pub fn forward(&self) -> Result<()> {
        let precision = self.weights.precision;
        let mut input = self.layout.picture;
        for room in &self.layout.layers {
            let layer = room.layer;
            let (height, width) = self.size(layer);
            let other = |taken: usize| self.layout.buffers[usize::from(taken == self.layout.buffers[0])];
            // In float32, what is kept is what goes on.
            let (output, kept) = match room.features {
                Some(features) if precision != Precision::Bfloat16 => (features, None),
                features => (other(input), features),
            };
            self.convolve_forward(room, input, output, kept)?;
            input = output;
            let Some(pooled) = room.pooled else { continue };
            let channels = layer.outputs();
            let to = match pooled {
                PooledRoom::L2 { output } => output,
                _ => other(input),
            };
            let (from, into) = (self.at(input), self.at(to));
            let sizes = [height, width, channels].map(Argument::size);
            let (kernel, mut arguments) = match pooled {
                PooledRoom::Max { winners } => (precision.pool_max(), vec![from, into, self.at(winners)]),
                PooledRoom::Average => (precision.pool_average(), vec![from, into]),
                PooledRoom::L2 { .. } => (
                    precision.pool_l2(),
                    vec![from, into, Argument::Float(Pooling::L2_SCALE)],
                ),
            };
            arguments.extend(sizes);
            let blocks = (height / 2 * (width / 2) * channels).div_ceil(ELEMENTS);
            self.card.launch(kernel, (blocks, 1), &mut arguments)?;
            input = to;
        }
        Ok(())
    }

    fn convolve_forward(&self, room: &LayerRoom, input: usize, output: usize, kept: Option<usize>) -> Result<()> {
        let layer = room.layer;
        let (height, width) = self.size(layer);
        let (weights, bias) = (self.weights.forward(layer), self.weights.bias(layer));
        let (input, output, positive) = (self.at(input), self.at(output), self.at(room.positive));
        let kept = kept.map_or(Argument::NULL, |kept| self.at(kept));
        let [rows, columns, inputs, outputs] = [height, width, layer.inputs(), layer.outputs()].map(Argument::size);
        if layer.index() == 0 {
            let scaling = Argument::Scaling(self.weights.scaling);
            let mut arguments = [input, weights, bias, scaling, output, kept, positive, rows, columns];
            let kernel = self.weights.precision.picture_forward();
            return self.card.launch(kernel, (tiles(height, width), 1), &mut arguments);
        }
        let mut arguments = [
            input, weights, bias, output, kept, positive, rows, columns, inputs, outputs,
        ];
        let (tile, blocks) = self.tile(layer, layer.outputs());
        self.card.launch(tile.forward, (blocks, 1), &mut arguments)
    }

    /// The tile for a layer's map with so many channels, and the blocks that cover it.
    fn tile(&self, layer: Layer, channels: usize) -> (Tile, usize) {
        let (height, width) = self.size(layer);
        let tile = Tile::of(self.weights.precision, self.card.is_hopper(), height, width, channels);
        (tile, tile.blocks(height, width, channels))
    }

    /// From the derivatives of statistics, which are in the block, to that of the picture, which is left in the picture's
    /// place.
    pub fn down(&self) -> Result<()> {
        let [mut gradient, mut other] = self.layout.buffers;
        let Some(top) = self.layout.layers.last() else {
            let bytes = 3 * self.part.plan.height * self.part.plan.width * size_of::<f32>();
            return self.memory.clear(self.layout.picture, bytes);
        };
        let (height, width) = self.size(top.layer);
        let bytes = height * width * top.layer.outputs() * self.weights.precision.bytes_of_number();
        self.memory.clear(gradient, bytes)?;
        for room in self.layout.layers.iter().rev() {
            let layer = room.layer;
            if measures(&self.part.plan, layer) {
                self.inject(layer, gradient)?;
            }
            let (height, width) = self.size(layer);
            let [rows, columns, inputs, outputs] = [height, width, layer.inputs(), layer.outputs()].map(Argument::size);
            let (from, weights) = (self.at(gradient), self.weights.backward(layer));
            let Some(below) = layer.index().checked_sub(1).map(|below| &self.layout.layers[below]) else {
                let scaling = Argument::Scaling(self.weights.scaling);
                let mut arguments = [from, weights, scaling, self.at(self.layout.picture), rows, columns];
                let kernel = self.weights.precision.picture_backward();
                return self.card.launch(kernel, (tiles(height, width), 1), &mut arguments);
            };
            let mask = match below.pooled {
                Some(_) => Argument::NULL,
                None => self.at(below.positive),
            };
            let mut arguments = [from, weights, mask, self.at(other), rows, columns, outputs, inputs];
            let (tile, blocks) = self.tile(layer, layer.inputs());
            self.card.launch(tile.backward, (blocks, 1), &mut arguments)?;
            if let Some(pooled) = below.pooled {
                self.pull_back(below, pooled, other, gradient)?;
            } else {
                (gradient, other) = (other, gradient);
            }
        }
        Ok(())
    }

    /// Back through the pooling after a layer.
    fn pull_back(&self, room: &LayerRoom, pooled: PooledRoom, from: usize, to: usize) -> Result<()> {
        let layer = room.layer;
        let (height, width) = self.size(layer);
        let (gradient, positive, output) = (self.at(from), self.at(room.positive), self.at(to));
        let precision = self.weights.precision;
        let (kernel, mut arguments) = match pooled {
            PooledRoom::Max { winners } => (
                precision.pool_max_back(),
                vec![gradient, self.at(winners), positive, output],
            ),
            PooledRoom::Average => (precision.pool_average_back(), vec![gradient, positive, output]),
            PooledRoom::L2 { output: root } => {
                let (features, scale) = (self.features(layer)?, Argument::Float(Pooling::L2_SCALE));
                let arguments = vec![gradient, features, self.at(root), positive, output, scale];
                (precision.pool_l2_back(), arguments)
            }
        };
        arguments.extend([height, width, layer.outputs()].map(Argument::size));
        // A thread takes four channels of a window, be it one that is cut off.
        let windows = height.div_ceil(2) * width.div_ceil(2);
        let blocks = (windows * layer.outputs() / 4).div_ceil(ELEMENTS);
        self.card.launch(kernel, (blocks, 1), &mut arguments)
    }
}
