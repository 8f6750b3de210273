//! Writing PNG, JPEG, TIFF and WebP: what the format can hold is planned before the render, and the file appears whole
//! or not at all.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use image::codecs::{jpeg, png, tiff, webp};
use image::{ExtendedColorType, ImageEncoder, ImageError};

use super::profile::{Profile, Space};
use super::{Channels, Depth, Picture, PictureFile};
use crate::error::{Error, Kind, Result};

/// JPEG's quality: high, as the picture may be worked on further.
const JPEG_QUALITY: u8 = 95;

/// A file format, with what its encoder can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
    Tiff,
    WebP,
}

impl Format {
    fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "tif" | "tiff" => Some(Self::Tiff),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
        }
    }

    /// The longest side that a file can have.
    fn longest_side(self) -> u32 {
        match self {
            Self::Png => i32::MAX as u32,
            Self::Jpeg => u16::MAX.into(),
            Self::Tiff => u32::MAX,
            Self::WebP => (1 << 14) - 1,
        }
    }

    /// The depth nearest to `wanted`.
    fn depth(self, wanted: Depth) -> Depth {
        match (self, wanted) {
            (Self::Jpeg | Self::WebP, _) => Depth::Eight,
            (Self::Png, Depth::Float) => Depth::Sixteen,
            _ => wanted,
        }
    }

    /// Channels that hold what `wanted` holds, but for alpha where the format has none.
    fn channels(self, wanted: Channels, depth: Depth) -> Channels {
        match (self, wanted) {
            (Self::Jpeg, _) => Channels::new(wanted.is_colour(), false),
            // WebP stores no gray, so that a gray profile would not fit what is decoded.
            (Self::WebP, _) => Channels::new(true, wanted.has_alpha()),
            (Self::Tiff, Channels::GrayAlpha) => Channels::Rgba,
            (Self::Tiff, _) if depth == Depth::Float => Channels::new(true, wanted.has_alpha()),
            _ => wanted,
        }
    }
}

/// Where the result goes.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    format: Format,
}

impl Target {
    /// Checks, before any work is done, that a file can be written at `path`.
    ///
    /// # Errors
    /// When the extension is not of a known format, or the folder is missing or not writable.
    pub fn new(path: &Path) -> Result<Self> {
        let format = path
            .extension()
            .and_then(|extension| Format::from_extension(extension.to_str()?))
            .ok_or_else(|| {
                Error::new(
                    Kind::File,
                    format!("cannot tell the format of the output {path:?}"),
                    "end its name in .png, .jpg, .tif or .webp",
                )
            })?;
        // What a link leads to is replaced, not the link.
        let target = Self {
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            format,
        };
        if target.path.is_dir() {
            return Err(Error::new(
                Kind::File,
                format!("the output {path:?} is a folder"),
                "name a file in it",
            ));
        }
        if !target.folder().is_dir() {
            return Err(Error::new(
                Kind::File,
                format!("the folder {:?} of the output does not exist", target.folder()),
                "make it first, or choose another",
            ));
        }
        target.temporary_file()?;
        Ok(target)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn unwritable(&self, reason: impl std::fmt::Display) -> Error {
        Error::new(
            Kind::File,
            format!("cannot write the output {:?}: {reason}", self.path),
            "check the folder's permissions and free space, or choose another",
        )
    }

    /// An empty file in the output's folder, with the permissions that the output shall have; it goes away when dropped.
    fn temporary_file(&self) -> Result<tempfile::NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".pentimento-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file; the process's umask takes its share.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        builder
            .tempfile_in(self.folder())
            .map_err(|error| self.unwritable(error))
    }

    /// Writes `picture`, of the channels that `plan` was made for, in place of what was at the path; on failure what
    /// was there stays.
    pub fn write(&self, picture: &Picture, plan: &Plan) -> Result<()> {
        let mut picture = picture.fitted(false, plan.channels.has_alpha());
        if let Some(profile) = &plan.profile {
            profile
                .convert_from_srgb(&mut picture)
                .map_err(|reason| self.unwritable(reason))?;
        }
        let picture = picture.fitted(plan.channels.is_colour(), true);
        let mut file = self.temporary_file()?;
        let mut writer = BufWriter::new(file.as_file_mut());
        encode(&mut writer, self.format, &picture, plan).map_err(|error| self.unwritable(error))?;
        writer.flush().map_err(|error| self.unwritable(error))?;
        drop(writer);
        if let Ok(old) = fs::metadata(&self.path) {
            file.as_file()
                .set_permissions(old.permissions())
                .map_err(|error| self.unwritable(error))?;
        }
        file.as_file().sync_all().map_err(|error| self.unwritable(error))?;
        file.persist(&self.path).map_err(|error| self.unwritable(error.error))?;
        Ok(())
    }
}

/// How a result will be stored, decided before it is rendered.
pub struct Plan {
    /// The channels that the render should have.
    pub rendered: Channels,
    /// The channels of the file.
    channels: Channels,
    depth: Depth,
    /// The profile of the file; without one it is sRGB.
    profile: Option<Profile>,
    /// What the format cannot keep of the content, for the user.
    pub notes: Vec<String>,
}

impl Plan {
    /// Plans to store the result like `content`, or in colour even if that is gray.
    ///
    /// # Errors
    /// When the picture is too large for the format.
    pub fn new(target: &Target, content: &PictureFile, in_colour: bool) -> Result<Self> {
        let (format, picture) = (target.format, &content.picture);
        if picture.width.max(picture.height) > format.longest_side() {
            return Err(Error::new(
                Kind::File,
                format!(
                    "a {} file cannot hold {} x {} pixels, at most {} a side",
                    format.name(),
                    picture.width,
                    picture.height,
                    format.longest_side()
                ),
                "choose another format, or a smaller --size",
            ));
        }
        let rendered = Channels::new(picture.channels.is_colour() || in_colour, picture.channels.has_alpha());
        let depth = format.depth(content.depth);
        let channels = format.channels(rendered, depth);
        let mut notes = Vec::new();
        if !rendered.is_colour() {
            notes.push("the content is gray, so the result is gray; --colour paints in the styles' colours".to_owned());
        }
        if rendered.has_alpha() && !channels.has_alpha() {
            notes.push(format!(
                "{} has no transparency; the result is laid over white",
                format.name()
            ));
        }
        if depth != content.depth {
            let bits = if depth == Depth::Eight { 8 } else { 16 };
            notes.push(format!(
                "{} stores {bits} bits per sample, fewer than the content",
                format.name()
            ));
        }
        let profile = content
            .profile
            .as_ref()
            .and_then(|profile| match keep(profile, channels) {
                Ok(()) => Some(profile.clone()),
                Err(reason) => {
                    notes.push(format!("the result is stored as sRGB: {:?} {reason}", profile.name()));
                    None
                }
            });
        Ok(Self {
            rendered,
            channels,
            depth,
            profile,
            notes,
        })
    }
}

/// Whether pixels of `channels` can be converted to the profile, or why not.
fn keep(profile: &Profile, channels: Channels) -> Result<(), &'static str> {
    if profile.space() == Space::Gray && channels.is_colour() {
        Err("is for gray pictures, and the result is stored with red, green and blue")
    } else if !profile.is_reversible() {
        Err("describes how to read colours only")
    } else {
        Ok(())
    }
}

fn encode(
    file: &mut (impl Write + std::io::Seek),
    format: Format,
    picture: &Picture,
    plan: &Plan,
) -> Result<(), ImageError> {
    match format {
        Format::Png => {
            let (compression, filter) = (png::CompressionType::Default, png::FilterType::Adaptive);
            encode_with(
                png::PngEncoder::new_with_quality(file, compression, filter),
                picture,
                plan,
            )
        }
        Format::Jpeg => encode_with(jpeg::JpegEncoder::new_with_quality(file, JPEG_QUALITY), picture, plan),
        Format::Tiff => encode_with(tiff::TiffEncoder::new(file), picture, plan),
        Format::WebP => encode_with(webp::WebPEncoder::new_lossless(file), picture, plan),
    }
}

fn encode_with(mut encoder: impl ImageEncoder, picture: &Picture, plan: &Plan) -> Result<(), ImageError> {
    if let Some(profile) = &plan.profile {
        encoder
            .set_icc_profile(profile.bytes().to_vec())
            .map_err(ImageError::Unsupported)?;
    }
    // Casts from float to integer saturate and take NaN to 0.
    let scaled = |scale: f32| picture.samples.iter().map(move |sample| (sample * scale).round());
    let bytes: Vec<u8> = match plan.depth {
        Depth::Eight => scaled(255.0).map(|sample| sample as u8).collect(),
        Depth::Sixteen => scaled(65535.0)
            .flat_map(|sample| (sample as u16).to_ne_bytes())
            .collect(),
        Depth::Float => picture.samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect(),
    };
    let kind = match (plan.depth, picture.channels) {
        (Depth::Eight, Channels::Gray) => ExtendedColorType::L8,
        (Depth::Eight, Channels::GrayAlpha) => ExtendedColorType::La8,
        (Depth::Eight, Channels::Rgb) => ExtendedColorType::Rgb8,
        (Depth::Eight, Channels::Rgba) => ExtendedColorType::Rgba8,
        (Depth::Sixteen, Channels::Gray) => ExtendedColorType::L16,
        (Depth::Sixteen, Channels::GrayAlpha) => ExtendedColorType::La16,
        (Depth::Sixteen, Channels::Rgb) => ExtendedColorType::Rgb16,
        (Depth::Sixteen, Channels::Rgba) => ExtendedColorType::Rgba16,
        (Depth::Float, Channels::Gray | Channels::Rgb) => ExtendedColorType::Rgb32F,
        (Depth::Float, Channels::GrayAlpha | Channels::Rgba) => ExtendedColorType::Rgba32F,
    };
    encoder.write_image(&bytes, picture.width, picture.height, kind)
}
