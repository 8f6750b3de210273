//! The motif: an evening by the water. Each form knows where it is, which way the brush goes on it, and its colours.

mod bank;
mod cypress;
mod hills;
mod sky;
mod water;

use rand_chacha::ChaCha8Rng;

use crate::palette::Colour;
use crate::point::{Point, point};

/// Where the sun stands.
const SUN: Point = point(0.845, 0.40);
/// The height of the far shore.
const HORIZON: f32 = 0.615;

/// What a picture shows at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Sky,
    Hills,
    Water,
    Bank,
    Cypress,
}

impl Form {
    pub const BACK_TO_FRONT: [Self; 5] = [Self::Sky, Self::Hills, Self::Water, Self::Bank, Self::Cypress];
}

/// How strokes on a form differ from those elsewhere, as factors.
pub struct Manner {
    pub length: f32,
    pub width: f32,
}

/// The whole motif.
pub struct Scene {
    sky: sky::Sky,
    hills: hills::Hills,
    water: water::Water,
    bank: bank::Bank,
    cypresses: cypress::Cypresses,
}

impl Scene {
    /// The width that the motif is composed for; its height is 1.
    pub const WIDTH: f32 = 1.25;

    pub fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            sky: sky::Sky::new(rng),
            hills: hills::Hills::new(rng),
            water: water::Water::new(rng),
            bank: bank::Bank::new(rng),
            cypresses: cypress::Cypresses::new(rng),
        }
    }

    pub fn form(&self, place: Point) -> Form {
        if self.cypresses.cover(place) {
            Form::Cypress
        } else if self.bank.covers(place) {
            Form::Bank
        } else if place.y > HORIZON {
            Form::Water
        } else if self.hills.cover(place) {
            Form::Hills
        } else {
            Form::Sky
        }
    }

    /// The direction of the brush, of length 1.
    pub fn direction(&self, form: Form, place: Point) -> Point {
        match form {
            Form::Sky => self.sky.direction(place),
            Form::Hills => self.hills.direction(place),
            Form::Water => self.water.direction(place),
            Form::Bank => self.bank.direction(place),
            Form::Cypress => self.cypresses.direction(place),
        }
    }

    /// One of the colours that a painter would put there.
    pub fn colour(&self, form: Form, place: Point, rng: &mut ChaCha8Rng) -> Colour {
        match form {
            Form::Sky => self.sky.colour(place, rng),
            Form::Hills => self.hills.colour(place, rng),
            Form::Water => self.water.colour(place, rng),
            Form::Bank => self.bank.colour(place, rng),
            Form::Cypress => self.cypresses.colour(place, rng),
        }
    }

    pub fn manner(&self, form: Form, place: Point) -> Manner {
        match form {
            Form::Sky => self.sky.manner(place),
            Form::Hills => Manner {
                length: 0.7,
                width: 0.8,
            },
            Form::Water => Manner {
                length: 0.7,
                width: 0.55 + 0.9 * (place.y - HORIZON),
            },
            Form::Bank => Manner {
                length: 0.6,
                width: 0.8,
            },
            Form::Cypress => Manner {
                length: 0.75,
                width: 0.72,
            },
        }
    }
}
