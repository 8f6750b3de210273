//! The canvas: colour, the relief of the paint, and the weave below it.
//!
//! Paint has a thickness. Each deposit writes it beside the colour, and at the end a lamp from the upper left turns
//! its slopes into light and shadow: the impasto that makes a stroke a stroke even where the colour is even.

use image::{Rgb, RgbImage};
use rand::Rng;

use crate::noise::Noise;
use crate::palette::{CREAM, Colour, MIDNIGHT, mix};
use crate::point::{point, wave};

/// Paint on a woven ground.
pub struct Canvas {
    width: u32,
    height: u32,
    colours: Vec<Colour>,
    /// The thickness of the paint, about 0 to 2.
    relief: Vec<f32>,
    /// The height of the weave, 0 to 1: a dry brush leaves paint on its peaks alone.
    grain: Vec<f32>,
}

impl Canvas {
    /// A canvas with a coloured ground.
    pub fn new(width: u32, height: u32, ground: Colour, rng: &mut impl Rng) -> Self {
        let noise = Noise::new(rng);
        let area = width as usize * height as usize;
        let mut grain = Vec::with_capacity(area);
        for y in 0..height {
            for x in 0..width {
                let (x, y) = (x as f32, y as f32);
                let weave = 0.5 * (wave(x / 3.7 + 0.02 * y) + wave(y / 3.9 + 0.02 * x));
                let coarse = 0.5 + 0.5 * noise.fractal(point(x, y) * 0.23, 2);
                grain.push((0.45 * weave + 0.55 * coarse).clamp(0.0, 1.0));
            }
        }
        Self {
            width,
            height,
            colours: vec![ground; area],
            relief: grain.iter().map(|grain| 0.15 * grain).collect(),
            grain,
        }
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    pub fn grain(&self, x: u32, y: u32) -> f32 {
        self.grain[self.index(x, y)]
    }

    /// Lays paint of a colour and thickness over what is there; `cover` is the share that it hides, 0 to 1.
    pub fn lay(&mut self, x: u32, y: u32, colour: Colour, thickness: f32, cover: f32) {
        let index = self.index(x, y);
        self.colours[index] = mix(self.colours[index], colour, cover);
        let below = self.relief[index];
        self.relief[index] = below + cover * (thickness + 0.3 * below - below);
    }

    /// The picture under the lamp.
    pub fn lit(&self) -> RgbImage {
        RgbImage::from_fn(self.width, self.height, |x, y| {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(self.width - 1));
            let (above, below) = (y.saturating_sub(1), (y + 1).min(self.height - 1));
            let at = |x, y| self.relief[self.index(x, y)];
            let slope = 0.6 * (at(right, y) - at(left, y)) + 0.8 * (at(x, below) - at(x, above));
            let colour = self.colours[self.index(x, y)];
            let shaded = if slope > 0.0 {
                mix(colour, CREAM, (0.42 * slope).min(0.30))
            } else {
                mix(colour, MIDNIGHT, (-0.62 * slope).min(0.42))
            };
            Rgb(shaded.map(|sample| (sample * 255.0 + 0.5).floor().clamp(0.0, 255.0) as u8))
        })
    }

    fn index(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }
}
