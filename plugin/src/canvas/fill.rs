//! Colour where there is none: a push-pull pyramid.
//!
//! A layer's wholly transparent pixels still store a colour, often black, that nobody has ever seen. A network would
//! see it, and carry it far into what is visible. So those pixels are given the colour of their surroundings first.
//!
//! Pushing, every level is halved into the next by averaging 2 x 2 pixels, each with the weight of its trust, until one
//! pixel is left; the trust of an average is the sum of theirs, 1 at most, so that a lone visible pixel counts in full
//! as soon as it has no rival. Pulling, from the coarsest level back, what a pixel lacks in trust is made up for by the
//! coarser level, interpolated bilinearly. Near the visible part the fill repeats its colours; further off it fades
//! into ever wider averages. The work is proportional to the number of pixels, whatever the size of the holes.
//!
//! After Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph" (1996), section 3.4.2.

use super::Picture;

/// What a picture without anything visible is filled with.
const NOTHING_VISIBLE: f32 = 0.5;

/// Replaces colour by that of its surroundings to the extent that it is not trusted: wholly where `trust` (row by row,
/// 0 to 1) is 0, not at all, to the last bit, where it is 1. Colour without trust influences nothing. Where there is no
/// trust at all, the picture becomes medium gray.
///
/// # Panics
/// When there are not as many values of trust as pixels.
pub fn fill(picture: &mut Picture, trust: &[f32]) {
    let (width, height) = (picture.width, picture.height);
    let pixels = width * height;
    assert_eq!(trust.len(), pixels, "one value of trust per pixel");
    if trust.iter().all(|&trust| trust >= 1.0) {
        return;
    }

    let samples = &picture.samples;
    let finest = |x: usize, y: usize| {
        let index = y * width + x;
        let colour = std::array::from_fn(|plane| samples[plane * pixels + index]);
        Cell {
            colour,
            trust: trust[index],
        }
    };
    let mut levels = Vec::new();
    let mut coarser = Level::halve(width, height, finest);
    while coarser.cells.len() > 1 {
        let next = Level::halve(coarser.width, coarser.height, |x, y| {
            coarser.cells[y * coarser.width + x]
        });
        levels.push(std::mem::replace(&mut coarser, next));
    }

    // The coarsest cell has only itself to go by, however little it is trusted.
    if coarser.cells[0].trust == 0.0 {
        coarser.cells[0].colour = [NOTHING_VISIBLE; 3];
    }
    for mut level in levels.into_iter().rev() {
        for (index, cell) in level.cells.iter_mut().enumerate() {
            cell.colour = cell.blend(coarser.interpolate(index % level.width, index / level.width));
        }
        coarser = level;
    }
    for (index, &trust) in trust.iter().enumerate().filter(|&(_, &trust)| trust < 1.0) {
        let colour = std::array::from_fn(|plane| picture.samples[plane * pixels + index]);
        let blended = Cell { colour, trust }.blend(coarser.interpolate(index % width, index / width));
        for (plane, sample) in blended.into_iter().enumerate() {
            picture.samples[plane * pixels + index] = sample;
        }
    }
}

/// A pixel of a level.
#[derive(Clone, Copy)]
struct Cell {
    colour: [f32; 3],
    trust: f32,
}

impl Cell {
    /// Its colour, with `other` in place of what it lacks in trust.
    fn blend(self, other: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|plane| {
            let (own, other) = (self.colour[plane], other[plane]);
            if self.trust > 0.0 {
                other + self.trust * (own - other)
            } else {
                other
            }
            .clamp(0.0, 1.0)
        })
    }
}

/// A level of the pyramid.
struct Level {
    width: usize,
    height: usize,
    cells: Vec<Cell>,
}

impl Level {
    /// The level above one of `width` by `height` cells, which are asked for; odd sides are rounded up.
    fn halve(width: usize, height: usize, finer: impl Fn(usize, usize) -> Cell) -> Self {
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut cells = Vec::with_capacity(half_width * half_height);
        for y in 0..half_height {
            for x in 0..half_width {
                let mut sum = Cell {
                    colour: [0.0; 3],
                    trust: 0.0,
                };
                for finer_y in 2 * y..(2 * y + 2).min(height) {
                    for finer_x in 2 * x..(2 * x + 2).min(width) {
                        let cell = finer(finer_x, finer_y);
                        sum.trust += cell.trust;
                        for plane in 0..3 {
                            sum.colour[plane] += cell.trust * cell.colour[plane];
                        }
                    }
                }
                if sum.trust > 0.0 {
                    sum.colour = sum.colour.map(|colour| colour / sum.trust);
                    sum.trust = sum.trust.min(1.0);
                }
                cells.push(sum);
            }
        }
        Self {
            width: half_width,
            height: half_height,
            cells,
        }
    }

    /// The colour at the centre of a cell of the level below, between the four cells nearest to it.
    fn interpolate(&self, finer_x: usize, finer_y: usize) -> [f32; 3] {
        let (near_x, far_x) = neighbours(finer_x, self.width);
        let (near_y, far_y) = neighbours(finer_y, self.height);
        let corners = [
            (near_x, near_y, 9.0),
            (far_x, near_y, 3.0),
            (near_x, far_y, 3.0),
            (far_x, far_y, 1.0),
        ];
        std::array::from_fn(|plane| {
            let weigh = |(x, y, weight): (usize, usize, f32)| weight * self.cells[y * self.width + x].colour[plane];
            corners.into_iter().map(weigh).sum::<f32>() / 16.0
        })
    }
}

/// Of the cells of a level of `size`, the one that covers a cell of the level below, and the next nearest: their centres
/// are at 1/4 and 3/4 of a cell from its own.
fn neighbours(finer: usize, size: usize) -> (usize, usize) {
    let near = finer / 2;
    let far = if finer.is_multiple_of(2) {
        near.saturating_sub(1)
    } else {
        (near + 1).min(size - 1)
    };
    (near, far)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: usize, height: usize) -> Picture {
        let count = 3 * width * height;
        let samples = (0..count).map(|i| i as f32 / count as f32).collect();
        Picture::new(width, height, samples).unwrap()
    }

    #[test]
    fn what_is_trusted_keeps_its_bits() {
        for (width, height) in [(1, 1), (7, 5), (16, 16)] {
            let original = gradient(width, height);
            let mut picture = original.clone();
            fill(&mut picture, &vec![1.0; width * height]);
            assert_eq!(picture, original);

            let trust: Vec<f32> = (0..width * height)
                .map(|i| if i % 4 == 1 { 0.0 } else { 1.0 })
                .collect();
            fill(&mut picture, &trust);
            for (index, (after, before)) in picture.samples.iter().zip(&original.samples).enumerate() {
                if trust[index % (width * height)] == 1.0 {
                    assert_eq!(after, before);
                }
            }
        }
    }

    #[test]
    fn a_hole_takes_the_colour_around_it() {
        let mut picture = Picture::new(9, 9, vec![0.25; 3 * 81]).unwrap();
        let mut trust = vec![1.0; 81];
        for y in 2..7 {
            for x in 2..7 {
                trust[y * 9 + x] = 0.0;
                picture.samples[y * 9 + x] = 1.0;
            }
        }
        fill(&mut picture, &trust);
        assert!(picture.samples.iter().all(|sample| (sample - 0.25).abs() < 1e-6));
    }

    #[test]
    fn one_visible_pixel_colours_everything() {
        for (width, height) in [(1, 1), (1, 9), (13, 1), (13, 9), (64, 3)] {
            for at in [0, width * height / 2, width * height - 1] {
                for least in [1.0, 1e-3, f32::MIN_POSITIVE] {
                    let mut picture = gradient(width, height);
                    let plane = width * height;
                    let colour: [f32; 3] = std::array::from_fn(|c| picture.samples[c * plane + at]);
                    let mut trust = vec![0.0; plane];
                    trust[at] = least;
                    fill(&mut picture, &trust);
                    for (index, sample) in picture.samples.iter().enumerate() {
                        let expected = colour[index / plane];
                        assert!(
                            (sample - expected).abs() < 1e-5,
                            "{width} x {height}: {sample} for {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_visible_is_gray() {
        for (width, height) in [(1, 1), (2, 1), (5, 8)] {
            let mut picture = gradient(width, height);
            fill(&mut picture, &vec![0.0; width * height]);
            assert!(picture.samples.iter().all(|&sample| sample == NOTHING_VISIBLE));
        }
    }

    #[test]
    fn the_fill_is_nearer_to_the_nearer_colour_and_without_steps() {
        // Black on the left, white on the right, a wide gap between.
        let (width, height) = (64, 4);
        let samples = (0..3 * width * height)
            .map(|i| if i % width < 32 { 0.0 } else { 1.0 })
            .collect();
        let mut picture = Picture::new(width, height, samples).unwrap();
        let trust: Vec<f32> = (0..width * height)
            .map(|i| if (8..56).contains(&(i % width)) { 0.0 } else { 1.0 })
            .collect();
        fill(&mut picture, &trust);
        let row = &picture.samples[..width];
        assert!(row[9] < 0.1 && row[54] > 0.9, "{row:?}");
        for pair in row.windows(2) {
            assert!(pair[1] >= pair[0] - 1e-6 && pair[1] - pair[0] < 0.2, "{row:?}");
        }
    }

    #[test]
    fn the_fill_stays_within_the_colours_that_it_is_made_of() {
        let (width, height) = (37, 23);
        // A scatter of two grays, wholly, partly and not at all trusted.
        let scatter = |index: usize, count: usize| ((index * 2_654_435_761 % (1 << 32)) * count) >> 32;
        let samples: Vec<f32> = (0..3 * width * height).map(|i| [0.3, 0.7][scatter(i, 2)]).collect();
        let trust: Vec<f32> = (0..width * height)
            .map(|i| [0.0, 0.0, 0.0, 0.01, 0.5, 1.0][scatter(i + 7, 6)])
            .collect();
        let mut picture = Picture::new(width, height, samples).unwrap();
        fill(&mut picture, &trust);
        let (darkest, lightest) = (0.3 - 1e-5, 0.7 + 1e-5);
        assert!(
            picture
                .samples
                .iter()
                .all(|sample| (darkest..=lightest).contains(sample))
        );
    }

    #[test]
    fn trust_blends() {
        let mut picture = Picture::new(2, 1, vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0]).unwrap();
        let mut last = 1.0;
        for trust in [0.75, 0.5, 0.25, 0.0] {
            picture.samples = vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
            fill(&mut picture, &[1.0, trust]);
            assert_eq!(picture.samples[0], 0.0);
            assert!(picture.samples[1] < last, "{trust}");
            last = picture.samples[1];
        }
        assert_eq!(last, 0.0);
    }
}
