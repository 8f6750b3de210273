//! Between sRGB-encoded samples and light.
//!
//! The curves are evaluated in double precision: in single precision white comes back as 0.99999994, and whoever paints
//! with linear floats would find every white pixel changed.

use palette::encoding::{FromLinear, IntoLinear, Srgb};

/// The shares of red, green and blue light in luminance (ITU-R BT.709, whose primaries sRGB has).
const LUMINANCE: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// The sRGB-encoded sample for an amount of light, both 0 to 1.
pub(super) fn encode(light: f32) -> f32 {
    <Srgb as FromLinear<f64, f64>>::from_linear(f64::from(light)).clamp(0.0, 1.0) as f32
}

/// The amount of light of an sRGB-encoded sample, both 0 to 1.
pub(super) fn decode(sample: f32) -> f32 {
    <Srgb as IntoLinear<f64, f64>>::into_linear(f64::from(sample)).clamp(0.0, 1.0) as f32
}

/// The sRGB-encoded gray of the same luminance as an sRGB-encoded colour. A gray remains exactly what it is.
pub(super) fn gray(colour: [f32; 3]) -> f32 {
    let [red, green, blue] = colour;
    if red == green && green == blue {
        return red;
    }
    encode((0..3).map(|i| LUMINANCE[i] * decode(colour[i])).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_white_are_exact() {
        for value in [0.0, 1.0] {
            assert_eq!(encode(value), value);
            assert_eq!(decode(value), value);
            assert_eq!(gray([value; 3]), value);
        }
    }

    #[test]
    fn the_curves_are_inverse_and_rise() {
        let mut last = -1.0;
        for step in 0..=100_000 {
            let sample = step as f32 / 100_000.0;
            let light = decode(sample);
            assert!(light > last, "at {sample}");
            last = light;
            assert!((encode(light) - sample).abs() < 1e-7, "at {sample}");
        }
        assert!((decode(0.5) - 0.214_041_14).abs() < 1e-7);
    }

    #[test]
    fn gray_has_the_luminance_of_the_colour() {
        assert!((decode(gray([1.0, 0.0, 0.0])) - 0.2126).abs() < 1e-6);
        assert!((decode(gray([0.0, 1.0, 0.0])) - 0.7152).abs() < 1e-6);
        assert!((decode(gray([0.0, 0.0, 1.0])) - 0.0722).abs() < 1e-6);
        for step in 0..=1000 {
            let sample = step as f32 / 1000.0;
            assert_eq!(gray([sample; 3]), sample);
        }
    }
}
