//! The network on the processor: faster than a tensor library, because nothing but this network has to be possible.
//!
//! VGG-19 is 3 x 3 convolutions, ReLU and 2 x 2 pooling, and its weights are frozen. So there is no tape and no weight
//! gradient; the backward pass is written out, and is the same convolution with turned kernels; bias, ReLU, pooling and
//! their gradients are fused into the convolutions; of features that nobody measures, a bit remains.
//!
//! From the bottom up:
//!
//! - [`lanes`], sixteen channels of a pixel, and how feature maps are stored;
//! - [`instructions`], the same kernels for AVX-512, AVX2 and everything else, chosen at run time;
//! - [`workers`] and [`disjoint`], threads, and buffers that they write together;
//! - [`product`], matrix products in registers;
//! - [`transform`] and [`winograd`], convolution with less than half of the multiplications;
//! - [`maps`] and [`pool`], what is fused into a convolution on either side;
//! - [`first`], for conv1_1;
//! - [`moments`], [`content`], [`injection`], statistics and what they say to the features;
//! - [`arena`], [`footprint`], [`model`] and [`pass`], memory, weights, and once up and down the network.
//!
//! Results depend neither on the number of threads nor on which of them did what.

#![allow(
    clippy::needless_range_loop,
    reason = "kernels index several arrays by the same constants, which iterators would hide"
)]

mod arena;
mod content;
mod disjoint;
mod first;
mod footprint;
mod injection;
mod instructions;
mod lanes;
mod maps;
mod model;
mod moments;
#[cfg(test)]
mod oracle;
mod pass;
mod pool;
mod product;
#[cfg(test)]
pub(in crate::compute) mod tests;
mod transform;
mod winograd;
mod workers;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use self::arena::Arena;
pub use self::instructions::InstructionSet;
use self::model::Model;
use self::moments::Region;
use self::workers::Workers;
use super::{Backend, ContentDistance, Moments, Plan, Statistics, StatisticsGradient};
use crate::network::Network;
use crate::{Error, Result};

/// The network on the processor's cores.
pub struct CpuBackend {
    workers: Workers,
    model: Model,
    prepared: Option<Prepared>,
}

/// A plan and what has happened since it was made.
struct Prepared {
    plan: Plan,
    arena: Arena,
    holds_content: bool,
    /// Whether the arena holds what a `forward` left, for `backward`.
    went_forward: bool,
}

impl CpuBackend {
    /// The network on so many threads, 0 for one per core.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(network: Arc<Network>, threads: usize) -> Result<Self> {
        Self::with_instructions(network, threads, InstructionSet::detect())
    }

    /// The same, with a chosen set of instructions rather than the fastest.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn with_instructions(network: Arc<Network>, threads: usize, instructions: InstructionSet) -> Result<Self> {
        Ok(Self {
            workers: Workers::new(threads, instructions)?,
            model: Model::new(&network),
            prepared: None,
        })
    }

    fn forward_pass(&mut self, picture: &Tensor) -> Result<&mut Prepared> {
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        let samples = samples(picture, &prepared.plan)?;
        prepared.went_forward = false;
        let pooling = prepared.plan.pooling;
        pass::forward(&self.workers, &mut self.model, &mut prepared.arena, pooling, &samples);
        Ok(prepared)
    }
}

impl Backend for CpuBackend {
    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn description(&self) -> String {
        let threads = self.workers.threads();
        let plural = if threads == 1 { "" } else { "s" };
        format!(
            "CPU, Winograd, {}, {threads} thread{plural}",
            self.workers.instructions().name()
        )
    }

    fn memory(&self, plan: &Plan) -> u64 {
        footprint::bytes(plan, self.workers.threads())
    }

    fn prepare(&mut self, plan: &Plan) -> Result<()> {
        plan.check()?;
        let regions = match &plan.regions {
            None => Vec::new(),
            Some(regions) => region_weights(regions, plan)?,
        };
        // The old arena goes before the new one comes.
        self.prepared = None;
        let arena = Arena::new(plan, regions);
        let rows = self.workers.instructions().rows();
        self.model.weights.plan(&arena.layers, rows, arena.bytes());
        self.prepared = Some(Prepared {
            plan: plan.clone(),
            arena,
            holds_content: false,
            went_forward: false,
        });
        Ok(())
    }

    fn hold_content(&mut self, picture: &Tensor) -> Result<Vec<f64>> {
        self.forward_pass(picture)?;
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        let mut energies = Vec::new();
        for memory in &mut prepared.arena.layers {
            let Some(tap) = &mut memory.tap else { continue };
            let Some(held) = &mut tap.content else { continue };
            content::hold(memory.grid, tap.window, &memory.features, held);
            energies.push(content::mean_square(
                &self.workers,
                memory.grid,
                tap.window,
                &memory.features,
                None,
            ));
        }
        prepared.holds_content = true;
        Ok(energies)
    }

    fn forward(&mut self, picture: &Tensor) -> Result<Statistics> {
        self.forward_pass(picture)?;
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        let mut statistics = Statistics {
            moments: Vec::new(),
            content: Vec::new(),
        };
        for memory in &mut prepared.arena.layers {
            let Some(tap) = &mut memory.tap else { continue };
            if let Some(style) = &mut tap.style {
                let regions = &prepared.arena.regions[memory.layer.pools()];
                let mut moments = Vec::new();
                for (region, &weight) in style.weights.iter().enumerate() {
                    let region = Region {
                        grid: memory.grid,
                        window: tap.window,
                        features: &memory.features,
                        weights: regions.get(region).map(Vec::as_slice),
                    };
                    let (second, mean) = style.sums.over(&self.workers, region, weight);
                    let channels = mean.len();
                    moments.push(Moments {
                        second: Tensor::from_vec(second, (channels, channels), &Device::Cpu)?,
                        mean: Tensor::from_vec(mean, channels, &Device::Cpu)?,
                        weight,
                    });
                }
                statistics.moments.push(moments);
            }
            if let (Some(held), true) = (&tap.content, prepared.holds_content) {
                let window = tap.window;
                statistics.content.push(ContentDistance {
                    mean_square: content::mean_square(&self.workers, memory.grid, window, &memory.features, Some(held)),
                    elements: (memory.layer.outputs() * window.height * window.width) as f64,
                });
            }
        }
        prepared.went_forward = true;
        Ok(statistics)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        if !prepared.went_forward {
            return Err(Error::Internal("backward without a forward pass".into()));
        }
        let Prepared {
            plan,
            arena,
            holds_content,
            ..
        } = prepared;
        let held = if *holds_content { plan.content_layers.len() } else { 0 };
        if gradient.moments.len() != plan.style_layers.len() || gradient.content.len() != held {
            return Err(Error::Internal(
                "the gradient does not have the layers of the plan's statistics".into(),
            ));
        }
        let mut style_gradients = gradient.moments.iter();
        let mut content_gradients = gradient.content.iter();
        let mut content = vec![0f32; arena.layers.len()];
        for (memory, factor) in arena.layers.iter_mut().zip(&mut content) {
            let channels = memory.layer.outputs();
            let Some(tap) = &mut memory.tap else { continue };
            if let Some(style) = &mut tap.style {
                let regions = style_gradients.next().map_or(&[][..], Vec::as_slice);
                if regions.len() != style.factors.len() {
                    return Err(Error::Internal("the gradient does not have the plan's regions".into()));
                }
                for ((factor, weight), region) in style.factors.iter_mut().zip(&style.weights).zip(regions) {
                    let second = values(&region.second, &[channels, channels])?;
                    let mean = values(&region.mean, &[channels])?;
                    factor.set(&second, &mean, *weight);
                }
            }
            if tap.content.is_some()
                && let Some(derivative) = content_gradients.next()
            {
                let elements = (channels * tap.window.height * tap.window.width).max(1);
                *factor = (2.0 * derivative / elements as f64) as f32;
            }
        }
        let mut picture = vec![0f32; 3 * plan.height * plan.width];
        pass::backward(&self.workers, &mut self.model, arena, &content, &mut picture);
        Ok(Tensor::from_vec(
            picture,
            (1, 3, plan.height, plan.width),
            &Device::Cpu,
        )?)
    }
}

fn unprepared() -> Error {
    Error::Internal("the backend was not prepared".into())
}

/// The weights of a plan's regions, `[region][H * W]`.
fn region_weights(regions: &Tensor, plan: &Plan) -> Result<Vec<Vec<f32>>> {
    let count = regions.dim(0)?;
    let weights = values(regions, &[count, plan.height, plan.width])?;
    if count == 0 || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::Internal("regions have weights of 0 or more, and finite".into()));
    }
    Ok(weights
        .chunks_exact(plan.height * plan.width)
        .map(<[f32]>::to_vec)
        .collect())
}

/// The samples of a picture.
fn samples(picture: &Tensor, plan: &Plan) -> Result<Vec<f32>> {
    values(picture, &[1, 3, plan.height, plan.width])
}

/// The values of a tensor that must have this shape and be f32.
fn values(tensor: &Tensor, shape: &[usize]) -> Result<Vec<f32>> {
    if tensor.dims() != shape || tensor.dtype() != DType::F32 {
        return Err(Error::Internal(format!(
            "a tensor of {:?} {:?} where one of f32 {shape:?} is due",
            tensor.dtype(),
            tensor.dims()
        )));
    }
    Ok(tensor.flatten_all()?.to_vec1::<f32>()?)
}
