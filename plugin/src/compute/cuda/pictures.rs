//! Vectors that are pictures `[1, 3, H, W]`: what is done with pixels beside their neighbours.
//!
//! The metric of L-BFGS is that of [`crate::optimise::picture_metric`], the variation that of
//! [`crate::objective::variation`], and boxes are those of [`crate::compute::Tiled`]; the kernels do the same in the same
//! order (`kernels/metric.cu`, `kernels/boxes.cu`).

use super::driver::Memory;
use super::kernels::{Argument, Kernel};
use super::space::THREADS;
use super::vectors::Samples;
use crate::compute::Seen;
use crate::{Error, Result};

/// Three planes of pixels on a card.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    samples: &'a Samples,
    height: usize,
    width: usize,
}

/// The root of a picture's local scale, on a card: `[rows of cells][W]`.
#[derive(Clone, Copy)]
pub struct Roots<'a>(Option<&'a Samples>);

impl<'a> Roots<'a> {
    /// Everywhere 1 where there are none.
    pub fn new(roots: Option<&'a Samples>) -> Self {
        Self(roots)
    }

    /// Address and rows.
    fn arguments(self, width: usize) -> Result<[Argument; 2]> {
        Ok(match self.0 {
            Some(roots) => [roots.single()?, Argument::size(roots.elem_count() / width)],
            None => [Argument::NULL, Argument::Int(0)],
        })
    }
}

impl<'a> Planes<'a> {
    /// A vector as a picture.
    ///
    /// # Errors
    /// [`Error::Internal`] for one that is none.
    pub fn of(samples: &'a Samples) -> Result<Self> {
        match *samples.shape().dims() {
            [1, 3, height, width] => Ok(Self { samples, height, width }),
            ref other => Err(Error::Internal(format!("{other:?} is not the shape of a picture"))),
        }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    fn pixels(&self) -> usize {
        self.height * self.width
    }

    fn size(&self) -> [Argument; 2] {
        [self.height, self.width].map(Argument::size)
    }

    fn launch(&self, kernel: Kernel, pixels: usize, planes: usize, arguments: Vec<Argument>) -> Result<()> {
        let mut arguments = arguments;
        let grid = (pixels.div_ceil(THREADS), planes);
        self.samples.space().card.launch(kernel, grid, &mut arguments)
    }

    /// The mean square over each cell of `side` pixels, row by row.
    ///
    /// # Errors
    /// Failures of the card; so for all of these.
    pub fn mean_squares(&self, side: usize) -> Result<Vec<f64>> {
        if side * side != THREADS {
            return Err(Error::Internal(format!("cells of {side} pixels on a card")));
        }
        let (rows, columns) = (self.height.div_ceil(side), self.width.div_ceil(side));
        let space = self.samples.space();
        let squares = space.take(rows * columns * size_of::<f64>())?;
        let [height, width] = self.size();
        let mut arguments = [self.samples.single()?, height, width, squares.address(0)];
        space.card.launch(Kernel::CELLS, (columns, rows), &mut arguments)?;
        let read = squares.read(0, rows * columns);
        space.keep(squares);
        read
    }

    /// Each sample times its pixel's scale.
    ///
    /// # Errors
    /// Failures of the card.
    pub fn scale(&self, roots: Roots) -> Result<()> {
        let mut arguments = vec![self.samples.single()?];
        arguments.extend(roots.arguments(self.width)?);
        arguments.extend(self.size());
        self.launch(Kernel::SCALE_LOCALLY, self.pixels(), 1, arguments)
    }

    /// Each pixel's samples times a matrix, and times the root of its scale, before or after that.
    ///
    /// # Errors
    /// Failures of the card.
    pub fn turn(&self, matrix: [[f32; 3]; 3], roots: Roots, root_first: bool) -> Result<()> {
        let mut arguments = vec![self.samples.single()?];
        arguments.extend(roots.arguments(self.width)?);
        arguments.extend(matrix.as_flattened().iter().copied().map(Argument::Float));
        arguments.push(Argument::Int(root_first.into()));
        arguments.extend(self.size());
        self.launch(Kernel::TURN, self.pixels(), 1, arguments)
    }

    /// Weighs the octaves of each plane by its gains.
    ///
    /// # Errors
    /// Failures of the card.
    pub fn weigh<const OCTAVES: usize>(&self, gains: &[[f32; OCTAVES]; 3]) -> Result<()> {
        // The plane itself and its halvings: where they begin in the memory for them, and how large they are.
        let mut octaves = vec![(0, self.height, self.width)];
        let mut bytes = 0;
        for octave in 1..OCTAVES {
            let (_, height, width) = octaves[octave - 1];
            let (height, width) = (height.div_ceil(2), width.div_ceil(2));
            octaves.push((bytes, height, width));
            bytes += 3 * height * width * size_of::<f32>();
        }
        let space = self.samples.space();
        let halvings = space.take(bytes.max(1))?;
        let weighed = self.weigh_octaves(gains, &octaves, &halvings);
        space.keep(halvings);
        weighed
    }

    fn weigh_octaves<const OCTAVES: usize>(
        &self,
        gains: &[[f32; OCTAVES]; 3],
        octaves: &[(usize, usize, usize)],
        halvings: &Memory,
    ) -> Result<()> {
        let plane = self.samples.single()?;
        let address = |octave: usize| match octave {
            0 => plane,
            octave => halvings.address(octaves[octave].0),
        };
        for octave in 1..octaves.len() {
            let ((_, height, width), (_, rows, columns)) = (octaves[octave - 1], octaves[octave]);
            let sizes = [height, width].map(Argument::size);
            let arguments = vec![address(octave - 1), address(octave), sizes[0], sizes[1]];
            self.launch(Kernel::HALVE, rows * columns, 3, arguments)?;
        }
        for (octave, &(_, height, width)) in octaves.iter().enumerate().rev() {
            let smaller = if octave + 1 < octaves.len() {
                address(octave + 1)
            } else {
                Argument::NULL
            };
            let mut arguments = vec![address(octave), smaller];
            arguments.extend(gains.iter().map(|gains| Argument::Float(gains[octave])));
            arguments.extend([height, width].map(Argument::size));
            self.launch(Kernel::ADD_DOUBLED, height * width, 3, arguments)?;
        }
        Ok(())
    }

    fn boxed(&self, seen: Seen, place: Argument, kernel: Kernel, threads: usize, out_first: bool) -> Result<()> {
        let Seen { window, margin } = seen;
        // Where it begins in the picture, or outside.
        let ends = [window.top, window.left].map(|end| Argument::Int(end as i32 - margin as i32));
        let (own, own_size) = (self.samples.single()?, self.size());
        let seen_size = [window.height, window.width].map(Argument::size);
        let (first, first_size, last, last_size) = match out_first {
            true => (place, seen_size, own, own_size),
            false => (own, own_size, place, seen_size),
        };
        let mut arguments = vec![first];
        arguments.extend(first_size);
        arguments.extend(ends);
        arguments.push(last);
        arguments.extend(last_size);
        self.launch(kernel, threads, 3, arguments)
    }

    /// Cuts a box out, to a place on the card.
    ///
    /// # Errors
    /// Failures of the card.
    pub(super) fn cut_out(&self, seen: Seen, to: Argument) -> Result<()> {
        self.boxed(seen, to, Kernel::CUT_OUT, seen.window.height * seen.window.width, false)
    }

    /// Adds a box's gradient, which lies at a place on the card.
    ///
    /// # Errors
    /// Failures of the card.
    pub(super) fn fold(&self, seen: Seen, from: Argument) -> Result<()> {
        self.boxed(seen, from, Kernel::FOLD, seen.window.height * seen.window.width, true)
    }

    /// Adds `factor` times the gradient of the variation of a picture, whose slope is given, and returns the sum of the
    /// squares of the steps between that picture's neighbours.
    ///
    /// # Errors
    /// Failures of the card.
    pub fn add_variation(&self, picture: &Samples, slope: f32, factor: f32) -> Result<f64> {
        if picture.shape() != self.samples.shape() {
            return Err(Error::Internal("a picture and its gradient differ in shape".into()));
        }
        let mut arguments = vec![picture.single()?, self.samples.single()?];
        arguments.extend([slope, factor].map(Argument::Float));
        arguments.extend(self.size());
        let [squares] = picture.space().sum(Kernel::VARY, picture.elem_count(), arguments)?;
        Ok(squares)
    }
}
