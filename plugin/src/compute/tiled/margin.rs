//! What the network sees beyond the border of a picture.
//!
//! VGG pads every convolution with zeros, which its features near the border show, and an optimiser that is asked to
//! hide the difference paints a fringe there. So the picture is continued outward before the network sees it, and
//! statistics are taken over the features inside only: the zeros begin a margin away. The continuation is the picture's
//! own reflection: forms run on into it, and every pixel of it is seen there once, as often as it is inside. (A border
//! repeated outward is a band of stripes, each as many times as heavy as its one pixel: strokes end before it, as at a
//! frame.) What the network says about the continuation counts for the pixels that it shows again (the adjoint of the
//! padding).
//!
//! A picture with its margin is never made as a whole: a box of it is cut out, and a box's gradient folded back.

use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::Result;
use crate::canvas::reflect;
use crate::compute::{Seen, Window};

/// Reflections around pictures of one size.
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
        let (rows, columns) = self.lines(seen);
        let (top, left) = (rows.shown(), columns.shown());
        let inside = picture
            .narrow(2, top.start, top.len())?
            .narrow(3, left.start, left.len())?
            .contiguous()?;
        if rows.is_plain() && columns.is_plain() {
            return Ok(inside);
        }
        let device = picture.device();
        Ok(inside
            .index_select(&rows.indices(top.start, device)?, 2)?
            .index_select(&columns.indices(left.start, device)?, 3)?
            .contiguous()?)
    }

    /// The adjoint of [`Self::cut_out`]: adds the gradient of a box to that of the picture, `[3][H][W]`. Every pixel
    /// receives the gradients of all the places that show it.
    pub(super) fn fold(&self, gradient: &[f32], seen: Window, sum: &mut [f32]) {
        let (rows, columns) = self.lines(seen);
        let planes = gradient.chunks_exact(seen.height * seen.width);
        for (plane, sum) in planes.zip(sum.chunks_exact_mut(self.height * self.width)) {
            for (values, pixel) in plane.chunks_exact(seen.width).zip(&rows.pixels) {
                columns.add(values, &mut sum[pixel * self.width..][..self.width]);
            }
        }
    }

    fn lines(&self, seen: Window) -> (Line, Line) {
        (
            Line::new(self.size, self.height, seen.top, seen.height),
            Line::new(self.size, self.width, seen.left, seen.width),
        )
    }
}

/// What a box shows along one axis.
struct Line {
    /// The pixel at each place, at least one.
    pixels: Vec<usize>,
    /// The places inside the picture, whose pixels follow each other; the others are reflections.
    inside: Range<usize>,
}

impl Line {
    /// Along a side of `length` pixels inside a margin, where a box begins at `start` and shows `count`.
    fn new(margin: usize, length: usize, start: usize, count: usize) -> Self {
        let place = |position: usize| position.clamp(start, start + count) - start;
        Self {
            pixels: (start..start + count).map(|at| reflect(at, margin, length)).collect(),
            inside: place(margin)..place(margin + length),
        }
    }

    fn is_plain(&self) -> bool {
        self.inside.len() == self.pixels.len()
    }

    /// From the first to the last of the pixels: they lie side by side.
    fn shown(&self) -> Range<usize> {
        let first = self.pixels.iter().min().map_or(0, |first| *first);
        let end = self.pixels.iter().max().map_or(0, |last| last + 1);
        first..end
    }

    /// The pixels as indices into those from `first` on.
    fn indices(&self, first: usize, device: &Device) -> Result<Tensor> {
        let indices = self.pixels.iter().map(|pixel| (pixel - first) as u32);
        Ok(Tensor::from_iter(indices, device)?)
    }

    /// Adds the value at each place to its pixel, in the order of the places.
    fn add(&self, values: &[f32], sum: &mut [f32]) {
        let Range { start, end } = self.inside;
        for (pixel, value) in self.pixels[..start].iter().zip(values) {
            sum[*pixel] += value;
        }
        if let Some(&first) = self.pixels[start..end].first() {
            for (sum, value) in sum[first..].iter_mut().zip(&values[start..end]) {
                *sum += value;
            }
        }
        for (pixel, value) in self.pixels[end..].iter().zip(&values[end..]) {
            sum[*pixel] += value;
        }
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
    fn pictures_are_reflected_outward() {
        let margin = Margin::new(16, 3, 2);
        let padded = margin.cut_out(&ramp((1, 3, 3, 2)), Window::whole(35, 34)).unwrap();
        let plane: Vec<Vec<f32>> = padded
            .narrow(1, 0, 1)
            .unwrap()
            .reshape((35, 34))
            .unwrap()
            .to_vec2()
            .unwrap();
        // The picture's rows are (0, 37), (74, 10) and (47, 84).
        let rows: Vec<f32> = plane[13..22].iter().map(|row| row[16]).collect();
        assert_eq!(rows, [47.0, 74.0, 0.0, 0.0, 74.0, 47.0, 47.0, 74.0, 0.0]);
        assert_eq!(plane[16][14..20], [37.0, 0.0, 0.0, 37.0, 37.0, 0.0]);
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
