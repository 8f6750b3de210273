//! The weights of a plan's regions on the grid of every layer, for backends that keep them in main memory or bring them
//! to a card.

use candle_core::Tensor;

use super::{Plan, Window, lend};
use crate::network::Layer;
use crate::{Error, Result};

/// What the regions of a plan weigh.
pub(super) struct Regions {
    /// `[poolings before][region][H * W]`: the weight of each pixel of that grid; no regions where the plan has none.
    pub maps: Vec<Vec<Vec<f32>>>,
    /// `[poolings before][region]`: the sum of the weights inside the window; without regions, its number of pixels.
    pub totals: Vec<Vec<f64>>,
}

impl Regions {
    /// Those of a plan that has been checked.
    ///
    /// # Errors
    /// [`Error::Internal`] where regions' weights are not weights.
    pub fn new(plan: &Plan) -> Result<Self> {
        let maps = match &plan.regions {
            None => Vec::new(),
            Some(regions) => weights(regions, plan)?,
        };
        let maps = shrink(maps, plan);
        let totals = maps.iter().enumerate().map(|(pools, regions)| {
            let window = plan.window.at_depth(pools);
            match &regions[..] {
                [] => vec![(window.height * window.width) as f64],
                regions => regions
                    .iter()
                    .map(|weights| total(plan.width >> pools, window, weights))
                    .collect(),
            }
        });
        Ok(Self {
            totals: totals.collect(),
            maps,
        })
    }
}

/// The sum of weights inside a window of a grid that is `width` wide.
fn total(width: usize, window: Window, weights: &[f32]) -> f64 {
    let rows = weights.chunks_exact(width).skip(window.top).take(window.height);
    rows.flat_map(|row| &row[window.left..window.left + window.width])
        .map(|&weight| f64::from(weight))
        .sum()
}

/// The weights of a plan's regions, `[region][H * W]`.
fn weights(regions: &Tensor, plan: &Plan) -> Result<Vec<Vec<f32>>> {
    let count = regions.dim(0)?;
    let weights = lend(regions, &[count, plan.height, plan.width], <[f32]>::to_vec)?;
    if count == 0 || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::Internal("regions have weights of 0 or more, and finite".into()));
    }
    Ok(weights
        .chunks_exact(plan.height * plan.width)
        .map(<[f32]>::to_vec)
        .collect())
}

/// The regions' weights on the grid of every layer, by 2 x 2 means.
fn shrink(regions: Vec<Vec<f32>>, plan: &Plan) -> Vec<Vec<Vec<f32>>> {
    let mut levels = vec![regions];
    for pools in 0..Layer::ALL[Layer::ALL.len() - 1].pools() {
        let (height, width) = (plan.height >> pools, plan.width >> pools);
        let last = &levels[levels.len() - 1];
        levels.push(last.iter().map(|weights| halve(weights, height, width)).collect());
    }
    levels
}

fn halve(weights: &[f32], height: usize, width: usize) -> Vec<f32> {
    let mut halved = Vec::with_capacity((height / 2) * (width / 2));
    for row in 0..height / 2 {
        for column in 0..width / 2 {
            let at = |y, x| weights[(2 * row + y) * width + 2 * column + x];
            halved.push((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) * 0.25);
        }
    }
    halved
}
