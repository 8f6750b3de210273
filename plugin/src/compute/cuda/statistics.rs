//! What crosses the seam: all statistics of a part lie in one block of the card's memory, and later so do their
//! derivatives, at the same places.
//!
//! A copy to or from a card takes some ten microseconds however small it is, and whoever reads waits for all that was asked
//! for before. So a step reads once and writes once. Of a content distance its partial sums go up, in float64, which the
//! processor adds; down comes, in place of the first, what the difference of the features is multiplied by.

use candle_core::{Device, Tensor};

use super::layout::{DISTANCE_BLOCKS, Places};
use super::part::Part;
use crate::compute::{ContentDistance, Moments, Plan, Statistics, StatisticsGradient, expect_shape};
use crate::{Error, Result, samples};

/// Where things lie in the block, in bytes from its beginning.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Where it begins.
    pub at: usize,
    /// Of all of it.
    pub bytes: usize,
    /// `[content layer]`.
    distances: Vec<usize>,
    /// `[style layer][region]`.
    moments: Vec<Vec<MomentsPlace>>,
}

/// Where a region's moments lie.
#[derive(Clone, Copy, Debug)]
struct MomentsPlace {
    /// `[C, C]`.
    second: usize,
    /// `[C]`.
    mean: usize,
}

impl Block {
    /// For a plan's layers with so many regions.
    pub fn new(plan: &Plan, regions: usize, places: &mut Places) -> Self {
        let mut inside = Places::default();
        let distances = plan.content_layers.iter();
        let distances = distances
            .map(|_| inside.take(DISTANCE_BLOCKS * size_of::<f64>()))
            .collect();
        let moments = plan.style_layers.iter().map(|layer| {
            let channels = layer.outputs();
            let regions = (0..regions).map(|_| MomentsPlace {
                second: inside.take(channels * channels * size_of::<f32>()),
                mean: inside.take(channels * size_of::<f32>()),
            });
            regions.collect()
        });
        let moments = moments.collect();
        let bytes = inside.end();
        Self {
            at: places.take(bytes),
            bytes,
            distances,
            moments,
        }
    }

    /// Where on the card the second moments and the mean of a region are.
    pub fn moments(&self, style_layer: usize, region: usize) -> (usize, usize) {
        let MomentsPlace { second, mean } = self.moments[style_layer][region];
        (self.at + second, self.at + mean)
    }

    /// Where on the card the sums of a content distance are, and later its slope.
    pub fn distance(&self, content_layer: usize) -> usize {
        self.at + self.distances[content_layer]
    }

    /// A part's moments, and its distances if it holds its content, from the block's bytes.
    pub fn statistics(&self, bytes: &[u8], part: &Part) -> Result<Statistics> {
        let layers = part.plan.style_layers.iter().zip(&self.moments);
        let moments = layers.map(|(layer, places)| {
            let channels = layer.outputs();
            let regions = part.totals[layer.pools()].iter().zip(places);
            let regions = regions.map(|(&weight, place)| {
                let second = numbers::<f32>(bytes, place.second, channels * channels);
                let mean = numbers::<f32>(bytes, place.mean, channels);
                Ok(Moments {
                    second: Tensor::from_slice(second, (channels, channels), &Device::Cpu)?,
                    mean: Tensor::from_slice(mean, channels, &Device::Cpu)?,
                    weight,
                })
            });
            regions.collect::<Result<_>>()
        });
        Ok(Statistics {
            moments: moments.collect::<Result<_>>()?,
            content: match part.holds_content {
                true => self.distances(bytes, part),
                false => Vec::new(),
            },
        })
    }

    /// A part's content distances, or energies, from the block's bytes.
    pub fn distances(&self, bytes: &[u8], part: &Part) -> Vec<ContentDistance> {
        let layers = part.plan.content_layers.iter().zip(&self.distances);
        let distances = layers.map(|(&layer, &place)| {
            let elements = part.plan.content_features(layer) as f64;
            let sums = numbers::<f64>(bytes, place, DISTANCE_BLOCKS);
            ContentDistance {
                mean_square: sums.iter().sum::<f64>() / elements,
                elements,
            }
        });
        distances.collect()
    }

    /// Puts the derivatives of a loss with respect to a part's statistics into the block's bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] for derivatives of other statistics.
    pub fn put_derivatives(&self, gradient: &StatisticsGradient, part: &Part, bytes: &mut [u8]) -> Result<()> {
        let Plan {
            style_layers,
            content_layers,
            ..
        } = &part.plan;
        let held = if part.holds_content { content_layers.len() } else { 0 };
        if gradient.moments.len() != style_layers.len() || gradient.content.len() != held {
            return Err(Error::Internal(
                "the gradient does not have the layers of the plan's statistics".into(),
            ));
        }
        for ((layer, places), derivatives) in style_layers.iter().zip(&self.moments).zip(&gradient.moments) {
            let channels = layer.outputs();
            if derivatives.len() != part.totals[layer.pools()].len() {
                return Err(Error::Internal("the gradient does not have the plan's regions".into()));
            }
            for (place, derivative) in places.iter().zip(derivatives) {
                put(&derivative.second, &[channels, channels], bytes, place.second)?;
                put(&derivative.mean, &[channels], bytes, place.mean)?;
            }
        }
        for ((&layer, &place), derivative) in content_layers.iter().zip(&self.distances).zip(&gradient.content) {
            let slope = (2.0 * derivative / part.plan.content_features(layer) as f64) as f32;
            numbers_mut(bytes, place, 1)[0] = slope;
        }
        Ok(())
    }
}

fn put(tensor: &Tensor, shape: &[usize], bytes: &mut [u8], place: usize) -> Result<()> {
    expect_shape(tensor, shape)?;
    samples::lend(&tensor.contiguous()?, |values| {
        numbers_mut(bytes, place, values.len()).copy_from_slice(values);
    })
}

fn numbers<T: bytemuck::Pod>(bytes: &[u8], place: usize, count: usize) -> &[T] {
    bytemuck::cast_slice(&bytes[place..place + count * size_of::<T>()])
}

fn numbers_mut(bytes: &mut [u8], place: usize, count: usize) -> &mut [f32] {
    bytemuck::cast_slice_mut(&mut bytes[place..place + count * size_of::<f32>()])
}
