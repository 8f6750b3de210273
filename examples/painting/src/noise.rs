//! Smooth randomness: gradient noise (Perlin, An Image Synthesizer, 1985) and its sum over octaves.

use rand::Rng;

use crate::point::{Point, point};

/// Gradients in twelve directions of the clock; their exact lengths do not matter.
const GRADIENTS: [(f32, f32); 12] = [
    (1.0, 0.0),
    (0.866, 0.5),
    (0.5, 0.866),
    (0.0, 1.0),
    (-0.5, 0.866),
    (-0.866, 0.5),
    (-1.0, 0.0),
    (-0.866, -0.5),
    (-0.5, -0.866),
    (0.0, -1.0),
    (0.5, -0.866),
    (0.866, -0.5),
];

/// One draw of a random function of the plane.
pub struct Noise {
    table: [u8; 256],
}

impl Noise {
    pub fn new(rng: &mut impl Rng) -> Self {
        let mut table = [0; 256];
        for (entry, value) in table.iter_mut().zip(0..=u8::MAX) {
            *entry = value;
        }
        for last in (1..256u32).rev() {
            table.swap(last as usize, rng.random_range(0..=last) as usize);
        }
        Self { table }
    }

    /// The value at a place, about -1 to 1, with features about 1 apart.
    pub fn at(&self, place: Point) -> f32 {
        let (column, row) = (place.x.floor(), place.y.floor());
        let (x, y) = (place.x - column, place.y - row);
        let (column, row) = (column as i32, row as i32);
        let corner = |dx: i32, dy: i32| {
            let (gx, gy) = GRADIENTS[usize::from(self.hash(column + dx, row + dy)) % GRADIENTS.len()];
            gx * (x - dx as f32) + gy * (y - dy as f32)
        };
        let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let (u, v) = (fade(x), fade(y));
        let top = corner(0, 0) + u * (corner(1, 0) - corner(0, 0));
        let bottom = corner(0, 1) + u * (corner(1, 1) - corner(0, 1));
        1.5 * (top + v * (bottom - top))
    }

    /// A sum of octaves, each of half the size and half the strength of the one before.
    pub fn fractal(&self, place: Point, octaves: u32) -> f32 {
        let (mut sum, mut size, mut strength) = (0.0, 1.0, 0.5);
        for octave in 0..octaves {
            let shift = point(17.3, 9.1) * octave as f32;
            sum += strength * self.at(place * size + shift);
            size *= 2.0;
            strength *= 0.5;
        }
        sum
    }

    fn hash(&self, column: i32, row: i32) -> u8 {
        let first = self.table[(column & 255) as usize];
        self.table[usize::from(first.wrapping_add((row & 255) as u8))]
    }
}
