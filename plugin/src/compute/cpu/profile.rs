//! Where the time of a step goes, beside what the machine could do.
//!
//! Every step leaves, for each layer, the seconds of its convolution forward and backward and of its statistics
//! ([`Stopwatch`]); reading a clock some forty times costs nothing. What a layer did in that time is counted from its
//! shape: the sums of a direct convolution, those that remain after Winograd, and the bytes that must pass by. What can
//! be done in that time is measured ([`CpuBackend::peak`]). Beside each other they tell what bounds a layer.
//!
//! A multiplication and its addition count as two operations. Winograd's transforms are not counted: they are what it
//! costs to have fewer.

use std::hint::black_box;
use std::time::Instant;

use super::disjoint::Disjoint;
use super::first::FirstLayer;
use super::instructions::Instructions;
use super::lanes::Lanes;
use super::outline::Outline;
use super::product::{COLUMNS, panel_len};
use super::weights::Weights;
use super::workers::{Task, Workers};
use super::{CpuBackend, unprepared};
use crate::Result;
use crate::network::Layer;

/// What the time since the last reading was spent on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A convolution, with all that is fused into it.
    Forward,
    /// The gradient of one.
    Backward,
    /// Moments and content distances, and bringing their gradients to the features.
    Statistics,
}

/// Seconds of the last step, by layer and [`Work`].
pub(super) struct Stopwatch {
    read: Instant,
    seconds: [[f64; 3]; Layer::ALL.len()],
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self {
            read: Instant::now(),
            seconds: Default::default(),
        }
    }

    /// A step begins: forgets the last.
    pub(super) fn start(&mut self) {
        *self = Self::new();
    }

    /// The step goes on, after time that was not its own.
    pub(super) fn resume(&mut self) {
        self.read = Instant::now();
    }

    /// All time since the last reading was spent on this.
    pub(super) fn lap(&mut self, layer: Layer, work: Work) {
        let now = Instant::now();
        self.seconds[layer.index()][work as usize] += (now - self.read).as_secs_f64();
        self.read = now;
    }
}

/// A convolution in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// How long it took.
    pub seconds: f64,
    /// Operations of a direct convolution.
    pub direct: f64,
    /// Operations of the matrix products that were done instead.
    pub done: f64,
    /// Bytes of feature maps, bits and transformed weights that were read or written, each once.
    pub bytes: f64,
}

/// What a layer took in one step.
#[derive(Clone, Copy, Debug)]
pub struct LayerProfile {
    /// Which.
    pub layer: Layer,
    /// The outputs on the side of a Winograd tile; 1 is a direct convolution.
    pub tile: usize,
    /// Up to its features, bias, ReLU and pooling included.
    pub forward: Pass,
    /// From the gradient of its sums to that of the layer below or, for the first, of the picture.
    pub backward: Pass,
    /// Seconds that its moments, its content distance and their gradients took; 0 where it is not measured.
    pub statistics: f64,
}

/// The most that all of a backend's threads do together, measured.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// Operations per second, in registers alone, or of a matrix unit on what the first cache holds.
    pub operations: f64,
    /// Bytes per second, read and written, in copying what no cache of a core holds.
    pub bytes: f64,
}

impl CpuBackend {
    /// What the last forward pass took, layer by layer, and the backward pass if one followed.
    ///
    /// # Errors
    /// When nothing was prepared.
    pub fn profile(&self) -> Result<Vec<LayerProfile>> {
        let prepared = self.prepared.as_ref().ok_or_else(unprepared)?;
        let seconds = &prepared.stopwatch.seconds;
        let mut below: Option<Outline> = None;
        let rows = prepared.arena.layers.iter().map(|memory| {
            let this = memory.outline;
            let [forward, backward, statistics] = seconds[this.layer.index()];
            let (tile, done, weights) = self.products(&this);
            let pass = |seconds, bytes| Pass {
                seconds,
                direct: direct(&this),
                done,
                bytes: bytes + weights,
            };
            let profile = LayerProfile {
                layer: this.layer,
                tile,
                forward: pass(forward, bytes_up(below.as_ref(), &this)),
                backward: pass(backward, bytes_down(below.as_ref(), &this)),
                statistics,
            };
            below = Some(this);
            profile
        });
        Ok(rows.collect())
    }

    /// The outputs on a tile's side, the operations of the products, and the bytes of weights, in either direction.
    fn products(&self, outline: &Outline) -> (usize, f64, f64) {
        let Outline { layer, grid, .. } = *outline;
        if layer.index() == 0 {
            return (1, (2 * FirstLayer::MULTIPLICATIONS * grid.pixels()) as f64, 0.0);
        }
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let variant = self.model.weights.variant(layer);
        let tiles = variant.tiles(grid);
        let done = 2 * variant.positions() * tiles * inputs * outputs;
        let weights = Weights::bytes(variant, inputs, outputs);
        (variant.outputs(), done as f64, weights as f64)
    }

    /// The most that these threads do with these instructions. Takes about a second and, for so long, half a gigabyte.
    pub fn peak(&self) -> Peak {
        let rates = [
            operations::<2>(&self.workers),
            operations::<6>(&self.workers),
            operations::<12>(&self.workers),
            products(&self.workers),
        ];
        Peak {
            operations: rates.into_iter().fold(0.0, f64::max),
            bytes: copied(&self.workers),
        }
    }
}

/// Operations of a direct convolution.
fn direct(outline: &Outline) -> f64 {
    let Outline { layer, grid, .. } = *outline;
    (2 * 9 * layer.inputs() * layer.outputs() * grid.pixels()) as f64
}

const LANES: usize = size_of::<Lanes>();
const BITS: usize = size_of::<u16>();

/// Maps and bits that a layer reads and writes on the way up.
fn bytes_up(below: Option<&Outline>, this: &Outline) -> f64 {
    let read = below.map_or(picture_bytes(this), |below| below.output_len() * LANES);
    let passed_on = if this.keeps_output() { 0 } else { this.output_len() };
    let maps = (this.features() + this.roots() + passed_on) * LANES;
    (read + maps + this.positive() * BITS + this.choices() * CHOICE) as f64
}

/// The same on the way down.
fn bytes_down(below: Option<&Outline>, this: &Outline) -> f64 {
    let read = if this.tap.is_some() {
        this.len() * LANES
    } else {
        this.output_len() * LANES + this.choices() * size_of::<u32>() + (this.roots() + this.features()) * LANES
    };
    let written = below.map_or(picture_bytes(this), |below| {
        let gate = if below.roots() > 0 { LANES } else { BITS };
        let added_to = if below.tap.is_some() { LANES } else { 0 };
        below.output_len() * (LANES + gate + added_to)
    });
    (read + written) as f64
}

/// The choice of sixteen maxima, and whether they are above 0.
const CHOICE: usize = size_of::<u32>() + BITS;

fn picture_bytes(first: &Outline) -> usize {
    first.layer.inputs() * first.grid.pixels() * size_of::<f32>()
}

/// Measurements of a peak, of which the best counts.
const TRIALS: usize = 8;

/// The best rate at which pieces were done.
fn best_rate(workers: &Workers, pieces: usize, per_piece: f64, task: &impl Task) -> f64 {
    let rate = |_| {
        let start = Instant::now();
        workers.run(pieces, task);
        pieces as f64 * per_piece / start.elapsed().as_secs_f64()
    };
    (0..TRIALS).map(rate).fold(0.0, f64::max)
}

/// Operations per second with so many sums of sixteen lanes under way: few leave units waiting for results, and many do
/// not fit into registers. How many are best differs between instruction sets.
fn operations<const SUMS: usize>(workers: &Workers) -> f64 {
    let operations = (2 * Registers::<SUMS>::ROUNDS * SUMS * LANES / size_of::<f32>()) as f64;
    best_rate(workers, 16 * workers.threads(), operations, &Registers::<SUMS>)
}

/// Each piece multiplies and adds without touching memory.
struct Registers<const SUMS: usize>;

impl<const SUMS: usize> Registers<SUMS> {
    const ROUNDS: usize = 1 << 16;
}

impl<const SUMS: usize> Task for Registers<SUMS> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, _: usize, _: &mut [Lanes]) {
        let (factor, addend) = (black_box(0.5), Lanes::splat(black_box(1.0)));
        let mut sums = [Lanes::ZERO; SUMS];
        for _ in 0..Self::ROUNDS {
            for sum in &mut sums {
                *sum = I::multiply_add(factor, *sum, addend);
            }
        }
        black_box(sums);
    }
}

/// Operations per second of matrix products.
fn products(workers: &Workers) -> f64 {
    let rows = workers.instructions().rows();
    let operations = (2 * Products::ROUNDS * rows * Products::DEPTH * COLUMNS) as f64;
    best_rate(workers, 16 * workers.threads(), operations, &Products)
}

/// Each piece multiplies one panel with one of columns, both of zeros.
struct Products;

impl Products {
    const ROUNDS: usize = 1 << 9;
    const DEPTH: usize = 128;
}

impl Task for Products {
    fn scratch<I: Instructions>(&self) -> usize {
        panel_len::<I>(I::ROWS + COLUMNS, Self::DEPTH) + 2 * I::ROWS
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, _: usize, scratch: &mut [Lanes]) {
        scratch.fill(Lanes::ZERO);
        let (left, rest) = scratch.split_at_mut(panel_len::<I>(I::ROWS, Self::DEPTH));
        let (columns, product) = rest.split_at_mut(panel_len::<I>(COLUMNS, Self::DEPTH));
        let product = &mut product.as_chunks_mut().0[..I::ROWS];
        I::begin(I::ROWS);
        for _ in 0..Self::ROUNDS {
            // SAFETY: it has begun with as many rows.
            unsafe { I::multiply(I::ROWS, black_box(left), columns, product, [&[]; 2]) }
        }
        I::end();
    }
}

/// Bytes read and written per second in copying.
fn copied(workers: &Workers) -> f64 {
    const PIECE: usize = 1 << 12;
    const PIECES: usize = 1 << 10;
    let from = vec![Lanes::splat(1.0); PIECE * PIECES];
    let mut to = vec![Lanes::splat(2.0); PIECE * PIECES];
    let task = Copying {
        from: &from,
        to: Disjoint::new(&mut to),
        piece: PIECE,
    };
    best_rate(workers, PIECES, (2 * PIECE * LANES) as f64, &task)
}

/// Each piece is a stretch of so many lanes.
struct Copying<'a> {
    from: &'a [Lanes],
    to: Disjoint<'a, Lanes>,
    piece: usize,
}

impl Task for Copying<'_> {
    fn scratch<I: Instructions>(&self) -> usize {
        0
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, _: &mut [Lanes]) {
        let first = piece * self.piece;
        // SAFETY: this stretch is in this piece alone.
        let to = unsafe { self.to.slice(first, self.piece) };
        to.copy_from_slice(&self.from[first..][..self.piece]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NETWORK, picture, plan, statistics_gradient, tensor};
    use super::*;
    use crate::compute::{Backend, Tiling};

    #[test]
    fn a_profile_tells_what_each_layer_took_of_the_last_step() {
        let plan = plan(64, 48);
        let picture = tensor(&plan, &picture(&plan, 5));
        let mut backend = CpuBackend::new(NETWORK.clone(), 2).unwrap();
        backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        backend.hold_content(0, &picture).unwrap();
        for _ in 0..2 {
            let start = Instant::now();
            let statistics = backend.forward(0, &picture).unwrap();
            backend.backward(&statistics_gradient(&plan, &statistics)).unwrap();
            let step = start.elapsed().as_secs_f64();

            let profile = backend.profile().unwrap();
            let seconds = |row: &LayerProfile| row.forward.seconds + row.backward.seconds + row.statistics;
            assert!(profile.iter().map(seconds).sum::<f64>() <= step);
            for row in &profile {
                assert!(row.forward.seconds > 0.0 && row.backward.seconds > 0.0, "{row:?}");
                let is_measured = plan.style_layers.contains(&row.layer) || plan.content_layers.contains(&row.layer);
                assert_eq!(row.statistics > 0.0, is_measured, "{row:?}");
            }
        }
    }

    #[test]
    fn the_network_takes_as_many_operations_as_are_known_of_it() {
        let layers = Outline::of(&plan(512, 512));
        // Of VGG-19 up to conv5_1, from its published shapes.
        let known = 189.3e9;
        assert!((layers.iter().map(direct).sum::<f64>() / known - 1.0).abs() < 1e-3);
    }
}
