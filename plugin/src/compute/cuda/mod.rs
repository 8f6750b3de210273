//! The network on an NVIDIA card, with nothing installed but its driver.
//!
//! The idea is the processor backend's (`super::cpu`): nothing but this network has to be possible, so it is written out by
//! hand, forward and backward, over memory that is allocated once. On a card, direct convolution as an implicit matrix
//! product on tensor cores does better than Winograd's algorithm; activations lie with their channels last, so that its
//! operands are runs of memory.
//!
//! From the bottom up:
//!
//! - `kernels/`, the kernels' sources, which also compile as C++ and run on emulated threads; the PTX made of them, and
//!   the script that makes it;
//! - [`driver`], what is needed of NVIDIA's driver, looked up when a card is first asked for;
//! - [`kernels`], what the kernels are called and take;
//! - [`layout`], [`weights`] and [`part`], memory: what lies where, and what is brought there;
//! - [`pass`], once up and down the network;
//! - [`space`], [`vectors`] and [`pictures`], an optimiser's vectors, which stay on the card, and what is done with them there.
//!
//! Sums are made in an order that does not depend on the card's scheduling: the same card gives the same bits. Statistics
//! cross the seam in main memory, and so may pictures.

#[allow(unsafe_code, reason = "the driver is a C library")]
mod driver;
mod kernels;
mod layout;
mod part;
mod pass;
mod pictures;
mod space;
#[cfg(test)]
mod tests;
mod vectors;
mod weights;

use std::sync::Arc;

use candle_core::{Device, Tensor};

use self::driver::{Card, Memory};
pub use self::driver::{Listed, count, is_there, list};
pub use self::kernels::Precision;
use self::layout::Layout;
use self::part::Part;
use self::pass::{Pass, Region};
pub use self::pictures::{Planes, Roots};
pub use self::space::Space;
pub use self::vectors::{AdamStep, Combination, Samples, compare, free_pixels};
use self::weights::Weights;
use super::{
    Backend, ContentDistance, Moments, Plan, Resident, Seen, Statistics, StatisticsGradient, Tiling, expect_shape,
    values,
};
use crate::network::{Layer, Network};
use crate::optimise::{Home, Vector};
use crate::{Error, Result, samples};

/// The network on an NVIDIA card.
pub struct CudaBackend {
    card: Arc<Card>,
    precision: Precision,
    weights: Weights,
    prepared: Option<Prepared>,
    /// Where an optimiser's vectors live.
    space: Arc<Space>,
}

/// Parts of a picture, and what has happened to them.
struct Prepared {
    layout: Layout,
    memory: Memory,
    parts: Vec<Part>,
    /// The part whose `forward` left on the card what `backward` needs.
    went_forward: Option<usize>,
}

impl CudaBackend {
    /// The network on the card of this number.
    ///
    /// # Errors
    /// [`Error::Device`] when it cannot be used, [`Error::Memory`] when it has no room for the weights.
    pub fn new(network: &Network, number: usize, precision: Precision) -> Result<Self> {
        let card = Card::open(number, kernels::PTX)?;
        let weights = Weights::new(&card, network)?;
        Ok(Self {
            precision,
            weights,
            prepared: None,
            space: Space::new(&card)?,
            card,
        })
    }

    fn prepared(&self) -> Result<&Prepared> {
        self.prepared.as_ref().ok_or_else(unprepared)
    }

    fn prepared_mut(&mut self) -> Result<&mut Prepared> {
        self.prepared.as_mut().ok_or_else(unprepared)
    }

    /// Runs the network over a part, whose picture `put` brings to its place.
    fn forward_pass(&mut self, part: usize, put: impl FnOnce(&Plan, &Memory, usize) -> Result<()>) -> Result<()> {
        let prepared = self.prepared_mut()?;
        prepared.went_forward = None;
        let Some(Part { plan, .. }) = prepared.parts.get(part) else {
            return Err(Error::Internal(format!("the backend was not prepared for part {part}")));
        };
        put(plan, &prepared.memory, prepared.layout.picture)?;
        self.pass(part)?.forward()
    }

    /// The statistics of the part that the network was run over.
    fn statistics(&mut self, part: usize) -> Result<Statistics> {
        let pass = self.pass(part)?;
        let prepared = self.prepared()?;
        let mut statistics = Statistics {
            moments: Vec::new(),
            content: Vec::new(),
        };
        for &layer in &pass.plan.style_layers {
            let moments = prepared.regions(part, layer).map(|region| {
                let (second, mean) = pass.moments(region)?;
                let channels = mean.len();
                Ok(Moments {
                    second: Tensor::from_vec(second, (channels, channels), &Device::Cpu)?,
                    mean: Tensor::from_vec(mean, channels, &Device::Cpu)?,
                    weight: region.total,
                })
            });
            statistics.moments.push(moments.collect::<Result<_>>()?);
        }
        if prepared.parts[part].holds_content {
            let distances = prepared.held(part);
            let distances = distances.map(|(layer, held)| content_distance(&pass, layer, Some(held)));
            statistics.content = distances.collect::<Result<_>>()?;
        }
        self.prepared_mut()?.went_forward = Some(part);
        Ok(statistics)
    }

    fn pass(&self, part: usize) -> Result<Pass<'_>> {
        let prepared = self.prepared()?;
        Ok(Pass {
            card: &self.card,
            precision: self.precision,
            weights: &self.weights,
            layout: &prepared.layout,
            memory: &prepared.memory,
            plan: &prepared.parts[part].plan,
        })
    }
}

impl Prepared {
    /// The regions of a layer.
    fn regions(&self, part: usize, layer: Layer) -> impl Iterator<Item = Region> {
        let Part { plan, totals, .. } = &self.parts[part];
        let pools = layer.pools();
        let weights = self.layout.parts[part].regions.get(pools).copied();
        let bytes = (plan.height >> pools) * (plan.width >> pools) * size_of::<f32>();
        totals[pools].iter().enumerate().map(move |(region, &total)| Region {
            layer,
            weights: weights.map(|weights| weights + region * bytes),
            total,
        })
    }

    /// A part's content layers, and where their features are held.
    fn held(&self, part: usize) -> impl Iterator<Item = (Layer, usize)> {
        let layers = self.parts[part].plan.content_layers.iter().copied();
        layers.zip(self.layout.parts[part].held.iter().copied())
    }
}

impl Backend for CudaBackend {
    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn description(&self) -> String {
        let precision = match self.precision {
            Precision::Float32 => "float32",
            Precision::Tf32 => "TF32",
        };
        format!("CUDA, {}, {precision}", self.card.name())
    }

    fn memory(&self, tiling: &Tiling) -> u64 {
        // What cannot be laid out cannot be afforded either.
        Layout::of(tiling).map_or(u64::MAX, |layout| {
            (layout.bytes + Weights::bytes() + Space::bytes()) as u64
        })
    }

    fn free_memory(&self) -> Option<u64> {
        // What is prepared, or idle, is given back before anything else is.
        let prepared = self.prepared.as_ref().map_or(0, |prepared| prepared.layout.bytes);
        let taken = (prepared + Weights::bytes() + Space::bytes() + self.space.idle_bytes()) as u64;
        Some(self.card.free_memory().map_or(0, |free| free + taken))
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        // The old memory goes before the new one comes.
        self.prepared = None;
        self.space.tidy();
        let layout = Layout::of(tiling)?;
        let memory = Memory::new(&self.card, layout.bytes)?;
        let mut parts = Vec::new();
        for (plan, room) in tiling.parts().iter().zip(&layout.parts) {
            let (part, grids) = Part::new(plan)?;
            for (&place, weights) in room.regions.iter().zip(&grids) {
                memory.write(place, &weights.concat())?;
            }
            parts.push(part);
        }
        self.prepared = Some(Prepared {
            layout,
            memory,
            parts,
            went_forward: None,
        });
        Ok(())
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.forward_pass(part, |plan, memory, place| write(picture, plan, memory, place))?;
        let pass = self.pass(part)?;
        let mut energies = Vec::new();
        for (layer, held) in self.prepared()?.held(part) {
            pass.hold(layer, held)?;
            energies.push(content_distance(&pass, layer, None)?);
        }
        self.prepared_mut()?.parts[part].holds_content = true;
        Ok(energies)
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        self.forward_pass(part, |plan, memory, place| write(picture, plan, memory, place))?;
        self.statistics(part)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let part = self.backward_pass(gradient)?;
        let pass = self.pass(part)?;
        let (height, width) = (pass.plan.height, pass.plan.width);
        let picture: Vec<f32> = pass.memory.read(pass.layout.picture, 3 * height * width)?;
        Ok(Tensor::from_vec(picture, (1, 3, height, width), &Device::Cpu)?)
    }

    fn home(&self) -> Home {
        Home::Card(self.space.clone())
    }

    fn resident(&mut self) -> Option<&mut dyn Resident> {
        Some(self)
    }
}

impl Resident for CudaBackend {
    fn forward_box(&mut self, part: usize, picture: &Vector, seen: Seen) -> Result<Statistics> {
        let planes = Planes::of(self.own(picture)?)?;
        self.forward_pass(part, |plan, memory, place| {
            if (seen.window.height, seen.window.width) != (plan.height, plan.width) {
                return Err(Error::Internal(format!("{seen:?} is not the box of {plan:?}")));
            }
            planes.cut_out(seen, memory.address(place))
        })?;
        self.statistics(part)
    }

    fn backward_box(&mut self, gradient: &StatisticsGradient, seen: Seen, sum: &Vector) -> Result<()> {
        let planes = Planes::of(self.own(sum)?)?;
        self.backward_pass(gradient)?;
        let prepared = self.prepared()?;
        planes.fold(seen, prepared.memory.address(prepared.layout.picture))
    }
}

impl CudaBackend {
    /// A vector that lives in this backend's space.
    fn own<'a>(&self, vector: &'a Vector) -> Result<&'a Samples> {
        match vector {
            Vector::OnCard(samples) if Arc::ptr_eq(samples.space(), &self.space) => Ok(samples),
            other => Err(Error::Internal(format!("{other} is not on the backend's card"))),
        }
    }

    /// Runs the network back over the part that it was run over last, which is returned. The gradient is left in the
    /// picture's place.
    fn backward_pass(&mut self, gradient: &StatisticsGradient) -> Result<usize> {
        let Some(part) = self.prepared_mut()?.went_forward.take() else {
            return Err(Error::Internal("backward without a forward pass".into()));
        };
        let prepared = self.prepared()?;
        let plan = &prepared.parts[part].plan;
        let held = match prepared.parts[part].holds_content {
            true => prepared.held(part).collect(),
            false => Vec::new(),
        };
        if gradient.moments.len() != plan.style_layers.len() || gradient.content.len() != held.len() {
            return Err(Error::Internal(
                "the gradient does not have the layers of the plan's statistics".into(),
            ));
        }
        let pass = self.pass(part)?;
        pass.backward(|layer, at| {
            if let Some(index) = pass.plan.style_layers.iter().position(|&style| style == layer) {
                let derivatives = &gradient.moments[index];
                if derivatives.len() != prepared.regions(part, layer).count() {
                    return Err(Error::Internal("the gradient does not have the plan's regions".into()));
                }
                for (region, derivative) in prepared.regions(part, layer).zip(derivatives) {
                    let channels = layer.outputs();
                    let second = values(&derivative.second, &[channels, channels])?;
                    let mean = values(&derivative.mean, &[channels])?;
                    pass.inject_moments(region, &second, &mean, at)?;
                }
            }
            let content = held
                .iter()
                .zip(&gradient.content)
                .find(|((content, _), _)| *content == layer);
            if let Some((&(_, held), &derivative)) = content {
                pass.inject_content(layer, held, derivative, at)?;
            }
            Ok(())
        })?;
        Ok(part)
    }
}

/// Brings a part's picture to its place.
fn write(picture: &Tensor, plan: &Plan, memory: &Memory, place: usize) -> Result<()> {
    expect_shape(picture, &[1, 3, plan.height, plan.width])?;
    samples::lend(&picture.contiguous()?, |samples| memory.write(place, samples))?
}

fn unprepared() -> Error {
    Error::Internal("the backend was not prepared".into())
}

fn content_distance(pass: &Pass, layer: Layer, held: Option<usize>) -> Result<ContentDistance> {
    let window = pass.plan.window.at_depth(layer.pools());
    Ok(ContentDistance {
        mean_square: pass.distance(layer, held)?,
        elements: (window.height * window.width * layer.outputs()) as f64,
    })
}
