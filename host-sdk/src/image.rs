//! Pictures in a host's own memory, borrowed: nothing is copied on the way to the plugin or back.
//!
//! A [`Shape`] says how samples lie in bytes. [`Image`] and [`ImageMut`] join it with a slice, and exist only when the
//! slice holds every byte that the shape can reach; so whatever a plugin is handed lies inside memory that is lent.

use std::ffi::c_void;
use std::fmt;

use crate::abi;
use crate::error::{Error, Result};

/// How a sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 8-bit unsigned, 0 to 255.
    U8,
    /// 16-bit unsigned, 0 to 65535, in the machine's byte order.
    U16,
    /// IEEE 754 half precision, nominally 0 to 1.
    F16,
    /// IEEE 754 single precision, nominally 0 to 1.
    F32,
}

/// What the samples of a pixel are. Alpha is straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One gray sample.
    Gray,
    /// Gray, alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// Blue, green, red, alpha.
    Bgra,
}

/// How colour samples relate to light. Both have sRGB's primaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// Through the sRGB curve.
    Srgb,
    /// In proportion.
    Linear,
}

impl Format {
    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    fn to_abi(self) -> u32 {
        match self {
            Self::U8 => abi::FORMAT_U8,
            Self::U16 => abi::FORMAT_U16,
            Self::F16 => abi::FORMAT_F16,
            Self::F32 => abi::FORMAT_F32,
        }
    }

    fn from_abi(number: u32) -> Option<Self> {
        [Self::U8, Self::U16, Self::F16, Self::F32]
            .into_iter()
            .find(|format| format.to_abi() == number)
    }
}

impl Layout {
    /// Samples of a pixel.
    pub fn samples(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Bgra => 4,
        }
    }

    fn to_abi(self) -> u32 {
        match self {
            Self::Gray => abi::LAYOUT_GRAY,
            Self::GrayAlpha => abi::LAYOUT_GRAY_ALPHA,
            Self::Rgb => abi::LAYOUT_RGB,
            Self::Rgba => abi::LAYOUT_RGBA,
            Self::Bgra => abi::LAYOUT_BGRA,
        }
    }

    fn from_abi(number: u32) -> Option<Self> {
        let all = [Self::Gray, Self::GrayAlpha, Self::Rgb, Self::Rgba, Self::Bgra];
        all.into_iter().find(|layout| layout.to_abi() == number)
    }
}

impl Transfer {
    fn to_abi(self) -> u32 {
        match self {
            Self::Srgb => abi::TRANSFER_SRGB,
            Self::Linear => abi::TRANSFER_LINEAR,
        }
    }

    fn from_abi(number: u32) -> Option<Self> {
        [Self::Srgb, Self::Linear]
            .into_iter()
            .find(|transfer| transfer.to_abi() == number)
    }
}

/// The size of a picture and how it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels in a row, 1 or more.
    pub width: u32,
    /// Rows, 1 or more.
    pub height: u32,
    /// How a sample is stored.
    pub format: Format,
    /// What the samples of a pixel are.
    pub layout: Layout,
    /// How colour samples relate to light.
    pub transfer: Transfer,
    /// Bytes from a row to the one below it, no less in size than a row's own bytes; negative when the bottom row
    /// comes first in memory.
    pub row_stride: i64,
}

impl Shape {
    /// A shape with the top row first and no gaps between rows.
    pub fn packed(width: u32, height: u32, format: Format, layout: Layout, transfer: Transfer) -> Self {
        // At most 2^32 pixels of 16 bytes, far from the limits of the type.
        let row_stride = i64::from(width) * (layout.samples() * format.bytes()) as i64;
        Self {
            width,
            height,
            format,
            layout,
            transfer,
            row_stride,
        }
    }

    /// The bytes of one row's pixels; `None` when they exceed what can be addressed.
    fn row_bytes(&self) -> Option<usize> {
        (self.layout.samples() * self.format.bytes()).checked_mul(usize::try_from(self.width).ok()?)
    }

    /// The bytes from the picture's first to its last, gaps between rows included.
    ///
    /// # Errors
    /// When the shape is impossible: without pixels, with rows that overlap, or too large to be addressed.
    pub fn bytes(&self) -> Result<usize> {
        let refuse = |reason: String| Err(Error::Argument(reason));
        if self.width == 0 || self.height == 0 {
            return refuse(format!(
                "width and height: {} x {} has no pixels",
                self.width, self.height
            ));
        }
        let too_large = || {
            Error::Argument(format!(
                "width and height: {} x {} cannot be addressed",
                self.width, self.height
            ))
        };
        let row = self.row_bytes().ok_or_else(too_large)?;
        let stride = usize::try_from(self.row_stride.unsigned_abs()).map_err(|_| too_large())?;
        if stride < row {
            return refuse(format!(
                "row_stride: {} bytes are less than the {row} of a row",
                self.row_stride
            ));
        }
        let rows_above = usize::try_from(self.height - 1).map_err(|_| too_large())?;
        let bytes = stride
            .checked_mul(rows_above)
            .and_then(|above| above.checked_add(row))
            .ok_or_else(too_large)?;
        // No slice is longer than that.
        if isize::try_from(bytes).is_err() {
            Err(too_large())
        } else {
            Ok(bytes)
        }
    }

    fn check(&self, length: usize) -> Result<()> {
        let needed = self.bytes()?;
        if length < needed {
            let Self { width, height, .. } = self;
            let reason = format!("pixels: {length} bytes given, {needed} needed for {width} x {height}");
            return Err(Error::Argument(reason));
        }
        Ok(())
    }

    /// Where row `y` from the top begins, in a picture that was checked.
    fn row_start(&self, y: u32) -> usize {
        let steps = if self.row_stride < 0 { self.height - 1 - y } else { y };
        steps as usize * self.row_stride.unsigned_abs() as usize
    }

    fn row_range(&self, y: u32) -> std::ops::Range<usize> {
        assert!(y < self.height, "row {y} of {}", self.height);
        let start = self.row_start(y);
        start..start + self.width as usize * self.layout.samples() * self.format.bytes()
    }

    fn to_abi(self, pixels: *mut c_void) -> abi::Image {
        abi::Image {
            struct_size: size_of::<abi::Image>() as u32,
            width: self.width,
            height: self.height,
            format: self.format.to_abi(),
            layout: self.layout.to_abi(),
            transfer: self.transfer.to_abi(),
            row_stride: self.row_stride,
            pixels,
        }
    }
}

/// A picture that is read.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    bytes: &'a [u8],
    shape: Shape,
}

impl<'a> Image<'a> {
    /// A picture in `bytes`, which may be longer than needed. With a negative stride the slice begins with the bottom
    /// row.
    ///
    /// # Errors
    /// When the slice is too short for the shape, or the shape is impossible.
    pub fn new(bytes: &'a [u8], shape: Shape) -> Result<Self> {
        shape.check(bytes.len())?;
        Ok(Self { bytes, shape })
    }

    /// Its size and how it lies in memory.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The bytes of row `y` from the top.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, y: u32) -> &'a [u8] {
        &self.bytes[self.shape.row_range(y)]
    }

    pub(crate) fn to_abi(self) -> abi::Image {
        // Derived from the whole slice, so that the rows before the top one may be reached through it. The contract's
        // pointer is mutable because outputs share the type; inputs are never written.
        let first = self.bytes.as_ptr().cast_mut();
        self.shape.to_abi(first.wrapping_add(self.shape.row_start(0)).cast())
    }

    /// The picture that a plugin lends; `None` when what it lends is malformed.
    ///
    /// # Safety
    /// `image` must point to a picture that stays as it is for `'a`, if it is not NULL.
    pub(crate) unsafe fn from_abi(image: *const abi::Image) -> Option<Self> {
        // SAFETY: the caller's word.
        let image = unsafe { image.as_ref() }?;
        let shape = Shape {
            width: image.width,
            height: image.height,
            format: Format::from_abi(image.format)?,
            layout: Layout::from_abi(image.layout)?,
            transfer: Transfer::from_abi(image.transfer)?,
            row_stride: image.row_stride,
        };
        let length = shape.bytes().ok()?;
        if image.pixels.is_null() {
            return None;
        }
        // SAFETY: `pixels` is the top row of a picture of `length` bytes, so its first byte is that many before it.
        let first = unsafe { image.pixels.cast::<u8>().cast_const().sub(shape.row_start(0)) };
        // SAFETY: the caller's word that the picture is there and stays.
        let bytes = unsafe { std::slice::from_raw_parts(first, length) };
        Some(Self { bytes, shape })
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// A picture that is written.
pub struct ImageMut<'a> {
    bytes: &'a mut [u8],
    shape: Shape,
}

impl<'a> ImageMut<'a> {
    /// As [`Image::new`].
    ///
    /// # Errors
    /// As [`Image::new`].
    pub fn new(bytes: &'a mut [u8], shape: Shape) -> Result<Self> {
        shape.check(bytes.len())?;
        Ok(Self { bytes, shape })
    }

    /// Its size and how it lies in memory.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The picture for reading.
    pub fn as_image(&self) -> Image<'_> {
        Image {
            bytes: self.bytes,
            shape: self.shape,
        }
    }

    pub(crate) fn as_abi(&mut self) -> abi::Image {
        // Derived from the whole slice, as above.
        let first = self.bytes.as_mut_ptr();
        self.shape.to_abi(first.wrapping_add(self.shape.row_start(0)).cast())
    }
}

impl fmt::Debug for ImageMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageMut")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(width: u32, height: u32, row_stride: i64) -> Shape {
        let packed = Shape::packed(width, height, Format::U16, Layout::GrayAlpha, Transfer::Srgb);
        Shape { row_stride, ..packed }
    }

    #[test]
    fn a_packed_shape_has_no_gaps() {
        let shape = Shape::packed(5, 3, Format::F32, Layout::Bgra, Transfer::Linear);
        assert_eq!((shape.row_stride, shape.bytes()), (80, Ok(240)));
    }

    #[test]
    fn the_last_row_needs_no_gap_after_it() {
        assert_eq!(shape(2, 3, 100).bytes(), Ok(208));
        assert!(Image::new(&[0; 208], shape(2, 3, 100)).is_ok());
        assert!(Image::new(&[0; 208], shape(2, 3, -100)).is_ok());
        let error = Image::new(&[0; 207], shape(2, 3, -100)).unwrap_err();
        assert_eq!(
            error,
            Error::Argument("pixels: 207 bytes given, 208 needed for 2 x 3".to_owned())
        );
        assert!(ImageMut::new(&mut [0; 207], shape(2, 3, 100)).is_err());
    }

    #[test]
    fn impossible_shapes_are_refused() {
        for (shape, name) in [
            (shape(0, 3, 8), "width and height"),
            (shape(2, 0, 8), "width and height"),
            (shape(2, 3, 7), "row_stride"),
            (shape(2, 3, 0), "row_stride"),
            (shape(u32::MAX, u32::MAX, i64::MAX), "width and height"),
            (shape(u32::MAX, u32::MAX, i64::MIN), "width and height"),
            (shape(1, 2, i64::MIN), "width and height"),
        ] {
            let error = Image::new(&[0; 64], shape).unwrap_err().to_string();
            assert!(error.starts_with(name), "{shape:?}: {error}");
        }
    }

    #[test]
    fn rows_are_counted_from_the_top() {
        let bytes: Vec<u8> = (0..12).collect();
        let down = Image::new(&bytes, shape(1, 3, 4)).unwrap();
        let up = Image::new(&bytes, shape(1, 3, -4)).unwrap();
        assert_eq!((down.row(0), up.row(0)), (&bytes[0..4], &bytes[8..12]));
        assert_eq!(up.to_abi().pixels.cast_const().cast(), bytes[8..].as_ptr());
        // SAFETY: the picture is the one above.
        let lent = unsafe { Image::from_abi(&up.to_abi()) }.unwrap();
        assert_eq!((lent.shape(), lent.bytes), (up.shape(), &bytes[..]));
    }

    #[test]
    fn a_malformed_loan_is_no_picture() {
        let bytes = [0; 12];
        let good = Image::new(&bytes, shape(1, 3, 4)).unwrap().to_abi();
        for bad in [
            abi::Image { format: 9, ..good },
            abi::Image { layout: 0, ..good },
            abi::Image { transfer: 7, ..good },
            abi::Image { width: 0, ..good },
            abi::Image { row_stride: 1, ..good },
            abi::Image {
                pixels: std::ptr::null_mut(),
                ..good
            },
        ] {
            // SAFETY: nothing of it is read once it is found malformed.
            assert!(unsafe { Image::from_abi(&bad) }.is_none());
        }
        // SAFETY: NULL is allowed.
        assert!(unsafe { Image::from_abi(std::ptr::null()) }.is_none());
    }
}
