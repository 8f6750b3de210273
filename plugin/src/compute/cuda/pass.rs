//! Once up and once down the network: which kernel runs on what.
//!
//! A gradient is always stored as it is below its layer's ReLU: whatever adds to it asks the layer's bits.

use super::driver::{Card, Memory};
use super::kernels::{Argument, Kernel, MapWindow, Precision};
use super::layout::{DISTANCE_BLOCKS, LayerRoom, Layout, PooledRoom, Slices, measures, tiles};
use super::weights::Weights;
use crate::compute::{Plan, Pooling};
use crate::network::Layer;
use crate::{Error, Result};

/// Pixels that a block of the convolutions deals with, and channels that one of products does.
const PIXELS: usize = 128;
const CHANNELS: usize = 64;
/// Threads of kernels that have one to an element.
const ELEMENTS: usize = 256;

/// A network and a picture's memory on a card, and what is to be computed.
pub struct Pass<'a> {
    pub card: &'a Card,
    pub precision: Precision,
    pub weights: &'a Weights,
    pub layout: &'a Layout,
    pub memory: &'a Memory,
    pub plan: &'a Plan,
}

/// One of a layer's regions.
#[derive(Clone, Copy)]
pub struct Region {
    pub layer: Layer,
    /// Where its weights are; everywhere 1 without.
    pub weights: Option<usize>,
    /// What sums are divided by.
    pub total: f64,
}

impl Region {
    fn share(&self) -> f64 {
        if self.total > 0.0 { 1.0 / self.total } else { 0.0 }
    }
}

impl Pass<'_> {
    fn at(&self, offset: usize) -> Argument {
        self.memory.address(offset)
    }

    fn size(&self, layer: Layer) -> (usize, usize) {
        (self.plan.height >> layer.pools(), self.plan.width >> layer.pools())
    }

    fn window(&self, layer: Layer) -> (Argument, usize) {
        let window = self.plan.window.at_depth(layer.pools());
        let argument = Argument::Window(MapWindow {
            stride: self.size(layer).1 as i32,
            top: window.top as i32,
            left: window.left as i32,
            height: window.height as i32,
            width: window.width as i32,
        });
        (argument, window.height * window.width)
    }

    fn room(&self, layer: Layer) -> &LayerRoom {
        &self.layout.layers[layer.index()]
    }

    /// Where a measured layer's features are.
    fn features(&self, layer: Layer) -> Result<Argument> {
        let features = self.room(layer).features;
        let features = features.ok_or_else(|| Error::Internal("a measured layer kept no features".into()))?;
        Ok(self.at(features))
    }

    /// From the picture, which is in its place, to the features of every layer.
    pub fn forward(&self) -> Result<()> {
        let mut input = self.layout.picture;
        for room in &self.layout.layers {
            let layer = room.layer;
            let (height, width) = self.size(layer);
            let other = |taken: usize| self.layout.buffers[usize::from(taken == self.layout.buffers[0])];
            let output = room.features.unwrap_or_else(|| other(input));
            self.convolve_forward(layer, input, output, room.positive)?;
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
                PooledRoom::Max { winners } => (Kernel::POOL_MAX, vec![from, into, self.at(winners)]),
                PooledRoom::Average => (Kernel::POOL_AVERAGE, vec![from, into]),
                PooledRoom::L2 { .. } => (Kernel::POOL_L2, vec![from, into, Argument::Float(Pooling::L2_SCALE)]),
            };
            arguments.extend(sizes);
            let blocks = (height / 2 * (width / 2) * channels).div_ceil(ELEMENTS);
            self.card.launch(kernel, (blocks, 1), &mut arguments)?;
            input = to;
        }
        Ok(())
    }

    fn convolve_forward(&self, layer: Layer, input: usize, output: usize, positive: usize) -> Result<()> {
        let (height, width) = self.size(layer);
        let blocks = (height * width).div_ceil(PIXELS);
        let (weights, bias) = (self.weights.forward(layer), self.weights.bias(layer));
        let (input, output, positive) = (self.at(input), self.at(output), self.at(positive));
        let [rows, columns, inputs, outputs] = [height, width, layer.inputs(), layer.outputs()].map(Argument::size);
        if layer.index() == 0 {
            let scaling = Argument::Scaling(self.weights.scaling);
            let mut arguments = [input, weights, bias, scaling, output, positive, rows, columns];
            return self.card.launch(Kernel::PICTURE_FORWARD, (blocks, 1), &mut arguments);
        }
        let mut arguments = [input, weights, bias, output, positive, rows, columns, inputs, outputs];
        let grid = (blocks, layer.outputs() / CHANNELS);
        self.card
            .launch(self.precision.convolve_forward(), grid, &mut arguments)
    }

    /// The moments of a measured layer over a region: second, and mean.
    pub fn moments(&self, region: Region) -> Result<(Vec<f32>, Vec<f32>)> {
        let channels = region.layer.outputs();
        let (window, pixels) = self.window(region.layer);
        let features = self.features(region.layer)?;
        let weights = region.weights.map_or(Argument::NULL, |weights| self.at(weights));
        let (partial, second, mean) = (self.layout.partial, self.layout.second, self.layout.mean);
        let share = Argument::Float(region.share() as f32);
        let sums = |kernel: Kernel, total: Kernel, slices: Slices, across: usize, blocks: usize, to: usize| {
            let each = Argument::size(slices.pixels);
            let (channels, partial) = (Argument::size(channels), self.at(partial));
            let mut arguments = [features, weights, window, channels, each, partial];
            self.card.launch(kernel, (across, slices.count), &mut arguments)?;
            let mut arguments = [partial, Argument::size(slices.count), channels, share, self.at(to)];
            self.card.launch(total, (blocks, 1), &mut arguments)
        };
        let matrix = channels * channels;
        let slices = Slices::of_moments(pixels, channels);
        let kernel = self.precision.second_moments();
        let blocks = matrix.div_ceil(ELEMENTS);
        sums(
            kernel,
            Kernel::SECOND_MOMENTS_TOTAL,
            slices,
            tiles(channels),
            blocks,
            second,
        )?;
        let across = channels / CHANNELS;
        let slices = Slices::of_means(pixels);
        sums(Kernel::MEANS, Kernel::MEANS_TOTAL, slices, across, across, mean)?;
        Ok((self.memory.read(second, matrix)?, self.memory.read(mean, channels)?))
    }

    /// Keeps a content layer's features.
    pub fn hold(&self, layer: Layer, held: usize) -> Result<()> {
        let (window, pixels) = self.window(layer);
        let blocks = (pixels * layer.outputs()).div_ceil(ELEMENTS);
        let channels = Argument::size(layer.outputs());
        let mut arguments = [self.features(layer)?, window, channels, self.at(held)];
        self.card.launch(Kernel::HOLD, (blocks, 1), &mut arguments)
    }

    /// The mean square of a content layer's features less those held, or as they are.
    pub fn distance(&self, layer: Layer, held: Option<usize>) -> Result<f64> {
        let (window, pixels) = self.window(layer);
        let held = held.map_or(Argument::NULL, |held| self.at(held));
        let partial = self.layout.partial;
        let channels = Argument::size(layer.outputs());
        let mut arguments = [self.features(layer)?, held, window, channels, self.at(partial)];
        self.card
            .launch(Kernel::SQUARED_DISTANCE, (DISTANCE_BLOCKS, 1), &mut arguments)?;
        let sums: Vec<f64> = self.memory.read(partial, DISTANCE_BLOCKS)?;
        Ok(sums.iter().sum::<f64>() / (pixels * layer.outputs()) as f64)
    }

    /// From what `inject(layer, gradient)` adds to the gradients of measured layers, which lie at an offset, to that of
    /// the picture, which is left in the picture's place.
    pub fn backward(&self, mut inject: impl FnMut(Layer, usize) -> Result<()>) -> Result<()> {
        let [mut gradient, mut other] = self.layout.buffers;
        let Some(top) = self.layout.layers.last() else {
            let bytes = 3 * self.plan.height * self.plan.width * size_of::<f32>();
            return self.memory.clear(self.layout.picture, bytes);
        };
        let (height, width) = self.size(top.layer);
        let bytes = height * width * top.layer.outputs() * size_of::<f32>();
        self.memory.clear(gradient, bytes)?;
        for room in self.layout.layers.iter().rev() {
            let layer = room.layer;
            if measures(self.plan, layer) {
                inject(layer, gradient)?;
            }
            let (height, width) = self.size(layer);
            let [rows, columns, inputs, outputs] = [height, width, layer.inputs(), layer.outputs()].map(Argument::size);
            let blocks = (height * width).div_ceil(PIXELS);
            let (from, weights) = (self.at(gradient), self.weights.backward(layer));
            let Some(below) = layer.index().checked_sub(1).map(|below| &self.layout.layers[below]) else {
                let scaling = Argument::Scaling(self.weights.scaling);
                let mut arguments = [from, weights, scaling, self.at(self.layout.picture), rows, columns];
                return self.card.launch(Kernel::PICTURE_BACKWARD, (blocks, 1), &mut arguments);
            };
            let mask = match below.pooled {
                Some(_) => Argument::NULL,
                None => self.at(below.positive),
            };
            let mut arguments = [from, weights, mask, self.at(other), rows, columns, outputs, inputs];
            let grid = (blocks, layer.inputs() / CHANNELS);
            self.card
                .launch(self.precision.convolve_backward(), grid, &mut arguments)?;
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
        let (kernel, mut arguments) = match pooled {
            PooledRoom::Max { winners } => (
                Kernel::POOL_MAX_BACK,
                vec![gradient, self.at(winners), positive, output],
            ),
            PooledRoom::Average => (Kernel::POOL_AVERAGE_BACK, vec![gradient, positive, output]),
            PooledRoom::L2 { output: root } => {
                let (features, scale) = (self.features(layer)?, Argument::Float(Pooling::L2_SCALE));
                let arguments = vec![gradient, features, self.at(root), positive, output, scale];
                (Kernel::POOL_L2_BACK, arguments)
            }
        };
        arguments.extend([height, width, layer.outputs()].map(Argument::size));
        let blocks = (height * width * layer.outputs()).div_ceil(ELEMENTS);
        self.card.launch(kernel, (blocks, 1), &mut arguments)
    }

    /// Adds what the derivatives of a region's moments say to the gradient at its layer's features.
    pub fn inject_moments(&self, region: Region, second: &[f32], mean: &[f32], gradient: usize) -> Result<()> {
        let layer = region.layer;
        let channels = layer.outputs();
        let share = region.share() as f32;
        let symmetric: Vec<f32> = (0..channels * channels)
            .map(|index| (second[index] + second[index % channels * channels + index / channels]) * share)
            .collect();
        let mean: Vec<f32> = mean.iter().map(|mean| mean * share).collect();
        self.memory.write(self.layout.second, &symmetric)?;
        self.memory.write(self.layout.mean, &mean)?;
        let (window, pixels) = self.window(layer);
        let mut arguments = [
            self.features(layer)?,
            self.at(self.layout.second),
            self.at(self.layout.mean),
            region.weights.map_or(Argument::NULL, |weights| self.at(weights)),
            self.at(self.room(layer).positive),
            window,
            Argument::size(channels),
            self.at(gradient),
        ];
        let grid = (pixels.div_ceil(PIXELS), channels / CHANNELS);
        self.card.launch(self.precision.inject_moments(), grid, &mut arguments)
    }

    /// Adds what the derivative of a content distance says.
    pub fn inject_content(&self, layer: Layer, held: usize, derivative: f64, gradient: usize) -> Result<()> {
        let (window, pixels) = self.window(layer);
        let elements = pixels * layer.outputs();
        let mut arguments = [
            self.features(layer)?,
            self.at(held),
            Argument::Float((2.0 * derivative / elements as f64) as f32),
            self.at(self.room(layer).positive),
            window,
            Argument::size(layer.outputs()),
            self.at(gradient),
        ];
        let blocks = elements.div_ceil(ELEMENTS);
        self.card.launch(Kernel::INJECT_CONTENT, (blocks, 1), &mut arguments)
    }
}
