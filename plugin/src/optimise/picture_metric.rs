//! Where a picture's loss is flat, and so where an optimiser may go far: in colour rather than light, in large forms
//! rather than fine.
//!
//! L-BFGS learns the curvature of the loss from its steps, but it starts from a guess and has learned little in the
//! first fifty. Losses of image features are steep along what those features respond to: edges, and light more than
//! colour. So the guess here is a metric
//!
//! ```text
//!   (1 + c B) (x) diag(luma 1, red-blue 4, green-magenta 2)
//! ```
//!
//! with `B` a blur of two pixels' standard deviation. From a copy of the content, plain Gatys needs half of the
//! evaluations for what the first 25 reach in the metric of equal pixels, and three quarters for what the first 100 do.
//! (The factors were found by trying; 8 for red-blue or for the large forms, or none for either, is worse.) A picture
//! that was painted at a coarser size has its colours and forms already; there the guess does not help.
//!
//! The blur weighs neighbours as a triangle (two boxes, one after the other), along rows and along columns, and takes
//! what lies beyond the border for 0: so it is symmetric and positive semidefinite, as a metric must be.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::Metric;
use crate::Result;

/// How much further along red against blue than along light.
const RED_BLUE: f32 = 4.0;
/// How much further along green against magenta.
const GREEN_MAGENTA: f32 = 2.0;
/// How much the blurred picture counts beside the picture itself.
const LARGE_FORMS: f32 = 3.0;
/// Two boxes of five pixels, one after the other.
const TRIANGLE: [f32; 9] = [0.04, 0.08, 0.12, 0.16, 0.2, 0.16, 0.12, 0.08, 0.04];
/// Pixels on either side that the triangle reaches.
const REACH: usize = TRIANGLE.len() / 2;

/// The metric of pictures `[1, 3, H, W]`: red, green, blue. It is computed in main memory, wherever they live.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureMetric;

impl Metric for PictureMetric {
    fn apply(&self, v: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = v.dims4()?;
        let mut planes = v.flatten_all()?.to_vec1::<f32>()?;
        separate_colours(&mut planes);
        for plane in planes.chunks_exact_mut((height * width).max(1)) {
            let blurred = blur(plane, height, width);
            for (value, blurred) in plane.iter_mut().zip(blurred) {
                *value += LARGE_FORMS * blurred;
            }
        }
        Ok(Tensor::from_vec(planes, v.shape(), &Device::Cpu)?.to_device(v.device())?)
    }
}

/// Stretches the two axes of colour, which are perpendicular to light and to each other.
fn separate_colours(planes: &mut [f32]) {
    let (red, rest) = planes.split_at_mut(planes.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let red_blue = (RED_BLUE - 1.0) / 2.0 * (*red - *blue);
        let green_magenta = (GREEN_MAGENTA - 1.0) / 6.0 * (2.0 * *green - *red - *blue);
        *red += red_blue - green_magenta;
        *green += 2.0 * green_magenta;
        *blue -= red_blue + green_magenta;
    }
}

/// A plane, blurred along its rows and then along its columns.
fn blur(plane: &[f32], height: usize, width: usize) -> Vec<f32> {
    let mut along_rows = vec![0f32; plane.len()];
    along_rows
        .par_chunks_mut(width)
        .zip(plane.par_chunks(width))
        .for_each(|(blurred, row)| {
            for (tap, weight) in TRIANGLE.into_iter().enumerate() {
                // The tap reads `tap - REACH` pixels to the right.
                let (skipped, first) = (REACH.saturating_sub(tap), tap.saturating_sub(REACH));
                let targets = blurred.iter_mut().skip(skipped);
                for (sum, value) in targets.zip(row.iter().skip(first)) {
                    *sum += weight * value;
                }
            }
        });
    let mut blurred = vec![0f32; plane.len()];
    blurred.par_chunks_mut(width).enumerate().for_each(|(row, blurred)| {
        for (tap, weight) in TRIANGLE.into_iter().enumerate() {
            let source = (row + tap).checked_sub(REACH).filter(|&source| source < height);
            let Some(source) = source else { continue };
            for (sum, value) in blurred.iter_mut().zip(&along_rows[source * width..]) {
                *sum += weight * value;
            }
        }
    });
    blurred
}

#[cfg(test)]
mod tests {
    use super::super::problems::random;
    use super::super::vector;
    use super::*;

    fn picture(values: Vec<f32>, height: usize, width: usize) -> Tensor {
        Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn it_is_symmetric_and_positive() {
        for (height, width) in [(1, 1), (3, 20), (20, 3), (17, 23)] {
            let count = 3 * height * width;
            let [u, v] = [1, 2].map(|seed| picture(random(seed, count, -1.0, 1.0), height, width));
            let [image_u, image_v] = [&u, &v].map(|vector| PictureMetric.apply(vector).unwrap());
            let (left, right) = (vector::dot(&image_u, &v).unwrap(), vector::dot(&u, &image_v).unwrap());
            let scale = vector::norm(&image_u).unwrap() * vector::norm(&v).unwrap();
            assert!(
                (left - right).abs() < 1e-6 * scale,
                "{height} x {width}: {left} {right}"
            );
            // Nothing is shortened.
            assert!(vector::dot(&image_u, &u).unwrap() > 0.999 * vector::dot(&u, &u).unwrap());
        }
    }

    #[test]
    fn each_axis_has_its_factor() {
        let side = 21;
        let middle = side * side / 2;
        let plain = |colour: [f32; 3]| colour.into_iter().flat_map(|value| vec![value; side * side]).collect();
        let weave = |colour: [f32; 3]| {
            let sign = |pixel: usize| {
                if (pixel / side + pixel % side).is_multiple_of(2) {
                    1.0
                } else {
                    -1.0
                }
            };
            let planes = colour.into_iter();
            planes
                .flat_map(|value| (0..side * side).map(move |pixel| sign(pixel) * value))
                .collect()
        };
        for (colour, factor) in [
            ([1.0, 1.0, 1.0], 1.0),
            ([1.0, 0.0, -1.0], RED_BLUE),
            ([-1.0, 2.0, -1.0], GREEN_MAGENTA),
        ] {
            for (values, forms) in [(plain(colour), 1.0 + LARGE_FORMS), (weave(colour), 1.0)] {
                let image = PictureMetric.apply(&picture(values, side, side)).unwrap();
                let image: Vec<f32> = image.flatten_all().unwrap().to_vec1().unwrap();
                for channel in 0..3 {
                    let (found, expected) = (image[channel * side * side + middle], colour[channel] * factor * forms);
                    assert!(
                        (found - expected).abs() < 0.02,
                        "{colour:?} {channel}: {found} {expected}"
                    );
                }
            }
        }
    }
}
