//! What the network sees beyond the border of a picture.
//!
//! VGG pads every convolution with zeros, which its features near the border show, and an optimiser that is asked to
//! hide the difference paints a fringe there. So the picture is continued outward before the network sees it, and
//! statistics are taken over the features inside only: the zeros begin a margin away. What the network says about the
//! continuation counts for the pixels that it repeats (the adjoint of the padding).
//!
//! A picture with its margin is never made as a whole: a box of it is cut out, and a box's gradient folded back.

use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::Result;
use crate::compute::{Seen, Window};

/// A border of repeated pixels around pictures of one size.
#[derive(Clone, Copy, Debug)]
pub struct Margin {
    size: usize,
    height: usize,
    width: usize,
}

impl Margin {
    /// A margin of `size` pixels, 0 or a multiple of 16, around pictures of `height` x `width`.
    pub fn new(size: usize, height: usize, width: usize) -> Self {
        Self { size, height, width }
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

    /// A box of the padded form, for whoever cuts it out by themselves.
    pub(super) fn show(&self, window: Window) -> Seen {
        Seen {
            window,
            margin: self.size,
        }
    }

    /// Whether there is anything around the picture.
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// What a box of the padded form shows, of a picture `[1, 3, H, W]`.
    pub(super) fn cut_out(&self, picture: &Tensor, seen: Window) -> Result<Tensor> {
        let rows = Line::new(self.size, self.height, seen.top, seen.height);
        let columns = Line::new(self.size, self.width, seen.left, seen.width);
        let inside = picture
            .narrow(2, rows.pixels.start, rows.pixels.len())?
            .narrow(3, columns.pixels.start, columns.pixels.len())?
            .contiguous()?;
        if rows.is_plain() && columns.is_plain() {
            return Ok(inside);
        }
        let device = picture.device();
        Ok(inside
            .index_select(&rows.indices(device)?, 2)?
            .index_select(&columns.indices(device)?, 3)?
            .contiguous()?)
    }

    /// The adjoint of [`Self::cut_out`]: adds the gradient of a box to that of the picture, `[3][H][W]`. Every pixel
    /// receives the gradients of all its repetitions.
    pub(super) fn fold(&self, gradient: &[f32], seen: Window, sum: &mut [f32]) {
        let rows = Line::new(self.size, self.height, seen.top, seen.height);
        let columns = Line::new(self.size, self.width, seen.left, seen.width);
        let mut row = vec![0f32; seen.width];
        let planes = gradient.chunks_exact(seen.height * seen.width);
        for (plane, sum) in planes.zip(sum.chunks_exact_mut(self.height * self.width)) {
            let mut repetitions = plane.chunks_exact(seen.width);
            for (pixel, count) in rows.repetitions() {
                row.fill(0.0);
                for repetition in repetitions.by_ref().take(count) {
                    for (sum, value) in row.iter_mut().zip(repetition) {
                        *sum += value;
                    }
                }
                let sum = &mut sum[pixel * self.width..][columns.pixels.clone()];
                let (before, rest) = row.split_at(columns.before);
                let (inside, after) = rest.split_at(sum.len());
                before.iter().for_each(|value| sum[0] += value);
                for (sum, value) in sum.iter_mut().zip(inside) {
                    *sum += value;
                }
                let last = sum.len() - 1;
                after.iter().for_each(|value| sum[last] += value);
            }
        }
    }
}

/// What a box shows of a row or column: pixels, the first and the last of which may be repeated.
struct Line {
    /// Those that it shows, at least one.
    pixels: Range<usize>,
    /// How many times more it shows the first ...
    before: usize,
    /// ... and the last.
    after: usize,
}

impl Line {
    /// Of a line of `length` pixels inside a margin, where a box begins at `start` and shows `count`.
    fn new(margin: usize, length: usize, start: usize, count: usize) -> Self {
        let pixel = |index: usize| index.saturating_sub(margin).min(length - 1);
        let pixels = pixel(start)..pixel(start + count - 1) + 1;
        // A box that lies in the margin wholly shows one pixel again and again.
        let before = (margin + pixels.start).saturating_sub(start).min(count - pixels.len());
        Self {
            after: count - pixels.len() - before,
            before,
            pixels,
        }
    }

    fn is_plain(&self) -> bool {
        self.before + self.after == 0
    }

    /// The pixels and how often each is shown.
    fn repetitions(&self) -> impl Iterator<Item = (usize, usize)> {
        let (first, last) = (self.pixels.start, self.pixels.end - 1);
        self.pixels.clone().map(move |pixel| {
            let before = if pixel == first { self.before } else { 0 };
            let after = if pixel == last { self.after } else { 0 };
            (pixel, before + 1 + after)
        })
    }

    /// What is shown, as indices into the pixels.
    fn indices(&self, device: &Device) -> Result<Tensor> {
        let pixels = self.repetitions();
        let indices = pixels.flat_map(|(pixel, count)| std::iter::repeat_n((pixel - self.pixels.start) as u32, count));
        Ok(Tensor::from_iter(indices, device)?)
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

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The whole padded picture, and boxes at its corners, at its edges, and in its inside.
    fn boxes(margin: &Margin) -> Vec<Window> {
        let (height, width) = margin.padded_size();
        let spans = |length: usize| {
            [
                (0, length),
                (0, 20),
                (8, 9),
                (17, 2),
                (length - 19, 19),
                (length - 4, 4),
            ]
        };
        let rows = spans(height).into_iter();
        rows.flat_map(|(top, height)| {
            spans(width).map(|(left, width)| Window {
                top,
                left,
                height,
                width,
            })
        })
        .collect()
    }

    #[test]
    fn folding_is_the_adjoint_of_cutting_out() {
        for margin in [Margin::new(16, 5, 7), Margin::new(16, 1, 1), Margin::new(0, 40, 33)] {
            let picture = ramp((1, 3, margin.height, margin.width));
            for seen in boxes(&margin) {
                let cut = margin.cut_out(&picture, seen).unwrap();
                assert_eq!(cut.dims(), [1, 3, seen.height, seen.width]);
                let gradient = values(&ramp((1, 3, seen.height, seen.width)));
                let mut folded = vec![0f32; 3 * margin.height * margin.width];
                margin.fold(&gradient, seen, &mut folded);
                let (there, back) = (dot(&values(&cut), &gradient), dot(&values(&picture), &folded));
                assert!(
                    (there - back).abs() <= 1e-5 * there,
                    "{margin:?} {seen:?}: {there} {back}"
                );
            }
        }
    }

    #[test]
    fn borders_repeat_outward() {
        let margin = Margin::new(16, 2, 2);
        let padded = margin.cut_out(&ramp((1, 3, 2, 2)), Window::whole(34, 34)).unwrap();
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

    #[test]
    fn a_box_shows_what_the_padded_picture_has_there() {
        let margin = Margin::new(16, 5, 7);
        let picture = ramp((1, 3, 5, 7));
        let (height, width) = margin.padded_size();
        let whole = margin.cut_out(&picture, Window::whole(height, width)).unwrap();
        for seen in boxes(&margin) {
            let rows = whole.narrow(2, seen.top, seen.height).unwrap();
            let expected = rows.narrow(3, seen.left, seen.width).unwrap();
            assert_eq!(
                values(&margin.cut_out(&picture, seen).unwrap()),
                values(&expected),
                "{seen:?}"
            );
        }
    }
}
