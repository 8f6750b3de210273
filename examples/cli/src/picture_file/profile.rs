//! ICC profiles: from a file's colours to sRGB and back.
//!
//! Most profiles are curves and a matrix. Those are computed here in double precision, so that an 8-bit or 16-bit
//! sample that goes to sRGB and back arrives where it was; colours that sRGB cannot hold leave the range 0 to 1 on the
//! way in, and it is the plugin, which paints in sRGB, that brings them to its gamut. Profiles made of multidimensional
//! tables (scanners, printers' proofs) are left to moxcms, at its precision.

use moxcms::{
    CmsError, ColorProfile, DataColorSpace, Layout, Matrix3d, ProfileText, RenderingIntent, TransformOptions,
};

use super::curve::Curve;
use super::{Channels, Picture};

/// The colour model of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// One gray channel.
    Gray,
    /// Red, green, blue.
    Rgb,
}

/// A file's profile.
#[derive(Clone)]
pub struct Profile {
    bytes: Vec<u8>,
    profile: ColorProfile,
    space: Space,
    method: Method,
}

/// How a profile's colours are converted.
#[derive(Clone)]
enum Method {
    /// Not at all: the profile is sRGB's own, or gray with its curve, but for how it was rounded. Each program rounds it
    /// in another way, and to follow that would make other pictures of the same numbers.
    Same,
    /// One curve.
    Gray(Curve),
    /// A curve for each channel, and matrices between the profile's linear RGB and sRGB's.
    Matrix {
        curves: Box<[Curve; 3]>,
        to_srgb: Matrix3d,
        from_srgb: Matrix3d,
    },
    /// Tables of several dimensions.
    Tables,
}

/// Which way colours go.
#[derive(Clone, Copy)]
enum Direction {
    ToSrgb,
    FromSrgb,
}

impl Profile {
    /// Reads a profile from the bytes that a file carries.
    ///
    /// # Errors
    /// A clause that says why the profile cannot be used: it is damaged, or neither gray nor RGB.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let profile = ColorProfile::new_from_slice(&bytes)
            .map_err(|error| format!("its colour profile cannot be read ({error})"))?;
        let space = match profile.color_space {
            DataColorSpace::Gray => Space::Gray,
            DataColorSpace::Rgb => Space::Rgb,
            other => {
                return Err(format!(
                    "its colour profile is for {other:?} pictures, not for gray or RGB ones"
                ));
            }
        };
        let method = Method::of(&profile);
        Ok(Self {
            bytes,
            profile,
            space,
            method,
        })
    }

    /// The profile as it stood in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The colour model.
    pub fn space(&self) -> Space {
        self.space
    }

    /// The name that the profile gives itself, or a general one.
    pub fn name(&self) -> &str {
        match &self.profile.description {
            Some(ProfileText::PlainString(name)) => name,
            Some(ProfileText::Localizable(names)) => names.first().map_or("an ICC profile", |name| &name.value),
            Some(ProfileText::Description(name)) => &name.ascii_string,
            None => "an ICC profile",
        }
        .trim_end_matches('\0')
    }

    /// Whether colours can be converted to this profile, not only from it: profiles of cameras and scanners may lack
    /// the way back.
    pub fn is_reversible(&self) -> bool {
        match &self.method {
            Method::Same => true,
            Method::Gray(curve) => curve.is_reversible(),
            Method::Matrix { curves, from_srgb, .. } => {
                let numbers_are_finite = from_srgb.v.iter().flatten().all(|number| number.is_finite());
                numbers_are_finite && curves.iter().all(Curve::is_reversible)
            }
            Method::Tables => {
                let mut pixel = Picture::new(1, 1, Channels::new(self.space == Space::Rgb, false));
                self.convert_by_tables(&mut pixel, Direction::FromSrgb).is_ok()
            }
        }
    }

    /// Converts `picture` from this profile to sRGB.
    ///
    /// # Errors
    /// A clause, when the picture's channels are not those of the profile or its tables are unusable.
    pub fn convert_to_srgb(&self, picture: &mut Picture) -> Result<(), String> {
        self.convert(picture, Direction::ToSrgb)
    }

    /// Converts `picture` from sRGB to this profile, which must be reversible.
    ///
    /// # Errors
    /// As of [`Profile::convert_to_srgb`].
    pub fn convert_from_srgb(&self, picture: &mut Picture) -> Result<(), String> {
        self.convert(picture, Direction::FromSrgb)
    }

    fn convert(&self, picture: &mut Picture, direction: Direction) -> Result<(), String> {
        if picture.channels.is_colour() != (self.space == Space::Rgb) {
            return Err(format!("its colour profile is for {:?} pictures", self.space));
        }
        let count = picture.channels.count();
        match &self.method {
            Method::Same => {}
            Method::Gray(curve) => {
                let (from, to) = direction.order(curve, &Curve::SRGB);
                for pixel in picture.samples.chunks_exact_mut(count) {
                    pixel[0] = to.encoded(from.light(pixel[0].into())) as f32;
                }
            }
            Method::Matrix {
                curves,
                to_srgb,
                from_srgb,
            } => {
                let matrix = match direction {
                    Direction::ToSrgb => to_srgb,
                    Direction::FromSrgb => from_srgb,
                };
                for pixel in picture.samples.chunks_exact_mut(count) {
                    let light: [f64; 3] = std::array::from_fn(|channel| {
                        direction
                            .order(&curves[channel], &Curve::SRGB)
                            .0
                            .light(pixel[channel].into())
                    });
                    for (channel, row) in matrix.v.iter().enumerate() {
                        let light = row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
                        pixel[channel] = direction.order(&curves[channel], &Curve::SRGB).1.encoded(light) as f32;
                    }
                }
            }
            Method::Tables => self
                .convert_by_tables(picture, direction)
                .map_err(|error| format!("its colour profile cannot be applied ({error})"))?,
        }
        Ok(())
    }

    fn convert_by_tables(&self, picture: &mut Picture, direction: Direction) -> Result<(), CmsError> {
        let layout = match picture.channels {
            Channels::Gray => Layout::Gray,
            Channels::GrayAlpha => Layout::GrayAlpha,
            Channels::Rgb => Layout::Rgb,
            Channels::Rgba => Layout::Rgba,
        };
        let srgb = match self.space {
            Space::Gray => ColorProfile::new_gray_with_gamma(2.2),
            Space::Rgb => ColorProfile::new_srgb(),
        };
        let (from, to) = direction.order(&self.profile, &srgb);
        let options = TransformOptions {
            rendering_intent: RenderingIntent::RelativeColorimetric,
            prefer_fixed_point: false,
            ..TransformOptions::default()
        };
        let transform = from.create_transform_f32(layout, to, layout, options)?;
        let mut row_before = vec![0.0; picture.width as usize * picture.channels.count()];
        for row in picture.samples.chunks_exact_mut(row_before.len()) {
            row_before.copy_from_slice(row);
            transform.transform(&row_before, row)?;
        }
        Ok(())
    }
}

impl Method {
    fn of(profile: &ColorProfile) -> Self {
        // By the specification, tables go before curves and matrix where a profile has both.
        let tables = [
            &profile.lut_a_to_b_perceptual,
            &profile.lut_a_to_b_colorimetric,
            &profile.lut_b_to_a_perceptual,
            &profile.lut_b_to_a_colorimetric,
        ];
        if tables.iter().any(|table| table.is_some()) || profile.pcs != DataColorSpace::Xyz {
            return Self::Tables;
        }
        let curve = |curve: &Option<_>| curve.as_ref().and_then(Curve::new);
        let curves = (
            curve(&profile.red_trc),
            curve(&profile.green_trc),
            curve(&profile.blue_trc),
        );
        match (profile.color_space, curve(&profile.gray_trc), curves) {
            (DataColorSpace::Gray, Some(curve), _) if is_srgb(&curve) => Self::Same,
            (DataColorSpace::Gray, Some(curve), _) => Self::Gray(curve),
            (DataColorSpace::Rgb, _, (Some(red), Some(green), Some(blue))) => {
                let srgb = ColorProfile::new_srgb();
                let curves = Box::new([red, green, blue]);
                let to_srgb = profile.transform_matrix(&srgb);
                if curves.iter().all(is_srgb) && is_identity(&to_srgb) {
                    return Self::Same;
                }
                Self::Matrix {
                    curves,
                    to_srgb,
                    from_srgb: srgb.transform_matrix(profile),
                }
            }
            _ => Self::Tables,
        }
    }
}

/// What rounding makes of a sample at most, as a share of its range: an eighth of a step of 8 bits.
const ROUNDING: f64 = 0.125 / 255.0;

fn is_srgb(curve: &Curve) -> bool {
    (0..=255_u8).all(|code| {
        let encoded = f64::from(code) / 255.0;
        (Curve::SRGB.encoded(curve.light(encoded)) - encoded).abs() < ROUNDING
    })
}

fn is_identity(matrix: &Matrix3d) -> bool {
    let entries = matrix.v.iter().flatten().enumerate();
    // Of nine entries, every fourth is on the diagonal.
    entries
        .map(|(place, entry)| entry - if place % 4 == 0 { 1.0 } else { 0.0 })
        .all(|error| error.abs() < ROUNDING)
}

impl Direction {
    /// Where colours come from and where they go.
    fn order<T>(self, profile: T, srgb: T) -> (T, T) {
        match self {
            Self::ToSrgb => (profile, srgb),
            Self::FromSrgb => (srgb, profile),
        }
    }
}
