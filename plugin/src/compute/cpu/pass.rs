//! Once through the network, up and down.
//!
//! Going up, each layer's convolution reads what the layer below left (its features, its pooled map, or a buffer) and
//! writes what [`super::arena`] has planned. Going down, "the gradient at a layer" is that with respect to its sums,
//! before its ReLU. At a layer that was measured it takes the place of the features: first what the layer's statistics
//! say, to which the convolution above, backward, adds its own, gated by the ReLU. Elsewhere it passes through the two
//! buffers in turn.
//!
//! Where a plan defers its highest layer, what comes down from it to the joint is held, and at later steps taken from
//! there.

use super::arena::{Arena, LayerMemory, PoolMemory};
use super::buffer::Buffer;
use super::content::product;
use super::disjoint::Disjoint;
use super::injection::Injection;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes};
use super::maps::{Activation, Gate, Gradient, Source, Stored};
use super::model::Model;
use super::outline::Outline;
use super::part::{Deferred, Part};
use super::pool::{PoolGradient, Pooled, Spread};
use super::profile::{Stopwatch, Work};
use super::weights::Direction;
use super::winograd::convolve;
use super::workers::{Task, Workers};
use crate::compute::Pooling;
use crate::network::Layer;

/// Runs a picture `[3][H][W]` up to a layer, the highest tapped one or the joint.
pub fn forward(
    workers: &Workers,
    model: &mut Model,
    arena: &mut Arena,
    pooling: Pooling,
    picture: &[f32],
    top: Layer,
    stopwatch: &mut Stopwatch,
) {
    let grid = arena.layers[0].outline.grid;
    model.first.normalise(grid, picture, &mut arena.input);
    for index in 0..=top.index() {
        let (below, above) = arena.layers.split_at_mut(index);
        let this = &mut above[0];
        let [even, odd] = &mut arena.buffers;
        let (written, read) = if index % 2 == 0 { (even, odd) } else { (odd, even) };
        let Outline { layer, grid, .. } = this.outline;
        let sink = activation(this, &model.biases[index], pooling, written);
        match below.last() {
            None => model.first.forward(workers, grid, &arena.input, &sink),
            Some(below) => {
                let values = below.kept_output().unwrap_or(&read[..]);
                let weights = model.weights.get(workers, layer, Direction::Forward);
                convolve(workers, weights, grid, &Stored { grid, values }, &sink);
            }
        }
        stopwatch.lap(layer, Work::Forward);
    }
}

/// Where a layer's activations go.
fn activation<'a>(
    memory: &'a mut LayerMemory,
    bias: &'a [Lanes],
    pooling: Pooling,
    buffer: &'a mut [Lanes],
) -> Activation<'a> {
    let keeps_features = !memory.features.is_empty();
    let Outline { grid, pooled, .. } = memory.outline;
    let (features, pooled) = match memory.pool.as_mut().zip(pooled) {
        Some((pool, grid)) => {
            let keeps_roots = !pool.roots.is_empty();
            let pooled = Pooled {
                pooling,
                grid,
                values: Disjoint::new(if keeps_roots { &mut pool.roots } else { buffer }),
                choices: shared(&mut pool.choices),
                positive: shared(&mut pool.positive),
            };
            (shared(&mut memory.features), Some(pooled))
        }
        None if keeps_features => (shared(&mut memory.features), None),
        None => (Some(Disjoint::new(buffer)), None),
    };
    debug_assert!(pooled.is_some() || features.is_some());
    Activation {
        grid,
        bias,
        features,
        positive: shared(&mut memory.positive),
        pooled,
    }
}

/// A slice to be written, unless it is empty: that stands for "not kept".
fn shared<T: Copy>(values: &mut [T]) -> Option<Disjoint<'_, T>> {
    (!values.is_empty()).then(|| Disjoint::new(values))
}

/// The gradient at the picture of a part, down from the layer that the last forward pass went up to, into the arena. The
/// factors of every style layer up to there are set; `content` holds the factor of each content layer's difference. The
/// tapped layers' features are gone afterwards.
pub fn backward(
    workers: &Workers,
    model: &mut Model,
    arena: &mut Arena,
    part: &mut Part,
    top: Layer,
    content: &[f32],
    stopwatch: &mut Stopwatch,
) {
    let Arena {
        layers,
        buffers,
        gradient: picture,
        ..
    } = arena;
    let joint = part.plan.joint();
    let highest = layers.len() - 1;
    // The buffer that is written next is the same wherever the way down begins.
    let passed = layers[top.index()..highest].iter();
    let passed: usize = passed.map(|memory| memory.outline.buffers_written()).sum();
    let mut buffer = (highest + passed) % 2;
    // The highest is tapped, and not pooled; nor is the joint.
    inject(workers, &mut layers[top.index()], part, content, &mut [], stopwatch);
    for index in (1..=top.index()).rev() {
        let (lower, upper) = layers.split_at_mut(index);
        let (below, this) = (&mut lower[index - 1], &upper[0]);
        let Outline { layer, grid, .. } = this.outline;
        let weights = model.weights.get(workers, layer, Direction::Backward);
        let adds = below.outline.adds();
        let is_joint = joint == Some(below.outline.layer);
        if adds && !is_joint {
            inject(workers, below, part, content, &mut [], stopwatch);
        }
        let mut held = part.deferred.take_if(|_| is_joint);
        let (read, written) = read_and_written(buffers, buffer);
        let sink = if is_joint {
            let deferred = held.get_or_insert_with(|| Deferred {
                gradient: Buffer::zeros(below.outline.len()),
                along: 0.0,
            });
            Gradient {
                grid,
                gate: Gate::Open,
                values: Disjoint::new(&mut deferred.gradient),
                adds: false,
            }
        } else {
            Gradient {
                grid,
                gate: gate(below.pool.as_ref(), &below.positive),
                values: Disjoint::new(if adds { &mut below.features } else { written }),
                adds,
            }
        };
        match &this.pool {
            Some(pool) if !this.outline.unpools() => {
                let spread = spread(pool, &this.positive, &this.features);
                let source = PoolGradient {
                    grid,
                    pooled: read,
                    spread,
                };
                convolve(workers, weights, grid, &source, &sink);
            }
            _ => {
                let values = if this.outline.overwrites() {
                    &this.features
                } else {
                    read
                };
                convolve(workers, weights, grid, &Stored { grid, values }, &sink);
            }
        }
        stopwatch.lap(layer, Work::Backward);
        if let Some(mut deferred) = held {
            deferred.along = product(workers, &below.features, &deferred.gradient);
            part.deferred = Some(deferred);
            inject(workers, below, part, content, &mut [], stopwatch);
        }
        if !adds {
            buffer = 1 - buffer;
        }
        if below.outline.unpools() {
            let (read, written) = read_and_written(buffers, buffer);
            inject(workers, below, part, content, written, stopwatch);
            unpool(workers, below, read, written);
            if !below.outline.overwrites() {
                buffer = 1 - buffer;
            }
        }
    }
    let Outline { layer, grid, .. } = layers[0].outline;
    let gradient = if layers[0].outline.overwrites() {
        &layers[0].features
    } else {
        &buffers[buffer]
    };
    model.first.backward(workers, grid, gradient, picture);
    stopwatch.lap(layer, Work::Backward);
}

fn read_and_written(buffers: &mut [Buffer<Lanes>; 2], read: usize) -> (&[Lanes], &mut [Lanes]) {
    let [even, odd] = buffers;
    if read == 0 { (even, odd) } else { (odd, even) }
}

/// What a layer's output has gone through since its sums, as far as the layer above undoes it.
fn gate<'a>(pool: Option<&'a PoolMemory>, positive: &'a [u16]) -> Gate<'a> {
    match pool {
        Some(pool) if !pool.positive.is_empty() => Gate::Bits(&pool.positive),
        Some(pool) if !pool.roots.is_empty() => Gate::Roots(&pool.roots),
        Some(_) => Gate::Open,
        None => Gate::Bits(positive),
    }
}

/// How a layer's pooling spreads its gradient.
fn spread<'a>(pool: &'a PoolMemory, positive: &'a [u16], features: &'a [Lanes]) -> Spread<'a> {
    if !pool.choices.is_empty() {
        Spread::Chosen(&pool.choices)
    } else if !pool.roots.is_empty() {
        Spread::Proportional(features)
    } else {
        Spread::Even(positive)
    }
}

/// Writes the gradient that a layer's statistics give it, into a buffer if its features must stay.
fn inject(
    workers: &Workers,
    memory: &mut LayerMemory,
    part: &Part,
    content: &[f32],
    buffer: &mut [Lanes],
    stopwatch: &mut Stopwatch,
) {
    let Outline { layer, grid, tap, .. } = memory.outline;
    let Some(tap) = tap else { return };
    let regions = &part.regions[layer.pools()];
    let moments = memory.style.iter().flat_map(|style| {
        style.factors.iter().enumerate().map(|(region, factor)| {
            let weights = regions.get(region).map(Vec::as_slice);
            (factor, weights)
        })
    });
    let held = part.plan.content_layers.iter().position(|&held| held == layer);
    let features = Disjoint::new(&mut memory.features);
    let injection = Injection {
        grid,
        window: tap.window,
        features,
        positive: &memory.positive,
        moments: moments.collect(),
        content: held
            .zip(part.content.as_ref())
            .map(|(index, held)| (&held[index][..], content[index])),
        above: part
            .deferred
            .as_ref()
            .filter(|_| part.plan.joint() == Some(layer))
            .map(|deferred| &deferred.gradient[..]),
    };
    let gradient = if memory.outline.overwrites() {
        features
    } else {
        Disjoint::new(buffer)
    };
    injection.write_to(workers, gradient);
    stopwatch.lap(layer, Work::Statistics);
}

/// Adds a gradient that is otherwise made where it is read to that of the layer's statistics.
fn unpool(workers: &Workers, memory: &mut LayerMemory, pooled: &[Lanes], buffer: &mut [Lanes]) {
    let Outline { grid, .. } = memory.outline;
    let Some(pool) = &memory.pool else { return };
    let (features, gradient) = if memory.outline.overwrites() {
        (&[][..], &mut memory.features[..])
    } else {
        (&memory.features[..], buffer)
    };
    let source = PoolGradient {
        grid,
        pooled,
        spread: spread(pool, &memory.positive, features),
    };
    let rows = memory.outline.blocks() * grid.height;
    let gradient = Disjoint::new(gradient);
    workers.run(rows, &Unpooling { source, grid, gradient });
}

/// Each piece is a row of one block of channels.
struct Unpooling<'a> {
    source: PoolGradient<'a>,
    grid: Grid,
    gradient: Disjoint<'a, Lanes>,
}

impl Task for Unpooling<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let (block, row) = (piece / self.grid.height, piece % self.grid.height);
        for column in 0..self.grid.width {
            let value = self.source.pixel::<I>(block, row, column);
            let index = self.grid.index(block, row, column);
            // SAFETY: this row of this block is in this piece alone.
            unsafe { self.gradient.write(index, self.gradient.read(index) + value) }
        }
    }
}
