//! Two cypresses: dark flames in front of the light.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::noise::Noise;
use crate::palette::*;
use crate::point::{Point, point, smooth_step};

struct Tree {
    x: f32,
    top: f32,
    foot: f32,
    half_width: f32,
}

const TREES: [Tree; 2] = [
    Tree {
        x: 0.225,
        top: 0.035,
        foot: 0.93,
        half_width: 0.083,
    },
    Tree {
        x: 0.375,
        top: 0.40,
        foot: 0.90,
        half_width: 0.050,
    },
];

pub struct Cypresses {
    noise: Noise,
}

impl Cypresses {
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        Self { noise: Noise::new(rng) }
    }

    pub fn cover(&self, place: Point) -> bool {
        TREES.iter().any(|tree| self.across(tree, place).abs() < 1.0)
    }

    /// Upwards, in tongues that lick outwards.
    pub fn direction(&self, place: Point) -> Point {
        let outwards = self.nearest(place).clamp(-1.0, 1.0);
        let lick = 0.8 * self.noise.at(point(9.0 * place.x, 6.0 * place.y));
        point(0.35 * outwards + lick, -1.0).normalised()
    }

    pub fn colour(&self, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        let across = self.nearest(place);
        let tongue = 0.5 + 0.9 * self.noise.at(point(24.0 * place.x, 7.0 * place.y));
        let mut colour = ramp(
            &[MIDNIGHT, BOTTLE_GREEN, BOTTLE_GREEN, VIRIDIAN, OLIVE],
            tongue + 0.55 * (rng.random::<f32>() - 0.5),
        );
        // The sun is to the right.
        let rim = smooth_step(0.35, 1.0, across);
        if rng.random::<f32>() < 0.55 * rim {
            colour = mix(colour, mix(OCHRE, SIENNA, rng.random()), 0.7);
        }
        let accent: f32 = rng.random();
        if accent < 0.06 {
            colour = mix(OLIVE, TEAL, rng.random());
        } else if accent < 0.10 {
            colour = mix(SIENNA, UMBER, rng.random());
        } else if accent < 0.14 {
            colour = mix(ULTRAMARINE, VIOLET, rng.random());
        }
        colour
    }

    /// The position across the tree that is nearest: -1 at its left edge, 1 at its right.
    fn nearest(&self, place: Point) -> f32 {
        let across = TREES.map(|tree| self.across(&tree, place));
        if across[1].abs() < across[0].abs() {
            across[1]
        } else {
            across[0]
        }
    }

    fn across(&self, tree: &Tree, place: Point) -> f32 {
        let height = (place.y - tree.top) / (tree.foot - tree.top);
        if !(0.0..=1.0).contains(&height) {
            return f32::INFINITY.copysign(place.x - tree.x);
        }
        let flame = smooth_step(0.0, 0.62, height) * (1.0 - 0.55 * smooth_step(0.72, 1.0, height));
        let ragged = 1.0 + 0.55 * self.noise.fractal(point(6.0 * tree.x, 9.0 * place.y), 2);
        let sway = 0.022 * self.noise.at(point(3.0 * tree.x, 4.0 * place.y));
        let side = if place.x > tree.x { 3.0 } else { 0.0 };
        let licks = 1.0 + 0.4 * self.noise.at(point(side + tree.x, 17.0 * place.y));
        (place.x - tree.x - sway) / (tree.half_width * flame * ragged * licks).max(0.004)
    }
}
