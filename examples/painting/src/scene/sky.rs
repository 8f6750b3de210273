//! The sky: currents and whirls, the sun in its rings, and the first stars.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{HORIZON, Manner, SUN};
use crate::field::{Field, Vortex};
use crate::noise::Noise;
use crate::palette::*;
use crate::point::{Point, point, smooth_step, wave};

const SUN_RADIUS: f32 = 0.062;

pub struct Sky {
    field: Field,
    /// Places and radii.
    stars: [(Point, f32); 4],
}

/// Whirls of the wind, whose eyes catch the light.
const WHIRLS: [(Point, f32, f32); 3] = [
    (point(0.535, 0.225), 0.105, -0.26),
    (point(0.385, 0.36), 0.075, 0.17),
    (point(1.02, 0.115), 0.075, -0.16),
];

impl Sky {
    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        let whirl = |centre, radius, strength| Vortex {
            centre,
            radius,
            strength,
        };
        let stars = [
            (point(0.085, 0.13), 0.027),
            (point(0.72, 0.075), 0.024),
            (point(0.44, 0.055), 0.018),
            (point(1.17, 0.17), 0.021),
        ];
        let mut vortices = vec![whirl(SUN, 0.17, 0.42)];
        vortices.extend(WHIRLS.map(|(eye, radius, strength)| whirl(eye, radius, strength)));
        vortices.extend(
            stars
                .iter()
                .map(|&(place, radius)| whirl(place, 1.3 * radius, 6.5 * radius)),
        );
        let field = Field {
            noise: Noise::new(rng),
            frequency: 2.3,
            turbulence: 0.16,
            vortices,
        };
        Self { field, stars }
    }

    pub fn direction(&self, place: Point) -> Point {
        self.field.direction(place)
    }

    pub fn manner(&self, place: Point) -> Manner {
        let near_sun = 1.0 - smooth_step(0.5 * SUN_RADIUS, 5.0 * SUN_RADIUS, (place - SUN).length());
        let near_star = self.starlight(place);
        let fine = near_sun.max(near_star);
        Manner {
            length: 1.1 - 0.5 * fine,
            width: 1.0 - 0.35 * fine,
        }
    }

    pub fn colour(&self, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        let from_sun = (place - SUN).length();
        if from_sun < SUN_RADIUS * (0.96 + 0.08 * rng.random::<f32>()) {
            let rim = from_sun / SUN_RADIUS + 0.3 * (rng.random::<f32>() - 0.5);
            return ramp(&[CREAM, LEMON, GOLD], rim);
        }
        let warmth = 1.0 - smooth_step(0.10, 0.50, from_sun + 0.35 * (SUN.y - place.y).max(0.0));
        let air = Self::air(place, warmth, rng);
        let banded = self.banded(air, place, warmth, rng);
        self.lamps(banded, place, rng)
    }

    /// The colour of the air: height above the shore darkens it, nearness to the sun (`warmth`) heats it.
    fn air(place: Point, warmth: f32, rng: &mut ChaCha8Rng) -> Colour {
        let height = ((HORIZON - place.y) / HORIZON).clamp(0.0, 1.0);
        let night = [CELADON, CERULEAN, COBALT, ULTRAMARINE, ULTRAMARINE, MIDNIGHT];
        let dusk = ramp(&[OCHRE, ORANGE, MAUVE], 1.6 * height + 0.2 * rng.random::<f32>());
        let dusk_share = 0.75 * smooth_step(0.40, 0.05, height) * smooth_step(0.2, 1.0, place.x);
        let rings = ((place - SUN).length() - SUN_RADIUS) / 0.42 + 0.05 * (rng.random::<f32>() - 0.5);
        let glow = ramp(&[GOLD, ORANGE, OCHRE, CELADON, CERULEAN], rings);
        mix(mix(ramp(&night, 0.15 + 0.95 * height), dusk, dusk_share), glow, warmth)
    }

    /// Light and dark bands along the streamlines.
    fn banded(&self, air: Colour, place: Point, warmth: f32, rng: &mut ChaCha8Rng) -> Colour {
        let band = wave(6.5 * self.field.stream(place)) + 0.35 * (rng.random::<f32>() - 0.5);
        let cool = 1.0 - warmth;
        if rng.random::<f32>() < 0.045 * cool {
            // A few dips into the complement keep the blue alive.
            mix(air, if rng.random::<f32>() < 0.5 { OCHRE } else { MAUVE }, 0.75)
        } else if band > 0.62 {
            let light = mix(air, mix(CERULEAN, CELADON, rng.random()), 0.6 * cool);
            mix(light, LEMON, 0.45 * warmth)
        } else if band < 0.3 {
            let dark = mix(air, mix(MIDNIGHT, TEAL, 0.5 * rng.random::<f32>()), 0.5 * cool);
            mix(
                dark,
                VERMILION,
                0.38 * warmth * smooth_step(0.09, 0.2, (place - SUN).length()),
            )
        } else {
            air
        }
    }

    /// The stars in their haloes, and the eyes of the whirls.
    fn lamps(&self, air: Colour, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        let mut colour = air;
        for (eye, radius, _) in WHIRLS {
            let light = 1.0 - (place - eye).length() / (0.8 * radius) + 0.3 * (rng.random::<f32>() - 0.5);
            let shine = ramp(&[COBALT, CERULEAN, CELADON, OCHRE], 1.2 * light);
            colour = mix(colour, shine, 0.8 * smooth_step(0.0, 0.4, light));
        }
        let star = self.starlight(place);
        let shine = star + 0.3 * (rng.random::<f32>() - 0.5);
        mix(
            colour,
            ramp(&[CERULEAN, CELADON, LEMON, CREAM], shine),
            smooth_step(0.05, 0.5, star),
        )
    }

    /// How near the nearest star is: 1 in it, 0 outside its halo.
    fn starlight(&self, place: Point) -> f32 {
        let light =
            |&(star, radius): &(Point, f32)| 1.0 - smooth_step(0.3 * radius, 2.2 * radius, (place - star).length());
        self.stars.iter().map(light).fold(0.0, f32::max)
    }
}
