//! Total variation: how much neighbouring pixels differ (Mahendran and Vedaldi 2015, with exponent 2).
//!
//! `sum over rows and columns of (difference to the next pixel)^2 / (H W)`, channels summed, for a picture in 0 to 1.

use candle_core::Tensor;
use rayon::prelude::*;

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

/// The variation's gradient is never held as a whole: it is added row by row, each by one of the threads.
fn add_to_tensor(picture: &Tensor, scale: f64, factors: [f32; 2], gradient: Tensor) -> Result<(f64, Tensor)> {
    let (_, _, height, width) = picture.dims4()?;
    let (gradient, squares) = samples::lend(picture, |samples| {
        samples::change(gradient, |gradient| {
            let rows = gradient.par_chunks_exact_mut(width).enumerate();
            let squares = rows.map(|(index, gradient)| {
                let row = |index: usize| &samples[index * width..(index + 1) * width];
                let above = (index % height > 0).then(|| row(index - 1));
                let below = (index % height + 1 < height).then(|| row(index + 1));
                add_to_row(row(index), [above, below], factors, gradient)
            });
            // In this order whatever the threads are.
            squares.collect::<Vec<f64>>().into_iter().sum::<f64>()
        })
    })??;
    Ok((scale * squares, gradient))
}

/// Adds a row's part to its gradient, and returns the squares of its steps to the next pixels, across and down.
fn add_to_row(row: &[f32], [above, below]: [Option<&[f32]>; 2], factors: [f32; 2], gradient: &mut [f32]) -> f64 {
    let [slope, factor] = factors;
    let across = steps(row, &row[1..]);
    let down = below.map_or(Vec::new(), |below| steps(row, below));
    let up = above.map_or(Vec::new(), |above| steps(above, row));
    // Steps to a pixel, from above and from the left, less those from it. A card's kernel adds in the same order.
    let mut bends = vec![0f32; row.len()];
    let mut bend = |from: usize, steps: &[f32], slope: f32| {
        let bends = bends[from..].iter_mut().zip(steps);
        bends.for_each(|(bend, step)| *bend += step * slope);
    };
    bend(0, &up, slope);
    bend(1, &across, slope);
    bend(0, &across, -slope);
    bend(0, &down, -slope);
    for (value, bend) in gradient.iter_mut().zip(bends) {
        *value += bend * factor;
    }
    squares(&across) + squares(&down)
}

/// From each of some pixels to each of others, as far as there are both.
fn steps(from: &[f32], to: &[f32]) -> Vec<f32> {
    from.iter().zip(to).map(|(from, to)| to - from).collect()
}

/// The sum of a row's squares.
fn squares(steps: &[f32]) -> f64 {
    // Several sums side by side, each of a few terms: in f32 that is exact enough, and quick.
    let mut sums = [0f32; 16];
    for steps in steps.chunks(sums.len()) {
        let pairs = sums.iter_mut().zip(steps);
        pairs.for_each(|(sum, step)| *sum += step * step);
    }
    sums.into_iter().map(f64::from).sum()
}
