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

/// Which of `length` pixels is seen at an index of their line with a margin around it.
fn repeated(index: usize, margin: usize, length: usize) -> usize {
    index.saturating_sub(margin).min(length - 1)
}

/// The pixels seen along a padded line.
fn line(length: usize, margin: usize, device: &Device) -> Result<Tensor> {
    let indices: Vec<u32> = (0..length + 2 * margin)
        .map(|index| repeated(index, margin, length) as u32)
        .collect();
    Ok(Tensor::new(indices, device)?)
}

impl Margin {
    /// A margin of `size` pixels, a multiple of 16, around pictures of `height` x `width`.
    pub fn new(size: usize, height: usize, width: usize, device: &Device) -> Result<Self> {
        let rows = line(height, size, device)?;
        let columns = line(width, size, device)?;
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
    pub fn fold(&self, gradient: Tensor) -> Result<Tensor> {
        if self.size == 0 {
            return Ok(gradient);
        }
        let (padded_height, padded_width) = self.padded_size();
        let device = gradient.device().clone();
        let padded = gradient.flatten_all()?.to_vec1::<f32>()?;
        // Gradients of large pictures are large.
        drop(gradient);
        let mut folded = vec![0f32; 3 * self.height * self.width];
        let planes = padded.chunks_exact(padded_height * padded_width);
        let mut row = vec![0f32; padded_width];
        for (plane, folded) in planes.zip(folded.chunks_exact_mut(self.height * self.width)) {
            let mut repetitions = plane.chunks_exact(padded_width).enumerate().peekable();
            for (target, folded) in folded.chunks_exact_mut(self.width).enumerate() {
                row.fill(0.0);
                while let Some((_, repetition)) =
                    repetitions.next_if(|(index, _)| repeated(*index, self.size, self.height) == target)
                {
                    for (sum, value) in row.iter_mut().zip(repetition) {
                        *sum += value;
                    }
                }
                for (column, value) in row.iter().enumerate() {
                    folded[repeated(column, self.size, self.width)] += value;
                }
            }
        }
        Ok(Tensor::from_vec(folded, (1, 3, self.height, self.width), &device)?)
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
        assert_eq!(
            dot(&padded, &gradient),
            dot(&picture, &margin.fold(gradient.clone()).unwrap())
        );
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
