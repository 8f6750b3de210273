//! What the network sees beyond the border of the picture.
//!
//! VGG pads every convolution with zeros, which its features near the border show, and an optimiser that is asked to
//! hide the difference paints a fringe there. So the picture is continued outward before the network sees it, and
//! statistics are taken over the features inside only: the zeros begin a margin away. What the network says about the
//! continuation counts for the pixels that it repeats (the adjoint of the padding).

use candle_core::{Device, Tensor};

use crate::Result;
use crate::compute::Window;

/// A border of repeated pixels around pictures of one size.
pub struct Margin {
    size: usize,
    height: usize,
    width: usize,
    rows: Tensor,
    columns: Tensor,
}

/// For each index of a padded line, the index that it repeats.
fn repeated(length: usize, margin: usize, device: &Device) -> Result<Tensor> {
    let last = length - 1;
    let indices: Vec<u32> = (0..length + 2 * margin)
        .map(|index| index.saturating_sub(margin).min(last) as u32)
        .collect();
    Ok(Tensor::new(indices, device)?)
}

impl Margin {
    /// A margin of `size` pixels, a multiple of 16, around pictures of `height` x `width`.
    pub fn new(size: usize, height: usize, width: usize, device: &Device) -> Result<Self> {
        let rows = repeated(height, size, device)?;
        let columns = repeated(width, size, device)?;
        Ok(Self {
            size,
            height,
            width,
            rows,
            columns,
        })
    }

    /// Rows and columns with the margin.
    pub fn padded_size(&self) -> (usize, usize) {
        (self.height + 2 * self.size, self.width + 2 * self.size)
    }

    /// Where the picture lies in its padded form.
    pub fn window(&self) -> Window {
        Window {
            top: self.size,
            left: self.size,
            height: self.height,
            width: self.width,
        }
    }

    /// `[1, 3, H, W]` with the margin around it.
    pub fn pad(&self, picture: &Tensor) -> Result<Tensor> {
        if self.size == 0 {
            return Ok(picture.clone());
        }
        Ok(picture
            .index_select(&self.rows, 2)?
            .index_select(&self.columns, 3)?
            .contiguous()?)
    }

    /// The adjoint of [`Self::pad`]: every pixel receives the gradients of all its repetitions.
    pub fn fold(&self, gradient: &Tensor) -> Result<Tensor> {
        if self.size == 0 {
            return Ok(gradient.clone());
        }
        let (batch, channels, _, padded_width) = gradient.dims4()?;
        let folded = Tensor::zeros(
            (batch, channels, self.height, padded_width),
            gradient.dtype(),
            gradient.device(),
        )?;
        let folded = folded.index_add(&self.rows, gradient, 2)?;
        let whole = Tensor::zeros(
            (batch, channels, self.height, self.width),
            gradient.dtype(),
            gradient.device(),
        )?;
        Ok(whole.index_add(&self.columns, &folded, 3)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(shape: (usize, usize, usize, usize)) -> Tensor {
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        let values: Vec<f32> = (0..count).map(|index| ((index * 37) % 101) as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn dot(a: &Tensor, b: &Tensor) -> f32 {
        (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn folding_is_the_adjoint_of_padding() {
        let margin = Margin::new(16, 5, 7, &Device::Cpu).unwrap();
        let (picture, gradient) = (ramp((1, 3, 5, 7)), ramp((1, 3, 37, 39)));
        let padded = margin.pad(&picture).unwrap();
        assert_eq!(padded.dims(), [1, 3, 37, 39]);
        assert_eq!(dot(&padded, &gradient), dot(&picture, &margin.fold(&gradient).unwrap()));
    }

    #[test]
    fn borders_repeat_outward() {
        let padded = Margin::new(16, 2, 2, &Device::Cpu)
            .unwrap()
            .pad(&ramp((1, 3, 2, 2)))
            .unwrap();
        let plane: Vec<Vec<f32>> = padded
            .narrow(1, 0, 1)
            .unwrap()
            .reshape((34, 34))
            .unwrap()
            .to_vec2()
            .unwrap();
        assert_eq!(
            (plane[0][0], plane[0][33], plane[33][0], plane[33][33]),
            (0.0, 37.0, 74.0, 10.0)
        );
        assert_eq!((plane[16][16], plane[17][17]), (0.0, 10.0));
    }
}
