//! Once through the network, up and down.
//!
//! Going up, each layer's convolution reads what the layer below left (its features, its pooled map, or a buffer) and
//! writes what [`super::arena`] has planned. Going down, "the gradient at a layer" is that with respect to its sums,
//! before its ReLU; it lies in one of the two buffers. A convolution's backward pass turns it into the gradient at the
//! layer below, gated by that layer's ReLU, where that layer's statistics then add theirs.

use super::arena::{Arena, LayerMemory};
use super::buffer::Buffer;
use super::disjoint::Disjoint;
use super::injection::Injection;
use super::instructions::Instructions;
use super::lanes::{Grid, Lanes};
use super::maps::{Activation, Gate, Gradient, Source, Stored};
use super::model::Model;
use super::outline::Outline;
use super::part::Part;
use super::pool::{PoolGradient, Pooled, Spread};
use super::profile::{Stopwatch, Work};
use super::winograd::{Direction, convolve};
use super::workers::{Task, Workers};
use crate::compute::Pooling;

/// Runs a picture `[3][H][W]` up to the highest tapped layer.
pub fn forward(
    workers: &Workers,
    model: &mut Model,
    arena: &mut Arena,
    pooling: Pooling,
    picture: &[f32],
    stopwatch: &mut Stopwatch,
) {
    let grid = arena.layers[0].outline.grid;
    model.first.normalise(grid, picture, &mut arena.input);
    for index in 0..arena.layers.len() {
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

/// Brings the gradient down to the picture of a part. The factors of every style layer are set; `content` holds the
/// factor of each content layer's difference.
pub fn backward(
    workers: &Workers,
    model: &mut Model,
    arena: &mut Arena,
    part: &Part,
    content: &[f32],
    picture: &mut [f32],
    stopwatch: &mut Stopwatch,
) {
    let top = arena.layers.len() - 1;
    let mut buffer = top % 2;
    arena.buffers[buffer][..arena.layers[top].outline.len()].fill(Lanes::ZERO);
    inject(workers, arena, top, part, content, buffer, stopwatch);
    for index in (1..=top).rev() {
        let (this, below) = (&arena.layers[index], &arena.layers[index - 1]);
        let Outline { layer, grid, .. } = this.outline;
        let weights = model.weights.get(workers, layer, Direction::Backward);
        let (read, written) = read_and_written(&mut arena.buffers, buffer);
        let sink = Gradient {
            grid,
            gate: gate(below),
            values: Disjoint::new(written),
        };
        match pool_gradient(this, read) {
            // A layer that unpools was written out by the step before.
            Some(source) if !this.outline.unpools() => convolve(workers, weights, grid, &source, &sink),
            _ => convolve(workers, weights, grid, &Stored { grid, values: read }, &sink),
        }
        stopwatch.lap(layer, Work::Backward);
        buffer = 1 - buffer;
        if below.outline.unpools() {
            let (read, written) = read_and_written(&mut arena.buffers, buffer);
            if let Some(source) = pool_gradient(below, read) {
                let length = below.outline.len();
                unpool(workers, &source, below.outline.grid, &mut written[..length]);
            }
            buffer = 1 - buffer;
        }
        inject(workers, arena, index - 1, part, content, buffer, stopwatch);
    }
    let Outline { layer, grid, .. } = arena.layers[0].outline;
    model.first.backward(workers, grid, &arena.buffers[buffer], picture);
    stopwatch.lap(layer, Work::Backward);
}

fn read_and_written(buffers: &mut [Buffer<Lanes>; 2], read: usize) -> (&[Lanes], &mut [Lanes]) {
    let [even, odd] = buffers;
    if read == 0 { (even, odd) } else { (odd, even) }
}

/// What a layer's output has gone through since its sums, as far as the layer above undoes it.
fn gate(below: &LayerMemory) -> Gate<'_> {
    match &below.pool {
        Some(pool) if !pool.positive.is_empty() => Gate::Bits(&pool.positive),
        Some(pool) if !pool.roots.is_empty() => Gate::Roots(&pool.roots),
        Some(_) => Gate::Open,
        None if below.positive.is_empty() => Gate::Features(&below.features),
        None => Gate::Bits(&below.positive),
    }
}

/// The gradient at a layer, spread from its pooled map's.
fn pool_gradient<'a>(memory: &'a LayerMemory, pooled: &'a [Lanes]) -> Option<PoolGradient<'a>> {
    let pool = memory.pool.as_ref()?;
    let spread = if !pool.choices.is_empty() {
        Spread::Chosen(&pool.choices)
    } else if !pool.roots.is_empty() {
        Spread::Proportional(&memory.features)
    } else {
        Spread::Even(&memory.positive)
    };
    Some(PoolGradient {
        grid: memory.outline.grid,
        pooled,
        spread,
    })
}

/// Adds what a layer's statistics say to the gradient at that layer.
fn inject(
    workers: &Workers,
    arena: &mut Arena,
    index: usize,
    part: &Part,
    content: &[f32],
    buffer: usize,
    stopwatch: &mut Stopwatch,
) {
    let memory = &arena.layers[index];
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
    let injection = Injection {
        grid,
        window: tap.window,
        features: &memory.features,
        moments: moments.collect(),
        content: held
            .zip(part.content.as_ref())
            .map(|(index, held)| (&held[index][..], content[index])),
    };
    injection.add_to(workers, &mut arena.buffers[buffer][..memory.outline.len()]);
    stopwatch.lap(layer, Work::Statistics);
}

/// Writes out a gradient that is otherwise made where it is read.
fn unpool(workers: &Workers, source: &PoolGradient, grid: Grid, gradient: &mut [Lanes]) {
    let rows = gradient.len() / grid.width;
    workers.run(
        rows,
        &Unpooling {
            source,
            grid,
            gradient: Disjoint::new(gradient),
        },
    );
}

/// Each piece is a row of one block of channels.
struct Unpooling<'a> {
    source: &'a PoolGradient<'a>,
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
            // SAFETY: this row of this block is in this piece alone.
            unsafe { self.gradient.write(self.grid.index(block, row, column), value) }
        }
    }
}
