//! Scaling a picture down or up, in linear light: averaging encoded samples would darken fine bright detail, and
//! averaging colours without their alpha would let hidden colours bleed.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, LumaA, Pixel, Rgb, Rgba};

use super::curve::Curve;
use super::{Channels, Picture};

impl Picture {
    /// The picture scaled by Lanczos' filter so that its longer side is `longer_side` pixels (1 or more).
    pub fn resized(self, longer_side: u32) -> Self {
        let longest = self.width.max(self.height);
        let scaled =
            |side: u32| ((f64::from(side) * f64::from(longer_side) / f64::from(longest)).round() as u32).max(1);
        let (width, height) = (scaled(self.width), scaled(self.height));
        if (width, height) == (self.width, self.height) {
            return self;
        }
        match self.channels {
            Channels::Gray => resample::<Luma<f32>>(self, width, height),
            Channels::GrayAlpha => resample::<LumaA<f32>>(self, width, height),
            Channels::Rgb => resample::<Rgb<f32>>(self, width, height),
            Channels::Rgba => resample::<Rgba<f32>>(self, width, height),
        }
    }
}

fn resample<P: Pixel<Subpixel = f32> + 'static>(mut picture: Picture, width: u32, height: u32) -> Picture {
    let channels = picture.channels;
    for pixel in picture.samples.chunks_exact_mut(channels.count()) {
        let (colours, alpha) = pixel.split_at_mut(channels.colour_count());
        let opacity = alpha.first().copied().unwrap_or(1.0);
        colours
            .iter_mut()
            .for_each(|sample| *sample = Curve::SRGB.light((*sample).into()) as f32 * opacity);
    }
    let source = ImageBuffer::<P, _>::from_raw(picture.width, picture.height, picture.samples)
        .expect("a picture has as many samples as its size says");
    let mut samples = imageops::resize(&source, width, height, FilterType::Lanczos3).into_raw();
    for pixel in samples.chunks_exact_mut(channels.count()) {
        let (colours, alpha) = pixel.split_at_mut(channels.colour_count());
        let opacity = alpha.first().copied().unwrap_or(1.0);
        let inverse = if opacity > 0.0 { 1.0 / opacity } else { 0.0 };
        colours
            .iter_mut()
            .for_each(|sample| *sample = Curve::SRGB.encoded((*sample * inverse).clamp(0.0, 1.0).into()) as f32);
    }
    Picture {
        width,
        height,
        channels,
        samples,
    }
}
