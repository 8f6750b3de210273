//! The filter of [`super::resize`] as numbers, for who applies it elsewhere than in main memory.
//!
//! It is separable: rows are resampled, and then columns. Along an axis a new pixel is a sum of some neighbours, each
//! times a weight, which is Lanczos with three lobes of how far its centre is from the new one's. Beyond the border there
//! is nothing, and what is left of the weights is brought back to a sum of 1.

use std::f64::consts::PI;

/// How far the filter reaches to either side, in the larger of the old and the new pixels.
const LOBES: f64 = 3.0;

/// What makes the pixels along an axis of those of another size.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// For each new pixel, the first old one that counts.
    pub starts: Vec<i32>,
    /// `[new pixels][count]`: the weights of that one and of those after it; 0 for those that do not count, some of which may lie
    /// beyond the border.
    pub weights: Vec<f32>,
    /// Weights of a pixel.
    pub count: usize,
}

impl Taps {
    /// For an axis of `from` pixels that is to have `to`, 1 or more of each.
    pub fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        // When shrinking, the filter is widened by the factor.
        let stretch = scale.max(1.0);
        let reach = LOBES * stretch;
        let rows = (0..to).map(|place| {
            let centre = (place as f64 + 0.5) * scale - 0.5;
            let first = (centre - reach).ceil().max(0.0) as usize;
            let end = from.min((centre + reach).floor() as usize + 1);
            let weights = (first..end).map(|pixel| lanczos((pixel as f64 - centre) / stretch));
            (first as i32, weights.collect())
        });
        let (starts, rows): (Vec<i32>, Vec<Vec<f64>>) = rows.unzip();
        let count = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut weights = vec![0.0; to * count];
        for (row, weights) in rows.iter().zip(weights.chunks_exact_mut(count.max(1))) {
            let sum: f64 = row.iter().sum();
            for (weight, exact) in weights.iter_mut().zip(row) {
                *weight = (exact / sum) as f32;
            }
        }
        Self { starts, weights, count }
    }
}

/// Within its lobes.
fn lanczos(x: f64) -> f64 {
    sinc(x) * sinc(x / LOBES)
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::super::resize_tensor;
    use super::*;

    /// `[outer][from][inner]` as `[outer][to][inner]`.
    fn along(values: &[f64], from: usize, inner: usize, taps: &Taps) -> Vec<f64> {
        let mut made = Vec::new();
        for plane in values.chunks_exact(from * inner) {
            for (&start, weights) in taps.starts.iter().zip(taps.weights.chunks_exact(taps.count)) {
                for lane in 0..inner {
                    let terms = weights.iter().zip(start as usize..from);
                    made.push(
                        terms
                            .map(|(&w, pixel)| f64::from(w) * plane[pixel * inner + lane])
                            .sum(),
                    );
                }
            }
        }
        made
    }

    #[test]
    fn applied_they_are_the_resampling_of_pictures() {
        // (height, width): larger and smaller by a step of the pyramid and by more, one side each way, a side of one
        // pixel, the same size, and more rows than are made at a time.
        for (from, to) in [
            ((9, 17), (13, 24)),
            ((13, 24), (9, 17)),
            ((5, 6), (64, 41)),
            ((90, 100), (11, 7)),
            ((100, 3), (7, 90)),
            ((1, 7), (5, 1)),
            ((7, 1), (1, 5)),
            ((1, 1), (4, 3)),
            ((8, 5), (8, 5)),
            ((450, 4), (633, 5)),
        ] {
            let count = 3 * from.0 * from.1;
            let values: Vec<f32> = (0..count).map(|i| ((i * 7919) % 251) as f32 / 125.0 - 0.5).collect();
            let wide: Vec<f64> = values.iter().copied().map(f64::from).collect();
            let rows = along(&wide, from.1, 1, &Taps::new(from.1, to.1));
            let made = along(&rows, from.0, to.1, &Taps::new(from.0, to.0));
            let picture = Tensor::from_vec(values, (1, 3, from.0, from.1), &Device::Cpu).unwrap();
            let resized = resize_tensor(&picture, to.1, to.0).unwrap().flatten_all().unwrap();
            let resized = resized.to_vec1::<f32>().unwrap();
            assert_eq!(made.len(), resized.len());
            for (index, (made, resized)) in made.iter().zip(resized).enumerate() {
                let apart = (made - f64::from(resized)).abs();
                assert!(apart < 1e-5, "{from:?} to {to:?}: {made} for {resized} at {index}");
            }
        }
    }
}
