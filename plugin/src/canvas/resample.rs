//! Pictures of other sizes.
//!
//! The filter is Lanczos with three lobes. When shrinking it is widened by the factor, so that it averages over all that
//! a new pixel covers and fine patterns do not alias. Averages are true to what the eye sees from afar when they are
//! taken of light, not of encoded samples: a fine black and white weave is seen as sRGB 188, not 128.

use candle_core::Tensor;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use super::Picture;
use super::light::{decode, encode};
use crate::{Error, Result, samples};

/// Rows that one thread makes at a time. The filter's weights are reckoned for each band, so there should not be many.
const BAND: usize = 256;

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
    let (from, to) = ((picture.width, picture.height), (width, height));
    let samples = match light {
        Light::Linear => resample(&picture.samples, from, to, Some(decode), encode)?,
        Light::Encoded => resample(&picture.samples, from, to, None, |sample| sample.clamp(0.0, 1.0))?,
    };
    Picture::new(width, height, samples)
}

/// A tensor `[1, 3, H, W]` of any values at another size, on its device: linear in it, unlike [`resize`], which keeps
/// samples within their range.
///
/// # Errors
/// As [`resize`].
pub fn resize_tensor(tensor: &Tensor, width: usize, height: usize) -> Result<Tensor> {
    let (_, channels, from_height, from_width) = tensor.dims4()?;
    let values = samples::lend(tensor, |values| {
        let (from, to) = ((from_width, from_height), (width, height));
        resample(values, from, to, None, |value| value)
    })??;
    Ok(Tensor::from_vec(values, (1, channels, height, width), tensor.device())?)
}

/// Planes of `from` (width, height) at the size `to`; values go through `before`, if anything, and `after`. Planes are made
/// one after the other, each in bands of rows by all threads: a filter that lies across a band's border sees what is
/// beyond.
fn resample(
    values: &[f32],
    from: (usize, usize),
    to: (usize, usize),
    before: Option<fn(f32) -> f32>,
    after: impl Fn(f32) -> f32 + Sync,
) -> Result<Vec<f32>> {
    let failed = |reason: String| Error::Internal(format!("resizing {from:?} to {to:?}: {reason}"));
    let side = |side: usize| u32::try_from(side).map_err(|error| failed(error.to_string()));
    let (from_width, from_height) = (side(from.0)?, side(from.1)?);
    let (to_width, _) = (side(to.0)?, side(to.1)?);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    let scale = f64::from(from_height) / to.1 as f64;

    let (length, target_length) = ((from.0 * from.1).max(1), to.0 * to.1);
    let mut resampled = vec![0f32; values.len() / length * target_length];
    let mut changed = Vec::new();
    for (plane, target) in values
        .chunks_exact(length)
        .zip(resampled.chunks_exact_mut(target_length.max(1)))
    {
        let source = match before {
            Some(before) => {
                plane.par_iter().copied().map(before).collect_into_vec(&mut changed);
                &changed[..]
            }
            None => plane,
        };
        let source = TypedImageRef::<F32>::from_buffer(from_width, from_height, bytemuck::cast_slice(source))
            .map_err(|error| failed(error.to_string()))?;
        let bands = target.par_chunks_mut(BAND * to.0).enumerate();
        bands.try_for_each_init(Resizer::new, |resizer, (band, pixels)| {
            let (top, rows) = ((band * BAND) as f64 * scale, pixels.len() / to.0);
            let height = (rows as f64 * scale).min(f64::from(from_height) - top);
            let options = options.crop(0.0, top, f64::from(from_width), height);
            let mut image = TypedImage::<F32>::from_buffer(to_width, side(rows)?, bytemuck::cast_slice_mut(pixels))
                .map_err(|error| failed(error.to_string()))?;
            resizer
                .resize_typed(&source, &mut image, &options)
                .map_err(|error| failed(error.to_string()))?;
            pixels.iter_mut().for_each(|value| *value = after(*value));
            Ok::<_, Error>(())
        })?;
    }
    Ok(resampled)
}

/// The size, in the proportions of `width` by `height`, whose longer side is `longer_side`. No side is less than 1.
pub fn fit(width: usize, height: usize, longer_side: usize) -> (usize, usize) {
    let longer = width.max(height).max(1);
    let scale = |side: usize| {
        let (side, longer, target) = (side as u128, longer as u128, longer_side as u128);
        // Twice 64 bits fit into 128, and the result is no more than `longer_side`.
        ((side * target + longer / 2) / longer).max(1) as usize
    };
    (scale(width), scale(height))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIGHTS: [Light; 2] = [Light::Linear, Light::Encoded];

    fn picture(width: usize, height: usize, sample: impl Fn(usize, usize, usize) -> f32) -> Picture {
        let samples = (0..3 * height)
            .flat_map(|row| (0..width).map(move |x| (row / height, x, row % height)))
            .map(|(plane, x, y)| sample(plane, x, y))
            .collect();
        Picture::new(width, height, samples).unwrap()
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let original = picture(5, 3, |plane, x, y| (plane + x * y) as f32 / 20.0);
        for light in LIGHTS {
            assert_eq!(resize(&original, 5, 3, light).unwrap(), original);
        }
    }

    #[test]
    fn a_weave_shrinks_to_its_average() {
        let weave = picture(64, 64, |_, x, y| ((x + y) % 2) as f32);
        for (light, expected) in [(Light::Linear, encode(0.5)), (Light::Encoded, 0.5)] {
            let small = resize(&weave, 16, 16, light).unwrap();
            for y in 2..14 {
                for x in 2..14 {
                    let sample = small.samples[y * 16 + x];
                    assert!((sample - expected).abs() < 0.01, "{sample} at {x}, {y}, {light:?}");
                }
            }
        }
    }

    #[test]
    fn shrinking_keeps_the_mean_light() {
        let scene = picture(60, 48, |plane, x, y| {
            0.5 + 0.4 * ((x * (plane + 1)) as f32 * 0.11).sin() * (y as f32 * 0.07).cos()
        });
        let small = resize(&scene, 20, 16, Light::Linear).unwrap();
        let mean = |picture: &Picture, plane: usize| {
            let pixels = picture.width * picture.height;
            let light = picture.samples[plane * pixels..][..pixels]
                .iter()
                .map(|&sample| f64::from(decode(sample)));
            light.sum::<f64>() / pixels as f64
        };
        for plane in 0..3 {
            let (before, after) = (mean(&scene, plane), mean(&small, plane));
            assert!((before - after).abs() < 2e-3, "{before} became {after}");
        }
    }

    #[test]
    fn planes_keep_apart_and_the_picture_stays_upright() {
        let scene = picture(40, 20, |plane, x, y| match plane {
            0 => x as f32 / 39.0,
            1 => y as f32 / 19.0,
            _ => 0.5,
        });
        let other = resize(&scene, 20, 40, Light::Encoded).unwrap();
        for y in 3..37 {
            for x in 3..17 {
                let [red, green, blue] = std::array::from_fn(|plane| other.samples[(plane * 40 + y) * 20 + x]);
                assert!((red - (2.0 * x as f32 + 0.5) / 39.0).abs() < 5e-3);
                assert!((green - (0.5 * y as f32 - 0.25) / 19.0).abs() < 5e-3);
                assert!((blue - 0.5).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn bands_are_parts_of_the_whole() {
        for (from, to) in [((20, 450), (31, 633)), ((20, 1700), (13, 530)), ((20, 530), (20, 529))] {
            let values: Vec<f32> = (0..from.0 * from.1)
                .map(|index| ((index * 7919) % 251) as f32)
                .collect();
            let banded = resample(&values, from, to, None, |value| value).unwrap();
            let source: Vec<F32> = values.iter().map(|&value| F32::new(value)).collect();
            let [from_width, from_height, width, height] = [from.0, from.1, to.0, to.1].map(|side| side as u32);
            let source = TypedImageRef::new(from_width, from_height, &source).unwrap();
            let mut whole = TypedImage::<F32>::new(width, height);
            let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
            Resizer::new().resize_typed(&source, &mut whole, &options).unwrap();
            assert!(to.1 > 2 * BAND && banded.len() == whole.pixels().len());
            for (index, (banded, whole)) in banded.iter().zip(whole.pixels()).enumerate() {
                let row = index / to.0;
                assert!((banded - whole.0).abs() < 1e-3, "{banded} for {} in row {row}", whole.0);
            }
        }
    }

    #[test]
    fn a_size_that_is_none_is_refused() {
        assert!(resize(&picture(2, 2, |_, _, _| 0.0), 0, 4, Light::Linear).is_err());
    }

    #[test]
    fn fitting_keeps_proportions() {
        assert_eq!(fit(4000, 3000, 512), (512, 384));
        assert_eq!(fit(3000, 4000, 512), (384, 512));
        assert_eq!(fit(451, 300, 256), (256, 170));
        assert_eq!(fit(3, 2, 5), (5, 3));
        assert_eq!(fit(10_000, 1, 256), (256, 1));
        assert_eq!(fit(7, 7, 0), (1, 1));
        assert_eq!(fit(usize::MAX, 1, usize::MAX), (usize::MAX, 1));
    }

    proptest! {
        #[test]
        fn constants_stay(width in 1usize..40, height in 1usize..40, to_width in 1usize..40, to_height in 1usize..40, sample in 0f32..=1.0) {
            for light in LIGHTS {
                let resized = resize(&picture(width, height, |_, _, _| sample), to_width, to_height, light).unwrap();
                prop_assert_eq!((resized.width, resized.height), (to_width, to_height));
                for &value in &resized.samples {
                    prop_assert!((value - sample).abs() < 1e-5, "{} for {}", value, sample);
                }
            }
        }

        #[test]
        fn edges_do_not_ring_out_of_range(edge in 1usize..31, to_width in 1usize..90, to_height in 1usize..90) {
            let step = picture(32, 32, |plane, x, y| f32::from(u8::from(if plane == 0 { x < edge } else { y < edge })));
            for light in LIGHTS {
                let resized = resize(&step, to_width, to_height, light).unwrap();
                prop_assert!(resized.samples.iter().all(|sample| (0.0..=1.0).contains(sample)));
            }
        }

        #[test]
        fn fitted_sizes_are_near_the_ratio(width in 1usize..5000, height in 1usize..5000, side in 1usize..5000) {
            let (w, h) = fit(width, height, side);
            prop_assert_eq!(w.max(h), side);
            let scale = side as f64 / width.max(height) as f64;
            for (from, to) in [(width, w), (height, h)] {
                prop_assert!(to >= 1);
                prop_assert!(to == 1 || (from as f64 * scale - to as f64).abs() <= 0.5 + 1e-9);
            }
        }
    }
}
