//! The network's weights on a card, in the order in which the kernels read them, for both directions.

use std::sync::Arc;

use super::driver::{Card, Memory};
use super::kernels::{Argument, Precision, Scaling};
use crate::Result;
use crate::network::{Convolution, Layer, Network};

/// Words of input channels that a kernel takes at once.
const WORDS_DEEP: usize = 16;

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
    /// `[inputs / 16][9][4][outputs][4]`, with 32 and 8 in place of 16 and the last 4 in bfloat16; or conv1_1's `[3][9][64]`,
    /// which are in float32 always.
    forward: usize,
    /// The same of the convolution turned round; conv1_1's kernel turns the other one itself.
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
        let stored = |weights: Vec<f32>| match precision {
            Precision::Float32 => bytemuck::cast_slice(&weights).to_vec(),
            Precision::Tf32 => {
                bytemuck::cast_slice(&weights.into_iter().map(nearest_tf32).collect::<Vec<_>>()).to_vec()
            }
            Precision::Bfloat16 => {
                bytemuck::cast_slice(&weights.into_iter().map(half::bf16::from_f32).collect::<Vec<_>>()).to_vec()
            }
        };
        let deep = WORDS_DEEP * size_of::<f32>() / precision.bytes_of_number();
        let mut layers = Vec::new();
        for (&layer, convolution) in Layer::ALL.iter().zip(&network.convolutions) {
            let forward = match layer.index() {
                0 => put(bytemuck::cast_slice(&ordered(
                    convolution,
                    layer,
                    |output, input, tap| (input * 9 + tap) * layer.outputs() + output,
                )))?,
                _ => {
                    let place = |output, input, tap| in_planes(input, tap, output, layer.outputs(), deep);
                    put(&stored(ordered(convolution, layer, place)))?
                }
            };
            let backward = match layer.index() {
                0 => forward,
                _ => {
                    let place = |output, input, tap: usize| in_planes(output, 8 - tap, input, layer.inputs(), deep);
                    put(&stored(ordered(convolution, layer, place)))?
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

/// Where a weight lies, of a channel that is summed over at some tap to one of so many: by so many of the former, which
/// lie in four planes.
fn in_planes(from: usize, tap: usize, to: usize, outputs: usize, deep: usize) -> usize {
    let side = deep / 4;
    (((from / deep * 9 + tap) * 4 + from % deep / side) * outputs + to) * side + from % side
}

/// The nearest number of 10 bits, as which tensor cores take it in TF32; of two that are as near, the one farther from 0.
fn nearest_tf32(weight: f32) -> f32 {
    f32::from_bits((weight.to_bits() + 0x1000) & !0x1fff)
}
