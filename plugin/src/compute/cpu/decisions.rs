//! What a forward pass decided: which activations are above 0, and which of a window is the maximum.
//!
//! On either side of a decision the gradient is another one, and where float32 cannot tell the sides apart, both are
//! right. So gradients can be compared to the last digits only where they follow the same decisions. Here those of a
//! backend's pass are read, for the oracle to follow, or written, so that the backend goes back by another pass's.

mod tests;

use super::arena::LayerMemory;
use super::lanes::WIDTH;
use super::oracle::{Map, is_pooled, root_mean_square, windows};
use super::{CpuBackend, Prepared};
use crate::compute::{Plan, Pooling, Window};

/// What is decided at a layer.
#[derive(Clone, Debug)]
pub struct Decisions {
    pub height: usize,
    pub width: usize,
    /// Whether the gradient passes the ReLU of each activation, `[channels][height][width]`. Where nothing but maxima are
    /// taken of a map, it passes at maxima alone.
    pub passes: Vec<bool>,
    /// Which member of each window is the maximum, in reading order, `[channels][height / 2][width / 2]`; 0 where no
    /// maximum is taken.
    pub winners: Vec<u8>,
}

impl Decisions {
    /// None, of a map of this size.
    pub fn none(channels: usize, height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            passes: vec![false; channels * height * width],
            winners: vec![0; channels * (height / 2) * (width / 2)],
        }
    }

    /// Those of each layer's sums.
    pub fn of(plan: &Plan, sums: &[Map]) -> Vec<Self> {
        let layers = sums.iter().enumerate().map(|(index, map)| {
            let mut decided = Self::none(map.channels, map.height, map.width);
            let above_0 = |member: usize| map.values[member] > 0.0;
            if !only_maxima_count(plan, index) {
                decided.passes = (0..map.values.len()).map(above_0).collect();
            }
            if plan.pooling == Pooling::Max && is_pooled(plan, index) {
                for (place, members) in windows(map).enumerate() {
                    // Of equal ones, and of none above 0, the first.
                    let mut winner = 0;
                    for member in 1..4 {
                        if map.values[members[member]] > map.values[members[winner]].max(0.0) {
                            winner = member;
                        }
                    }
                    decided.winners[place] = winner as u8;
                    decided.passes[members[winner]] = above_0(members[winner]);
                }
            }
            decided
        });
        layers.collect()
    }

    /// How far each decision that is not that of the sums is from being so: how far a sum is from 0 at a ReLU, or a
    /// window's member from the maximum, relative to the size of the layer's sums.
    pub fn mistakes(plan: &Plan, sums: &[Map], decided: &[Self]) -> Vec<f64> {
        let mut mistakes = Vec::new();
        let layers = sums.iter().zip(decided).zip(Self::of(plan, sums)).enumerate();
        for (index, ((map, found), own)) in layers {
            let size = root_mean_square(map);
            if only_maxima_count(plan, index) {
                for (place, members) in windows(map).enumerate() {
                    let winner = |decided: &Self| {
                        let member = members[usize::from(decided.winners[place])];
                        decided.passes[member].then_some(member)
                    };
                    let value = |winner: Option<usize>| winner.map_or(0.0, |member| map.values[member]);
                    if winner(found) != winner(&own) {
                        mistakes.push((value(winner(&own)) - value(winner(found))).abs() / size);
                    }
                }
            } else {
                let passes = found.passes.iter().zip(&own.passes).zip(&map.values);
                mistakes.extend(passes.filter(|((a, b), _)| a != b).map(|(_, sum)| sum.abs() / size));
            }
        }
        mistakes
    }
}

/// Whether nothing but the maxima of a layer's windows says anything.
fn only_maxima_count(plan: &Plan, index: usize) -> bool {
    let mut tapped = plan.style_layers.iter().chain(&plan.content_layers);
    plan.pooling == Pooling::Max && is_pooled(plan, index) && !tapped.any(|layer| layer.index() == index)
}

impl CpuBackend {
    /// What the last forward pass decided, also after the backward pass.
    pub(in crate::compute) fn decisions(&self) -> Vec<Decisions> {
        let Prepared { arena, .. } = self.prepared.as_ref().expect("a forward pass");
        arena.layers.iter().map(read).collect()
    }

    /// Makes the next backward pass go by the decisions of a picture of which this part is seen in a window. What L2
    /// pooling made of a window is no decision, and stays.
    pub(in crate::compute) fn decide(&mut self, whole: &[Decisions], seen: &Window) {
        let Prepared { arena, .. } = self.prepared.as_mut().expect("a forward pass");
        for (memory, whole) in arena.layers.iter_mut().zip(whole) {
            write(memory, whole, seen);
        }
    }
}

fn read(memory: &LayerMemory) -> Decisions {
    let grid = memory.outline.grid;
    let half = grid.halved();
    let channels = memory.outline.layer.outputs();
    let mut decisions = Decisions::none(channels, grid.height, grid.width);
    let choices = memory.pool.as_ref().map_or(&[][..], |pool| &pool.choices);
    for (index, passes) in decisions.passes.iter_mut().enumerate() {
        let (channel, pixel) = (index / grid.pixels(), index % grid.pixels());
        let (place, lane) = (channel / WIDTH * grid.pixels() + pixel, channel % WIDTH);
        if !memory.positive.is_empty() {
            *passes = memory.positive[place] >> lane & 1 == 1;
        } else if choices.is_empty() {
            *passes = memory.features[place].0[lane] > 0.0;
        }
    }
    for (index, winner) in decisions
        .winners
        .iter_mut()
        .enumerate()
        .take_while(|_| !choices.is_empty())
    {
        let (channel, pixel) = (index / half.pixels(), index % half.pixels());
        let (place, lane) = (channel / WIDTH * half.pixels() + pixel, channel % WIDTH);
        let (right, below) = (choices[place] >> lane & 1, choices[place] >> (WIDTH + lane) & 1);
        *winner = (2 * below + right) as u8;
        if let (Some(pool), true) = (&memory.pool, memory.positive.is_empty()) {
            let row = 2 * (pixel / half.width) + below as usize;
            let column = 2 * (pixel % half.width) + right as usize;
            decisions.passes[channel * grid.pixels() + row * grid.width + column] =
                pool.positive[place] >> lane & 1 == 1;
        }
    }
    decisions
}

fn write(memory: &mut LayerMemory, whole: &Decisions, seen: &Window) {
    let outline = memory.outline;
    let seen = seen.at_depth(outline.layer.pools());
    let passes = |channel: usize, row: usize, column: usize| {
        whole.passes[(channel * whole.height + seen.top + row) * whole.width + seen.left + column]
    };
    let (grid, half) = (outline.grid, outline.grid.halved());
    for (place, bits) in memory.positive.iter_mut().enumerate() {
        let (block, row, column) = (
            place / grid.pixels(),
            place % grid.pixels() / grid.width,
            place % grid.width,
        );
        *bits = (0..WIDTH)
            .map(|lane| u16::from(passes(block * WIDTH + lane, row, column)) << lane)
            .sum();
    }
    let Some(pool) = &mut memory.pool else { return };
    let (rows, columns) = (whole.height / 2, whole.width / 2);
    for (place, (choices, positive)) in pool.choices.iter_mut().zip(pool.positive.iter_mut()).enumerate() {
        let (block, row, column) = (
            place / half.pixels(),
            place % half.pixels() / half.width,
            place % half.width,
        );
        (*choices, *positive) = (0, 0);
        for lane in 0..WIDTH {
            let channel = block * WIDTH + lane;
            let index = (channel * rows + seen.top / 2 + row) * columns + seen.left / 2 + column;
            let winner = usize::from(whole.winners[index]);
            *choices |= ((winner % 2) as u32) << lane | ((winner / 2) as u32) << (WIDTH + lane);
            *positive |= u16::from(passes(channel, 2 * row + winner / 2, 2 * column + winner % 2)) << lane;
        }
    }
}
