//! The pictures that are rendered: the samples of the repository, made small, in 8-bit sRGB.

use std::fs;
use std::path::Path;

use image::imageops::FilterType;
use pentimento_host::{Format, Image, Layout, Shape, Transfer};

/// A picture of 8-bit sRGB pixels without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// How they lie in `bytes`.
    pub shape: Shape,
    /// The samples.
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// Red, green and blue of `width` x `height` pixels.
    pub fn rgb(width: u32, height: u32, bytes: Vec<u8>) -> Self {
        Self::new(width, height, Layout::Rgb, bytes)
    }

    /// Pixels of any layout.
    pub fn new(width: u32, height: u32, layout: Layout, bytes: Vec<u8>) -> Self {
        let shape = Shape::packed(width, height, Format::U8, layout, Transfer::Srgb);
        assert_eq!(shape.bytes().ok(), Some(bytes.len()), "{shape:?}");
        Self { shape, bytes }
    }

    /// The picture as the plugin is lent it.
    pub fn image(&self) -> Image<'_> {
        Image::new(&self.bytes, self.shape).expect("they fit")
    }

    /// Writes an RGB picture as a binary PPM file.
    pub fn write_ppm(&self, path: &Path) {
        assert_eq!(self.shape.layout, Layout::Rgb);
        let mut file = format!("P6\n{} {}\n255\n", self.shape.width, self.shape.height).into_bytes();
        file.extend(&self.bytes);
        fs::write(path, file).expect("a PPM file can be written");
    }

    /// Writes an RGB picture as a PNG file that says nothing of colours, which editors take for sRGB.
    pub fn write_png(&self, path: &Path) {
        assert_eq!(self.shape.layout, Layout::Rgb);
        let colours = image::ExtendedColorType::Rgb8;
        image::save_buffer(path, &self.bytes, self.shape.width, self.shape.height, colours).expect("a PNG is written");
    }

    /// Reads what [`Pixels::write_ppm`] and the example hosts write.
    pub fn read_ppm(path: &Path) -> Self {
        let file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut parts = file.splitn(4, |&byte| byte == b'\n');
        let mut line = || std::str::from_utf8(parts.next().expect("a header of three lines")).expect("text");
        assert_eq!(line(), "P6");
        let (width, height) = line().split_once(' ').expect("width and height");
        let (width, height) = (width.parse().expect("a width"), height.parse().expect("a height"));
        assert_eq!(line(), "255");
        Self::rgb(width, height, parts.next().expect("pixels").to_vec())
    }
}

/// A sample in a file's bytes: what is built on one machine may run on another, which has no repository.
fn sample(file: &[u8], longer: u32) -> Pixels {
    let picture = image::load_from_memory(file).expect("the sample is a picture");
    let picture = picture.resize(longer, longer, FilterType::Triangle).into_rgb8();
    Pixels::rgb(picture.width(), picture.height(), picture.into_raw())
}

/// The photograph of the samples, its longer side `longer` pixels.
pub fn content(longer: u32) -> Pixels {
    sample(include_bytes!("../../examples/pictures/chelsea.png"), longer)
}

/// The painting of the samples, its longer side `longer` pixels.
pub fn style(longer: u32) -> Pixels {
    sample(include_bytes!("../../examples/pictures/painting.png"), longer)
}

/// Writes a floating-point TIFF of which a sample is no number.
///
/// # Panics
/// When it cannot be written.
pub fn write_damaged(path: &Path) {
    let mut picture = image::Rgb32FImage::from_pixel(24, 16, image::Rgb([0.2, 0.5, 0.3]));
    picture.get_pixel_mut(5, 5).0[1] = f32::NAN;
    picture.save(path).expect("a TIFF is written");
}
