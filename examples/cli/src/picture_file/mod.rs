//! Picture files: from any file to pixels that the plugin understands, and back to a file like the first.
//!
//! The plugin works in sRGB. A photograph seldom comes so: it may be turned (EXIF), in a wide gamut (an ICC profile),
//! in 16 bits, gray, or with alpha. Whatever it is, it becomes a [`Picture`]: upright, sRGB-encoded, 32-bit float
//! samples, so that the conversions there and back lose nothing that the file could hold. On the way out the result is
//! converted to the content's own profile, rounded once, and stored with the content's depth, channels and profile, as
//! far as the format of the new file has them; [`Plan`] decides that before the render and says what is lost.

mod curve;
mod decode;
mod encode;
mod profile;
mod resize;
#[cfg(test)]
mod tests;

pub use decode::read;
pub use encode::{Plan, Target};
use profile::Profile;

/// The channels of a pixel. Alpha is straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// One gray channel.
    Gray,
    /// Gray and alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

impl Channels {
    /// These channels: colour or gray, with or without alpha.
    pub fn new(colour: bool, alpha: bool) -> Self {
        match (colour, alpha) {
            (false, false) => Self::Gray,
            (false, true) => Self::GrayAlpha,
            (true, false) => Self::Rgb,
            (true, true) => Self::Rgba,
        }
    }

    /// The number of samples in a pixel.
    pub fn count(self) -> usize {
        self.colour_count() + usize::from(self.has_alpha())
    }

    /// The number of samples in a pixel without alpha.
    pub fn colour_count(self) -> usize {
        if self.is_colour() { 3 } else { 1 }
    }

    /// Whether there are red, green and blue.
    pub fn is_colour(self) -> bool {
        matches!(self, Self::Rgb | Self::Rgba)
    }

    /// Whether there is alpha.
    pub fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// How finely samples are stored in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 8-bit integers.
    Eight,
    /// 16-bit integers.
    Sixteen,
    /// 32-bit floating point.
    Float,
}

/// Pixels in memory: interleaved, top row first, nominally 0 to 1, colour with the sRGB transfer curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What each pixel holds.
    pub channels: Channels,
    /// `width * height * channels.count()` samples.
    pub samples: Vec<f32>,
}

impl Picture {
    /// A black (and transparent) picture.
    pub fn new(width: u32, height: u32, channels: Channels) -> Self {
        let samples = vec![0.0; width as usize * height as usize * channels.count()];
        Self {
            width,
            height,
            channels,
            samples,
        }
    }

    /// The same picture in gray spread over red, green and blue, and without alpha when it is laid over white.
    ///
    /// Only what adds colour or takes alpha away is done; colour is never taken away nor alpha added, as no file format
    /// calls for it.
    fn fitted(&self, colour: bool, alpha: bool) -> Self {
        let channels = Channels::new(self.channels.is_colour() || colour, self.channels.has_alpha() && alpha);
        let mut samples = Vec::with_capacity(self.width as usize * self.height as usize * channels.count());
        for pixel in self.samples.chunks_exact(self.channels.count()) {
            let (colours, opacity) = pixel.split_at(self.channels.colour_count());
            // Over white in the encoded samples, as browsers and viewers show it.
            let over_white = |sample: f32| match opacity {
                [opacity] if !channels.has_alpha() => 1.0 + (sample - 1.0) * opacity,
                _ => sample,
            };
            let repeat = channels.colour_count() / colours.len();
            for sample in colours {
                samples.extend(std::iter::repeat_n(over_white(*sample), repeat));
            }
            if channels.has_alpha() {
                samples.extend(opacity);
            }
        }
        Self {
            channels,
            samples,
            ..*self
        }
    }
}

/// A picture and how its file stored it.
pub struct PictureFile {
    /// The pixels: upright, in sRGB.
    pub picture: Picture,
    /// The depth of the file.
    pub depth: Depth,
    /// The file's profile, which the pixels have been converted from.
    pub profile: Option<Profile>,
    /// What the user should know about how the file was read.
    pub notes: Vec<String>,
}
