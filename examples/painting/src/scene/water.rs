//! The water: level dashes, the sky upside down and darker, and the sun's broken path.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{HORIZON, SUN};
use crate::noise::Noise;
use crate::palette::*;
use crate::point::{Point, point, smooth_step, wave};

pub struct Water {
    noise: Noise,
}

impl Water {
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        Self { noise: Noise::new(rng) }
    }

    pub fn direction(&self, place: Point) -> Point {
        let depth = Self::depth(place);
        let swell = (0.25 + 0.45 * depth) * self.noise.at(point(5.0 * place.x, 11.0 * place.y));
        point(1.0, swell).normalised()
    }

    pub fn colour(&self, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        let depth = Self::depth(place);
        let ripple = self.noise.fractal(point(4.0 * place.x, 26.0 * place.y), 2);
        let mut colour = ramp(
            &[CERULEAN, COBALT, TEAL, ULTRAMARINE, MIDNIGHT],
            0.1 + 0.75 * depth + 0.35 * ripple,
        );
        // The shore's reflection.
        colour = mix(
            colour,
            mix(VIOLET, MIDNIGHT, 0.4),
            0.75 * smooth_step(0.16, 0.02, depth + 0.1 * ripple),
        );

        let band = wave(9.0 * (place.y + 0.03 * ripple) / (0.35 + depth)) + 0.5 * (rng.random::<f32>() - 0.5);
        if band > 0.75 {
            colour = mix(colour, mix(CERULEAN, CELADON, rng.random::<f32>()), 0.55);
        } else if band < 0.2 {
            colour = mix(colour, MIDNIGHT, 0.45);
        }
        // The sun's path: broad and bright below the shore, wider and more broken towards us.
        let aside = (place.x - SUN.x + 0.03 * ripple).abs() / (0.055 + 0.13 * depth);
        let chance = smooth_step(1.5, 0.2, aside) * (0.95 - 0.45 * depth) + 0.12 * smooth_step(4.0, 1.0, aside);
        if rng.random::<f32>() + 0.5 * ripple < chance {
            let hot = aside * 0.55 + 0.45 * rng.random::<f32>() - 0.12;
            colour = ramp(&[LEMON, GOLD, ORANGE, VERMILION, SIENNA], hot);
        }
        colour
    }

    /// 0 at the far shore, 1 at the bottom of the picture.
    fn depth(place: Point) -> f32 {
        ((place.y - HORIZON) / (1.0 - HORIZON)).clamp(0.0, 1.0)
    }
}
