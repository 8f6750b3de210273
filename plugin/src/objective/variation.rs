//! Total variation: how much neighbouring pixels differ (Mahendran and Vedaldi 2015, with exponent 2).
//!
//! `sum over rows and columns of (difference to the next pixel)^2 / (H W)`, channels summed, for a picture in 0 to 1.

use candle_core::{D, Tensor};

use crate::Result;

/// The variation of a picture `[1, 3, H, W]` and its gradient.
pub fn variation(picture: &Tensor) -> Result<(f64, Tensor)> {
    let (_, _, height, width) = picture.dims4()?;
    let pixels = (height * width) as f64;
    let mut loss = 0.0;
    let mut gradient = picture.zeros_like()?;
    for (dimension, length) in [(2, height), (3, width)] {
        if length < 2 {
            continue;
        }
        let steps = (picture.narrow(dimension, 1, length - 1)? - picture.narrow(dimension, 0, length - 1)?)?;
        let rows = steps.sqr()?.sum(D::Minus1)?.flatten_all()?.to_vec1::<f32>()?;
        loss += rows.iter().copied().map(f64::from).sum::<f64>() / pixels;
        let slope = (steps * (2.0 / pixels))?;
        gradient = (gradient + slope.pad_with_zeros(dimension, 1, 0)?)?;
        gradient = (gradient - slope.pad_with_zeros(dimension, 0, 1)?)?;
    }
    Ok((loss, gradient))
}
