//! The shape of a picture's memory on a card, without the memory: what lies where, for all parts of a picture together.
//!
//! Between forward and backward remain, of each layer, one bit per activation; the features of layers that are measured
//! (or go into an L2 pooling); and what a pooling's gradient needs. All else goes through two buffers, each as large as
//! the largest map, both ways. With maps in bfloat16, the features that are kept are so in float32 besides. Parts share
//! all of this, and have of their own the regions' weights and the content's features. Where these are held aside, in main
//! memory, their places are shared as well: those of the part that is looked at are brought there.

use super::kernels::Precision;
use super::statistics::Block;
use crate::compute::{Holding, Plan, Pooling, Tiling};
use crate::network::Layer;
use crate::{Error, Result};

/// Where the card's caches and copies like things to begin.
const ALIGNMENT: usize = 256;
/// The fewest pixels whose second moments are worth a block of their own.
const PIXELS_PER_SLICE: usize = 256;
/// So many blocks keep a large card busy.
const BLOCKS: usize = 512;
/// The fewest whose mean is: as many as a block reads at once.
const PIXELS_PER_MEAN: usize = 128;
/// The blocks, and so partial sums, of a content distance.
pub const DISTANCE_BLOCKS: usize = 256;

/// What is kept of a layer.
#[derive(Clone, Debug)]
pub struct LayerRoom {
    pub layer: Layer,
    /// A bit for each activation.
    pub positive: usize,
    /// The features in float32, where they are kept.
    pub features: Option<usize>,
    /// The pooling that comes after it.
    pub pooled: Option<PooledRoom>,
}

/// What is kept of a pooling.
#[derive(Clone, Copy, Debug)]
pub enum PooledRoom {
    /// Who won.
    Max {
        winners: usize,
    },
    Average,
    /// The output.
    L2 {
        output: usize,
    },
}

/// What a part has of its own.
#[derive(Clone, Debug)]
pub struct PartRoom {
    /// `[poolings before]`: all regions' weights; empty without regions.
    pub regions: Vec<usize>,
    /// `[content layer]`; the same for all parts where they are held aside.
    pub held: Vec<usize>,
}

/// Offsets in bytes.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The picture on the way in, its gradient on the way out.
    pub picture: usize,
    /// Up to the highest measured layer; none where nothing is measured.
    pub layers: Vec<LayerRoom>,
    pub buffers: [usize; 2],
    /// Partial sums.
    pub partial: usize,
    /// The derivative of a second moment, made symmetric.
    pub matrix: usize,
    /// Statistics, and later their derivatives.
    pub block: Block,
    pub parts: Vec<PartRoom>,
    /// The most regions that a part has.
    pub regions: usize,
    /// Of all of it.
    pub bytes: usize,
}

/// Pixels in slices: so many to a slice, so many slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    pub pixels: usize,
    pub count: usize,
}

impl Slices {
    fn new(pixels: usize, least: usize, most: usize) -> Self {
        let each = least.max(pixels.div_ceil(most).next_multiple_of(16));
        Self {
            pixels: each,
            count: pixels.div_ceil(each),
        }
    }

    /// Of second moments over so many pixels.
    pub fn of_moments(pixels: usize, channels: usize) -> Self {
        Self::new(pixels, PIXELS_PER_SLICE, (BLOCKS / tiles(channels)).max(1))
    }

    /// Of means over so many pixels, of which a block takes 64 channels.
    pub fn of_means(pixels: usize, channels: usize) -> Self {
        Self::new(pixels, PIXELS_PER_MEAN, (BLOCKS * 64 / channels).max(1))
    }
}

/// The tiles of a symmetric matrix on and above its diagonal.
pub fn tiles(channels: usize) -> usize {
    let across = channels / 64;
    across * (across + 1) / 2
}

/// Whether a plan measures a layer.
pub fn measures(plan: &Plan, layer: Layer) -> bool {
    plan.style_layers.contains(&layer) || plan.content_layers.contains(&layer)
}

/// Hands out places one after the other, from 0 on.
#[derive(Default)]
pub struct Places(usize);

impl Places {
    /// The next place, for so many bytes.
    pub fn take(&mut self, bytes: usize) -> usize {
        let place = self.0;
        self.0 += bytes.next_multiple_of(ALIGNMENT);
        place
    }

    /// Where the last of them ends.
    pub fn end(&self) -> usize {
        self.0
    }
}

impl Layout {
    /// What a tiling takes.
    ///
    /// # Errors
    /// [`Error::Internal`] for regions without their number.
    pub fn of(tiling: &Tiling, precision: Precision) -> Result<Self> {
        let plan = tiling.largest();
        let (float, number) = (size_of::<f32>(), precision.bytes_of_number());
        let pixels = |layer: Layer| (plan.height >> layer.pools()) * (plan.width >> layer.pools());
        let top = plan.style_layers.iter().chain(&plan.content_layers).max();
        let layers = &Layer::ALL[..top.map_or(0, |top| top.index() + 1)];
        let mut places = Places::default();
        let picture = places.take(3 * plan.height * plan.width * float);
        let rooms = layers.iter().map(|&layer| {
            let elements = pixels(layer) * layer.outputs();
            let above = layers.get(layer.index() + 1).filter(|above| above.follows_pool());
            let pooled = above.map(|&above| pixels(above) * layer.outputs());
            let is_kept = measures(&plan, layer) || (pooled.is_some() && plan.pooling == Pooling::L2);
            LayerRoom {
                layer,
                positive: places.take(elements.div_ceil(8)),
                features: is_kept.then(|| places.take(elements * float)),
                pooled: pooled.map(|elements| match plan.pooling {
                    Pooling::Max => PooledRoom::Max {
                        winners: places.take(elements),
                    },
                    Pooling::Average => PooledRoom::Average,
                    Pooling::L2 => PooledRoom::L2 {
                        output: places.take(elements * number),
                    },
                }),
            }
        });
        let rooms: Vec<_> = rooms.collect();
        let largest = layers
            .iter()
            .map(|&layer| pixels(layer) * layer.outputs() * number)
            .max();
        let buffers = [(); 2].map(|()| places.take(largest.unwrap_or(0)));
        let style = || plan.style_layers.iter().copied();
        let partial = style().map(|layer| {
            let (channels, pixels) = (layer.outputs(), pixels(layer));
            let most = pixels.div_ceil(PIXELS_PER_SLICE).min((BLOCKS / tiles(channels)).max(1));
            (most * channels * channels).max(BLOCKS * 64) * float
        });
        let partial = places.take(partial.max().unwrap_or(0));
        let channels = style().map(Layer::outputs).max().unwrap_or(0);
        let matrix = places.take(channels * channels * float);
        let features = |part: &Plan, layer: Layer| part.content_features(layer) * float;
        let shared: Option<Vec<usize>> = (tiling.holding() == Holding::Aside).then(|| {
            let most = |layer| tiling.parts().iter().map(|part| features(part, layer)).max();
            let layers = plan.content_layers.iter();
            layers.map(|&layer| places.take(most(layer).unwrap_or(0))).collect()
        });
        let mut parts = Vec::new();
        let mut most_regions = 1;
        for part in tiling.parts() {
            let regions = part.regions.as_ref().map(|regions| regions.dim(0)).transpose()?;
            most_regions = most_regions.max(regions.unwrap_or(1));
            let depths = layers.last().map_or(0, |layer| layer.pools() + 1);
            let regions = regions.map_or(Vec::new(), |regions| {
                let grid = |pools| (part.height >> pools) * (part.width >> pools);
                (0..depths)
                    .map(|pools| places.take(regions * grid(pools) * float))
                    .collect()
            });
            let held = shared.clone().unwrap_or_else(|| {
                let layers = part.content_layers.iter();
                layers.map(|&layer| places.take(features(part, layer))).collect()
            });
            parts.push(PartRoom { regions, held });
        }
        let block = Block::new(&plan, most_regions, &mut places);
        if i32::try_from(plan.height * plan.width).is_err() {
            return Err(Error::Memory("the picture is too large for a card; use tiles".into()));
        }
        Ok(Self {
            picture,
            layers: rooms,
            buffers,
            partial,
            matrix,
            block,
            parts,
            regions: most_regions,
            bytes: places.end(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_all_pixels_and_fit_their_room() {
        for channels in [64, 128, 256, 512] {
            for pixels in [1, 15, 256, 257, 4097, 262_144, 67_108_864] {
                let slices = Slices::of_moments(pixels, channels);
                assert!(slices.pixels * slices.count >= pixels && slices.pixels * (slices.count - 1) < pixels);
                assert!(slices.count <= pixels.div_ceil(PIXELS_PER_SLICE).min(BLOCKS / tiles(channels)));
                let means = Slices::of_means(pixels, channels);
                assert!(means.count * channels <= BLOCKS * 64 && means.pixels * means.count >= pixels);
            }
        }
    }
}
