//! The losses of a picture's statistics, found on the card, so that a step waits for main memory in the end alone: see
//! `kernels/distances.cu`.
//!
//! What an objective asks for is written to the card once, with tables of what is to be launched on what, and there is room
//! for all that is made on the way. Of each distance a few numbers come back.

use std::iter::repeat_n;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use super::driver::{Card, Memory};
use super::gaussians;
use super::kernels::Kernel;
use super::layout::{Layout, Places};
use super::part::Part;
use super::replay::Sequence;
use super::tables::{Launch, Writer};
use crate::compute::{Losses, MomentsDistance, MomentsLoss, Plan};
use crate::network::Layer;
use crate::{Error, Result};

/// Numbers that come back of each distance: see `kernels/distances.cu`.
const VALUES: usize = 64;
/// How far the trace of the last factor may be from that of 1 where all eigenvalues came to their roots.
const EXCESS: f64 = 1e-3;

/// A distance of second moments, as kernels take it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SecondRow {
    second: u64,
    mean: u64,
    wanted: u64,
    values: u64,
    slope: f64,
    channels: u64,
}

/// A content distance, as kernels take it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ContentRow {
    sums: u64,
    values: u64,
    slope: f64,
}

/// What the numbers say that come back of a distance.
#[derive(Clone, Copy)]
enum Said {
    /// It is the sum of so many.
    Parts(usize),
    /// It is the first; the second is how far the trace of the last factor is from that of 1.
    Gaussian,
}

/// The losses of a part, on its card.
pub struct OwnLosses {
    /// It goes before the memory does.
    sequence: Sequence,
    launches: Vec<Launch>,
    memory: Memory,
    /// Where the values begin; what they say and what they count.
    values: usize,
    said: Vec<(Said, f64)>,
}

/// What the losses of a plan's statistics take at most, with so many regions.
pub fn most_bytes(plan: &Plan, regions: usize) -> usize {
    let mut places = Places::default();
    for layer in plan.style_layers.iter().flat_map(|layer| repeat_n(layer, regions)) {
        gaussians::Room::new(layer.outputs(), layer.outputs(), &mut places);
    }
    let styles = plan.style_layers.len() * regions;
    places.take(bytes_of_values(styles + plan.content_layers.len()));
    places.end() + bytes_of_tables(styles, plan.content_layers.len())
}

fn bytes_of_values(distances: usize) -> usize {
    distances * VALUES * size_of::<f64>()
}

fn bytes_of_tables(styles: usize, contents: usize) -> usize {
    gaussians::bytes_of_tables(styles) + Writer::bytes::<SecondRow>(styles) + Writer::bytes::<ContentRow>(contents)
}

impl OwnLosses {
    /// Those of the part that the network's memory is laid out for.
    ///
    /// # Errors
    /// [`Error::Internal`] for losses of other statistics, [`Error::Memory`] where the card is full.
    pub fn new(losses: &Losses, card: &Arc<Card>, layout: &Layout, network: &Memory, part: &Part) -> Result<Self> {
        check(losses, part)?;
        let styles = losses.style.iter().enumerate().flat_map(|(layer, regions)| {
            let regions = regions.iter().enumerate();
            regions.map(move |(region, loss)| (layout.block.moments(layer, region), loss))
        });
        let mut places = Places::default();
        let count = losses.style.iter().map(Vec::len).sum::<usize>() + losses.content.len();
        let values = places.take(bytes_of_values(count));
        let value_of = |index: usize| values + bytes_of_values(index);
        let (mut seconds, mut gaussians, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for ((second, mean), loss) in styles {
            let moments = [second, mean].map(|offset| network.number_of(offset));
            let (values, slope) = (value_of(said.len()), loss.slope);
            match &loss.distance {
                MomentsDistance::Gaussian(target) => {
                    said.push((Said::Gaussian, slope));
                    gaussians.push(gaussians::Distance {
                        moments,
                        target,
                        room: gaussians::Room::new(target.lengths.len(), target.mean.len(), &mut places),
                        values,
                        slope,
                    });
                }
                MomentsDistance::Second(wanted) => {
                    said.push((Said::Parts(VALUES), slope));
                    seconds.push((moments, wanted, places.take(size_of_val(&wanted[..])), values, slope));
                }
            }
        }
        let tables = places.end();
        let memory = Memory::new(
            card,
            tables + bytes_of_tables(count - losses.content.len(), losses.content.len()),
        )?;
        let mut writer = Writer::new(&memory, tables);
        let mut rows = Vec::new();
        for ([second, mean], wanted, place, values, slope) in seconds {
            writer.put(place, wanted)?;
            rows.push(SecondRow {
                second,
                mean,
                wanted: writer.at(place),
                values: writer.at(values),
                slope,
                channels: wanted.len().isqrt() as u64,
            });
        }
        writer.launch(Kernel::SECOND_DISTANCES, VALUES, &rows)?;
        let mut rows = Vec::new();
        for (index, loss) in losses.content.iter().enumerate() {
            let slope = loss.slope / loss.elements;
            rows.push(ContentRow {
                sums: network.number_of(layout.block.distance(index)),
                values: writer.at(value_of(said.len())),
                slope: 2.0 * slope,
            });
            said.push((Said::Parts(1), slope));
        }
        writer.launch(Kernel::CONTENT_DISTANCES, 1, &rows)?;
        gaussians::write(&gaussians, &mut writer)?;
        let launches = writer.launches();
        Ok(Self {
            sequence: Sequence::default(),
            launches,
            values,
            said,
            memory,
        })
    }

    /// What they take.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// From the statistics in the network's block to their derivatives, in the same places.
    ///
    /// # Errors
    /// When the card fails; so for all of these.
    pub fn run(&mut self, card: &Arc<Card>, fault: &mut Option<Error>) -> Result<()> {
        let launch = || self.launches.iter().try_for_each(|launch| launch.ask(card));
        self.sequence.run(card, fault, launch)
    }

    /// The total, when the card has found it; `None` where an eigenvalue did not come to its root.
    ///
    /// # Errors
    /// When the card fails.
    pub fn total(&self) -> Result<Option<f64>> {
        let values: Vec<f64> = self.memory.read(self.values, self.said.len() * VALUES)?;
        let mut total = 0.0;
        for (values, (said, slope)) in values.chunks_exact(VALUES).zip(&self.said) {
            let value = match said {
                Said::Parts(count) => values[..*count].iter().sum::<f64>(),
                Said::Gaussian => {
                    let [distance, excess] = [values[0], values[1].abs()];
                    if excess.is_nan() || excess > EXCESS {
                        return Ok(None);
                    }
                    distance
                }
            };
            total += slope * value;
        }
        Ok(Some(total))
    }
}

/// Refuses losses that are not of a part's statistics.
fn check(losses: &Losses, part: &Part) -> Result<()> {
    let Plan {
        style_layers,
        content_layers,
        ..
    } = &part.plan;
    let is_of_layer = |(layer, regions): (&Layer, &Vec<MomentsLoss>)| {
        regions.len() == part.totals[layer.pools()].len()
            && regions.iter().all(|loss| loss.distance.channels() == layer.outputs())
    };
    let fits = losses.style.len() == style_layers.len()
        && losses.content.len() == content_layers.len()
        && part.holds_content
        && style_layers.iter().zip(&losses.style).all(is_of_layer);
    match fits {
        true => Ok(()),
        false => Err(Error::Internal("losses of other statistics than the part has".into())),
    }
}
