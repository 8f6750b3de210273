//! The paints. Few pigments, used everywhere in different shares, hold a picture together; blue-greens stand against
//! their complements, the oranges and ochres.
//!
//! Colours are sRGB-encoded, 0 to 1. Mixing in that space is not physics, but it is even to the eye.

use rand::Rng;

/// Red, green, blue.
pub type Colour = [f32; 3];

const fn hex(code: u32) -> Colour {
    [
        ((code >> 16) & 255) as f32 / 255.0,
        ((code >> 8) & 255) as f32 / 255.0,
        (code & 255) as f32 / 255.0,
    ]
}

pub const MIDNIGHT: Colour = hex(0x10163f);
pub const ULTRAMARINE: Colour = hex(0x1f2f8c);
pub const COBALT: Colour = hex(0x2f63b8);
pub const CERULEAN: Colour = hex(0x4f9ac8);
pub const TEAL: Colour = hex(0x1f7f86);
pub const VIRIDIAN: Colour = hex(0x1c5a4c);
pub const BOTTLE_GREEN: Colour = hex(0x12312c);
pub const OLIVE: Colour = hex(0x5f6a26);
pub const CELADON: Colour = hex(0x9cc7a4);
pub const VIOLET: Colour = hex(0x4a3a7c);
pub const MAUVE: Colour = hex(0x8a5a86);
pub const UMBER: Colour = hex(0x3a2420);
pub const SIENNA: Colour = hex(0x9c4a22);
pub const VERMILION: Colour = hex(0xd8472a);
pub const ORANGE: Colour = hex(0xee8426);
pub const OCHRE: Colour = hex(0xd9a23a);
pub const GOLD: Colour = hex(0xf7c440);
pub const LEMON: Colour = hex(0xfbe68a);
pub const CREAM: Colour = hex(0xfdf5d2);

/// `share` of `second` in `first`.
pub fn mix(first: Colour, second: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| first[i] + share * (second[i] - first[i]))
}

/// A position on a row of paints that blend into one another: 0 is the first, 1 the last.
pub fn ramp(paints: &[Colour], position: f32) -> Colour {
    let scaled = position.clamp(0.0, 1.0) * (paints.len() - 1) as f32;
    let index = (scaled.floor() as usize).min(paints.len() - 2);
    mix(paints[index], paints[index + 1], scaled - index as f32)
}

/// The colour as another dip of the brush gives it: a little lighter or darker, warmer or colder.
pub fn vary(colour: Colour, amount: f32, rng: &mut impl Rng) -> Colour {
    let value = 1.0 + amount * (rng.random::<f32>() + rng.random::<f32>() - 1.0);
    let warmth = 0.4 * amount * (rng.random::<f32>() + rng.random::<f32>() - 1.0);
    let shifts = [warmth, 0.25 * warmth, -warmth];
    std::array::from_fn(|i| (colour[i] * value + shifts[i]).clamp(0.0, 1.0))
}
