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
//! - [`layout`], [`weights`] and [`part`], memory: what lies where, and what is brought there; [`statistics`], what is
//!   read and written at every step;
//! - [`pass`] and [`measures`], once up and down the network; [`replay`], the same as a graph;
//! - [`profile`], what bounds each kernel.
//!
//! Sums are made in an order that does not depend on the card's scheduling: the same card gives the same bits. Pictures
//! and statistics cross the seam in main memory.

#[allow(unsafe_code, reason = "the driver is a C library")]
mod driver;
mod kernels;
mod layout;
mod measures;
mod part;
mod pass;
mod profile;
mod replay;
mod statistics;
#[cfg(test)]
mod tests;
mod weights;

use std::sync::Arc;

use candle_core::{Device, Tensor};

use self::driver::{Card, HostMemory, Memory};
pub use self::driver::{Listed, count, is_there, list};
pub use self::kernels::Precision;
use self::layout::Layout;
use self::part::Part;
use self::pass::Pass;
pub use self::profile::{KernelProfile, Peak};
use self::replay::Sequences;
use self::weights::Weights;
use super::{Backend, ContentDistance, Statistics, StatisticsGradient, Tiling, expect_shape};
use crate::network::Network;
use crate::{Error, Result, samples};

/// The network on an NVIDIA card.
pub struct CudaBackend {
    card: Arc<Card>,
    weights: Weights,
    /// What is launched again and again, of each part; none when nothing is prepared. It goes before the memory does.
    sequences: Vec<Sequences>,
    prepared: Option<Prepared>,
    /// What is wrong with the card's graphs.
    fault_of_graphs: Option<Error>,
}

/// Parts of a picture, and what has happened to them.
struct Prepared {
    layout: Layout,
    memory: Memory,
    /// The block of statistics, in main memory.
    block: HostMemory,
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
        let weights = Weights::new(&card, network, precision)?;
        let fault_of_graphs = replay::try_out(&card).err();
        Ok(Self {
            card,
            weights,
            prepared: None,
            sequences: Vec::new(),
            fault_of_graphs,
        })
    }

    fn prepared(&self) -> Result<&Prepared> {
        self.prepared.as_ref().ok_or_else(unprepared)
    }

    fn prepared_mut(&mut self) -> Result<&mut Prepared> {
        self.prepared.as_mut().ok_or_else(unprepared)
    }

    /// Brings a part's picture to the card.
    fn take_in(&mut self, part: usize, picture: &Tensor) -> Result<()> {
        let prepared = self.prepared_mut()?;
        prepared.went_forward = None;
        let Some(Part { plan, .. }) = prepared.parts.get(part) else {
            return Err(Error::Internal(format!("the backend was not prepared for part {part}")));
        };
        expect_shape(picture, &[1, 3, plan.height, plan.width])?;
        let place = prepared.layout.picture;
        samples::lend(&picture.contiguous()?, |samples| prepared.memory.write(place, samples))?
    }

    /// Up the network with a part, or down again.
    fn run(&mut self, part: usize, direction: Direction) -> Result<()> {
        let prepared = self.prepared.as_ref().ok_or_else(unprepared)?;
        let pass = prepared.pass(&self.card, &self.weights, part);
        let (card, fault) = (&self.card, &mut self.fault_of_graphs);
        let Sequences { up, down } = &mut self.sequences[part];
        match direction {
            Direction::Up if card.is_timed() => pass.up(),
            Direction::Down if card.is_timed() => pass.down(),
            Direction::Up => up.run(card, fault, || pass.up()),
            Direction::Down => down.run(card, fault, || pass.down()),
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Prepared {
    fn pass<'a>(&'a self, card: &'a Card, weights: &'a Weights, part: usize) -> Pass<'a> {
        Pass {
            card,
            weights,
            layout: &self.layout,
            memory: &self.memory,
            part: &self.parts[part],
            room: &self.layout.parts[part],
        }
    }

    /// The block of statistics, when the card has filled it.
    fn read_block(&mut self) -> Result<()> {
        self.memory.read_block(self.layout.block.at, &mut self.block)
    }
}

impl Backend for CudaBackend {
    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn description(&self) -> String {
        let precision = match self.weights.precision {
            Precision::Float32 => "float32",
            Precision::Tf32 => "TF32",
            Precision::Bfloat16 => "bfloat16",
        };
        let copies = match &self.prepared {
            Some(prepared) if !prepared.block.is_locked() => ", copied by way of pageable memory",
            _ => "",
        };
        let launches = match &self.fault_of_graphs {
            Some(fault) => format!(", kernel by kernel ({fault})"),
            None => String::new(),
        };
        format!("CUDA, {}, {precision}{copies}{launches}", self.card.name())
    }

    fn memory(&self, tiling: &Tiling) -> u64 {
        // What cannot be laid out cannot be afforded either.
        let precision = self.weights.precision;
        let layout = Layout::of(tiling, precision);
        layout.map_or(u64::MAX, |layout| (layout.bytes + Weights::bytes(precision)) as u64)
    }

    fn free_memory(&self) -> Option<u64> {
        // What is prepared is given back before anything else is.
        let prepared = self.prepared.as_ref().map_or(0, |prepared| prepared.layout.bytes);
        let taken = (prepared + Weights::bytes(self.weights.precision)) as u64;
        Some(self.card.free_memory().map_or(0, |free| free + taken))
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        // The old memory goes before the new one comes.
        self.sequences.clear();
        self.prepared = None;
        let layout = Layout::of(tiling, self.weights.precision)?;
        let memory = Memory::new(&self.card, layout.bytes)?;
        let block = HostMemory::new(&self.card, layout.block.bytes)?;
        let mut parts = Vec::new();
        for (plan, room) in tiling.parts().iter().zip(&layout.parts) {
            let (part, grids) = Part::new(plan)?;
            for (&place, weights) in room.regions.iter().zip(&grids) {
                memory.write(place, &weights.concat())?;
            }
            parts.push(part);
        }
        self.sequences = Sequences::of_parts(parts.len());
        self.prepared = Some(Prepared {
            layout,
            memory,
            block,
            parts,
            went_forward: None,
        });
        Ok(())
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.take_in(part, picture)?;
        let pass = self.prepared()?.pass(&self.card, &self.weights, part);
        pass.forward()?;
        pass.hold()?;
        if !self.prepared()?.parts[part].holds_content {
            let Sequences { up, down } = &mut self.sequences[part];
            up.forget();
            down.forget();
        }
        let prepared = self.prepared_mut()?;
        prepared.read_block()?;
        prepared.parts[part].holds_content = true;
        Ok(prepared
            .layout
            .block
            .distances(prepared.block.bytes(), &prepared.parts[part]))
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        self.take_in(part, picture)?;
        self.run(part, Direction::Up)?;
        let prepared = self.prepared_mut()?;
        prepared.read_block()?;
        prepared.went_forward = Some(part);
        prepared
            .layout
            .block
            .statistics(prepared.block.bytes(), &prepared.parts[part])
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let prepared = self.prepared_mut()?;
        let Some(part) = prepared.went_forward.take() else {
            return Err(Error::Internal("backward without a forward pass".into()));
        };
        let (block, bytes) = (&prepared.layout.block, prepared.block.bytes_mut()?);
        block.put_derivatives(gradient, &prepared.parts[part], bytes)?;
        prepared.memory.write_block(block.at, &mut prepared.block)?;
        self.run(part, Direction::Down)?;
        let prepared = self.prepared()?;
        let (height, width) = (prepared.parts[part].plan.height, prepared.parts[part].plan.width);
        let picture: Vec<f32> = prepared.memory.read(prepared.layout.picture, 3 * height * width)?;
        Ok(Tensor::from_vec(picture, (1, 3, height, width), &Device::Cpu)?)
    }
}

fn unprepared() -> Error {
    Error::Internal("the backend was not prepared".into())
}
