//! Total variation: how much neighbouring pixels differ (Mahendran and Vedaldi 2015, with exponent 2).
//!
//! `sum over rows and columns of (difference to the next pixel)^2 / (H W)`, channels summed, for a picture in 0 to 1.

use candle_core::Tensor;

use crate::Result;

/// The variation of a picture `[1, 3, H, W]` and its gradient.
pub fn variation(picture: &Tensor) -> Result<(f64, Tensor)> {
    let (_, _, height, width) = picture.dims4()?;
    let samples = picture.flatten_all()?.to_vec1::<f32>()?;
    let mut gradient = vec![0f32; samples.len()];
    let scale = 1.0 / (height * width) as f64;
    let slope = (2.0 * scale) as f32;
    let mut loss = 0.0;
    for (row, start) in (0..samples.len()).step_by(width).enumerate() {
        // In f32 along a row, in f64 from row to row.
        let mut squares = 0f32;
        let mut step = |from: usize, to: usize| {
            let step = samples[to] - samples[from];
            squares += step * step;
            gradient[to] += step * slope;
            gradient[from] -= step * slope;
        };
        for place in start + 1..start + width {
            step(place - 1, place);
        }
        if row % height + 1 < height {
            for place in start..start + width {
                step(place, place + width);
            }
        }
        loss += f64::from(squares) * scale;
    }
    Ok((loss, Tensor::from_vec(gradient, picture.shape(), picture.device())?))
}
