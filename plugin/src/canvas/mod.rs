//! Pixels of any format to planar pictures and back.
//!
//! ```text
//! host's memory ─► Raster ─► Canvas { picture, frame } ─► resize, pad_to ─► ... ─► crop, resize
//!                                              │                                      │
//!                                              └─ write ◄──────────────────────── Picture
//!                                   └─► RasterMut ─► host's memory
//! ```
//!
//! A [`Canvas`] owns all that it needs, its picture and a [`Frame`], so the memory that is written to may be the memory that was read.

mod fill;
mod format;
mod light;
mod pad;
mod picture;
#[allow(unsafe_code, reason = "pixels in memory that a host lends")]
mod raster;
mod read;
mod resample;
mod sample;
mod taps;
#[cfg(test)]
mod tests;
mod write;

pub use fill::fill;
pub use format::{Channels, PixelFormat, SampleFormat, Transfer};
pub use pad::{Origin, crop, pad_to, reflect};
pub use picture::{Picture, Size};
pub use raster::{Layout, Raster, RasterMut};
pub use read::{Canvas, Frame};
pub use resample::{Light, fit, resize, resize_tensor};
pub use taps::Taps;
