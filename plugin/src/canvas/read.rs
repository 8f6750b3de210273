//! From a host's pixels to a picture that a network can look at.
//!
//! The network sees planar, sRGB-encoded colour between 0 and 1, and nothing else. On the way there:
//!
//! - light (linear samples) is encoded, gray becomes three equal planes, floats outside 0 to 1 are clamped;
//! - NaN and infinity, which float canvases pick up from divisions by zero, are scrubbed and counted: an infinity goes
//!   to the end of the range that it lies beyond, a colour with a NaN in it is taken from its surroundings, and alpha
//!   that is NaN is 0;
//! - colour that is hidden by transparency is replaced from its surroundings (see [`fill`](super::fill)).
//!
//! What is read is owned: whoever writes the result back needs nothing of the host's memory, which may by then be the
//! very memory that is written to.

use super::fill::fill;
use super::light::encode;
use super::sample::{Sample, with_sample};
use super::{Picture, PixelFormat, Raster, Size, Transfer};
use crate::{Error, Result};

/// Alpha from which on a colour is taken at its word. Below, straight colour has often been divided by alpha out of a
/// premultiplied store: at 1/16 of 8 bits its error reaches 3 %, and grows from there.
const RELIABLE_ALPHA: f32 = 1.0 / 16.0;

/// An image, read whole.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// Its colour, every sample between 0 and 1, with what transparency hides filled from the surroundings.
    pub picture: Picture,
    /// What its pixels are written back with.
    pub frame: Frame,
    /// How many stored samples were NaN or infinite.
    pub scrubbed: usize,
}

/// All of an image that a filter has no part in.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The image's size.
    pub size: Size,
    /// Its alpha, row by row, every sample between 0 and 1; `None` when it has none.
    pub alpha: Option<Vec<f32>>,
    /// What it was before, where there is alpha to keep.
    pub(super) source: Option<Source>,
}

/// The pixels of an image with alpha as they were stored, without gaps, and without NaN and infinity.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) pixel: PixelFormat,
    bytes: Vec<u8>,
}

impl Source {
    /// The bytes of a pixel, counted row by row.
    pub(super) fn pixel_bytes(&self, index: usize) -> &[u8] {
        let size = self.pixel.bytes();
        &self.bytes[index * size..][..size]
    }

    /// The bytes of a pixel's alpha; of its last sample where it has none.
    pub(super) fn alpha_bytes(&self, index: usize) -> &[u8] {
        let size = self.pixel.samples.bytes();
        let channel = self.pixel.channels.alpha().unwrap_or(self.pixel.channels.count() - 1);
        &self.pixel_bytes(index)[channel * size..][..size]
    }

    /// The alpha of a pixel, 0 to 1.
    pub(super) fn alpha(&self, index: usize) -> f64 {
        with_sample!(self.pixel.samples, S => S::load(self.alpha_bytes(index))).clamp(0.0, 1.0)
    }

    /// The colour of a pixel as a picture has it, hidden or not.
    pub(super) fn colour(&self, index: usize) -> [f32; 3] {
        with_sample!(self.pixel.samples, S => colour::<S>(self.pixel_bytes(index), self.pixel))
    }
}

impl Canvas {
    /// Reads an image.
    ///
    /// # Errors
    /// [`Error::Memory`] when there is no room for it.
    pub fn read(raster: &Raster) -> Result<Self> {
        with_sample!(raster.layout().pixel().samples, S => read::<S>(raster))
    }
}

fn read<S: Sample>(raster: &Raster) -> Result<Canvas> {
    let layout = raster.layout();
    let pixel = layout.pixel();
    let (width, height) = (layout.width(), layout.height());
    let pixels = width * height;

    let mut planes = filled(0f32, 3 * pixels)?;
    let mut alpha = pixel.channels.alpha().map(|_| filled(0f32, pixels)).transpose()?;
    let mut bytes = filled(0u8, if alpha.is_some() { pixels * pixel.bytes() } else { 0 })?;
    let mut unknown = Vec::new();
    let mut scrubbed = 0;
    let mut row = filled(0u8, layout.row_bytes())?;
    for y in 0..height {
        row.copy_from_slice(raster.row(y));
        for (index, stored) in (y * width..).zip(row.chunks_exact_mut(pixel.bytes())) {
            let (mended, lost) = mend::<S>(stored, pixel);
            scrubbed += mended;
            if lost {
                unknown.push(index);
            }
            for (plane, sample) in colour::<S>(stored, pixel).into_iter().enumerate() {
                planes[plane * pixels + index] = sample;
            }
            if let (Some(alpha), Some(channel)) = (&mut alpha, pixel.channels.alpha()) {
                let number = S::load(&stored[channel * pixel.samples.bytes()..]);
                alpha[index] = number.clamp(0.0, 1.0) as f32;
            }
        }
        if alpha.is_some() {
            bytes[y * row.len()..][..row.len()].copy_from_slice(&row);
        }
    }

    let mut picture = Picture::new(width, height, planes)?;
    if alpha.is_some() || !unknown.is_empty() {
        let mut trust = match &alpha {
            Some(alpha) => alpha.iter().map(|alpha| (alpha / RELIABLE_ALPHA).min(1.0)).collect(),
            None => filled(1f32, pixels)?,
        };
        for index in unknown {
            trust[index] = 0.0;
        }
        fill(&mut picture, &trust);
    }
    let source = alpha.is_some().then_some(Source { pixel, bytes });
    let size = picture.size();
    Ok(Canvas {
        picture,
        frame: Frame { size, alpha, source },
        scrubbed,
    })
}

/// Replaces what is not finite in a stored pixel. Returns how many samples that were, and whether any of them was NaN,
/// so that the colour has to come from elsewhere (or, with alpha, is hidden).
fn mend<S: Sample>(stored: &mut [u8], pixel: PixelFormat) -> (usize, bool) {
    let (mut mended, mut lost) = (0, false);
    for sample in stored.chunks_exact_mut(pixel.samples.bytes()) {
        let number = S::load(sample);
        if number.is_finite() {
            continue;
        }
        mended += 1;
        lost |= number.is_nan();
        S::store(if number > 0.0 { 1.0 } else { 0.0 }, sample);
    }
    (mended, lost)
}

/// The colour of a stored pixel without NaN and infinity, as a picture has it.
fn colour<S: Sample>(stored: &[u8], pixel: PixelFormat) -> [f32; 3] {
    let sample = |channel: usize| {
        let sample = S::load(&stored[channel * pixel.samples.bytes()..]).clamp(0.0, 1.0) as f32;
        match pixel.transfer {
            Transfer::Srgb => sample,
            Transfer::Linear => encode(sample),
        }
    };
    if pixel.channels.is_gray() {
        return [sample(0); 3];
    }
    pixel.channels.colour().map(sample)
}

/// As many copies of a value, or an error where `vec!` would end the process.
fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        let megabytes = (count * size_of::<T>()).div_ceil(1 << 20);
        Error::Memory(format!(
            "there is no room for a canvas: {megabytes} MB could not be had"
        ))
    })?;
    values.resize(count, value);
    Ok(values)
}
