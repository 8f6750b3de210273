//! What is known of each part of a picture: its plan, and its regions' weights on the grid of every layer.

use candle_core::{DType, Tensor};

use crate::compute::{Plan, Window};
use crate::{Error, Result};

/// A part of a picture.
pub struct Part {
    /// What is to be computed of it.
    pub plan: Plan,
    /// `[poolings before][region]`: the sum of the weights inside the window.
    pub totals: Vec<Vec<f64>>,
    /// Whether the content's features are held.
    pub holds_content: bool,
}

impl Part {
    /// A part, and its regions' weights `[poolings before][R * H * W]`, none without regions.
    ///
    /// # Errors
    /// [`Error::Internal`] where regions' weights are not weights.
    pub fn new(plan: &Plan, depths: usize) -> Result<(Self, Vec<Vec<f32>>)> {
        let mut grids = Vec::new();
        let mut totals = Vec::new();
        let mut map = plan.regions.as_ref().map(weights).transpose()?;
        for pools in 0..depths {
            let (height, width) = (plan.height >> pools, plan.width >> pools);
            let window = plan.window.at_depth(pools);
            let Some(weights) = &mut map else {
                totals.push(vec![(window.height * window.width) as f64]);
                continue;
            };
            if pools > 0 {
                *weights = halve(weights, plan.height >> (pools - 1), plan.width >> (pools - 1));
            }
            let regions = weights.chunks_exact(height * width);
            totals.push(regions.map(|region| total(region, width, window)).collect());
            grids.push(weights.clone());
        }
        let part = Self {
            plan: plan.clone(),
            totals,
            holds_content: false,
        };
        Ok((part, grids))
    }
}

fn weights(regions: &Tensor) -> Result<Vec<f32>> {
    let weights: Vec<f32> = regions.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    if weights.is_empty() || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::Internal("regions have weights of 0 or more, and finite".into()));
    }
    Ok(weights)
}

fn total(weights: &[f32], width: usize, window: Window) -> f64 {
    let rows = weights.chunks_exact(width).skip(window.top).take(window.height);
    rows.flat_map(|row| &row[window.left..window.left + window.width])
        .map(|&weight| f64::from(weight))
        .sum()
}

/// 2 x 2 means of each of several maps.
fn halve(maps: &[f32], height: usize, width: usize) -> Vec<f32> {
    let mut halved = Vec::with_capacity(maps.len() / 4);
    for map in maps.chunks_exact(height * width) {
        for row in 0..height / 2 {
            for column in 0..width / 2 {
                let at = |y, x| map[(2 * row + y) * width + 2 * column + x];
                halved.push((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) * 0.25);
            }
        }
    }
    halved
}
