//! Adam's moments of the gradient, and the step that they make (Kingma and Ba 2015).
//!
//! On tensors it is candle-nn's `AdamW`, with weight decay 0. It takes gradients out of a `GradStore`, as candle's tape
//! leaves them there; ours come out of the network by hand and are put in directly. On a card of our own backend it is one
//! kernel, which rounds where candle-nn does.

use candle_core::Var;
use candle_core::backprop::GradStore;
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};

use super::{AdamOptions, Vector, vector};
use crate::Result;
#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::{AdamStep, Samples};

/// The moments, and what Adam goes by.
pub struct Moments {
    projected: bool,
    params: ParamsAdamW,
    kept: Kept,
}

/// Where the moments are.
enum Kept {
    /// With candle-nn, and the pixels that it moves.
    Tensors { adam: AdamW, pixels: Var },
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
                let pixels = Var::from_tensor(x)?;
                Kept::Tensors {
                    adam: AdamW::new(vec![pixels.clone()], params.clone())?,
                    pixels,
                }
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
            (Kept::Tensors { adam, pixels }, Vector::Tensor(_), gradient @ Vector::Tensor(_)) => {
                let mut gradients = GradStore::default();
                gradients.insert(pixels, vector::scale(unit, gradient)?.to_tensor()?);
                adam.step(&gradients)?;
                if !self.projected {
                    // A copy: the variable's own memory changes with the next step.
                    return Ok(pixels.as_tensor().copy()?.into());
                }
                let projected = vector::project(&pixels.as_tensor().clone().into())?;
                pixels.set(&projected.to_tensor()?)?;
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
