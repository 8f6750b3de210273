//! How far a picture may be moved here, and how far there.
//!
//! A Gram matrix is quadratic in the features, so where features are strong, in textured and bright parts, the loss
//! reacts strongly to the pixels, and hardly in flat or dark ones. One length of step for all of them is too long for
//! the ones or too short for the others. As Adam does for each sample (Kingma and Ba 2015), the gradient's own running
//! mean square tells them apart; but here whole neighbourhoods share a scale, so that it turns no direction within them,
//! and it is no estimate of one sample's noise: it only corrects the first guess of the curvature, from which L-BFGS goes
//! on.
//!
//! The picture is cut into square cells, each of which keeps one number; between their centres the scale is
//! interpolated. A canvas of 24 megapixels has 94 000 cells.

use rayon::prelude::*;

/// Pixels along a cell's side. 4 to 40 do about as well.
pub const CELL: usize = 16;
/// What a new gradient counts beside those before.
const RENEWAL: f64 = 0.1;
/// Added to every cell's reaction, relative to the mean of all: bounds the scale from above.
const FLOOR: f64 = 0.1;

/// A scale for each pixel of pictures of one size.
#[derive(Clone, Debug, Default)]
pub struct LocalScale {
    /// Running mean square of the gradient, `[row][column]` of cells.
    squares: Vec<f64>,
    /// See [`Self::rows`].
    roots: Vec<f32>,
    width: usize,
}

impl LocalScale {
    /// Takes a gradient `[3][H][W]` into account.
    pub fn learn(&mut self, gradient: &[f32], height: usize, width: usize) {
        let columns = width.div_ceil(CELL);
        let seen: Vec<f64> = (0..height.div_ceil(CELL) * columns)
            .into_par_iter()
            .map(|cell| mean_square(gradient, height, width, cell / columns * CELL, cell % columns * CELL))
            .collect();
        self.renew(seen, width);
    }

    /// As [`Self::learn`], of a gradient's mean squares over the cells, `[row][column]`, of pictures `width` pixels wide.
    pub fn renew(&mut self, seen: Vec<f64>, width: usize) {
        let columns = width.div_ceil(CELL);
        if self.squares.len() == seen.len() && self.width == width {
            for (mean, seen) in self.squares.iter_mut().zip(seen) {
                *mean += RENEWAL * (seen - *mean);
            }
        } else {
            (self.width, self.squares) = (width, seen);
        }
        let reactions: Vec<f64> = self.squares.iter().map(|square| square.sqrt()).collect();
        let mean = reactions.iter().sum::<f64>() / reactions.len().max(1) as f64;
        // A gradient of nothing but zeros, or one that is not finite, tells no cell from another.
        let even = !(mean > 0.0 && mean.is_finite());
        let root = |reaction: f64| {
            if even {
                1.0
            } else {
                (reaction / mean + FLOOR).sqrt().recip() as f32
            }
        };
        let between: Vec<_> = (0..width).map(|pixel| neighbours(pixel, columns)).collect();
        let rows = reactions.chunks_exact(columns.max(1));
        let along = |row: &[f64]| {
            let roots: Vec<f32> = row.iter().copied().map(root).collect();
            let pixels = between.iter().copied();
            let root =
                move |(left, right, share): (usize, usize, f32)| roots[left] + share * (roots[right] - roots[left]);
            pixels.map(root).collect::<Vec<f32>>()
        };
        self.roots = rows.flat_map(along).collect();
    }

    /// The square root of the scale at the centres of each row of cells and at all pixels along it; empty before the first
    /// gradient.
    pub fn rows(&self) -> &[f32] {
        &self.roots
    }

    /// The square root of the scale along a row of pixels, of which `roots` has room for: a symmetric map with this before
    /// and after it is symmetric.
    pub fn roots(&self, row: usize, roots: &mut [f32]) {
        if self.roots.is_empty() {
            roots.fill(1.0);
            return;
        }
        let (upper, lower, share) = neighbours(row, self.roots.len() / self.width);
        let row_of = |row: usize| &self.roots[row * self.width..][..self.width];
        for (root, (upper, lower)) in roots.iter_mut().zip(row_of(upper).iter().zip(row_of(lower))) {
            *root = upper + share * (lower - upper);
        }
    }
}

/// The cells whose centres are before and after a pixel along one axis, the nearest twice beyond the outermost ones, and
/// how far it is from the first to the second.
fn neighbours(pixel: usize, cells: usize) -> (usize, usize, f32) {
    let at = (pixel as f32 + 0.5) / CELL as f32 - 0.5;
    let before = at.floor();
    let cell = |index: f32| (index.max(0.0) as usize).min(cells - 1);
    (cell(before), cell(before + 1.0), at - before)
}

/// The mean square of a gradient `[3][H][W]` over a cell, of which less is left at the right and lower borders.
fn mean_square(gradient: &[f32], height: usize, width: usize, top: usize, left: usize) -> f64 {
    let (bottom, right) = (height.min(top + CELL), width.min(left + CELL));
    // A sum for each column, independent of each other so that they vectorise.
    let mut sums = [0f64; CELL];
    for plane in gradient.chunks_exact(height * width) {
        for row in top..bottom {
            let samples = &plane[row * width..][left..right];
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum += f64::from(*sample) * f64::from(*sample);
            }
        }
    }
    sums.iter().sum::<f64>() / ((bottom - top) * (right - left)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The square root of the scale, row by row, after a gradient of the same size.
    fn scaled(gradient: &[f32], height: usize, width: usize) -> Vec<f32> {
        let mut scale = LocalScale::default();
        scale.learn(gradient, height, width);
        rows(&scale, height, width)
    }

    fn rows(scale: &LocalScale, height: usize, width: usize) -> Vec<f32> {
        let mut roots = vec![0.0; height * width];
        for (row, roots) in roots.chunks_exact_mut(width).enumerate() {
            scale.roots(row, roots);
        }
        roots
    }

    #[test]
    fn steps_are_long_where_the_gradient_is_small() {
        let (height, width) = (3 * CELL + 5, 6 * CELL);
        let gradient: Vec<f32> = (0..3 * height * width)
            .map(|index| if index % width < width / 2 { 3.0 } else { 1.0 })
            .collect();
        let planes = scaled(&gradient, height, width);
        // The reactions are 3 and 1 against a mean of 2, and these are roots.
        for row in planes.chunks_exact(width) {
            let [strong, weak] = [row[0], row[width - 1]].map(|root| root.powi(-2));
            assert!((strong - (1.5 + FLOOR as f32)).abs() < 1e-5, "{strong}");
            assert!((weak - (0.5 + FLOOR as f32)).abs() < 1e-5, "{weak}");
            assert!(row.is_sorted(), "the scale jumps between cells");
        }
    }

    #[test]
    fn where_nothing_is_known_or_all_is_alike_nothing_is_turned() {
        let (height, width) = (CELL + 3, 2 * CELL);
        let count = 3 * height * width;
        assert_eq!(rows(&LocalScale::default(), height, width), vec![1.0; height * width]);
        for value in [0.0, f32::NAN, f32::INFINITY, -1.0] {
            let planes = scaled(&vec![value; count], height, width);
            assert!(
                planes
                    .iter()
                    .all(|root| *root == planes[0] && root.is_finite() && *root > 0.9)
            );
        }
    }

    #[test]
    fn old_gradients_fade() {
        let (height, width) = (CELL, 2 * CELL);
        let half = |left: f32, right: f32| -> Vec<f32> {
            let row = |index: usize| if index % width < CELL { left } else { right };
            (0..3 * height * width).map(row).collect()
        };
        let mut scale = LocalScale::default();
        scale.learn(&half(1.0, 0.1), height, width);
        let mut sides = vec![];
        for _ in 0..40 {
            let roots = rows(&scale, height, width);
            sides.push(roots[0] < roots[width - 1]);
            scale.learn(&half(0.1, 1.0), height, width);
        }
        assert!(sides[0] && sides[1] && !sides[39], "{sides:?}");
    }
}
