//! Total variation: how much neighbouring pixels differ (Mahendran and Vedaldi 2015, with exponent 2).
//!
//! `sum over rows and columns of (difference to the next pixel)^2 / (H W)`, channels summed, for a picture in 0 to 1.

use candle_core::Tensor;

#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::Planes;
use crate::optimise::Vector;
use crate::{Result, samples};

/// The variation of a picture `[1, 3, H, W]`, and that gradient with `factor` times the variation's own added to it.
/// Both are in one place.
pub fn add_variation(picture: &Vector, factor: f64, gradient: Vector) -> Result<(f64, Vector)> {
    let (_, _, height, width) = picture.shape().dims4()?;
    let scale = 1.0 / (height * width) as f64;
    let (slope, factor) = ((2.0 * scale) as f32, factor as f32);
    match (picture, gradient) {
        (Vector::Tensor(picture), Vector::Tensor(gradient)) => {
            let (loss, gradient) = add_to_tensor(picture, scale, [slope, factor], gradient)?;
            Ok((loss, gradient.into()))
        }
        #[cfg(not(feature = "cuda"))]
        (Vector::OnCard(picture), Vector::OnCard(gradient)) => {
            let squares = Planes::of(&gradient)?.add_variation(picture, slope, factor)?;
            Ok((scale * squares, Vector::OnCard(gradient)))
        }
        #[cfg(not(feature = "cuda"))]
        _ => Err(crate::Error::Internal(
            "a picture and its gradient live on different devices".into(),
        )),
    }
}

/// The variation's gradient is never held as a whole: a row of it is complete when the next was seen.
fn add_to_tensor(picture: &Tensor, scale: f64, [slope, factor]: [f32; 2], gradient: Tensor) -> Result<(f64, Tensor)> {
    let (_, _, height, width) = picture.dims4()?;
    let (gradient, loss) = samples::lend(picture, |samples| {
        samples::change(gradient, |gradient| {
            let mut loss = 0.0;
            let (mut slopes, mut below) = (vec![0f32; width], vec![0f32; width]);
            let rows = gradient.chunks_exact_mut(width).zip((0..samples.len()).step_by(width));
            for (index, (gradient, start)) in rows.enumerate() {
                let row = &samples[start..start + width];
                // In f32 along a row, in f64 from row to row.
                let mut squares = 0f32;
                for place in 1..width {
                    let step = row[place] - row[place - 1];
                    squares += step * step;
                    slopes[place] += step * slope;
                    slopes[place - 1] -= step * slope;
                }
                if index % height + 1 < height {
                    let next = &samples[start + width..start + 2 * width];
                    for (place, (from, to)) in row.iter().zip(next).enumerate() {
                        let step = to - from;
                        squares += step * step;
                        below[place] += step * slope;
                        slopes[place] -= step * slope;
                    }
                }
                loss += f64::from(squares) * scale;
                for (value, slope) in gradient.iter_mut().zip(&mut slopes) {
                    *value += *slope * factor;
                    *slope = 0.0;
                }
                std::mem::swap(&mut slopes, &mut below);
            }
            loss
        })
    })??;
    Ok((loss, gradient))
}
