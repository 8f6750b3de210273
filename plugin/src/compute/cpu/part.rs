//! What is kept of each part of a picture from step to step: its plan, its regions, and the content's features.

use candle_core::Tensor;

use super::buffer::Buffer;
use super::lanes::{Grid, Lanes};
use super::values;
use crate::compute::{Plan, Window};
use crate::network::Layer;
use crate::{Error, Result};

/// A part of a picture.
pub struct Part {
    /// What is to be computed of it.
    pub plan: Plan,
    /// `[poolings before][region]`: the weight of each pixel of that grid; no regions where the plan has none.
    pub regions: Vec<Vec<Vec<f32>>>,
    /// `[poolings before][region]`: the sum of the weights inside the window; without regions, its number of pixels.
    pub weights: Vec<Vec<f64>>,
    /// The content's features inside the window, `[content layer]`, once they are held.
    pub content: Option<Vec<Buffer<Lanes>>>,
}

impl Part {
    /// A part whose plan has been checked.
    ///
    /// # Errors
    /// [`Error::Internal`] where regions' weights are not weights.
    pub fn new(plan: &Plan) -> Result<Self> {
        let regions = match &plan.regions {
            None => Vec::new(),
            Some(regions) => region_weights(regions, plan)?,
        };
        let grid = Grid {
            height: plan.height,
            width: plan.width,
        };
        let regions = shrink(regions, grid);
        let weights = regions.iter().enumerate().map(|(pools, regions)| {
            let window = plan.window.at_depth(pools);
            match &regions[..] {
                [] => vec![(window.height * window.width) as f64],
                regions => regions
                    .iter()
                    .map(|weights| sum(grid.width >> pools, window, weights))
                    .collect(),
            }
        });
        Ok(Self {
            plan: plan.clone(),
            weights: weights.collect(),
            regions,
            content: None,
        })
    }
}

/// The sum of weights inside a window of a grid that is `width` wide.
fn sum(width: usize, window: Window, weights: &[f32]) -> f64 {
    let rows = weights.chunks_exact(width).skip(window.top).take(window.height);
    rows.flat_map(|row| &row[window.left..window.left + window.width])
        .map(|&weight| f64::from(weight))
        .sum()
}

/// The weights of a plan's regions, `[region][H * W]`.
fn region_weights(regions: &Tensor, plan: &Plan) -> Result<Vec<Vec<f32>>> {
    let count = regions.dim(0)?;
    let weights = values(regions, &[count, plan.height, plan.width])?;
    if count == 0 || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::Internal("regions have weights of 0 or more, and finite".into()));
    }
    Ok(weights
        .chunks_exact(plan.height * plan.width)
        .map(<[f32]>::to_vec)
        .collect())
}

/// The regions' weights on the grid of every layer, by 2 x 2 means.
fn shrink(regions: Vec<Vec<f32>>, grid: Grid) -> Vec<Vec<Vec<f32>>> {
    let mut levels = vec![regions];
    let mut grid = grid;
    for _ in 0..Layer::ALL[Layer::ALL.len() - 1].pools() {
        let last = &levels[levels.len() - 1];
        levels.push(last.iter().map(|weights| halve(weights, grid)).collect());
        grid = grid.halved();
    }
    levels
}

fn halve(weights: &[f32], grid: Grid) -> Vec<f32> {
    let half = grid.halved();
    let mut halved = Vec::with_capacity(half.pixels());
    for row in 0..half.height {
        for column in 0..half.width {
            let at = |y, x| weights[grid.index(0, 2 * row + y, 2 * column + x)];
            halved.push((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) * 0.25);
        }
    }
    halved
}
