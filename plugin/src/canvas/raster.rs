//! Borrowed views of pixels as hosts store them: interleaved samples of any format, any row stride, no alignment.
//!
//! A [`Layout`] says how a rectangle of pixels lies in memory; it can only be made with numbers whose products fit the
//! address space. A [`Raster`] is a layout and a pointer to read from, a [`RasterMut`] one to write to. Both hand out
//! one row at a time as bytes, which is the only place where memory is touched, and samples are taken from those bytes
//! without regard to alignment.
//!
//! Hosts may let a result share memory with the content that it is made from. A view to read and a view to write of
//! the same memory must not be alive at the same time; so the content is first read into an owned
//! [`Canvas`](super::Canvas), which keeps all that writing needs of it, and the view to write is made afterwards.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::PixelFormat;
use crate::{Error, Result};

/// How a rectangle of pixels lies in memory. Whoever holds one may multiply its numbers without fear of overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    width: usize,
    height: usize,
    pixel: PixelFormat,
    row_stride: isize,
}

impl Layout {
    /// A layout of `height` rows of `width` pixels, `row_stride` bytes from a row to the one below it (negative when
    /// rows are stored from the bottom up; of no account for a single row).
    ///
    /// # Errors
    /// [`Error::Argument`], naming `image.width`, `image.height` or `image.row_stride`, where `image` is how the caller
    /// knows the image: when a side is 0, when rows would overlap, or when the bytes or the picture made from them
    /// could not be addressed.
    pub fn new(image: &str, width: usize, height: usize, pixel: PixelFormat, row_stride: isize) -> Result<Self> {
        for (field, side) in [("width", width), ("height", height)] {
            if side == 0 {
                return Err(Error::argument(format!("{image}.{field}"), "is 0, must be 1 or more"));
            }
        }
        let absurd = || {
            Error::argument(
                format!("{image}.width"),
                format!("{width} x {height} pixels are more than can be addressed"),
            )
        };
        let addressable = |bytes: usize| isize::try_from(bytes).is_ok();
        let row_bytes = width.checked_mul(pixel.bytes()).ok_or_else(absurd)?;
        // A picture holds three floats per pixel, and its alpha a fourth.
        width
            .checked_mul(height)
            .and_then(|pixels| pixels.checked_mul(4 * size_of::<f32>()))
            .filter(|&bytes| addressable(bytes))
            .ok_or_else(absurd)?;
        if height == 1 {
            let row_stride = row_bytes.cast_signed();
            return Ok(Self {
                width,
                height,
                pixel,
                row_stride,
            });
        }
        let unusable = |reason| Error::argument(format!("{image}.row_stride"), format!("is {row_stride}, {reason}"));
        let distance = row_stride.unsigned_abs();
        if distance < row_bytes {
            return Err(unusable(format!("but a row of {width} pixels takes {row_bytes} bytes")));
        }
        distance
            .checked_mul(height - 1)
            .and_then(|above| above.checked_add(row_bytes))
            .filter(|&bytes| addressable(bytes))
            .ok_or_else(|| unusable(format!("which makes {height} rows more than can be addressed")))?;
        Ok(Self {
            width,
            height,
            pixel,
            row_stride,
        })
    }

    /// A layout whose rows follow each other without a gap.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn packed(image: &str, width: usize, height: usize, pixel: PixelFormat) -> Result<Self> {
        // A stride that overflows belongs to a width that does, which `new` finds by itself.
        let row_bytes = width.saturating_mul(pixel.bytes());
        Self::new(
            image,
            width,
            height,
            pixel,
            isize::try_from(row_bytes).unwrap_or(isize::MAX),
        )
    }

    /// Pixels in a row, 1 or more.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows, 1 or more.
    pub fn height(&self) -> usize {
        self.height
    }

    /// What the bytes of a pixel mean.
    pub fn pixel(&self) -> PixelFormat {
        self.pixel
    }

    /// Bytes from a row to the one below it.
    pub fn row_stride(&self) -> isize {
        self.row_stride
    }

    /// The bytes of a row's pixels, without any gap after them.
    pub fn row_bytes(&self) -> usize {
        self.width * self.pixel.bytes()
    }

    /// The bytes from the first to the last that belongs to the image, gaps between rows included.
    pub fn span(&self) -> usize {
        self.row_stride.unsigned_abs() * (self.height - 1) + self.row_bytes()
    }

    /// Where the top row begins, counted from the first byte of the [`span`](Self::span): 0 unless rows are stored from
    /// the bottom up.
    pub fn top(&self) -> usize {
        if self.row_stride < 0 {
            self.span() - self.row_bytes()
        } else {
            0
        }
    }

    /// Where a row begins, relative to the top row.
    fn row_offset(&self, row: usize) -> isize {
        assert!(row < self.height, "row {row} of an image of {} rows", self.height);
        self.row_stride * row.cast_signed()
    }

    fn check_length(&self, bytes: usize) -> Result<()> {
        if bytes < self.span() {
            return Err(Error::argument(
                "pixels",
                format!("{bytes} bytes do not hold an image that spans {}", self.span()),
            ));
        }
        Ok(())
    }
}

/// An image to read from.
#[derive(Clone, Copy, Debug)]
pub struct Raster<'a> {
    layout: Layout,
    top: NonNull<u8>,
    memory: PhantomData<&'a [u8]>,
}

impl<'a> Raster<'a> {
    /// The image that begins at the lowest address of `bytes`: its top row, or its bottom row when the layout's stride
    /// is negative.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are fewer bytes than [`Layout::span`].
    pub fn from_slice(layout: Layout, bytes: &'a [u8]) -> Result<Self> {
        layout.check_length(bytes.len())?;
        let lowest = NonNull::from(bytes).cast::<u8>();
        // SAFETY: the top row begins within the bytes, whose number was just compared with the layout's span; so does
        // every other row, and they are borrowed for 'a.
        Ok(unsafe { Self::from_raw(layout, lowest.add(layout.top())) })
    }

    /// The image whose top row begins at `top`.
    ///
    /// # Safety
    /// For as long as `'a`, the bytes of every row of `layout`, counted from `top`, must be valid to read, and nobody
    /// may write to them.
    pub unsafe fn from_raw(layout: Layout, top: NonNull<u8>) -> Self {
        Self {
            layout,
            top,
            memory: PhantomData,
        }
    }

    /// How it lies in memory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes of a row, from 0 (the top), without any gap after them.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &'a [u8] {
        let offset = self.layout.row_offset(row);
        // SAFETY: the row is one of the layout's, all of which are valid to read for 'a by the contract of `from_raw`,
        // and a layout's offsets fit into an isize.
        unsafe { std::slice::from_raw_parts(self.top.as_ptr().offset(offset), self.layout.row_bytes()) }
    }
}

/// An image to write to.
#[derive(Debug)]
pub struct RasterMut<'a> {
    layout: Layout,
    top: NonNull<u8>,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> RasterMut<'a> {
    /// The image that begins at the lowest address of `bytes`: its top row, or its bottom row when the layout's stride
    /// is negative.
    ///
    /// # Errors
    /// [`Error::Argument`] when there are fewer bytes than [`Layout::span`].
    pub fn from_slice(layout: Layout, bytes: &'a mut [u8]) -> Result<Self> {
        layout.check_length(bytes.len())?;
        let lowest = NonNull::from(bytes).cast::<u8>();
        // SAFETY: the top row begins within the bytes, whose number was just compared with the layout's span; so does
        // every other row, and they are borrowed mutably for 'a.
        Ok(unsafe { Self::from_raw(layout, lowest.add(layout.top())) })
    }

    /// The image whose top row begins at `top`.
    ///
    /// # Safety
    /// For as long as `'a`, the bytes of every row of `layout`, counted from `top`, must be initialised and valid to
    /// read and write, and nobody else may touch them.
    pub unsafe fn from_raw(layout: Layout, top: NonNull<u8>) -> Self {
        Self {
            layout,
            top,
            memory: PhantomData,
        }
    }

    /// How it lies in memory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes of a row, from 0 (the top), without any gap after them.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [u8] {
        let offset = self.layout.row_offset(row);
        // SAFETY: the row is one of the layout's, all of which are valid and ours alone for 'a by the contract of
        // `from_raw`; a layout's offsets fit into an isize; rows do not overlap, and the borrow of self ends before
        // another is made.
        unsafe { std::slice::from_raw_parts_mut(self.top.as_ptr().offset(offset), self.layout.row_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Channels, SampleFormat, Transfer};
    use super::*;

    const RGBA: PixelFormat = PixelFormat {
        samples: SampleFormat::U8,
        channels: Channels::Rgba,
        transfer: Transfer::Srgb,
    };

    #[test]
    fn a_layout_spans_its_rows() {
        let down = Layout::new("content", 2, 3, RGBA, 10).unwrap();
        assert_eq!((down.row_bytes(), down.span(), down.top()), (8, 28, 0));
        let up = Layout::new("content", 2, 3, RGBA, -10).unwrap();
        assert_eq!((up.row_bytes(), up.span(), up.top()), (8, 28, 20));
        // The stride of a single row means nothing.
        for stride in [0, 1, -1, isize::MAX, isize::MIN] {
            let single = Layout::new("content", 2, 1, RGBA, stride).unwrap();
            assert_eq!((single.span(), single.top()), (8, 0));
        }
    }

    #[test]
    fn absurd_layouts_are_refused_by_name() {
        let max = usize::MAX;
        let huge = isize::MAX;
        for (width, height, stride, name) in [
            (0, 3, 8, "content.width"),
            (3, 0, 8, "content.height"),
            (max, 1, 8, "content.width"),
            (max / 4, 1, 8, "content.width"),
            (1 << 31, 1 << 31, 1 << 33, "content.width"),
            (1, max, 4, "content.width"),
            (2, 2, 7, "content.row_stride"),
            (2, 2, -7, "content.row_stride"),
            (2, 2, 0, "content.row_stride"),
            (2, 2, huge, "content.row_stride"),
            (2, 3, huge, "content.row_stride"),
            (2, 3, isize::MIN, "content.row_stride"),
        ] {
            let error = Layout::new("content", width, height, RGBA, stride)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("{name}: ")),
                "{width} x {height}, {stride}: {error}"
            );
        }
        let error = Layout::packed("content", max, max, RGBA).unwrap_err().to_string();
        assert!(error.starts_with("content.width: "), "{error}");
    }

    #[test]
    fn slices_that_are_too_short_are_refused() {
        for stride in [10, -10] {
            let layout = Layout::new("content", 2, 3, RGBA, stride).unwrap();
            assert!(Raster::from_slice(layout, &[0; 27]).is_err());
            assert!(Raster::from_slice(layout, &[0; 28]).is_ok());
            assert!(RasterMut::from_slice(layout, &mut [0; 27]).is_err());
            assert!(RasterMut::from_slice(layout, &mut [0; 28]).is_ok());
        }
    }

    #[test]
    fn rows_are_where_the_stride_puts_them() {
        let bytes: Vec<u8> = (0..28).collect();
        let down = Raster::from_slice(Layout::new("content", 2, 3, RGBA, 10).unwrap(), &bytes).unwrap();
        let up = Raster::from_slice(Layout::new("content", 2, 3, RGBA, -10).unwrap(), &bytes).unwrap();
        for row in 0..3 {
            assert_eq!(down.row(row), &bytes[10 * row..][..8]);
            assert_eq!(up.row(row), &bytes[10 * (2 - row)..][..8]);
        }
    }

    #[test]
    #[should_panic(expected = "row 3 of an image of 3 rows")]
    fn there_is_no_row_below_the_last() {
        Raster::from_slice(Layout::packed("content", 2, 3, RGBA).unwrap(), &[0; 24])
            .unwrap()
            .row(3);
    }
}
