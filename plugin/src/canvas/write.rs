//! From a picture back to a host's pixels.
//!
//! What a painter expects of a filter, and what is therefore kept to:
//!
//! - **Alpha is the content's**: the same bits where content and output store samples alike, the nearest sample
//!   otherwise, and opaque where the content has none. (The one exception is alpha that is NaN or infinite, which is
//!   mended when the content is read.) An output without alpha receives the colour alone.
//! - **What cannot be seen is not painted.** Where the content is wholly transparent, its own hidden colour stays: the
//!   same bits where the pixel formats are the same, the nearest colour otherwise. Not so in an output without alpha,
//!   where that colour would come to light: it receives the picture everywhere.
//! - **Gray is luminance**, taken in light: what a colour and its gray have in common is how bright they are.
//! - Integers are rounded to the nearest; floats are between 0 and 1.

use super::light::{decode, gray};
use super::read::{Frame, Source};
use super::sample::{Sample, with_sample};
use super::{Picture, PixelFormat, RasterMut, Size, Transfer};
use crate::{Error, Result};

impl Frame {
    /// Writes a picture of the image's size to where the result goes, with the image's alpha.
    ///
    /// The output may be the very memory that the image was read from.
    ///
    /// # Errors
    /// [`Error::Argument`] naming `output` when it is of another size than the image, [`Error::Internal`] when the
    /// picture is, or has a NaN in it. Nothing has been written then.
    pub fn write(&self, picture: &Picture, output: &mut RasterMut) -> Result<()> {
        let Size { width, height } = self.size;
        let layout = output.layout();
        if (layout.width(), layout.height()) != (width, height) {
            return Err(Error::argument(
                "output",
                format!(
                    "is {} x {}, the content {width} x {height}",
                    layout.width(),
                    layout.height()
                ),
            ));
        }
        if picture.size() != self.size {
            return Err(Error::Internal(format!(
                "a picture of {} x {} was made from a canvas of {width} x {height}",
                picture.width, picture.height
            )));
        }
        if picture.samples.iter().any(|sample| sample.is_nan()) {
            return Err(Error::Internal("the picture has NaN in it".into()));
        }
        with_sample!(layout.pixel().samples, S => self.write_samples::<S>(picture, output));
        Ok(())
    }

    fn write_samples<S: Sample>(&self, picture: &Picture, output: &mut RasterMut) {
        let pixel = output.layout().pixel();
        let (width, height) = (picture.width, picture.height);
        let pixels = width * height;
        for y in 0..height {
            let row = output.row_mut(y);
            for (index, stored) in (y * width..).zip(row.chunks_exact_mut(pixel.bytes())) {
                let hiding = self.hiding(index).filter(|_| pixel.channels.alpha().is_some());
                let colour = match hiding {
                    Some(source) if source.pixel == pixel => {
                        stored.copy_from_slice(source.pixel_bytes(index));
                        continue;
                    }
                    Some(source) => source.colour(index),
                    None => std::array::from_fn(|plane| picture.samples[plane * pixels + index].clamp(0.0, 1.0)),
                };
                store_colour::<S>(colour, stored, pixel);
                self.store_alpha::<S>(index, stored, pixel);
            }
        }
    }

    /// The source of a pixel that cannot be seen.
    fn hiding(&self, index: usize) -> Option<&Source> {
        let transparent = self.alpha.as_ref().is_some_and(|alpha| alpha[index] == 0.0);
        self.source.as_ref().filter(|_| transparent)
    }

    fn store_alpha<S: Sample>(&self, index: usize, stored: &mut [u8], pixel: PixelFormat) {
        let size = pixel.samples.bytes();
        let Some(channel) = pixel.channels.alpha() else { return };
        let stored = &mut stored[channel * size..][..size];
        match &self.source {
            None => S::store(1.0, stored),
            Some(source) if source.pixel.samples == pixel.samples => stored.copy_from_slice(source.alpha_bytes(index)),
            Some(source) => S::store(source.alpha(index), stored),
        }
    }
}

fn store_colour<S: Sample>(colour: [f32; 3], stored: &mut [u8], pixel: PixelFormat) {
    let colour = if pixel.channels.is_gray() {
        [gray(colour); 3]
    } else {
        colour
    };
    let planes = if pixel.channels.is_gray() { 1 } else { 3 };
    for (plane, channel) in pixel.channels.colour().into_iter().enumerate().take(planes) {
        let sample = match pixel.transfer {
            Transfer::Srgb => colour[plane],
            Transfer::Linear => decode(colour[plane]),
        };
        S::store(f64::from(sample), &mut stored[channel * pixel.samples.bytes()..]);
    }
}
