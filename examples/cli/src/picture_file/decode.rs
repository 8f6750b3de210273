//! Reading PNG, JPEG, TIFF and WebP: samples to float, EXIF orientation applied, the ICC profile converted to sRGB.

use std::path::Path;

use image::codecs::tiff::TiffDecoder;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits, Pixel};

use super::profile::{Profile, Space};
use super::{Channels, Depth, Picture, PictureFile};
use crate::error::{Error, Kind, Result};

/// What a decoder may allocate: room for 260 megapixels of 16-bit RGBA, and a bound for files that lie about their size.
const DECODER_BYTES: u64 = 2 << 30;

/// Reads the picture in the file at `path`, which is called `role` in errors ("content", "style").
///
/// The format is told by what is in the file, not by its name. Without a profile the samples are taken as sRGB-encoded,
/// floating-point ones too.
///
/// # Errors
/// When there is no such file, or it is not a picture in one of the formats, or damaged.
pub fn read(path: &Path, role: &str) -> Result<PictureFile> {
    let unreadable = |reason: &dyn std::fmt::Display, remedy: &str| {
        Error::new(Kind::File, format!("cannot read the {role} {path:?}: {reason}"), remedy)
    };
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|error| unreadable(&error, "check the file's name and permissions"))?;
    let damaged = |error: image::ImageError| {
        unreadable(
            &error,
            "use a PNG, JPEG, TIFF or WebP file that a picture viewer can open",
        )
    };
    let (image, profile) = match reader.format() {
        // Under limits this decoder drops, without a word, a profile that is large beside the picture; the limits
        // therefore come after the profile.
        Some(ImageFormat::Tiff) => TiffDecoder::new(reader.into_inner()).and_then(decode),
        _ => reader.into_decoder().and_then(decode),
    }
    .map_err(damaged)?;
    let (picture, depth) = to_samples(image);
    let mut file = PictureFile {
        picture,
        depth,
        profile: None,
        notes: Vec::new(),
    };
    if let Some(bytes) = profile {
        apply_profile(&mut file, bytes).unwrap_or_else(|reason| {
            file.notes
                .push(format!("{path:?}: {reason}; its colours are taken as sRGB"))
        });
    }
    Ok(file)
}

/// The upright picture and its profile.
fn decode(mut decoder: impl ImageDecoder) -> ImageResult<(DynamicImage, Option<Vec<u8>>)> {
    let orientation = decoder.orientation()?;
    let profile = decoder.icc_profile()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES);
    decoder.set_limits(limits)?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok((image, profile))
}

/// Converts the picture from the profile in `bytes` to sRGB and keeps the profile, or says why that cannot be done.
fn apply_profile(file: &mut PictureFile, bytes: Vec<u8>) -> Result<(), String> {
    let profile = Profile::parse(bytes)?;
    match (profile.space(), file.picture.channels.is_colour()) {
        (Space::Gray, true) => return Err("the profile is for gray pictures and this one has colours".to_owned()),
        // A gray picture may legally sit in an RGB profile; it is then a picture whose three channels are equal.
        (Space::Rgb, false) => file.picture = file.picture.fitted(true, true),
        _ => {}
    }
    profile.convert_to_srgb(&mut file.picture)?;
    file.profile = Some(profile);
    Ok(())
}

/// The samples of a decoded image as floats, and the depth that they had.
fn to_samples(image: DynamicImage) -> (Picture, Depth) {
    fn picture<P: Pixel>(
        image: ImageBuffer<P, Vec<P::Subpixel>>,
        channels: Channels,
        to_float: impl Fn(P::Subpixel) -> f32,
    ) -> Picture {
        let (width, height) = image.dimensions();
        Picture {
            width,
            height,
            channels,
            samples: image.into_raw().into_iter().map(to_float).collect(),
        }
    }
    let eight = |sample: u8| f32::from(sample) / 255.0;
    let sixteen = |sample: u16| f32::from(sample) / 65535.0;
    let float = |sample: f32| sample;
    match image {
        DynamicImage::ImageLuma8(image) => (picture(image, Channels::Gray, eight), Depth::Eight),
        DynamicImage::ImageLumaA8(image) => (picture(image, Channels::GrayAlpha, eight), Depth::Eight),
        DynamicImage::ImageRgb8(image) => (picture(image, Channels::Rgb, eight), Depth::Eight),
        DynamicImage::ImageRgba8(image) => (picture(image, Channels::Rgba, eight), Depth::Eight),
        DynamicImage::ImageLuma16(image) => (picture(image, Channels::Gray, sixteen), Depth::Sixteen),
        DynamicImage::ImageLumaA16(image) => (picture(image, Channels::GrayAlpha, sixteen), Depth::Sixteen),
        DynamicImage::ImageRgb16(image) => (picture(image, Channels::Rgb, sixteen), Depth::Sixteen),
        DynamicImage::ImageRgba16(image) => (picture(image, Channels::Rgba, sixteen), Depth::Sixteen),
        DynamicImage::ImageRgb32F(image) => (picture(image, Channels::Rgb, float), Depth::Float),
        DynamicImage::ImageRgba32F(image) => (picture(image, Channels::Rgba, float), Depth::Float),
        // The enum is open; should the crate grow another kind, it still converts to this one.
        other => (picture(other.into_rgba32f(), Channels::Rgba, float), Depth::Float),
    }
}
