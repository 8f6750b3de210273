//! The network on an NVIDIA card, with nothing installed but its driver.
//!
//! The idea is the processor backend's (`super::cpu`): nothing but this network has to be possible, so it is written out by
//! hand, forward and backward, over memory that is allocated once. On a card, direct convolution as an implicit matrix
//! product on tensor cores does better than Winograd's algorithm; activations lie with their channels last, so that its
//! operands are runs of memory.
//!
//! From the bottom up:
//!
//! - `kernels/`, the kernels' sources, which also compile as C++ and run on emulated threads; the PTX and the machine code
//!   made of them, and the script that makes both;
//! - [`driver`], what is needed of NVIDIA's driver, looked up when a card is first asked for;
//! - [`kernels`], what the kernels are called and take;
//! - [`layout`], [`weights`] and [`part`], memory: what lies where, and what is brought there; [`statistics`], what is
//!   read and written at every step;
//! - [`losses`], what an objective makes of those, among it [`gaussians`], with [`roots`] by [`products`] of matrices;
//!   [`tables`], which all of these are launched over;
//! - [`tile`], what a block of a convolution makes; [`pass`] and [`measures`], once up and down the network; [`replay`],
//!   the same as a graph;
//! - [`space`], [`vectors`], [`pictures`] and [`resampling`], an optimiser's vectors, which stay on the card, and what is
//!   done with them there;
//! - [`profile`], what bounds each kernel.
//!
//! Sums are made in an order that does not depend on the card's scheduling: the same card gives the same bits. Statistics
//! and pictures may cross the seam in main memory; in a render neither does ([`resident`]).

#[allow(unsafe_code, reason = "the driver is a C library")]
mod driver;
mod gaussians;
mod kernels;
mod layout;
mod losses;
mod measures;
mod part;
mod pass;
mod pictures;
mod products;
mod profile;
mod replay;
mod resampling;
mod resident;
mod roots;
mod space;
mod statistics;
mod tables;
#[cfg(test)]
mod tests;
mod tile;
mod vectors;
mod weights;

use std::sync::Arc;

use candle_core::{Device, Tensor};

use self::driver::{Card, HostMemory, Memory};
pub use self::driver::{Listed, count, is_there, list};
pub use self::kernels::Precision;
use self::layout::Layout;
use self::losses::OwnLosses;
use self::part::Part;
use self::pass::Pass;
pub use self::pictures::{Planes, Roots};
pub use self::profile::{KernelProfile, Peak};
use self::replay::Sequences;
pub use self::resampling::Resampling;
pub use self::space::Space;
pub use self::vectors::{AdamStep, Combination, Samples, add_multiples, compare, dots, free_pixels};
use self::weights::Weights;
use super::{Backend, ContentDistance, Holding, Plan, Resident, Statistics, StatisticsGradient, Tiling, expect_shape};
use crate::network::Network;
use crate::optimise::Home;
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
    /// Where an optimiser's vectors live.
    space: Arc<Space>,
}

/// Parts of a picture, and what has happened to them.
struct Prepared {
    /// The losses of a part that were taken, and which part that is.
    own: Option<(usize, OwnLosses)>,
    layout: Layout,
    memory: Memory,
    /// The block of statistics, in main memory.
    block: HostMemory,
    parts: Vec<Part>,
    /// The part whose `forward` left on the card what `backward` needs.
    went_forward: Option<usize>,
    /// The part whose content, held in main memory, is on the card.
    brought: Option<usize>,
}

impl CudaBackend {
    /// The network on the card of this number.
    ///
    /// # Errors
    /// [`Error::Device`] when it cannot be used, [`Error::Memory`] when it has no room for the weights.
    pub fn new(network: &Network, number: usize, precision: Precision) -> Result<Self> {
        let card = Card::open(number, &kernels::IMAGES)?;
        let weights = Weights::new(&card, network, precision)?;
        let fault_of_graphs = replay::try_out(&card).err();
        Ok(Self {
            weights,
            prepared: None,
            sequences: Vec::new(),
            fault_of_graphs,
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

    /// Readies a part, whose picture `put` brings to its place.
    fn take_in(&mut self, part: usize, put: impl FnOnce(&Plan, &Memory, usize) -> Result<()>) -> Result<()> {
        let prepared = self.prepared_mut()?;
        prepared.went_forward = None;
        put(&prepared.part(part)?.plan, &prepared.memory, prepared.layout.picture)
    }

    /// Up the network with a part, whose picture is in its place, to its statistics.
    fn forward_pass(&mut self, part: usize) -> Result<Statistics> {
        self.prepared_mut()?.bring_content(part)?;
        self.run(part, Direction::Up)?;
        let prepared = self.prepared_mut()?;
        prepared.read_block()?;
        prepared.went_forward = Some(part);
        prepared
            .layout
            .block
            .statistics(prepared.block.bytes(), &prepared.parts[part])
    }

    /// Down the network with the part that went up last, which is returned. The gradient is left in the picture's place.
    fn backward_pass(&mut self, gradient: &StatisticsGradient) -> Result<usize> {
        let prepared = self.prepared_mut()?;
        let Some(part) = prepared.went_forward.take() else {
            return Err(Error::Internal("backward without a forward pass".into()));
        };
        let (block, bytes) = (&prepared.layout.block, prepared.block.bytes_mut()?);
        block.put_derivatives(gradient, &prepared.parts[part], bytes)?;
        prepared.memory.write_block(block.at, &mut prepared.block)?;
        self.run(part, Direction::Down)?;
        Ok(part)
    }

    /// Up the network with a part, or down again.
    fn run(&mut self, part: usize, direction: Direction) -> Result<()> {
        let prepared = self.prepared.as_ref().ok_or_else(unprepared)?;
        let pass = prepared.pass(&self.card, &self.weights, part);
        let (card, fault) = (&self.card, &mut self.fault_of_graphs);
        let Sequences { up, down } = &mut self.sequences[part];
        match direction {
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
    fn part(&self, index: usize) -> Result<&Part> {
        let unknown = || Error::Internal(format!("the backend was not prepared for part {index}"));
        self.parts.get(index).ok_or_else(unknown)
    }

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

    /// Brings a part's content to its place, if that is in main memory.
    fn bring_content(&mut self, part: usize) -> Result<()> {
        if self.brought == Some(part) {
            return Ok(());
        }
        let places = &self.layout.parts[part].held;
        for (&place, features) in places.iter().zip(&mut self.parts[part].aside) {
            self.memory.write_block(place, features)?;
        }
        self.brought = Some(part);
        Ok(())
    }

    /// Takes a part's content from its place into main memory, if that is where it is held.
    fn lay_content_aside(&mut self, part: usize) -> Result<()> {
        let places = &self.layout.parts[part].held;
        for (&place, features) in places.iter().zip(&mut self.parts[part].aside) {
            self.memory.read_block(place, features)?;
        }
        self.brought = Some(part);
        Ok(())
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
        Layout::of(tiling, precision).map_or(u64::MAX, |layout| {
            // Where there are several parts, losses are of all of them together, and so found in main memory.
            let losses = match tiling.parts() {
                [part] => losses::most_bytes(part, layout.regions),
                _ => 0,
            };
            (layout.bytes + losses + Weights::bytes(precision) + Space::bytes()) as u64
        })
    }

    fn free_memory(&self) -> Option<u64> {
        // What is prepared, or idle, is given back before anything else is.
        let prepared = self.prepared.as_ref().map_or(0, |prepared| {
            let own = prepared.own.as_ref().map_or(0, |(_, losses)| losses.bytes());
            prepared.layout.bytes + own
        });
        let taken = prepared + Weights::bytes(self.weights.precision) + Space::bytes() + self.space.idle_bytes();
        Some(self.card.free_memory().map_or(0, |free| free + taken as u64))
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        // The old memory goes before the new one comes.
        self.sequences.clear();
        self.prepared = None;
        self.space.tidy();
        self.space.keep_idle(tiling.holding() != Holding::Aside);
        let layout = Layout::of(tiling, self.weights.precision)?;
        let memory = Memory::new(&self.card, layout.bytes)?;
        let block = HostMemory::new(&self.card, layout.block.bytes)?;
        let mut parts = Vec::new();
        for (plan, room) in tiling.parts().iter().zip(&layout.parts) {
            let (mut part, grids) = Part::new(plan)?;
            if tiling.holding() == Holding::Aside {
                part.hold_aside(&self.card)?;
            }
            for (&place, weights) in room.regions.iter().zip(&grids) {
                memory.write(place, &weights.concat())?;
            }
            parts.push(part);
        }
        self.sequences = Sequences::of_parts(parts.len());
        self.prepared = Some(Prepared {
            own: None,
            layout,
            memory,
            block,
            parts,
            went_forward: None,
            brought: None,
        });
        Ok(())
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.take_in(part, |plan, memory, place| write(picture, plan, memory, place))?;
        let pass = self.prepared()?.pass(&self.card, &self.weights, part);
        pass.forward()?;
        pass.hold()?;
        if !self.prepared()?.parts[part].holds_content {
            let Sequences { up, down } = &mut self.sequences[part];
            up.forget();
            down.forget();
        }
        let prepared = self.prepared_mut()?;
        prepared.lay_content_aside(part)?;
        prepared.read_block()?;
        prepared.parts[part].holds_content = true;
        Ok(prepared
            .layout
            .block
            .distances(prepared.block.bytes(), &prepared.parts[part]))
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        self.take_in(part, |plan, memory, place| write(picture, plan, memory, place))?;
        self.forward_pass(part)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let part = self.backward_pass(gradient)?;
        let prepared = self.prepared()?;
        let (height, width) = (prepared.parts[part].plan.height, prepared.parts[part].plan.width);
        let picture: Vec<f32> = prepared.memory.read(prepared.layout.picture, 3 * height * width)?;
        Ok(Tensor::from_vec(picture, (1, 3, height, width), &Device::Cpu)?)
    }

    fn sparing(&self) -> Holding {
        Holding::Aside
    }

    fn home(&self) -> Home {
        Home::Card(self.space.clone())
    }

    fn resident(&mut self) -> Option<&mut dyn Resident> {
        Some(self)
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
