//! Places and directions in the plane of the picture, whose height is 1; x goes right and y goes down.

use std::ops::{Add, Mul, Sub};

/// A place or a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

/// The point `(x, y)`.
pub const fn point(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Point {
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of length 1; that of the x axis for a vector of no length.
    pub fn normalised(self) -> Self {
        let length = self.length();
        if length > 1e-12 {
            self * (1.0 / length)
        } else {
            point(1.0, 0.0)
        }
    }

    /// A quarter turn.
    pub fn perpendicular(self) -> Self {
        point(-self.y, self.x)
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        point(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        point(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Point {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        point(self.x * factor, self.y * factor)
    }
}

/// 0 below `from`, 1 above `to`, and a smooth cubic between; falls instead when `from > to`.
pub fn smooth_step(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A smooth wave of period 1 between 0 (at whole numbers) and 1, built from cubics in place of a cosine.
pub fn wave(phase: f32) -> f32 {
    let t = phase - phase.floor();
    smooth_step(0.0, 1.0, 1.0 - (2.0 * t - 1.0).abs())
}
