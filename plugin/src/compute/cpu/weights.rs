//! Weights of convolutions, transformed for Winograd's algorithm once for all blocks of tiles.
//!
//! **Backward.** With respect to its input, the gradient of a convolution is again a convolution of the same kind, of
//! the output's gradient with the kernel turned by 180 degrees and its channels exchanged:
//! `W'[i][o][y][x] = W[o][i][2-y][2-x]`. So [`Weights::transform`] knows two directions, and
//! [`super::winograd::convolve`] none.

use super::buffer::Buffer;
use super::disjoint::Disjoint;
use super::instructions::Instructions;
use super::lanes::{Lanes, WIDTH};
use super::product::COLUMNS;
use super::transform::{F2, F4, F6, Transform};
use super::winograd::Variant;
use super::workers::{Task, Workers};

/// Which way a convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a layer's input to its output.
    Forward,
    /// From its output's gradient to its input's.
    Backward,
}

/// The kernels of a layer, and the direction in which they are applied.
#[derive(Clone, Copy)]
pub struct Kernels<'a> {
    /// `[outputs, inputs, 3, 3]` of the layer.
    pub values: &'a [f32],
    /// The layer's output channels, a multiple of 32.
    pub outputs: usize,
    /// The layer's input channels, a multiple of 32.
    pub inputs: usize,
    /// Forward, or turned and exchanged.
    pub direction: Direction,
}

impl Kernels<'_> {
    /// Output and input channels of the convolution in this direction.
    pub fn channels(&self) -> (usize, usize) {
        match self.direction {
            Direction::Forward => (self.outputs, self.inputs),
            Direction::Backward => (self.inputs, self.outputs),
        }
    }

    /// The taps from channel `input` to sixteen channels from `output` on, in this direction.
    #[inline(always)]
    fn taps(&self, output: usize, input: usize) -> [[Lanes; 3]; 3] {
        let row = 9 * self.inputs;
        let (start, step) = match self.direction {
            Direction::Forward => (output * row + input * 9, row),
            Direction::Backward => (input * row + output * 9, 9),
        };
        let mut taps = [[Lanes::ZERO; 3]; 3];
        for lane in 0..WIDTH {
            let kernel = &self.values[start + lane * step..][..9];
            for (tap, &value) in kernel.iter().enumerate() {
                let tap = match self.direction {
                    Direction::Forward => tap,
                    Direction::Backward => 8 - tap,
                };
                taps[tap / 3][tap % 3].0[lane] = value;
            }
        }
        taps
    }
}

/// Transformed weights.
pub struct Weights {
    /// The tiles that they are transformed for.
    pub variant: Variant,
    /// Channels that they convolve.
    pub inputs: usize,
    /// Channels that they convolve them into.
    pub outputs: usize,
    /// `[position][outputs/32][inputs][32]`.
    pub values: Buffer<[Lanes; 2]>,
}

impl Weights {
    /// The memory that a layer's weights take.
    pub fn bytes(variant: Variant, inputs: usize, outputs: usize) -> usize {
        variant.positions() * inputs * outputs * size_of::<f32>()
    }

    /// None yet, and no memory.
    pub fn empty() -> Self {
        Self {
            variant: Variant::F4,
            inputs: 0,
            outputs: 0,
            values: Buffer::EMPTY,
        }
    }

    /// Replaces these weights by those of a layer. The memory is kept where it suffices.
    pub fn transform(&mut self, workers: &Workers, variant: Variant, kernels: Kernels) {
        (self.outputs, self.inputs) = kernels.channels();
        self.variant = variant;
        let length = variant.positions() * self.inputs * self.outputs / COLUMNS;
        self.values.fit(length);
        let values = Disjoint::new(&mut self.values);
        match variant {
            Variant::F2 => transform_with(workers, F2, kernels, values),
            Variant::F4 => transform_with(workers, F4, kernels, values),
            Variant::F6 => transform_with(workers, F6, kernels, values),
        }
    }
}

fn transform_with<F: Transform<OUT, IN>, const OUT: usize, const IN: usize>(
    workers: &Workers,
    transform: F,
    kernels: Kernels,
    values: Disjoint<[Lanes; 2]>,
) {
    let (outputs, inputs) = kernels.channels();
    let task = WeightTransform {
        _transform: transform,
        kernels,
        values,
    };
    workers.run(outputs / COLUMNS * (inputs / COLUMNS), &task);
}

/// Each piece is 32 outputs by 32 inputs.
struct WeightTransform<'a, F, const OUT: usize, const IN: usize> {
    _transform: F,
    kernels: Kernels<'a>,
    values: Disjoint<'a, [Lanes; 2]>,
}

impl<F: Transform<OUT, IN>, const OUT: usize, const IN: usize> Task for WeightTransform<'_, F, OUT, IN> {
    fn scratch<I: Instructions>(&self) -> usize {
        2 * IN * IN * (COLUMNS + 1)
    }

    #[inline(always)]
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]) {
        let (outputs, inputs) = self.kernels.channels();
        let panels = outputs / COLUMNS;
        let (panel, first) = (piece % panels, piece / panels * COLUMNS);
        // Positions are far apart in the end, at a power of two: so they are first gathered where they are not.
        let gathered = scratch.as_chunks_mut().0;
        for input in 0..COLUMNS {
            let output = panel * COLUMNS;
            let low = F::weights::<I>(&self.kernels.taps(output, first + input));
            let high = F::weights::<I>(&self.kernels.taps(output + WIDTH, first + input));
            for position in 0..IN * IN {
                let (row, column) = (position / IN, position % IN);
                gathered[position * (COLUMNS + 1) + input] = [low[row][column], high[row][column]];
            }
        }
        for (position, gathered) in gathered.chunks_exact(COLUMNS + 1).enumerate() {
            // SAFETY: this panel's inputs from `first` on are this piece's.
            let values = unsafe { self.values.slice((position * panels + panel) * inputs + first, COLUMNS) };
            values.copy_from_slice(&gathered[..COLUMNS]);
        }
    }
}
