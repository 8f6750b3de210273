//! Two ranges of hills on the far shore, blue with distance, with a rim of light towards the sun.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{HORIZON, SUN};
use crate::noise::Noise;
use crate::palette::*;
use crate::point::{Point, point, smooth_step, wave};

pub struct Hills {
    noise: Noise,
}

impl Hills {
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        Self { noise: Noise::new(rng) }
    }

    pub fn cover(&self, place: Point) -> bool {
        place.y < HORIZON && place.y > self.crest(0, place.x).min(self.crest(1, place.x))
    }

    /// Along the slope, more and more level towards the water.
    pub fn direction(&self, place: Point) -> Point {
        let range = self.range(place);
        let slope = (self.crest(range, place.x + 0.01) - self.crest(range, place.x - 0.01)) / 0.02;
        let depth = self.depth(range, place);
        let swirl = 0.35 * self.noise.at(place * 9.0);
        point(1.0, 1.5 * slope * (1.0 - 0.7 * depth) + swirl).normalised()
    }

    pub fn colour(&self, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        let range = self.range(place);
        let depth = self.depth(range, place);
        let paints: &[Colour] = if range == 0 {
            &[MAUVE, MAUVE, VIOLET]
        } else {
            &[VIOLET, VIOLET, ULTRAMARINE]
        };
        let patch = 0.5 + 0.7 * self.noise.fractal(place * 11.0 + point(3.0, 0.0), 2);
        let mut colour = mix(ramp(paints, patch + 0.5 * (rng.random::<f32>() - 0.5)), MIDNIGHT, 0.2);
        // Fields and folds that run with the slope.
        let fold = wave(3.2 * depth + 0.8 * patch) + 0.4 * (rng.random::<f32>() - 0.5);
        if fold > 0.72 {
            colour = mix(colour, ramp(&[TEAL, MAUVE, SIENNA], rng.random()), 0.45);
        } else if fold < 0.22 {
            colour = mix(colour, MIDNIGHT, 0.5);
        }
        let towards_sun = 1.0 - smooth_step(0.05, 0.55, (place.x - SUN.x).abs());
        let rim = (1.0 - smooth_step(0.0, 0.30, depth)) * towards_sun;
        colour = mix(colour, ramp(&[ORANGE, VERMILION, MAUVE], depth * 2.0), 0.8 * rim);
        if rng.random::<f32>() < 0.06 {
            colour = mix(colour, if rng.random::<f32>() < 0.4 { CERULEAN } else { SIENNA }, 0.7);
        }
        colour
    }

    /// The height of the crest of the far (0) or the near (1) range.
    fn crest(&self, range: usize, x: f32) -> f32 {
        if range == 0 {
            HORIZON - 0.085 - 0.05 * self.noise.fractal(point(3.1 * x, 0.5), 3) - 0.05 * smooth_step(0.75, 0.2, x)
        } else {
            let rise = 0.115 * smooth_step(0.62, 0.05, x) + 0.07 * smooth_step(0.98, 1.3, x);
            HORIZON - 0.012 - rise - 0.035 * self.noise.fractal(point(4.3 * x, 7.5), 3)
        }
    }

    fn range(&self, place: Point) -> usize {
        usize::from(place.y > self.crest(1, place.x))
    }

    /// 0 at the crest, 1 at the water.
    fn depth(&self, range: usize, place: Point) -> f32 {
        let crest = self.crest(range, place.x);
        ((place.y - crest) / (HORIZON - crest).max(0.01)).clamp(0.0, 1.0)
    }
}
