//! The near bank: grass that leans with the wind, and a scatter of flowers.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::noise::Noise;
use crate::palette::*;
use crate::point::{Point, point, smooth_step};

pub struct Bank {
    noise: Noise,
}

impl Bank {
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        Self { noise: Noise::new(rng) }
    }

    pub fn covers(&self, place: Point) -> bool {
        place.y > self.edge(place.x)
    }

    pub fn direction(&self, place: Point) -> Point {
        let lean = 0.5 + 0.9 * self.noise.at(place * 5.0);
        point(lean, -0.8).normalised()
    }

    pub fn colour(&self, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        let depth = place.y - self.edge(place.x);
        let patch = 0.5 + 0.8 * self.noise.fractal(place * 7.0 + point(0.0, 5.0), 2);
        let dip = patch + 0.75 * (rng.random::<f32>() - 0.5);
        let mut colour = ramp(&[MIDNIGHT, BOTTLE_GREEN, VIRIDIAN, OLIVE, OCHRE], dip);
        colour = mix(colour, MIDNIGHT, 0.35 * smooth_step(0.25, 0.0, place.x));
        let rim = smooth_step(0.035, 0.0, depth) * smooth_step(0.25, 0.7, place.x);
        colour = mix(colour, OCHRE, 0.65 * rim);
        let accent: f32 = rng.random();
        if accent < 0.05 {
            colour = if accent < 0.02 { VERMILION } else { ORANGE };
        } else if accent < 0.12 {
            colour = mix(OCHRE, CELADON, rng.random());
        } else if accent < 0.17 {
            colour = mix(COBALT, VIOLET, rng.random());
        }
        colour
    }

    fn edge(&self, x: f32) -> f32 {
        0.80 + 0.165 * smooth_step(0.1, 1.2, x) + 0.035 * self.noise.fractal(point(3.5 * x, 2.5), 3)
    }
}
