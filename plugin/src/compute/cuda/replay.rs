//! Launches that are the same at every step: launched one by one at first, and replayed as a graph from then on.
//!
//! The first time is no capture, as kernels are brought to the card when they are first launched, which cannot be captured,
//! and as a style's statistics are taken once only. The second time they are captured. Whatever goes wrong with
//! that is no reason to fail: kernels are launched one by one from there on, as the backend's description then says.

use std::sync::Arc;

use super::driver::{Card, Graph, Memory};
use crate::{Error, Result};

/// A picture of more parts takes no graphs: each part is as large as the memory lets it be, so that the card is busy for
/// longer than launches take.
const MOST_PARTS: usize = 16;

/// The launches of a part, up and down the network.
#[derive(Default)]
pub struct Sequences {
    pub up: Sequence,
    pub down: Sequence,
}

/// What has become of a sequence of launches.
#[derive(Default)]
pub enum Sequence {
    #[default]
    New,
    Launched,
    Captured(Graph),
    /// It is never captured.
    Plain,
}

impl Sequences {
    /// For each of so many parts.
    pub fn of_parts(parts: usize) -> Vec<Self> {
        let of_part = |_| match parts > MOST_PARTS {
            true => Self {
                up: Sequence::Plain,
                down: Sequence::Plain,
            },
            false => Self::default(),
        };
        (0..parts).map(of_part).collect()
    }
}

impl Sequence {
    /// Does what `launch` does, which is the same each time. What is wrong with the card's graphs, if anything is, stops it
    /// from trying, and is written down where it is found.
    ///
    /// # Errors
    /// What `launch` fails with.
    pub fn run(&mut self, card: &Arc<Card>, fault: &mut Option<Error>, launch: impl Fn() -> Result<()>) -> Result<()> {
        // A card that is timed takes kernel by kernel.
        if fault.is_some() || card.is_timed() {
            return launch();
        }
        let replayed = match self {
            Self::Plain => return launch(),
            Self::New => {
                launch()?;
                *self = Self::Launched;
                return Ok(());
            }
            Self::Launched => Graph::capture(card, &launch).and_then(|graph| {
                graph.launch()?;
                *self = Self::Captured(graph);
                Ok(())
            }),
            Self::Captured(graph) => graph.launch(),
        };
        replayed.or_else(|error| {
            // A card that has failed does so once more.
            launch()?;
            *self = Self::Plain;
            *fault = Some(error);
            Ok(())
        })
    }

    /// What it was is not what it will be.
    pub fn forget(&mut self) {
        if !matches!(self, Self::Plain) {
            *self = Self::New;
        }
    }
}

/// Whether graphs do what they say, on a few bytes.
///
/// # Errors
/// Where they do not.
pub fn try_out(card: &Arc<Card>) -> Result<()> {
    let memory = Memory::new(card, size_of::<u32>())?;
    let graph = Graph::capture(card, || memory.clear(0, size_of::<u32>()))?;
    memory.write(0, &[1u32])?;
    graph.launch()?;
    match memory.read(0, 1)?[..] {
        [0u32] => Ok(()),
        _ => Err(Error::Device(format!("device: {}: a graph did nothing", card.name()))),
    }
}
