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
    /// `[9 inputs][outputs]`, or conv1_1's `[3][9][64]`.
    forward: usize,
    /// `[9 outputs][inputs]`; conv1_1's kernel turns the other one itself.
    backward: usize,
}

impl Weights {
    /// Brings a network onto a card.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room.
    pub fn new(card: &Arc<Card>, network: &Network, precision: Precision) -> Result<Self> {
        let memory = Memory::new(card, Self::bytes())?;
        let mut end = 0;
        let mut put = |values: &[f32]| {
            let place = end;
            end += size_of_val(values);
            memory.write(place, values).map(|()| place)
        };
        let mut layers = Vec::new();
        for (&layer, convolution) in Layer::ALL.iter().zip(&network.convolutions) {
            let forward = put(&match layer.index() {
                0 => ordered(convolution, layer, |output, input, tap| {
                    (input * 9 + tap) * layer.outputs() + output
                }),
                _ => ordered(convolution, layer, |output, input, tap| {
                    (tap * layer.inputs() + input) * layer.outputs() + output
                }),
            })?;
            let backward = match layer.index() {
                0 => forward,
                _ => put(&ordered(convolution, layer, |output, input, tap| {
                    ((8 - tap) * layer.outputs() + output) * layer.inputs() + input
                }))?,
            };
            let bias = put(&convolution.bias)?;
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
    pub fn bytes() -> usize {
        let floats = Layer::ALL.into_iter().map(|layer| {
            let directions = if layer.index() == 0 { 1 } else { 2 };
            directions * 9 * layer.inputs() * layer.outputs() + layer.outputs()
        });
        floats.sum::<usize>() * size_of::<f32>()
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
    for (from, &weight) in convolution.weight.iter().enumerate() {
        let (output, input, tap) = (from / (9 * layer.inputs()), from / 9 % layer.inputs(), from % 9);
        weights[place(output, input, tap)] = weight;
    }
    weights
}
