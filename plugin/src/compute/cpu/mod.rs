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
//! - `parts` and `amx`, products of float32 on a matrix unit for bfloat16, where there is one;
//! - [`workers`] and [`disjoint`], threads, and buffers that they write together;
//! - [`product`], matrix products in registers;
//! - [`transform`], [`weights`] and [`winograd`], convolution with less than half of the multiplications;
//! - [`maps`] and [`pool`], what is fused into a convolution on either side;
//! - [`first`], for conv1_1;
//! - [`moments`], [`content`], [`injection`], statistics and what they say to the features;
//! - [`buffer`], [`outline`], [`arena`] and [`footprint`], memory: large pieces of it, what a plan takes, taking it, and
//!   telling of it;
//! - [`part`], [`halves`], [`model`] and [`pass`], parts of pictures and what is held of them, weights, and once up and down
//!   the network;
//! - [`profile`], where the time of a step goes.
//!
//! Results depend neither on the number of threads nor on which of them did what.

#![allow(
    clippy::needless_range_loop,
    reason = "kernels index several arrays by the same constants, which iterators would hide"
)]

#[cfg(target_arch = "x86_64")]
mod amx;
mod arena;
mod buffer;
mod content;
#[cfg(test)]
pub(in crate::compute) mod decisions;
mod disjoint;
mod first;
mod footprint;
mod halves;
mod injection;
pub(crate) mod instructions;
mod lanes;
mod maps;
mod model;
mod moments;
#[cfg(test)]
pub(in crate::compute) mod oracle;
mod outline;
mod part;
#[cfg(any(target_arch = "x86_64", test))]
mod parts;
mod pass;
mod pool;
mod product;
pub mod profile;
#[cfg(test)]
pub(in crate::compute) mod tests;
mod transform;
mod weights;
mod winograd;
mod workers;

use std::sync::Arc;

use candle_core::{Device, Tensor};

use self::arena::Arena;
pub use self::buffer::{NEW, take_new_memory};
use self::halves::Halves;
pub use self::instructions::InstructionSet;
use self::model::Model;
use self::moments::Region;
use self::outline::Outline;
use self::part::{Deferred, Part};
use self::profile::{Stopwatch, Work};
use self::workers::Workers;
use super::{Backend, ContentDistance, Holding, Moments, Plan, Statistics, StatisticsGradient, Tiling, lend};
use crate::network::{Layer, Network};
use crate::{Error, Result};

/// The network on the processor's cores. The whole way up or down is the work of one of the workers, which the others join
/// at each task: whoever waits for them from outside changes threads twice a task, and a step has some fifty.
pub struct CpuBackend {
    workers: Arc<Workers>,
    model: Model,
    prepared: Option<Prepared>,
}

/// Plans and what has happened since they were made.
struct Prepared {
    parts: Vec<Part>,
    holding: Holding,
    arena: Arena,
    /// The part whose forward pass left in the arena what `backward` needs, and how high it went.
    went_forward: Option<(usize, Layer)>,
    stopwatch: Stopwatch,
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
        let workers = Arc::new(Workers::new(threads, instructions)?);
        Ok(Self {
            model: Model::new(&workers, &network),
            workers,
            prepared: None,
        })
    }

    /// Does work of many tasks as one of the workers.
    fn among_workers<'a, R: Send>(&'a mut self, work: impl FnOnce(&'a mut Self) -> R + Send) -> R {
        let workers = Arc::clone(&self.workers);
        workers.within(|| work(self))
    }

    /// Runs a part's picture through the network, up to a layer of its plan, the highest where that names none. Returns
    /// how high that was.
    fn forward_pass(&mut self, part: usize, picture: &Tensor, top: fn(&Plan) -> Option<Layer>) -> Result<Layer> {
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        let plan = match prepared.parts.get(part) {
            Some(part) => &part.plan,
            None => return Err(Error::Internal(format!("the backend was not prepared for part {part}"))),
        };
        let highest = prepared.arena.layers[prepared.arena.layers.len() - 1].outline.layer;
        let top = top(plan).unwrap_or(highest);
        lend(picture, &[1, 3, plan.height, plan.width], |samples| {
            prepared.went_forward = None;
            prepared.stopwatch.start();
            prepared.arena.lay_out(plan);
            pass::forward(
                &self.workers,
                &mut self.model,
                &mut prepared.arena,
                plan.pooling,
                samples,
                top,
                &mut prepared.stopwatch,
            );
        })?;
        Ok(top)
    }

    /// Holds what a part's picture has at the content layers.
    fn hold(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.forward_pass(part, picture, |plan| plan.content_layers.last().copied())?;
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        let Prepared {
            parts, holding, arena, ..
        } = prepared;
        // What another part was measured with goes before there is more.
        halves::take(parts);
        let (mut held, mut energies) = (Vec::new(), Vec::new());
        for memory in &arena.layers {
            let Outline { grid, tap, .. } = memory.outline;
            let Some(tap) = tap.filter(|tap| tap.is_content) else {
                continue;
            };
            held.push(content::hold(grid, tap.window, &memory.features));
            energies.push(content::distance(
                &self.workers,
                grid,
                tap.window,
                &memory.features,
                None,
            ));
        }
        let part = &mut parts[part];
        (part.halves, part.content) = match holding {
            Holding::Halves => (Some(Halves::of(&held)), None),
            Holding::AsTheyAre | Holding::Aside => (None, Some(held)),
        };
        part.deferred = None;
        Ok(energies)
    }

    /// The statistics of a part's layers up to the one that the last pass went up to.
    fn measure(&mut self, part: usize, top: Layer) -> Result<Statistics> {
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        halves::bring(&mut prepared.parts, part);
        let this = &prepared.parts[part];
        let mut statistics = Statistics {
            moments: Vec::new(),
            content: Vec::new(),
        };
        let mut held = this.content.iter().flatten();
        for memory in &mut prepared.arena.layers[..=top.index()] {
            let Outline { layer, grid, tap, .. } = memory.outline;
            let Some(tap) = tap else { continue };
            if let Some(style) = &mut memory.style {
                let regions = &this.regions[layer.pools()];
                let mut moments = Vec::new();
                for (region, &weight) in this.weights[layer.pools()].iter().enumerate() {
                    let region = Region {
                        grid,
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
            if tap.is_content
                && let Some(held) = held.next()
            {
                let features = &memory.features;
                statistics
                    .content
                    .push(content::distance(&self.workers, grid, tap.window, features, Some(held)));
            }
            prepared.stopwatch.lap(layer, Work::Statistics);
        }
        prepared.went_forward = Some((part, top));
        Ok(statistics)
    }

    /// Goes back from the last forward pass. Returns where the gradient is, and the size of the part.
    fn backward_pass(&mut self, gradient: &StatisticsGradient) -> Result<(&[f32], (usize, usize))> {
        let prepared = self.prepared.as_mut().ok_or_else(unprepared)?;
        let Some((part, top)) = prepared.went_forward.take() else {
            return Err(Error::Internal("backward without a forward pass".into()));
        };
        let (part, arena, stopwatch) = (&mut prepared.parts[part], &mut prepared.arena, &mut prepared.stopwatch);
        stopwatch.resume();
        let plan = &part.plan;
        let held = part.content.as_ref().map_or(0, Vec::len);
        let measured = plan.style_layers.iter().filter(|layer| **layer <= top).count();
        if gradient.moments.len() != measured || gradient.content.len() != held {
            return Err(Error::Internal(
                "the gradient does not have the layers of the plan's statistics".into(),
            ));
        }
        let style = arena
            .layers
            .iter_mut()
            .filter_map(|memory| Some((memory.outline.layer, memory.style.as_mut()?)));
        for ((layer, style), regions) in style.zip(&gradient.moments) {
            let channels = layer.outputs();
            if regions.len() != style.factors.len() {
                return Err(Error::Internal("the gradient does not have the plan's regions".into()));
            }
            let weights = &part.weights[layer.pools()];
            for ((factor, &weight), region) in style.factors.iter_mut().zip(weights).zip(regions) {
                lend(&region.second, &[channels, channels], |second| {
                    lend(&region.mean, &[channels], |mean| {
                        factor.set(&self.workers, second, mean, weight)
                    })
                })??;
            }
            stopwatch.lap(layer, Work::Statistics);
        }
        let content = plan
            .content_layers
            .iter()
            .zip(&gradient.content)
            .map(|(&layer, derivative)| {
                let elements = plan.content_features(layer).max(1);
                (2.0 * derivative / elements as f64) as f32
            });
        let content: Vec<f32> = content.collect();
        let size = (plan.height, plan.width);
        let model = &mut self.model;
        pass::backward(&self.workers, model, arena, part, top, &content, stopwatch);
        Ok((&arena.gradient, size))
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

    fn memory(&self, tiling: &Tiling) -> u64 {
        footprint::bytes(tiling, self.workers.threads(), self.workers.instructions())
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        let largest = tiling.largest();
        let room = footprint::kept_weights(tiling);
        // The old arena goes before the new one comes.
        self.prepared = None;
        self.model
            .weights
            .plan(self.workers.instructions(), &Outline::of(tiling.plan()), room);
        self.prepared = Some(Prepared {
            parts: tiling.parts().iter().map(Part::new).collect::<Result<_>>()?,
            holding: tiling.holding(),
            arena: Arena::new(&largest, self.workers.instructions()),
            went_forward: None,
            stopwatch: Stopwatch::new(),
        });
        Ok(())
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.among_workers(|backend| backend.hold(part, picture))
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        self.among_workers(|backend| {
            let top = backend.forward_pass(part, picture, |_| None)?;
            backend.measure(part, top)
        })
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let (gradient, (height, width)) = self.among_workers(|backend| backend.backward_pass(gradient))?;
        Ok(Tensor::from_slice(gradient, (1, 3, height, width), &Device::Cpu)?)
    }

    fn backward_lent(&mut self, gradient: &StatisticsGradient, read: &mut dyn FnMut(&[f32])) -> Result<()> {
        read(self.among_workers(|backend| backend.backward_pass(gradient))?.0);
        Ok(())
    }

    fn can_defer(&self) -> bool {
        true
    }

    fn forward_to_joint(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        let prepared = self.prepared.as_ref().ok_or_else(unprepared)?;
        if prepared.parts.get(part).is_none_or(|part| part.deferred.is_none()) {
            return Err(Error::Internal("nothing is held at the joint".into()));
        }
        self.among_workers(|backend| {
            let top = backend.forward_pass(part, picture, Plan::joint)?;
            backend.measure(part, top)
        })
    }

    fn deferred_change(&mut self) -> Result<Option<f64>> {
        let prepared = self.prepared.as_ref().ok_or_else(unprepared)?;
        let Some((part, _)) = prepared.went_forward else {
            return Err(Error::Internal("no features are left of a forward pass".into()));
        };
        let Part { plan, deferred, .. } = &prepared.parts[part];
        let change = |(joint, deferred): (Layer, &Deferred)| {
            let features = &prepared.arena.layers[joint.index()].features;
            content::product(&self.workers, features, &deferred.gradient) - deferred.along
        };
        Ok(plan.joint().zip(deferred.as_ref()).map(change))
    }
}

fn unprepared() -> Error {
    Error::Internal("the backend was not prepared".into())
}
