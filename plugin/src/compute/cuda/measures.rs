//! What is measured of features on the way up, and what the derivatives of a loss with respect to that say to the features
//! on the way down.
//!
//! Nothing here reads or writes main memory: statistics are left in the block, and derivatives are found there. So none of
//! the arguments changes from step to step.

use super::kernels::{Argument, Kernel};
use super::layout::{DISTANCE_BLOCKS, Slices, tiles};
use super::pass::{CHANNELS, ELEMENTS, PIXELS, Pass};
use crate::Result;
use crate::network::Layer;

/// One of a layer's regions.
#[derive(Clone, Copy)]
struct Region {
    layer: Layer,
    /// Where its weights are; null for 1 everywhere.
    weights: Argument,
    /// What sums are multiplied by.
    share: Argument,
    /// Where its moments are, or their derivatives.
    second: usize,
    mean: usize,
}

impl Pass<'_> {
    /// The regions of a style layer, the plan's `index`th.
    fn regions(&self, index: usize) -> impl Iterator<Item = Region> {
        let layer = self.part.plan.style_layers[index];
        let pools = layer.pools();
        let (height, width) = self.size(layer);
        let bytes = height * width * size_of::<f32>();
        let weights = self.room.regions.get(pools);
        self.part.totals[pools].iter().enumerate().map(move |(region, &total)| {
            let (second, mean) = self.layout.block.moments(index, region);
            let share = if total > 0.0 { 1.0 / total } else { 0.0 };
            Region {
                layer,
                weights: weights.map_or(Argument::NULL, |weights| self.at(weights + region * bytes)),
                share: Argument::Float(share as f32),
                second,
                mean,
            }
        })
    }

    /// The statistics of the part, into the block: moments, and distances if it holds its content.
    pub(super) fn measure(&self) -> Result<()> {
        for index in 0..self.part.plan.style_layers.len() {
            for region in self.regions(index) {
                self.moments(region)?;
            }
        }
        if self.part.holds_content {
            for (index, &layer) in self.part.plan.content_layers.iter().enumerate() {
                self.distance(layer, self.at(self.room.held[index]), index)?;
            }
        }
        Ok(())
    }

    /// Keeps the features of the content layers, and leaves their energies in the block.
    pub fn hold(&self) -> Result<()> {
        for (index, (&layer, &held)) in self.part.plan.content_layers.iter().zip(&self.room.held).enumerate() {
            let (window, pixels) = self.window(layer);
            let blocks = (pixels * layer.outputs()).div_ceil(ELEMENTS);
            let channels = Argument::size(layer.outputs());
            let mut arguments = [self.features(layer)?, window, channels, self.at(held)];
            self.card.launch(Kernel::HOLD, (blocks, 1), &mut arguments)?;
            self.distance(layer, Argument::NULL, index)?;
        }
        Ok(())
    }

    fn moments(&self, region: Region) -> Result<()> {
        let Region {
            layer, weights, share, ..
        } = region;
        let channels = layer.outputs();
        let (window, pixels) = self.window(layer);
        let features = self.features(layer)?;
        let partial = self.at(self.layout.partial);
        let sums = |kernel: Kernel, total: Kernel, slices: Slices, across: usize, rows: usize, to: usize| {
            let each = Argument::size(slices.pixels);
            let channels = Argument::size(channels);
            let mut arguments = [features, weights, window, channels, each, partial];
            self.card.launch(kernel, (across, slices.count), &mut arguments)?;
            let mut arguments = [partial, Argument::size(slices.count), channels, share, self.at(to)];
            self.card.launch(total, (across, rows), &mut arguments)
        };
        let slices = Slices::of_moments(pixels, channels);
        let kernel = self.weights.precision.second_moments();
        let (total, tiles) = (Kernel::SECOND_MOMENTS_TOTAL, tiles(channels));
        sums(kernel, total, slices, tiles, CHANNELS, region.second)?;
        let across = channels / CHANNELS;
        let slices = Slices::of_means(pixels, channels);
        sums(Kernel::MEANS, Kernel::MEANS_TOTAL, slices, across, 1, region.mean)
    }

    /// The sums of squares of a content layer's features less those held, or as they are.
    fn distance(&self, layer: Layer, held: Argument, index: usize) -> Result<()> {
        let (window, _) = self.window(layer);
        let sums = self.at(self.layout.block.distance(index));
        let mut arguments = [
            self.features(layer)?,
            held,
            window,
            Argument::size(layer.outputs()),
            sums,
        ];
        self.card
            .launch(Kernel::SQUARED_DISTANCE, (DISTANCE_BLOCKS, 1), &mut arguments)
    }

    /// Adds what the derivatives of a layer's statistics say to the gradient at its features, which lies at an offset.
    pub(super) fn inject(&self, layer: Layer, gradient: usize) -> Result<()> {
        let plan = &self.part.plan;
        if let Some(index) = plan.style_layers.iter().position(|&style| style == layer) {
            for region in self.regions(index) {
                self.inject_moments(region, gradient)?;
            }
        }
        let content = plan.content_layers.iter().position(|&content| content == layer);
        match content.filter(|_| self.part.holds_content) {
            Some(index) => self.inject_content(layer, index, gradient),
            None => Ok(()),
        }
    }

    fn inject_moments(&self, region: Region, gradient: usize) -> Result<()> {
        let layer = region.layer;
        let channels = layer.outputs();
        let matrix = self.at(self.layout.matrix);
        let mut arguments = [self.at(region.second), Argument::size(channels), matrix];
        let blocks = (channels * channels).div_ceil(ELEMENTS);
        self.card.launch(Kernel::SYMMETRIC, (blocks, 1), &mut arguments)?;
        let (window, pixels) = self.window(layer);
        let mut arguments = [
            self.features(layer)?,
            matrix,
            self.at(region.mean),
            region.weights,
            self.at(self.layer_room(layer).positive),
            window,
            Argument::size(channels),
            region.share,
            self.at(gradient),
        ];
        let grid = (pixels.div_ceil(PIXELS), channels / CHANNELS);
        self.card
            .launch(self.weights.precision.inject_moments(), grid, &mut arguments)
    }

    fn inject_content(&self, layer: Layer, index: usize, gradient: usize) -> Result<()> {
        let (window, pixels) = self.window(layer);
        let mut arguments = [
            self.features(layer)?,
            self.at(self.room.held[index]),
            self.at(self.layout.block.distance(index)),
            self.at(self.layer_room(layer).positive),
            window,
            Argument::size(layer.outputs()),
            self.at(gradient),
        ];
        let blocks = (pixels * layer.outputs()).div_ceil(ELEMENTS);
        self.card
            .launch(self.weights.precision.inject_content(), (blocks, 1), &mut arguments)
    }
}
