//! Which strokes are laid, and in what order: broad ones that block the motif in, then ever finer ones over them.

use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::canvas::Canvas;
use crate::palette::{SIENNA, UMBER, mix, vary};
use crate::point::{Point, point};
use crate::scene::{Form, Scene};
use crate::stroke::Brush;

/// The size and seed of the painting that lies in `examples/pictures`.
pub const WIDTH: u32 = 600;
pub const HEIGHT: u32 = 480;
pub const SEED: u64 = 8;

/// One pass over the motif. Lengths are pixels of a picture 512 pixels high.
struct Layer {
    half_width: f32,
    length: f32,
    /// The distance between the beginnings of neighbouring strokes.
    spacing: f32,
    /// The share of those that are painted.
    density: f32,
    opacity: f32,
    body: f32,
    /// How far dips of the brush differ.
    variety: f32,
}

const LAYERS: [Layer; 5] = [
    Layer {
        half_width: 15.0,
        length: 130.0,
        spacing: 15.0,
        density: 1.0,
        opacity: 0.96,
        body: 0.7,
        variety: 0.18,
    },
    Layer {
        half_width: 8.5,
        length: 95.0,
        spacing: 10.0,
        density: 0.9,
        opacity: 0.92,
        body: 0.9,
        variety: 0.20,
    },
    Layer {
        half_width: 6.0,
        length: 66.0,
        spacing: 7.0,
        density: 0.75,
        opacity: 0.92,
        body: 1.0,
        variety: 0.24,
    },
    Layer {
        half_width: 3.6,
        length: 40.0,
        spacing: 5.5,
        density: 0.36,
        opacity: 0.90,
        body: 1.0,
        variety: 0.28,
    },
    Layer {
        half_width: 2.1,
        length: 24.0,
        spacing: 4.5,
        density: 0.12,
        opacity: 0.88,
        body: 0.9,
        variety: 0.30,
    },
];

/// Paints the motif. The same size and seed give the same pixels everywhere.
pub fn paint(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scene = Scene::new(&mut rng);
    let mut canvas = Canvas::new(width, height, mix(SIENNA, UMBER, 0.5), &mut rng);
    for layer in &LAYERS {
        let starts = starts(&canvas, layer, &mut rng);
        for form in Form::BACK_TO_FRONT {
            for &start in &starts {
                if scene.form(start) == form {
                    lay_stroke(&mut canvas, &scene, form, layer, start, &mut rng);
                }
            }
        }
    }
    canvas.lit()
}

/// Where the strokes of a layer begin, in the plane of the scene: a jittered grid in shuffled order, which reaches a
/// little beyond the border so that strokes come in from outside.
fn starts(canvas: &Canvas, layer: &Layer, rng: &mut ChaCha8Rng) -> Vec<Point> {
    const MARGIN: f32 = 0.04;
    let spacing = layer.spacing / 512.0;
    let width = canvas.width() as f32 / canvas.height() as f32;
    let columns = ((width + 2.0 * MARGIN) / spacing) as u32 + 1;
    let rows = ((1.0 + 2.0 * MARGIN) / spacing) as u32 + 1;
    let mut starts = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let jitter = point(rng.random(), rng.random());
            let place = (point(column as f32, row as f32) + jitter) * spacing - point(MARGIN, MARGIN);
            if rng.random::<f32>() < layer.density {
                starts.push(place + point(0.5 * (Scene::WIDTH - width), 0.0));
            }
        }
    }
    for last in (1..starts.len() as u32).rev() {
        starts.swap(last as usize, rng.random_range(0..=last) as usize);
    }
    starts
}

fn lay_stroke(canvas: &mut Canvas, scene: &Scene, form: Form, layer: &Layer, start: Point, rng: &mut ChaCha8Rng) {
    let manner = scene.manner(form, start);
    let length = layer.length * manner.length * (0.6 + 0.8 * rng.random::<f32>()) / 512.0;
    let half_width = layer.half_width * manner.width * (0.75 + 0.5 * rng.random::<f32>());
    let backwards = rng.random::<f32>() < 0.5;
    let colour = scene.colour(form, start, rng);
    let path = trace(scene, form, start, length, backwards);
    if path.len() < 3 {
        return;
    }
    let brush = Brush {
        half_width: half_width * canvas.height() as f32 / 512.0,
        opacity: layer.opacity,
        body: layer.body,
        colour: vary(colour, layer.variety, rng),
        second_colour: scene.colour(form, start, rng),
    };
    let scale = canvas.height() as f32;
    let shift = point(0.5 * (canvas.width() as f32 / scale - Scene::WIDTH), 0.0);
    let pixels: Vec<Point> = path.iter().map(|&place| (place + shift) * scale).collect();
    brush.draw(&pixels, canvas, rng);
}

/// Follows the currents of a form from a place, by the midpoint rule, until the length is reached or the form ends.
fn trace(scene: &Scene, form: Form, start: Point, length: f32, backwards: bool) -> Vec<Point> {
    const STEP: f32 = 2.5 / 512.0;
    let step = if backwards { -STEP } else { STEP };
    let mut path = vec![start];
    let mut place = start;
    for _ in 0..(length / STEP) as u32 {
        let middle = place + scene.direction(form, place) * (0.5 * step);
        place = place + scene.direction(form, middle) * step;
        if scene.form(place) != form {
            break;
        }
        path.push(place);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_pixels_and_another_seed_gives_others() {
        let painting = paint(96, 72, 1);
        assert_eq!(painting.dimensions(), (96, 72));
        assert_eq!(painting.as_raw(), paint(96, 72, 1).as_raw());
        assert_ne!(painting.as_raw(), paint(96, 72, 2).as_raw());
    }

    #[test]
    fn any_shape_can_be_painted() {
        for (width, height) in [(32, 200), (200, 32)] {
            let painting = paint(width, height, SEED);
            let dark = painting.pixels().map(|pixel| pixel.0.iter().max()).min();
            let light = painting.pixels().map(|pixel| pixel.0.iter().max()).max();
            assert!(dark < light, "{width} x {height} is of one tone");
        }
    }

    /// To the bit, on every machine: what decides pixels is rounded in one way only, as the crate's essay says.
    #[test]
    fn the_committed_painting_is_what_the_program_draws() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../pictures/painting.png");
        let committed = image::open(path)
            .expect("examples/pictures/painting.png can be read")
            .into_rgb8();
        let drawn = paint(WIDTH, HEIGHT, SEED);
        assert_eq!(committed.dimensions(), drawn.dimensions());
        let differing = committed
            .pixels()
            .zip(drawn.pixels())
            .filter(|(one, other)| one != other)
            .count();
        assert_eq!(
            differing, 0,
            "pixels differ; draw it again: cargo run --release -p pentimento-painting -- examples/pictures/painting.png"
        );
    }
}
