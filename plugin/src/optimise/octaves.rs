//! Octave by octave: a plane whose large forms weigh otherwise than its fine ones.
//!
//! A plane is halved and halved again, as in a Gaussian pyramid (Burt and Adelson 1983), and each halving, brought back
//! to the full size, is added to it with a gain of its own:
//!
//! ```text
//!   g0 I  +  g1 L1  +  g2 L2  + ...        Lk = 4^k (D^T)^k D^k
//! ```
//!
//! `D` smooths by (1, 3, 3, 1) / 8 along rows and columns and keeps every second pixel; `Lk` passes what has fewer than
//! about one period in `2^(k + 1)` pixels, all of it where nothing changes and none of it beyond. Growing is exactly the
//! transpose of shrinking, and what lies beyond the border counts as 0, so the whole is symmetric. No `Lk` has an
//! eigenvalue below 0 or above 1: the whole is positive definite when the first gain exceeds what the negative ones
//! take away. It costs about as much as three blurs of four taps.

use rayon::prelude::*;

use super::vector;

/// What a pixel receives of its two nearest neighbours among the halved: twice (1, 3, 3, 1) / 8, every second of it.
const NEAR: f32 = 0.75;
/// See [`NEAR`].
const FAR: f32 = 0.25;

/// Weighs the octaves of a plane of rows of `width`: the first gain is that of the plane itself, the next ones those of
/// its halvings.
pub fn weigh(plane: &mut [f32], width: usize, gains: &[f32]) {
    let Some((own, coarser)) = gains.split_first() else {
        return;
    };
    if coarser.is_empty() {
        plane.iter_mut().for_each(|value| *value *= own);
        return;
    }
    let mut halved = halve(plane, width);
    weigh(&mut halved, width.div_ceil(2), coarser);
    add_doubled(plane, width, *own, &halved);
}

/// The inner product of a plane with what [`weigh`] makes of it. An octave's is `4^k |D^k I|^2`, so nothing has to grow
/// again.
pub fn square(plane: &[f32], width: usize, gains: &[f32]) -> f64 {
    let Some((own, coarser)) = gains.split_first() else {
        return 0.0;
    };
    let squares = f64::from(*own) * vector::square(plane);
    if coarser.is_empty() {
        return squares;
    }
    squares + 4.0 * square(&halve(plane, width), width.div_ceil(2), coarser)
}

/// `D`: half as many rows and columns, rounded up.
fn halve(plane: &[f32], width: usize) -> Vec<f32> {
    let (height, columns) = (plane.len() / width, width.div_ceil(2));
    let mut halved = vec![0f32; height.div_ceil(2) * columns];
    halved.par_chunks_exact_mut(columns).enumerate().for_each_init(
        || vec![0f32; width + 3],
        |between, (row, halved)| {
            // Column 0 lies behind one that is beyond the border, and two follow the last one.
            let inner = &mut between[1..=width];
            inner.fill(0.0);
            for (tap, weight) in [FAR, NEAR, NEAR, FAR].into_iter().enumerate() {
                let Some(source) = (2 * row + tap).checked_sub(1).filter(|row| *row < height) else {
                    continue;
                };
                for (sum, value) in inner.iter_mut().zip(&plane[source * width..][..width]) {
                    *sum += 0.25 * weight * value;
                }
            }
            for (value, taps) in halved.iter_mut().zip(between.windows(4).step_by(2)) {
                *value = FAR * (taps[0] + taps[3]) + NEAR * (taps[1] + taps[2]);
            }
        },
    );
    halved
}

/// `own` times the plane, and `4 D^T` of what was halved.
fn add_doubled(plane: &mut [f32], width: usize, own: f32, halved: &[f32]) {
    let columns = width.div_ceil(2);
    plane.par_chunks_exact_mut(width).enumerate().for_each_init(
        || vec![0f32; columns + 2],
        |between, (row, values)| {
            let row_of = |row: Option<usize>| row.and_then(|row| halved.get(row * columns..(row + 1) * columns));
            let (near, far) = (
                row / 2,
                if row % 2 == 0 {
                    (row / 2).checked_sub(1)
                } else {
                    Some(row / 2 + 1)
                },
            );
            let inner = &mut between[1..=columns];
            inner.fill(0.0);
            for (weight, source) in [(NEAR, row_of(Some(near))), (FAR, row_of(far))] {
                for (sum, value) in inner.iter_mut().zip(source.unwrap_or_default()) {
                    *sum += weight * value;
                }
            }
            for (pair, taps) in values.chunks_mut(2).zip(between.windows(3)) {
                let doubled = [NEAR * taps[1] + FAR * taps[0], NEAR * taps[1] + FAR * taps[2]];
                for (value, doubled) in pair.iter_mut().zip(doubled) {
                    *value = own * *value + doubled;
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise::problems::random;

    /// `D` along one axis, as a matrix of rows.
    fn halving(length: usize) -> Vec<Vec<f64>> {
        let weight = |tap: usize| [1.0, 3.0, 3.0, 1.0].get(tap).map_or(0.0, |weight| weight / 8.0);
        let rows = 0..length.div_ceil(2);
        rows.map(|row| {
            (0..length)
                .map(|column| weight((column + 1).wrapping_sub(2 * row)))
                .collect()
        })
        .collect()
    }

    /// `matrix` along columns of planes of rows of `width`, then along rows.
    fn along_both(plane: &[f64], width: usize, tall: &[Vec<f64>], wide: &[Vec<f64>]) -> Vec<f64> {
        let dot = |weights: &[f64], values: &mut dyn Iterator<Item = f64>| -> f64 {
            weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
        };
        let columns = |weights: &Vec<f64>| -> Vec<f64> {
            (0..width)
                .map(|column| dot(weights, &mut plane.iter().skip(column).step_by(width).copied()))
                .collect()
        };
        let between: Vec<Vec<f64>> = tall.iter().map(columns).collect();
        let rows = between.iter();
        rows.flat_map(|row| wide.iter().map(|weights| dot(weights, &mut row.iter().copied())))
            .collect()
    }

    fn transposed(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
        (0..matrix[0].len())
            .map(|column| matrix.iter().map(|row| row[column]).collect())
            .collect()
    }

    /// The definition: each octave by itself.
    fn defined(plane: &[f64], width: usize, gains: &[f32]) -> Vec<f64> {
        let Some((own, coarser)) = gains.split_first() else {
            return vec![0.0; plane.len()];
        };
        let (tall, wide) = (halving(plane.len() / width), halving(width));
        let halved = along_both(plane, width, &tall, &wide);
        let weighed = defined(&halved, wide.len(), coarser);
        let doubled = along_both(&weighed, wide.len(), &transposed(&tall), &transposed(&wide));
        plane
            .iter()
            .zip(doubled)
            .map(|(value, doubled)| f64::from(*own) * value + 4.0 * doubled)
            .collect()
    }

    #[test]
    fn planes_of_any_size_are_weighed_as_defined() {
        let gains = [2.0, -1.5, 0.25, 1.0, 3.0];
        // The last is more than a block.
        for (height, width) in [(1, 1), (1, 9), (9, 1), (2, 2), (5, 8), (17, 23), (33, 12), (90, 101)] {
            let mut plane = random(3, height * width, -1.0, 1.0);
            let exact: Vec<f64> = plane.iter().copied().map(f64::from).collect();
            for count in 1..=gains.len() {
                let mut weighed = plane.clone();
                weigh(&mut weighed, width, &gains[..count]);
                let expected = defined(&exact, width, &gains[..count]);
                for (found, exact) in weighed.iter().zip(&expected) {
                    assert!(
                        (f64::from(*found) - exact).abs() < 1e-5,
                        "{height} x {width}, {count}: {found} {exact}"
                    );
                }
                let expected: f64 = exact.iter().zip(&expected).map(|(value, image)| value * image).sum();
                let found = square(&plane, width, &gains[..count]);
                assert!(
                    (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                    "{height} x {width}, {count}: {found} {expected}"
                );
            }
            let before = plane.clone();
            weigh(&mut plane, width, &[]);
            assert_eq!(plane, before);
            assert_eq!(square(&plane, width, &[]), 0.0);
        }
    }

    #[test]
    fn an_octave_takes_or_adds_no_more_than_its_gain() {
        let (height, width) = (48, 37);
        for octave in 1..5 {
            let mut gains = vec![0.0; octave + 1];
            gains[octave] = 1.0;
            // The power method, towards the largest eigenvalue and, from 1, towards the least.
            for own in [0.0f32, -1.0] {
                gains[0] = own;
                let mut plane = random(5, height * width, -1.0, 1.0);
                let mut quotient = 0.0;
                for _ in 0..60 {
                    let norm = plane.iter().map(|value| value * value).sum::<f32>().sqrt();
                    plane.iter_mut().for_each(|value| *value /= norm);
                    let before = plane.clone();
                    weigh(&mut plane, width, &gains);
                    quotient = before
                        .iter()
                        .zip(&plane)
                        .map(|(before, after)| before * after)
                        .sum::<f32>()
                        - own;
                }
                assert!((-1e-4..1.0001).contains(&quotient), "octave {octave}: {quotient}");
            }
        }
    }
}
