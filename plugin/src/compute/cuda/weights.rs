//! The network's weights on a card, in the order in which the kernels read them, for both directions.

use std::sync::Arc;

use super::driver::{Card, Memory};
use super::kernels::{Argument, Precision, Scaling};
use crate::Result;
use crate::network::{Convolution, Layer, Network};

/// All weights, in one piece of memory.
pub struct Weights {
    memory: Memory,
    layers: Vec<Offsets>,
    /// How products with them are made.
    pub precision: Precision,
    /// How pictures are brought into the network's input space.
    pub scaling: Scaling,
}

/// Where a layer's weights are.
struct Offsets {
    bias: usize,
    /// `[9 inputs][outputs]`, or conv1_1's `[3][9][64]`, which are in float32 always.
    forward: usize,
    /// `[9 outputs][inputs]`; conv1_1's kernel turns the other one itself. In bfloat16, the numbers of two rows that follow
    /// one another lie in a word, here as in `forward`.
    backward: usize,
}

impl Weights {
    /// Brings a network onto a card.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room.
    pub fn new(card: &Arc<Card>, network: &Network, precision: Precision) -> Result<Self> {
        let memory = Memory::new(card, Self::bytes(precision))?;
        let mut end = 0;
        let mut put = |values: &[u8]| {
            let place = end;
            end += values.len();
            memory.write(place, values).map(|()| place)
        };
        let stored = |weights: Vec<f32>, columns: usize| match precision {
            Precision::Float32 | Precision::Tf32 => bytemuck::cast_slice(&weights).to_vec(),
            Precision::Bfloat16 => bytemuck::cast_slice(&paired(&weights, columns)).to_vec(),
        };
        let mut layers = Vec::new();
        for (&layer, convolution) in Layer::ALL.iter().zip(&network.convolutions) {
            let forward = match layer.index() {
                0 => put(bytemuck::cast_slice(&ordered(
                    convolution,
                    layer,
                    |output, input, tap| (input * 9 + tap) * layer.outputs() + output,
                )))?,
                _ => {
                    let place = |output, input, tap| (tap * layer.inputs() + input) * layer.outputs() + output;
                    put(&stored(ordered(convolution, layer, place), layer.outputs()))?
                }
            };
            let backward = match layer.index() {
                0 => forward,
                _ => {
                    let place = |output, input, tap| ((8 - tap) * layer.outputs() + output) * layer.inputs() + input;
                    put(&stored(ordered(convolution, layer, place), layer.inputs()))?
                }
            };
            let bias = put(bytemuck::cast_slice(&convolution.bias))?;
            layers.push(Offsets {
                bias,
                forward,
                backward,
            });
        }
        let normalisation = &network.normalisation;
        let scaling = Scaling {
            channels: normalisation.channels.map(|channel| channel as i32),
            scale: normalisation.deviation.map(|deviation| 255.0 / deviation),
            shift: [0, 1, 2].map(|channel| -normalisation.mean[channel] / normalisation.deviation[channel]),
        };
        Ok(Self {
            memory,
            layers,
            precision,
            scaling,
        })
    }

    /// What they take.
    pub fn bytes(precision: Precision) -> usize {
        let bytes = Layer::ALL.into_iter().map(|layer| {
            let numbers = match layer.index() {
                0 => size_of::<f32>(),
                _ => 2 * precision.bytes_of_number(),
            };
            9 * layer.inputs() * layer.outputs() * numbers + layer.outputs() * size_of::<f32>()
        });
        bytes.sum()
    }

    pub fn bias(&self, layer: Layer) -> Argument {
        self.memory.address(self.layers[layer.index()].bias)
    }

    pub fn forward(&self, layer: Layer) -> Argument {
        self.memory.address(self.layers[layer.index()].forward)
    }

    pub fn backward(&self, layer: Layer) -> Argument {
        self.memory.address(self.layers[layer.index()].backward)
    }
}

/// A layer's weights, each at the place that `place(output, input, tap)` gives it.
fn ordered(convolution: &Convolution, layer: Layer, place: impl Fn(usize, usize, usize) -> usize) -> Vec<f32> {
    let mut weights = vec![0f32; convolution.weight.len()];
    for (kernel, taps) in convolution.weight.chunks_exact(9).enumerate() {
        let (output, input) = (kernel / layer.inputs(), kernel % layer.inputs());
        for (tap, &weight) in taps.iter().enumerate() {
            weights[place(output, input, tap)] = weight;
        }
    }
    weights
}

/// Rows of so many weights in bfloat16: a word for those of two rows, the first in its lower half.
fn paired(weights: &[f32], columns: usize) -> Vec<u32> {
    let bits = |weight: &f32| u32::from(half::bf16::from_f32(*weight).to_bits());
    let pairs = weights.chunks_exact(2 * columns).flat_map(|rows| {
        let (first, second) = rows.split_at(columns);
        first.iter().zip(second)
    });
    pairs.map(|(first, second)| bits(first) | bits(second) << 16).collect()
}
