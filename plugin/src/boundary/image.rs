//! Images of the host's, checked before a byte of them is touched.

use std::ptr::NonNull;

use pentimento_host::abi;

use super::pointer;
use crate::canvas::{Channels, Layout, PixelFormat, Raster, RasterMut, SampleFormat, Size, Transfer};
use crate::{Error, Result};

/// The longest side that is believed, in pixels: what the largest editors allow. A longer one is a host's slip, and
/// following it would end the process.
const LONGEST_SIDE: u32 = 1 << 19;

/// Where a host keeps an image. Nothing has been read from there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    layout: Layout,
    top: NonNull<u8>,
}

impl Place {
    /// Checks an image's table; `name` is how the host knows it, such as "request.content".
    ///
    /// # Safety
    /// A pointer that is neither NULL nor misaligned leads to as many bytes as its `struct_size` says, or to four.
    pub(super) unsafe fn new(image: *const abi::Image, name: &str) -> Result<Self> {
        // SAFETY: the caller's promise is the same.
        let image = unsafe { pointer::read(image, name)? };
        let pixel = PixelFormat {
            samples: samples(image.format, name)?,
            channels: channels(image.layout, name)?,
            transfer: transfer(image.transfer, name)?,
        };
        size(image.width, image.height, name)?;
        let stride_name = || format!("{name}.row_stride");
        let row_stride = isize::try_from(image.row_stride)
            .map_err(|_| Error::argument(stride_name(), "is more than can be addressed"))?;
        let layout = Layout::new(name, image.width as usize, image.height as usize, pixel, row_stride)?;
        let top = NonNull::new(image.pixels.cast::<u8>())
            .ok_or_else(|| Error::argument(format!("{name}.pixels"), "is NULL"))?;
        // The first byte must come after address 0, and the last before the end of all addresses.
        let lowest = top.addr().get().checked_sub(layout.top()).filter(|&lowest| lowest > 0);
        if lowest.and_then(|lowest| lowest.checked_add(layout.span())).is_none() {
            let reason = format!("is {row_stride}: rows would lie beyond what can be addressed");
            return Err(Error::argument(stride_name(), reason));
        }
        Ok(Self { layout, top })
    }

    /// How the image lies there.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The image, to read from.
    ///
    /// # Safety
    /// As [`Raster::from_raw`].
    pub(super) unsafe fn read<'a>(&self) -> Raster<'a> {
        // SAFETY: the caller's promise is the same.
        unsafe { Raster::from_raw(self.layout, self.top) }
    }

    /// The image, to write to.
    ///
    /// # Safety
    /// As [`RasterMut::from_raw`].
    pub(super) unsafe fn write<'a>(&self) -> RasterMut<'a> {
        // SAFETY: the caller's promise is the same.
        unsafe { RasterMut::from_raw(self.layout, self.top) }
    }
}

/// The size of a picture that the host has, or may have; `name` is how the host knows it.
pub(super) fn size(width: u32, height: u32, name: &str) -> Result<Size> {
    for (field, side) in [("width", width), ("height", height)] {
        if side == 0 || side > LONGEST_SIDE {
            let reason = match side {
                0 => "is 0".into(),
                side => format!("is {side}, more than {LONGEST_SIDE} pixels"),
            };
            return Err(Error::argument(format!("{name}.{field}"), reason));
        }
    }
    Ok(Size {
        width: width as usize,
        height: height as usize,
    })
}

fn samples(format: u32, name: &str) -> Result<SampleFormat> {
    match format {
        abi::FORMAT_U8 => Ok(SampleFormat::U8),
        abi::FORMAT_U16 => Ok(SampleFormat::U16),
        abi::FORMAT_F16 => Ok(SampleFormat::F16),
        abi::FORMAT_F32 => Ok(SampleFormat::F32),
        _ => Err(unknown(name, "format", format, "1 (u8), 2 (u16), 3 (f16) and 4 (f32)")),
    }
}

fn channels(layout: u32, name: &str) -> Result<Channels> {
    match layout {
        abi::LAYOUT_GRAY => Ok(Channels::Gray),
        abi::LAYOUT_GRAY_ALPHA => Ok(Channels::GrayAlpha),
        abi::LAYOUT_RGB => Ok(Channels::Rgb),
        abi::LAYOUT_RGBA => Ok(Channels::Rgba),
        abi::LAYOUT_BGRA => Ok(Channels::Bgra),
        _ => Err(unknown(
            name,
            "layout",
            layout,
            "1 (gray), 2 (gray and alpha), 3 (RGB), 4 (RGBA) and 5 (BGRA)",
        )),
    }
}

fn transfer(transfer: u32, name: &str) -> Result<Transfer> {
    match transfer {
        abi::TRANSFER_SRGB => Ok(Transfer::Srgb),
        abi::TRANSFER_LINEAR => Ok(Transfer::Linear),
        _ => Err(unknown(name, "transfer", transfer, "1 (sRGB) and 2 (linear)")),
    }
}

fn unknown(name: &str, field: &str, value: u32, known: &str) -> Error {
    Error::format(format!("{name}.{field}"), format!("is {value}; known are {known}"))
}
