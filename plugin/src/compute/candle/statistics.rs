//! Moments and content distances of feature maps in candle tensors, and their gradients.

use candle_core::{Device, Tensor};

use super::pooling;
use crate::Result;
use crate::compute::{ContentDistance, Moments, MomentsGradient, Plan};
use crate::network::Layer;

/// The weights of all regions at each depth of the network, inside the window.
pub(super) struct RegionWeights {
    /// `[poolings]`: `[R, N]`, and the sum of each row.
    depths: Vec<(Tensor, Vec<f64>)>,
}

impl RegionWeights {
    pub(super) fn new(plan: &Plan, layers: &[Layer], device: &Device) -> Result<Self> {
        let deepest = layers.last().map_or(0, |layer| layer.pools());
        let mut map = match &plan.regions {
            Some(regions) => regions.to_device(device)?.unsqueeze(0)?,
            None => Tensor::ones((1, 1, plan.height, plan.width), candle_core::DType::F32, device)?,
        };
        let mut depths = Vec::new();
        for pools in 0..=deepest {
            if pools > 0 {
                map = pooling::halve(&map)?;
            }
            let inside = inside(&map, plan, pools)?;
            let rows = inside.to_vec2::<f32>()?;
            let sums = rows
                .iter()
                .map(|row| row.iter().copied().map(f64::from).sum())
                .collect();
            depths.push((inside, sums));
        }
        Ok(Self { depths })
    }
}

/// The part of a map `[1, C, H, W]` inside the plan's window, as `[C, N]`.
fn inside(map: &Tensor, plan: &Plan, pools: usize) -> Result<Tensor> {
    let window = plan.window.at_depth(pools);
    let part = map
        .narrow(2, window.top, window.height)?
        .narrow(3, window.left, window.width)?;
    Ok(part
        .contiguous()?
        .reshape((map.dim(1)?, window.height * window.width))?)
}

/// Measures feature maps under a plan.
pub(super) struct Measure<'a> {
    pub(super) plan: &'a Plan,
    pub(super) regions: &'a RegionWeights,
}

impl Measure<'_> {
    /// The features inside the window, `[C, N]`.
    pub(super) fn inside(&self, features: &Tensor, layer: Layer) -> Result<Tensor> {
        inside(features, self.plan, layer.pools())
    }

    /// The adjoint of [`Self::inside`]: zeros around the window.
    pub(super) fn spread(&self, inside: &Tensor, features: &Tensor, layer: Layer) -> Result<Tensor> {
        let (_, channels, height, width) = features.dims4()?;
        let window = self.plan.window.at_depth(layer.pools());
        let part = inside.reshape((1, channels, window.height, window.width))?;
        let (below, right) = (height - window.top - window.height, width - window.left - window.width);
        Ok(part
            .pad_with_zeros(2, window.top, below)?
            .pad_with_zeros(3, window.left, right)?)
    }

    /// The moments of features `[C, N]` over each region. A region without weight has moments of 0.
    pub(super) fn moments(&self, features: &Tensor, layer: Layer) -> Result<Vec<Moments>> {
        let (weights, sums) = &self.regions.depths[layer.pools()];
        let moments = sums.iter().enumerate().map(|(region, &weight)| {
            let shares = (weights.narrow(0, region, 1)? * reciprocal(weight))?;
            let weighted = features.broadcast_mul(&shares)?;
            let second = weighted.matmul(&features.t()?)?;
            let mean = weighted.sum(1)?;
            Ok(Moments { second, mean, weight })
        });
        moments.collect()
    }

    /// The gradient at features `[C, N]` from those of their moments over each region.
    pub(super) fn moments_gradient(
        &self,
        features: &Tensor,
        layer: Layer,
        gradients: &[MomentsGradient],
    ) -> Result<Tensor> {
        let (weights, sums) = &self.regions.depths[layer.pools()];
        let mut total = features.zeros_like()?;
        for (region, (gradient, &weight)) in gradients.iter().zip(sums).enumerate() {
            let shares = (weights.narrow(0, region, 1)? * reciprocal(weight))?;
            let symmetric = (&gradient.second + gradient.second.t()?)?;
            let by_moments = symmetric
                .matmul(features)?
                .broadcast_add(&gradient.mean.unsqueeze(1)?)?;
            total = (total + by_moments.broadcast_mul(&shares)?)?;
        }
        Ok(total)
    }
}

/// `1 / weight`, or 0 where there is none.
fn reciprocal(weight: f64) -> f64 {
    if weight > 0.0 { 1.0 / weight } else { 0.0 }
}

/// How far features `[C, N]` are from 0; each row's mean in f32, their mean in f64.
pub(super) fn energy(features: &Tensor) -> Result<ContentDistance> {
    let rows = features.sqr()?.mean(1)?.to_vec1::<f32>()?;
    Ok(ContentDistance {
        mean_square: rows.iter().copied().map(f64::from).sum::<f64>() / rows.len() as f64,
        elements: features.elem_count() as f64,
    })
}

/// How far features `[C, N]` are from those held.
pub(super) fn content_distance(features: &Tensor, held: &Tensor) -> Result<ContentDistance> {
    energy(&(features - held)?)
}

/// The gradient at features `[C, N]` from the one of their content distance.
pub(super) fn content_gradient(features: &Tensor, held: &Tensor, gradient: f64) -> Result<Tensor> {
    Ok(((features - held)? * (2.0 * gradient / features.elem_count() as f64))?)
}
