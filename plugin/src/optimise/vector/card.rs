//! The operations on a card of our own backend: most are a [`Combination`], one kernel's work.

use std::sync::Arc;

use crate::compute::cuda::{Combination, Samples};
use crate::{Error, Result};

/// Refuses vectors of different lengths, or in different places.
pub(super) fn check(vectors: &[&Samples]) -> Result<()> {
    for pair in vectors.windows(2) {
        if pair[0].elem_count() != pair[1].elem_count() {
            return Err(Error::Internal("an optimiser's vectors differ in length".into()));
        }
        if !Arc::ptr_eq(pair[0].space(), pair[1].space()) {
            return Err(Error::Internal(
                "an optimiser's vectors live on different devices".into(),
            ));
        }
    }
    Ok(())
}

/// `a` as it is.
fn plain(a: &Samples) -> Combination<'_> {
    Combination {
        a: Some(a),
        alpha: 1.0,
        ..Combination::default()
    }
}

/// `factor w_i b_i`.
fn masked<'a>(factor: f64, weight: &'a Samples, b: &'a Samples) -> Combination<'a> {
    Combination {
        b: Some(b),
        beta: factor as f32,
        weight: Some(weight),
        ..Combination::default()
    }
}

pub(super) fn dot(a: &Samples, b: &Samples) -> Result<f64> {
    let [dot, _] = Combination { s: Some(b), ..plain(a) }.sums()?;
    Ok(dot)
}

pub(super) fn weighted_dot(weight: &Samples, a: &Samples, b: &Samples) -> Result<f64> {
    let sums = Combination {
        weight: Some(weight),
        s: Some(a),
        y: Some(b),
        ..Combination::default()
    };
    let [_, dot] = sums.sums()?;
    Ok(dot)
}

pub(super) fn scale(factor: f64, a: Samples) -> Result<Samples> {
    let scaled = Combination {
        alpha: factor as f32,
        ..plain(&a)
    };
    scaled.in_place_of(&a)?;
    Ok(a)
}

fn sum<'a>(a: &'a Samples, factor: f64, b: &'a Samples) -> Combination<'a> {
    Combination {
        b: Some(b),
        beta: factor as f32,
        ..plain(a)
    }
}

pub(super) fn add_scaled(a: &Samples, factor: f64, b: &Samples) -> Result<Samples> {
    Ok(sum(a, factor, b).made()?.0)
}

pub(super) fn halved_difference(a: &Samples, b: &Samples) -> Result<Samples> {
    sum(a, -1.0, b).halved()
}

pub(super) fn product(a: &Samples, b: &Samples) -> Result<Samples> {
    Ok(masked(1.0, a, b).made()?.0)
}

pub(super) fn scale_masked_then_dot(a: Samples, factor: f64, weight: &Samples, c: &Samples) -> Result<(Samples, f64)> {
    let scaled = Combination {
        s: Some(c),
        ..masked(factor, weight, &a)
    };
    let [along, _] = scaled.in_place_of(&a)?;
    Ok((a, along))
}

pub(super) fn halved(a: &Samples) -> Result<Samples> {
    plain(a).halved()
}

/// In f32.
pub(super) fn widened(a: &Samples) -> Result<Samples> {
    Ok(plain(a).made()?.0)
}

pub(super) fn project(x: &Samples) -> Result<Samples> {
    let projected = Combination {
        into_box: true,
        ..plain(x)
    };
    Ok(projected.made()?.0)
}

pub(super) fn descend(x: &Samples, length: f64, ascent: &Samples, gradient: &Samples) -> Result<(Samples, f64)> {
    let point = Combination {
        s: Some(gradient),
        into_box: true,
        step_from_a: true,
        ..sum(x, -length, ascent)
    };
    let (point, [along, _]) = point.made()?;
    Ok((point, along))
}
