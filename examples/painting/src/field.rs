//! The currents of the sky: a stream function whose level lines the brush follows.
//!
//! Where a direction field is drawn at random, strokes run into one another. The curl of a scalar function never
//! does that (Bridson and others, Curl-Noise for Procedural Fluid Flow, 2007): its streamlines are the level lines of
//! the function, so they neither begin nor end, and bands of colour that follow the function's value lie along the
//! strokes. The function here is a steady wind, noise, and a hill or hollow for each vortex.

use crate::noise::Noise;
use crate::point::{Point, point};

/// A whirl; strokes circle around its centre.
pub struct Vortex {
    pub centre: Point,
    /// Where the whirl is at its strongest.
    pub radius: f32,
    /// The height of its hill in the stream function; the sign is the sense of rotation.
    pub strength: f32,
}

/// A stream function.
pub struct Field {
    pub noise: Noise,
    /// The features of the noise per height of the picture.
    pub frequency: f32,
    /// The height of the noise.
    pub turbulence: f32,
    pub vortices: Vec<Vortex>,
}

impl Field {
    /// The stream function. Its steady wind alone would be the height `y`.
    pub fn stream(&self, place: Point) -> f32 {
        let noise = self.turbulence * self.noise.fractal(place * self.frequency, 3);
        let whirls: f32 = self
            .vortices
            .iter()
            .map(|vortex| {
                let offset = place - vortex.centre;
                let distance = offset.dot(offset) / (vortex.radius * vortex.radius);
                vortex.strength / ((1.0 + distance) * (1.0 + 0.5 * distance))
            })
            .sum();
        place.y + noise + whirls
    }

    /// The direction of the streamline through a place, of length 1.
    pub fn direction(&self, place: Point) -> Point {
        const STEP: f32 = 2e-3;
        let dx = self.stream(place + point(STEP, 0.0)) - self.stream(place - point(STEP, 0.0));
        let dy = self.stream(place + point(0.0, STEP)) - self.stream(place - point(0.0, STEP));
        point(dy, -dx).normalised()
    }
}
