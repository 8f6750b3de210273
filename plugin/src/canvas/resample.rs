//! Pictures of other sizes.
//!
//! The filter is Lanczos with three lobes. When shrinking it is widened by the factor, so that it averages over all that
//! a new pixel covers and fine patterns do not alias. Averages are true to what the eye sees from afar when they are
//! taken of light, not of encoded samples: a fine black and white weave is seen as sRGB 188, not 128.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::Picture;
use super::light::{decode, encode};
use crate::{Error, Result};

/// What averages are taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Light {
    /// Amounts of light.
    #[default]
    Linear,
    /// The sRGB-encoded samples as they are.
    Encoded,
}

/// The picture at another size, every sample between 0 and 1. At its own size it comes back as it is.
///
/// # Errors
/// [`Error::Internal`] when a side is 0 or does not fit into 32 bits.
pub fn resize(picture: &Picture, width: usize, height: usize, light: Light) -> Result<Picture> {
    if (width, height) == (picture.width, picture.height) {
        return Ok(picture.clone());
    }
    let failed = |reason: String| {
        Error::Internal(format!(
            "resizing {} x {} to {width} x {height}: {reason}",
            picture.width, picture.height
        ))
    };
    let side = |side: usize| u32::try_from(side).map_err(|error| failed(error.to_string()));
    let (from_width, from_height) = (side(picture.width)?, side(picture.height)?);
    let (to_width, to_height) = (side(width)?, side(height)?);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    let mut resizer = Resizer::new();

    let mut samples = Vec::with_capacity(3 * width * height);
    for plane in picture.samples.chunks_exact(picture.width * picture.height) {
        let source: Vec<F32> = plane
            .iter()
            .map(|&sample| F32::new(if light == Light::Linear { decode(sample) } else { sample }))
            .collect();
        let source = TypedImageRef::new(from_width, from_height, &source).map_err(|error| failed(error.to_string()))?;
        let mut target = TypedImage::<F32>::new(to_width, to_height);
        resizer
            .resize_typed(&source, &mut target, &options)
            .map_err(|error| failed(error.to_string()))?;
        samples.extend(target.pixels().iter().map(|pixel| match light {
            Light::Linear => encode(pixel.0),
            Light::Encoded => pixel.0.clamp(0.0, 1.0),
        }));
    }
    Picture::new(width, height, samples)
}

/// The size, in the proportions of `width` by `height`, whose longer side is `longer_side`. No side is less than 1.
pub fn fit(width: usize, height: usize, longer_side: usize) -> (usize, usize) {
    let longer = width.max(height).max(1);
    let scale = |side: usize| {
        let (side, longer, target) = (side as u128, longer as u128, longer_side as u128);
        // The product of two sizes fits with room to spare, and the result is no more than `longer_side`.
        ((2 * side * target + longer) / (2 * longer)).max(1) as usize
    };
    (scale(width), scale(height))
}
