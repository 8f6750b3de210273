//! Pictures on a card at another size, by the filter of [`crate::canvas::resize_tensor`].
//!
//! A history is resampled picture by picture at the beginning of each level, all from one size to another. So the filter's
//! taps are made, and brought to the card, once for all of them; what applies them is in `kernels/resample.cu`.

use std::sync::Arc;

use candle_core::Shape;

use super::driver::Memory;
use super::kernels::{Argument, Kernel};
use super::space::{Space, THREADS};
use super::vectors::Samples;
use crate::canvas::{Size, Taps};
use crate::{Error, Result};

/// What takes pictures on a card from one size to another.
pub struct Resampling {
    space: Arc<Space>,
    from: Size,
    to: Size,
    /// Along rows.
    across: Axis,
    /// Along columns.
    down: Axis,
}

impl Resampling {
    /// For pictures that live in a space.
    ///
    /// # Errors
    /// [`Error::Memory`] where the card is full, [`Error::Device`] when it fails.
    pub fn new(space: &Arc<Space>, from: Size, to: Size) -> Result<Self> {
        Ok(Self {
            space: space.clone(),
            from,
            to,
            across: Axis::new(space, from.width, to.width)?,
            down: Axis::new(space, from.height, to.height)?,
        })
    }

    /// A picture `[1, 3, H, W]` of f32 at the other size.
    ///
    /// # Errors
    /// [`Error::Internal`] for one of another size or place, or of halves, [`Error::Memory`] where the card is full, and
    /// [`Error::Device`] when it fails.
    pub fn apply(&self, picture: &Samples) -> Result<Samples> {
        let shape = |height, width| Shape::from((1, 3, height, width));
        let Self { space, from, to, .. } = self;
        if *picture.shape() != shape(from.height, from.width) || !Arc::ptr_eq(picture.space(), space) {
            return Err(Error::Internal(format!(
                "{picture:?} is not a picture of {from:?} there"
            )));
        }
        let rows = self.across.apply(picture, 1, &shape(from.height, to.width))?;
        self.down.apply(&rows, to.width, &shape(to.height, to.width))
    }
}

/// An axis's taps on a card.
struct Axis {
    /// Weights, and the first pixels after them. It is given back, and not kept: there is nothing else of its size.
    tables: Memory,
    /// Where the first pixels begin.
    starts: usize,
    taps: usize,
    from: usize,
    to: usize,
}

impl Axis {
    fn new(space: &Space, from: usize, to: usize) -> Result<Self> {
        let Taps { starts, weights, count } = Taps::new(from, to);
        let bytes = size_of_val(&weights[..]);
        let tables = space.take(bytes + size_of_val(&starts[..]))?;
        tables.write(0, &weights)?;
        tables.write(bytes, &starts)?;
        Ok(Self {
            tables,
            starts: bytes,
            taps: count,
            from,
            to,
        })
    }

    /// `[outer][from][inner]` as `[outer][to][inner]`, which is of this shape.
    fn apply(&self, planes: &Samples, inner: usize, shape: &Shape) -> Result<Samples> {
        let made = Samples::room(planes.space(), shape, false)?;
        let outer = made.elem_count() / (self.to * inner);
        let mut arguments = vec![
            planes.single()?,
            self.tables.address(self.starts),
            self.tables.address(0),
        ];
        arguments.extend([self.taps, outer, self.from, self.to, inner].map(Argument::size));
        arguments.push(made.single()?);
        let grid = (made.elem_count().div_ceil(THREADS), 1);
        planes.space().card.launch(Kernel::RESAMPLE, grid, &mut arguments)?;
        Ok(made)
    }
}
