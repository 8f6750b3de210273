//! The memory of a plan, laid out before the first step: nothing large is allocated afterwards.
//!
//! Features are kept where they are tapped (and, for L2 pooling, where its gradient needs them). All else that the
//! backward pass needs of a layer is a bit per activation or two per pooled window. Maps on their way between two
//! layers live in two buffers in turn: a layer reads one and writes the other, forward and backward.

use super::first::FirstLayer;
use super::injection::MomentsFactor;
use super::lanes::{Grid, Lanes, WIDTH};
use super::moments::{Sums, runs};
use crate::compute::{Plan, Pooling, Window};
use crate::network::Layer;

/// What is remembered of a layer between forward and backward.
pub struct LayerMemory {
    /// The layer.
    pub layer: Layer,
    /// The size of its map.
    pub grid: Grid,
    /// The activations, `[C/16][H][W]`; empty where they are not kept.
    pub features: Vec<Lanes>,
    /// Whether each activation is above 0; empty where nobody asks or the activations are kept.
    pub positive: Vec<u16>,
    /// Where a pooling follows that the plan goes through.
    pub pool: Option<PoolMemory>,
    /// Where statistics are taken.
    pub tap: Option<Tap>,
}

/// What is remembered of a pooling.
pub struct PoolMemory {
    /// The size of the pooled map.
    pub grid: Grid,
    /// L2: the pooled values; else empty.
    pub roots: Vec<Lanes>,
    /// Max: which element was chosen; else empty.
    pub choices: Vec<u32>,
    /// Max: whether it is above 0; else empty.
    pub positive: Vec<u16>,
}

/// What is measured at a layer.
pub struct Tap {
    /// The plan's window on this layer's grid.
    pub window: Window,
    /// The moments, where this is a style layer.
    pub style: Option<StyleTap>,
    /// The content's features inside the window, where this is a content layer.
    pub content: Option<Vec<Lanes>>,
}

/// The moments of a style layer.
pub struct StyleTap {
    /// The memory that they are summed in.
    pub sums: Sums,
    /// For each region the sum of its weights.
    pub weights: Vec<f64>,
    /// For each region the derivatives with respect to its moments.
    pub factors: Vec<MomentsFactor>,
}

/// All memory of a plan.
pub struct Arena {
    /// The layers from conv1_1 to the highest that is tapped.
    pub layers: Vec<LayerMemory>,
    /// Maps on their way, forward and backward.
    pub buffers: [Vec<Lanes>; 2],
    /// The picture in the network's space, inside a border of zeros.
    pub input: Vec<f32>,
    /// `[poolings before][region]`: the weight of each pixel of that grid; no regions where the plan has none.
    pub regions: Vec<Vec<Vec<f32>>>,
}

impl Arena {
    /// Lays out the memory of a plan that has been checked. `regions` are its weights, `[region][H * W]`.
    pub fn new(plan: &Plan, regions: Vec<Vec<f32>>) -> Self {
        let regions = shrink(regions, grid_of(plan, 0));
        let tapped = plan.style_layers.iter().chain(&plan.content_layers);
        let top = tapped.map(|layer| layer.index()).max().unwrap_or(0);
        let layers: Vec<_> = Layer::ALL[..=top]
            .iter()
            .map(|&layer| LayerMemory::new(plan, layer, layer.index() == top, &regions[layer.pools()]))
            .collect();
        let mut lengths = [0; 2];
        for (buffer, length) in buffer_uses(&layers) {
            lengths[buffer] = length.max(lengths[buffer]);
        }
        Self {
            layers,
            buffers: lengths.map(|length| vec![Lanes::ZERO; length]),
            input: vec![0.0; FirstLayer::input_len(grid_of(plan, 0))],
            regions,
        }
    }
}

impl Arena {
    /// Its size, but for what is small.
    pub fn bytes(&self) -> usize {
        let layers = self.layers.iter().map(|layer| {
            let pool = layer.pool.as_ref().map_or(0, |pool| {
                size_of_val(&pool.roots[..]) + size_of_val(&pool.choices[..]) + size_of_val(&pool.positive[..])
            });
            let content = layer.tap.as_ref().and_then(|tap| tap.content.as_ref());
            let held = content.map_or(0, |held| size_of_val(&held[..]));
            size_of_val(&layer.features[..]) + size_of_val(&layer.positive[..]) + pool + held
        });
        let buffers = self.buffers.iter().map(|buffer| size_of_val(&buffer[..]));
        layers.chain(buffers).sum::<usize>() + size_of_val(&self.input[..])
    }
}

impl LayerMemory {
    fn new(plan: &Plan, layer: Layer, is_top: bool, regions: &[Vec<f32>]) -> Self {
        let grid = grid_of(plan, layer.pools());
        let length = layer.outputs() / WIDTH * grid.pixels();
        let is_style = plan.style_layers.contains(&layer);
        let is_content = plan.content_layers.contains(&layer);
        let is_pooled = !is_top && Layer::ALL[layer.index() + 1].follows_pool();
        let keeps_features = is_style || is_content || (is_pooled && plan.pooling == Pooling::L2);
        let keeps_bits = match (is_pooled, plan.pooling) {
            (true, Pooling::Average) => true,
            (true, Pooling::Max | Pooling::L2) => false,
            (false, _) => !keeps_features,
        };
        Self {
            layer,
            grid,
            features: vec![Lanes::ZERO; if keeps_features { length } else { 0 }],
            positive: vec![0; if keeps_bits { length } else { 0 }],
            pool: is_pooled.then(|| PoolMemory::new(plan.pooling, layer, grid.halved())),
            tap: (is_style || is_content).then(|| {
                let window = plan.window.at_depth(layer.pools());
                let pixels = window.height * window.width;
                Tap {
                    window,
                    style: is_style.then(|| StyleTap::new(layer, grid, window, regions)),
                    content: is_content.then(|| vec![Lanes::ZERO; layer.outputs() / WIDTH * pixels]),
                }
            }),
        }
    }

    /// The length of its map.
    pub fn len(&self) -> usize {
        self.layer.outputs() / WIDTH * self.grid.pixels()
    }

    /// The length of the map that the next layer reads.
    pub fn output_len(&self) -> usize {
        let grid = self.pool.as_ref().map_or(self.grid, |pool| pool.grid);
        self.layer.outputs() / WIDTH * grid.pixels()
    }

    /// What the next layer reads, if it is kept; else it is in a buffer.
    pub fn kept_output(&self) -> Option<&[Lanes]> {
        let kept = self.pool.as_ref().map_or(&self.features, |pool| &pool.roots);
        (!kept.is_empty()).then_some(kept)
    }

    /// Whether the gradient before its pooling must be written out, because statistics are to be added to it.
    pub fn unpools(&self) -> bool {
        self.pool.is_some() && self.tap.is_some()
    }
}

impl PoolMemory {
    fn new(pooling: Pooling, layer: Layer, grid: Grid) -> Self {
        let length = layer.outputs() / WIDTH * grid.pixels();
        let when = |wanted| if pooling == wanted { length } else { 0 };
        Self {
            grid,
            roots: vec![Lanes::ZERO; when(Pooling::L2)],
            choices: vec![0; when(Pooling::Max)],
            positive: vec![0; when(Pooling::Max)],
        }
    }
}

impl StyleTap {
    fn new(layer: Layer, grid: Grid, window: Window, regions: &[Vec<f32>]) -> Self {
        let pixels = window.height * window.width;
        let weights = if regions.is_empty() {
            vec![pixels as f64]
        } else {
            let sum = |weights: &Vec<f32>| {
                runs(grid, window, 0..pixels)
                    .flat_map(|(start, length)| &weights[start..start + length])
                    .map(|&weight| f64::from(weight))
                    .sum()
            };
            regions.iter().map(sum).collect()
        };
        Self {
            sums: Sums::new(layer.outputs(), pixels),
            factors: weights.iter().map(|_| MomentsFactor::new(layer.outputs())).collect(),
            weights,
        }
    }
}

/// Which buffer is used for how much: forward, layer `k` writes buffer `k % 2` unless its output is kept; backward, see
/// [`super::pass`].
fn buffer_uses(layers: &[LayerMemory]) -> Vec<(usize, usize)> {
    let mut uses = Vec::new();
    for (index, memory) in layers.iter().enumerate() {
        if memory.kept_output().is_none() && index + 1 < layers.len() {
            uses.push((index % 2, memory.output_len()));
        }
    }
    let top = layers.len() - 1;
    let mut buffer = top % 2;
    uses.push((buffer, layers[top].len()));
    for below in layers[..top].iter().rev() {
        buffer = 1 - buffer;
        uses.push((buffer, below.output_len()));
        if below.unpools() {
            buffer = 1 - buffer;
            uses.push((buffer, below.len()));
        }
    }
    uses
}

/// The grid after so many poolings.
fn grid_of(plan: &Plan, pools: usize) -> Grid {
    Grid {
        height: plan.height >> pools,
        width: plan.width >> pools,
    }
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
