//! One stroke: a brush of many bristles drawn along a curve.
//!
//! A stroke is a texture laid along a path. Every pixel near the path has two coordinates: how far along the stroke
//! it lies, and how far across the brush. Across, the bristles differ in colour and in the paint that they carry;
//! along, they land and leave the canvas one by one, and as the paint runs out only the peaks of the weave take it.

use rand::Rng;

use crate::canvas::Canvas;
use crate::palette::{Colour, mix, vary};
use crate::point::{Point, smooth_step};

/// How a brush is loaded and pressed.
pub struct Brush {
    /// Pixels from the middle to the edge.
    pub half_width: f32,
    /// The share of the ground that full paint hides, 0 to 1.
    pub opacity: f32,
    /// The thickness of full paint.
    pub body: f32,
    /// The colour that it was dipped in.
    pub colour: Colour,
    /// What one edge picked up besides.
    pub second_colour: Colour,
}

struct Bristle {
    colour: Colour,
    load: f32,
    /// Where along the stroke it touches the canvas and where it leaves it.
    lands: f32,
    leaves: f32,
}

/// Where a pixel lies in the stroke.
#[derive(Clone, Copy)]
struct Touch {
    distance: f32,
    along: f32,
    across: f32,
}

const UNTOUCHED: Touch = Touch {
    distance: f32::INFINITY,
    along: 0.0,
    across: 0.0,
};

impl Brush {
    /// Draws the brush along a path of two points or more, in pixels, about evenly spaced.
    pub fn draw(&self, path: &[Point], canvas: &mut Canvas, rng: &mut impl Rng) {
        let bristles = self.bristles(rng);
        let frame = Frame::around(path, self.half_width + 1.5, canvas);
        let touches = self.touch(path, &frame);
        for (touch, (x, y)) in touches.iter().zip(frame.pixels()) {
            if touch.distance < f32::INFINITY {
                self.lay(touch, &bristles, canvas, x, y);
            }
        }
    }

    fn bristles(&self, rng: &mut impl Rng) -> Vec<Bristle> {
        let count = (1.7 * self.half_width + 3.0) as u32;
        let second_edge: f32 = rng.random();
        (0..count)
            .map(|index| {
                let across = index as f32 / (count - 1) as f32;
                let share = smooth_step(0.45, 1.0, if second_edge < 0.5 { across } else { 1.0 - across });
                let colour = mix(self.colour, self.second_colour, 0.8 * share);
                let hold: f32 = rng.random();
                Bristle {
                    colour: vary(colour, 0.13, rng),
                    load: 0.25 + 0.75 * rng.random::<f32>(),
                    lands: 0.10 * rng.random::<f32>() - 0.02,
                    leaves: 1.02 - 0.42 * hold * hold,
                }
            })
            .collect()
    }

    /// The half width at a place along the stroke: the brush lands, is pressed, and is lifted off.
    fn half_width_at(&self, along: f32) -> f32 {
        let pressed = 0.55 + 0.45 * smooth_step(0.0, 0.18, along);
        self.half_width * pressed * (1.0 - 0.72 * smooth_step(0.5, 1.0, along))
    }

    fn touch(&self, path: &[Point], frame: &Frame) -> Vec<Touch> {
        let mut touches = vec![UNTOUCHED; frame.area()];
        let last = path.len() - 2;
        for (index, ends) in path.windows(2).enumerate() {
            let (start, reach) = (ends[0], ends[1] - ends[0]);
            let length = reach.length().max(1e-6);
            let forward = reach * (1.0 / length);
            let segment = frame.clipped(start, ends[1], self.half_width + 1.5);
            for (x, y) in segment.pixels() {
                let offset = Point {
                    x: x as f32,
                    y: y as f32,
                } - start;
                let mut position = offset.dot(forward) / length;
                // The ends are cut by the bristles, not by a cap, so the outer segments reach a little beyond.
                let overhang = 0.6 * self.half_width / length;
                let lowest = if index == 0 { -overhang } else { 0.0 };
                let highest = if index == last { 1.0 + overhang } else { 1.0 };
                position = position.clamp(lowest, highest);
                let away = offset - reach * position;
                let distance = away.dot(away);
                let touch = &mut touches[frame.offset(x, y)];
                if distance < touch.distance && distance <= (self.half_width + 1.0) * (self.half_width + 1.0) {
                    let side = if away.dot(forward.perpendicular()) < 0.0 {
                        -1.0
                    } else {
                        1.0
                    };
                    *touch = Touch {
                        distance,
                        along: (index as f32 + position) / (last + 1) as f32,
                        across: side * distance.sqrt(),
                    };
                }
            }
        }
        touches
    }

    fn lay(&self, touch: &Touch, bristles: &[Bristle], canvas: &mut Canvas, x: u32, y: u32) {
        let half_width = self.half_width_at(touch.along);
        let edge = (half_width - touch.across.abs() + 0.5).clamp(0.0, 1.0);
        if edge <= 0.0 {
            return;
        }
        let across = (touch.across / half_width.max(0.5)).clamp(-1.0, 1.0);
        let place = (0.5 + 0.5 * across) * (bristles.len() - 1) as f32;
        let first = (place.floor() as usize).min(bristles.len() - 2);
        let share = smooth_step(0.0, 1.0, place - first as f32);
        let (one, other) = (&bristles[first], &bristles[first + 1]);
        let between = |a: f32, b: f32| a + share * (b - a);

        let lands = between(one.lands, other.lands);
        let leaves = between(one.leaves, other.leaves);
        let contact = smooth_step(lands - 0.02, lands + 0.03, touch.along)
            * (1.0 - smooth_step(leaves - 0.06, leaves + 0.02, touch.along));
        let load = between(one.load, other.load);
        let wetness = load + 0.9 - 1.1 * touch.along * touch.along;
        let take = smooth_step(0.0, 0.35, wetness - 0.8 * (1.0 - canvas.grain(x, y)));
        let cover = self.opacity * edge * contact * take;
        if cover > 0.0 {
            // Paint is pushed towards the edges and heaped up where the brush is pressed.
            let ridge = 0.45 + 0.75 * load + 0.5 * across * across * across * across;
            let thickness = self.body * ridge * (1.0 - 0.5 * touch.along);
            canvas.lay(x, y, mix(one.colour, other.colour, share), thickness, cover);
        }
    }
}

/// A rectangle of pixels.
struct Frame {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Frame {
    /// What of the canvas lies within a margin of the path.
    fn around(path: &[Point], margin: f32, canvas: &Canvas) -> Self {
        let (mut low, mut high) = (path[0], path[0]);
        for place in path {
            low = Point {
                x: low.x.min(place.x),
                y: low.y.min(place.y),
            };
            high = Point {
                x: high.x.max(place.x),
                y: high.y.max(place.y),
            };
        }
        Self {
            left: 0,
            top: 0,
            right: canvas.width(),
            bottom: canvas.height(),
        }
        .clipped(low, high, margin)
    }

    /// What of this rectangle lies within a margin of the rectangle between two points.
    fn clipped(&self, one: Point, other: Point, margin: f32) -> Self {
        let low = |a: f32, b: f32| (a.min(b) - margin).floor().max(0.0) as u32;
        let high = |a: f32, b: f32| (a.max(b) + margin).floor().max(-1.0) as i64 + 1;
        Self {
            left: low(one.x, other.x).max(self.left),
            top: low(one.y, other.y).max(self.top),
            right: (high(one.x, other.x) as u32).min(self.right),
            bottom: (high(one.y, other.y) as u32).min(self.bottom),
        }
    }

    fn area(&self) -> usize {
        let side = |from: u32, to: u32| to.saturating_sub(from) as usize;
        side(self.left, self.right) * side(self.top, self.bottom)
    }

    fn offset(&self, x: u32, y: u32) -> usize {
        (y - self.top) as usize * (self.right - self.left) as usize + (x - self.left) as usize
    }

    fn pixels(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let (left, right) = (self.left, self.right);
        (self.top..self.bottom).flat_map(move |y| (left..right).map(move |x| (x, y)))
    }
}
