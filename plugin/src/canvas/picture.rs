//! The one form in which pictures travel below the job: planar RGB floats, sRGB-encoded.

use candle_core::{Device, Tensor};

use crate::{Result, samples};

/// The size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a row, 1 or more.
    pub width: usize,
    /// Rows, 1 or more.
    pub height: usize,
}

impl Size {
    /// The number of pixels.
    pub fn pixels(self) -> u64 {
        (self.width as u64).saturating_mul(self.height as u64)
    }

    /// The bytes of a canvas of this size when it was read: three floats for the colour and one for the alpha.
    pub fn bytes_read(self) -> u64 {
        self.pixels().saturating_mul(16)
    }
}

/// A picture without alpha: three planes (red, green, blue) of `height` rows, sRGB-encoded, nominally 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Pixels in a row, 1 or more.
    pub width: usize,
    /// Rows, 1 or more.
    pub height: usize,
    /// `3 * height * width` samples, plane by plane, row by row.
    pub samples: Vec<f32>,
}

impl Picture {
    /// A picture of the given size from its samples.
    ///
    /// # Errors
    /// When there are not exactly `3 * height * width` samples.
    pub fn new(width: usize, height: usize, samples: Vec<f32>) -> Result<Self> {
        if width == 0 || height == 0 || samples.len() != 3 * width * height {
            let have = samples.len();
            return Err(crate::Error::Internal(format!(
                "{have} samples do not make a picture of {width} x {height}"
            )));
        }
        Ok(Self { width, height, samples })
    }

    /// Its width and height.
    pub fn size(&self) -> Size {
        Size {
            width: self.width,
            height: self.height,
        }
    }

    /// The picture as a tensor `[1, 3, H, W]` on a device.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_slice(
            &self.samples,
            (1, 3, self.height, self.width),
            device,
        )?)
    }

    /// As [`Self::to_tensor`]; in main memory, without a copy.
    pub fn into_tensor(self, device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.samples, (1, 3, self.height, self.width), device)?)
    }

    /// The picture in a tensor `[1, 3, H, W]`, brought into the range 0 to 1.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let (_, _, height, width) = tensor.dims4()?;
        let samples = samples::lend(tensor, |samples| {
            samples.iter().map(|sample| sample.clamp(0.0, 1.0)).collect()
        })?;
        Self::new(width, height, samples)
    }
}
