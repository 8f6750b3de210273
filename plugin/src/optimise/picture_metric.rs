//! Where a picture's loss is flat, and so where an optimiser may go far: in colour rather than light, in large forms
//! rather than fine, and where the picture hardly matters to the loss.
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
//! (The factors were found by trying; 8 for red-blue or for the large forms, or none for either, is worse. So is a metric
//! in inverse proportion to the curvature as measured at each frequency: fine colour, to which the network is all but
//! blind, then takes up the steps.) A picture that was painted at a coarser size has its colours and forms already; there
//! this part of the guess does not help and is left out. What helps everywhere is a scale for each neighbourhood
//! ([`LocalScale`]).
//!
//! The blur weighs neighbours as a triangle (two boxes, one after the other), along rows and along columns, and takes
//! what lies beyond the border for 0: so it is symmetric and positive semidefinite, as a metric must be.

use candle_core::Tensor;
use rayon::prelude::*;

use super::Metric;
use super::local_scale::LocalScale;
use crate::{Result, samples};

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
/// Rows that one thread blurs at a time.
const STRIP: usize = 64;

/// The metric of pictures `[1, 3, H, W]`: red, green, blue. It is computed in main memory, wherever they live, and follows
/// the gradients that it is shown.
#[derive(Clone, Debug)]
pub struct PictureMetric {
    /// Whether colours and large forms are still to be found.
    broad: bool,
    local: LocalScale,
}

impl PictureMetric {
    /// For a picture that was not painted yet.
    pub fn unpainted() -> Self {
        Self {
            broad: true,
            local: LocalScale::default(),
        }
    }

    /// For a picture that was painted at a coarser size.
    pub fn painted() -> Self {
        Self {
            broad: false,
            local: LocalScale::default(),
        }
    }
}

impl Metric for PictureMetric {
    fn apply(&self, v: Tensor) -> Result<Tensor> {
        let (_, _, height, width) = v.dims4()?;
        let (image, ()) = samples::change(v, |planes| {
            self.local.apply_root(planes, height, width);
            if self.broad {
                separate_colours(planes);
                for plane in planes.chunks_exact_mut((height * width).max(1)) {
                    add_large_forms(plane, width);
                }
            }
            self.local.apply_root(planes, height, width);
        })?;
        Ok(image)
    }

    fn learn(&mut self, gradient: &Tensor) -> Result<()> {
        let (_, _, height, width) = gradient.dims4()?;
        samples::lend(gradient, |gradient| self.local.learn(gradient, height, width))
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

/// Adds to a plane what its blur says, strip by strip, each of which needs a few rows of its neighbours as they were.
fn add_large_forms(plane: &mut [f32], width: usize) {
    let reach = REACH * width;
    let strip = STRIP * width;
    let around: Vec<(Vec<f32>, Vec<f32>)> = (0..plane.len())
        .step_by(strip)
        .map(|start| {
            let end = plane.len().min(start + strip);
            let above = &plane[start.saturating_sub(reach)..start];
            let below = &plane[end..plane.len().min(end + reach)];
            (above.to_vec(), below.to_vec())
        })
        .collect();
    let strips = plane.par_chunks_mut(strip).zip(around);
    strips.for_each(|(strip, (above, below))| {
        let rows = [&above, &*strip, &below].map(|rows| blur_rows(rows, width)).concat();
        let mut blurred = vec![0f32; width];
        for (row, values) in strip.chunks_exact_mut(width).enumerate() {
            blurred.fill(0.0);
            for (tap, weight) in TRIANGLE.into_iter().enumerate() {
                // Rows beyond the plane are no more here than they are there.
                let source = (row + above.len() / width + tap).checked_sub(REACH);
                let Some(source) = source.and_then(|source| rows.get(source * width..(source + 1) * width)) else {
                    continue;
                };
                for (sum, value) in blurred.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
            for (value, blurred) in values.iter_mut().zip(&blurred) {
                *value += LARGE_FORMS * blurred;
            }
        }
    });
}

/// Rows, each blurred along itself.
fn blur_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let mut along_rows = vec![0f32; rows.len()];
    for (blurred, row) in along_rows.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
        for (tap, weight) in TRIANGLE.into_iter().enumerate() {
            // The tap reads `tap - REACH` pixels to the right.
            let (skipped, first) = (REACH.saturating_sub(tap), tap.saturating_sub(REACH));
            let targets = blurred.iter_mut().skip(skipped);
            for (sum, value) in targets.zip(row.iter().skip(first)) {
                *sum += weight * value;
            }
        }
    }
    along_rows
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::problems::random;
    use super::super::vector;
    use super::*;

    fn picture(values: Vec<f32>, height: usize, width: usize) -> Tensor {
        Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn it_is_symmetric_and_positive() {
        for (height, width) in [(1, 1), (3, 20), (20, 3), (17, 23), (2 * STRIP + 3, 5)] {
            let count = 3 * height * width;
            let [u, v] = [1, 2].map(|seed| picture(random(seed, count, -1.0, 1.0), height, width));
            let mut taught = PictureMetric::painted();
            taught
                .learn(&picture(random(3, count, -1.0, 1.0), height, width))
                .unwrap();
            for (metric, least) in [(PictureMetric::unpainted(), 0.999), (taught, 0.5)] {
                let [image_u, image_v] = [&u, &v].map(|vector| metric.apply(vector.copy().unwrap()).unwrap());
                let (left, right) = (vector::dot(&image_u, &v).unwrap(), vector::dot(&u, &image_v).unwrap());
                let scale = vector::norm(&image_u).unwrap() * vector::norm(&v).unwrap();
                assert!(
                    (left - right).abs() < 1e-6 * scale,
                    "{height} x {width}: {left} {right}"
                );
                assert!(vector::dot(&image_u, &u).unwrap() > least * vector::dot(&u, &u).unwrap());
            }
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
                let image = PictureMetric::unpainted().apply(picture(values, side, side)).unwrap();
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
