//! Adam's moments of the gradient, and the step that they make (Kingma and Ba 2015).
//!
//! On tensors it is candle-nn's `AdamW`, with weight decay 0. It takes gradients out of a `GradStore`, as candle's tape
//! leaves them there; ours come out of the network by hand and are put in directly. In main memory it takes its steps
//! [piece](PIECE) by piece, in the pool that it runs in. On a card of our own backend it is one kernel, which rounds where
//! candle-nn does.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use rayon::prelude::*;

use super::{AdamOptions, Vector, vector};
use crate::Result;
#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::{AdamStep, Samples};

/// Elements that candle-nn moves at a time in main memory. From 65536 on, candle's loops go over threads of its own: one
/// for each core whatever was asked for, of the host's priority, and alive for good.
const PIECE: usize = 1 << 15;

/// The moments, and what Adam goes by.
pub struct Moments {
    projected: bool,
    params: ParamsAdamW,
    kept: Kept,
}

/// Where the moments are.
enum Kept {
    /// With candle-nn, those of all pieces in turn.
    Tensors(Vec<Piece>),
    /// On a card: the first and the second, and how many steps were taken.
    #[cfg(not(feature = "cuda"))]
    OnCard { moments: [Samples; 2], steps: i32 },
}

impl Moments {
    /// None yet, of pictures like this one, which the first step begins at.
    pub fn new(x: &Vector, options: &AdamOptions, learning_rate: f64) -> Result<Self> {
        let params = ParamsAdamW {
            lr: learning_rate,
            beta1: options.beta1,
            beta2: options.beta2,
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        let kept = match x {
            Vector::Tensor(x) => {
                let (x, length) = (x.flatten_all()?, x.elem_count());
                let most = if x.device().is_cpu() { PIECE } else { length };
                let starts = (0..length).step_by(most);
                let pieces = starts.map(|start| Piece::new(&x, start, most.min(length - start), &params));
                Kept::Tensors(pieces.collect::<Result<_>>()?)
            }
            #[cfg(not(feature = "cuda"))]
            Vector::OnCard(x) => Kept::OnCard {
                moments: [x.zeros_like()?, x.zeros_like()?],
                steps: 0,
            },
        };
        Ok(Self {
            projected: options.projected,
            params,
            kept,
        })
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f64 {
        self.params.lr
    }

    /// The point after `x`, where the last step led, against `unit` times the gradient there; back in the box where that is
    /// wanted.
    pub fn step(&mut self, x: &Vector, unit: f64, gradient: Vector) -> Result<Vector> {
        match (&mut self.kept, x, gradient) {
            (Kept::Tensors(pieces), Vector::Tensor(x), gradient @ Vector::Tensor(_)) => {
                let gradient = vector::scale(unit, gradient)?.to_tensor()?.flatten_all()?;
                pieces.par_iter_mut().try_for_each(|piece| piece.step(&gradient))?;
                drop(gradient);
                let moved = match &pieces[..] {
                    // A copy: the variable's own memory changes with the next step.
                    [piece] => piece.pixels.as_detached_tensor().copy()?,
                    pieces => {
                        let moved: Vec<Tensor> = pieces.iter().map(|piece| piece.pixels.as_detached_tensor()).collect();
                        Tensor::cat(&moved, 0)?
                    }
                };
                let moved = Vector::from(moved.reshape(x.shape())?);
                if !self.projected {
                    return Ok(moved);
                }
                let projected = vector::project(&moved)?;
                let flat = projected.to_tensor()?.flatten_all()?;
                pieces.iter().try_for_each(|piece| piece.set(&flat))?;
                Ok(projected)
            }
            #[cfg(not(feature = "cuda"))]
            (Kept::OnCard { moments, steps }, Vector::OnCard(x), Vector::OnCard(gradient)) => {
                *steps += 1;
                let decays = [self.params.beta1, self.params.beta2];
                let step = AdamStep {
                    unit,
                    decays,
                    corrections: decays.map(|decay| 1.0 / (1.0 - decay.powi(*steps))),
                    epsilon: self.params.eps,
                    rate: self.params.lr,
                    into_box: self.projected,
                };
                let [first, second] = moments;
                Ok(Vector::OnCard(step.take(x, &gradient, [first, second])?))
            }
            #[cfg(not(feature = "cuda"))]
            _ => Err(crate::Error::Internal(
                "an optimiser's vectors live on different devices".into(),
            )),
        }
    }
}

/// Elements in a row, from `start`, and candle-nn's moments of them.
struct Piece {
    start: usize,
    pixels: Var,
    adam: AdamW,
}

impl Piece {
    fn new(x: &Tensor, start: usize, length: usize, params: &ParamsAdamW) -> Result<Self> {
        let pixels = Var::from_tensor(&x.narrow(0, start, length)?)?;
        Ok(Self {
            start,
            adam: AdamW::new(vec![pixels.clone()], params.clone())?,
            pixels,
        })
    }

    /// What a vector has in the piece's place.
    fn of(&self, vector: &Tensor) -> Result<Tensor> {
        Ok(vector.narrow(0, self.start, self.pixels.elem_count())?)
    }

    fn step(&mut self, gradient: &Tensor) -> Result<()> {
        let mut gradients = GradStore::default();
        gradients.insert(&self.pixels, self.of(gradient)?);
        Ok(self.adam.step(&gradients)?)
    }

    fn set(&self, x: &Tensor) -> Result<()> {
        Ok(self.pixels.set(&self.of(x)?)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::problems::random;
    use super::*;

    #[test]
    fn pieces_are_moved_as_the_whole_would_be() {
        // With a last piece that is shorter.
        let length = 2 * PIECE + 1234;
        let places = [0, PIECE - 1, PIECE, 2 * PIECE - 1, 2 * PIECE, length - 1];
        let [start, first, second] = [(1, 0.0), (2, -1.0), (3, -1.0)].map(|(seed, low)| random(seed, length, low, 1.0));
        for options in [AdamOptions::default(), AdamOptions::plain(0.3)] {
            // All elements, and in one piece those at the ends of pieces.
            let moved = |choose: &dyn Fn(&[f32]) -> Vec<f32>| {
                let vector = |values: &[f32]| -> Vector {
                    let values = choose(values);
                    let shape = (1, values.len() / 2, 2);
                    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().into()
                };
                let mut x = vector(&start);
                let mut moments = Moments::new(&x, &options, 0.3).unwrap();
                for gradient in [&first, &second] {
                    x = moments.step(&x, 2.0, vector(gradient)).unwrap();
                }
                x.to_tensor().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            let ends = |values: &[f32]| places.map(|place| values[place]).to_vec();
            let whole = moved(&<[f32]>::to_vec);
            assert_eq!(ends(&whole), moved(&ends));
            assert_ne!(ends(&whole), ends(&start));
        }
    }
}
