//! Between sRGB-encoded samples and light.

use palette::encoding::{FromLinear, IntoLinear, Srgb};

/// The shares of red, green and blue light in luminance (ITU-R BT.709, whose primaries sRGB has).
const LUMINANCE: [f32; 3] = [0.2126, 0.7152, 0.0722];

/// The sRGB-encoded sample for an amount of light, both 0 to 1.
pub(super) fn encode(light: f32) -> f32 {
    <Srgb as FromLinear<f32, f32>>::from_linear(light).clamp(0.0, 1.0)
}

/// The amount of light of an sRGB-encoded sample, both 0 to 1.
pub(super) fn decode(sample: f32) -> f32 {
    <Srgb as IntoLinear<f32, f32>>::into_linear(sample).clamp(0.0, 1.0)
}

/// The sRGB-encoded gray of the same luminance as an sRGB-encoded colour. A gray remains exactly what it is.
pub(super) fn gray(colour: [f32; 3]) -> f32 {
    let [red, green, blue] = colour;
    if red == green && green == blue {
        return red;
    }
    encode((0..3).map(|i| LUMINANCE[i] * decode(colour[i])).sum())
}
