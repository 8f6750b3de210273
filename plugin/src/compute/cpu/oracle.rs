//! The same network in f64 and in the plainest loops: what the kernels are held against.

use super::decisions::Decisions;
use crate::compute::{Plan, Pooling};
use crate::network::{Convolution, Layer, Network, Normalisation};

/// A feature map, `[channels][height][width]`.
#[derive(Clone, Debug)]
pub struct Map {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<f64>,
}

impl Map {
    pub fn zero(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            values: vec![0.0; channels * height * width],
        }
    }

    pub fn index(&self, channel: usize, row: usize, column: usize) -> usize {
        (channel * self.height + row) * self.width + column
    }
}

/// Numbers from -1 to 1 that look random: the same for the same seed.
pub fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// A network whose activations neither vanish nor explode.
pub fn network(seed: u64) -> Network {
    let mut random = noise(seed);
    let convolutions = Layer::ALL.into_iter().map(|layer| {
        let scale = (6.0 / (9 * layer.inputs()) as f64).sqrt();
        Convolution {
            weight: (0..layer.outputs() * layer.inputs() * 9)
                .map(|_| (random() * scale) as f32)
                .collect(),
            bias: (0..layer.outputs()).map(|_| (random() * 2.0) as f32).collect(),
        }
    });
    Network {
        convolutions: convolutions.collect(),
        // Channels in an order that is not its own inverse, and deviations that differ.
        normalisation: Normalisation {
            channels: [1, 2, 0],
            mean: [100.0, 120.0, 140.0],
            deviation: [1.0, 2.0, 0.5],
        },
        origin: "noise".into(),
    }
}

/// The 3 x 3 convolution with zeros around the map: `output[o] = sum_i kernels[o][i] * input[i]`.
pub fn convolve(input: &Map, kernels: &[f32], outputs: usize) -> Map {
    let mut output = Map::zero(outputs, input.height, input.width);
    for o in 0..outputs {
        for i in 0..input.channels {
            for tap in 0..9 {
                let weight = f64::from(kernels[(o * input.channels + i) * 9 + tap]);
                add_shifted(input, i, &mut output, o, (tap / 3, tap % 3), weight);
            }
        }
    }
    output
}

/// Its transpose: `input[i] = sum_o` of what `output[o]` was made from.
pub fn convolve_transposed(output: &Map, kernels: &[f32], inputs: usize) -> Map {
    let mut input = Map::zero(inputs, output.height, output.width);
    for o in 0..output.channels {
        for i in 0..inputs {
            for tap in 0..9 {
                let weight = f64::from(kernels[(o * inputs + i) * 9 + tap]);
                add_shifted(output, o, &mut input, i, (2 - tap / 3, 2 - tap % 3), weight);
            }
        }
    }
    input
}

/// `to[row][column] += weight * from[row + dy - 1][column + dx - 1]`.
fn add_shifted(from: &Map, source: usize, to: &mut Map, target: usize, (dy, dx): (usize, usize), weight: f64) {
    for row in 0..to.height {
        if row + dy < 1 || row + dy > to.height {
            continue;
        }
        let first = 1usize.saturating_sub(dx);
        let last = to.width.min(to.width + 1 - dx);
        let source = &from.values[from.index(source, row + dy - 1, 0)..][..from.width];
        let start = to.index(target, row, 0);
        for column in first..last {
            to.values[start + column] += weight * source[column + dx - 1];
        }
    }
}

/// The members of each window of `map`.
pub fn windows(map: &Map) -> impl Iterator<Item = [usize; 4]> {
    let (rows, columns) = (map.height / 2, map.width / 2);
    (0..map.channels * rows * columns).map(move |index| {
        let (channel, row, column) = (index / (rows * columns), index / columns % rows, index % columns);
        window(map, channel, row, column)
    })
}

/// The members of a window of `map` in reading order.
fn window(map: &Map, channel: usize, row: usize, column: usize) -> [usize; 4] {
    [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(y, x)| map.index(channel, 2 * row + y, 2 * column + x))
}

pub fn pool(map: &Map, pooling: Pooling) -> Map {
    let mut pooled = Map::zero(map.channels, map.height / 2, map.width / 2);
    for channel in 0..map.channels {
        for row in 0..pooled.height {
            for column in 0..pooled.width {
                let members = window(map, channel, row, column).map(|index| map.values[index]);
                let index = pooled.index(channel, row, column);
                pooled.values[index] = match pooling {
                    Pooling::Max => members.into_iter().fold(f64::NEG_INFINITY, f64::max),
                    Pooling::Average => members.into_iter().sum::<f64>() / 4.0,
                    Pooling::L2 => scale() * (members.into_iter().map(|x| x * x).sum::<f64>() / 4.0).sqrt(),
                };
            }
        }
    }
    pooled
}

fn scale() -> f64 {
    f64::from(Pooling::L2_SCALE)
}

/// The gradient with respect to `map` from that with respect to its pooled map, where these were the maxima.
fn unpool(map: &Map, pooled: &Map, gradient: &Map, pooling: Pooling, winners: &[u8]) -> Map {
    let mut spread = Map::zero(map.channels, map.height, map.width);
    for channel in 0..map.channels {
        for row in 0..pooled.height {
            for column in 0..pooled.width {
                let index = pooled.index(channel, row, column);
                let (value, gradient) = (pooled.values[index], gradient.values[index]);
                let members = window(map, channel, row, column);
                match pooling {
                    Pooling::Max => spread.values[members[usize::from(winners[index])]] = gradient,
                    Pooling::Average => members
                        .into_iter()
                        .for_each(|member| spread.values[member] = gradient / 4.0),
                    Pooling::L2 => {
                        for member in members {
                            if value > 0.0 {
                                let slope = scale() * scale() * map.values[member] / (4.0 * value);
                                spread.values[member] = gradient * slope;
                            }
                        }
                    }
                }
            }
        }
    }
    spread
}

/// Features of every layer up to the highest that a plan taps, and how close the closest decision was: by how much a
/// sum misses 0 at a ReLU, or the second of a window its maximum, relative to the size of the layer's sums. Where it is
/// closer than float32 can tell, so is what the gradient should be. (For L2 pooling, see [`smallest_root`].)
pub fn features(network: &Network, plan: &Plan, picture: &[f64]) -> (Vec<Map>, f64) {
    let sums = sums(network, plan, picture);
    let maps: Vec<Map> = sums.iter().map(rectified).collect();
    let mut margin = f64::INFINITY;
    for (index, (sums, map)) in sums.iter().zip(&maps).enumerate() {
        let smallest = sums
            .values
            .iter()
            .fold(f64::INFINITY, |least, sum| least.min(sum.abs()));
        margin = margin.min(smallest / root_mean_square(sums));
        if is_pooled(plan, index) {
            margin = margin.min(match plan.pooling {
                Pooling::Max => closest_maximum(map),
                Pooling::Average => f64::INFINITY,
                Pooling::L2 => 1e-4 * smallest_root(map),
            });
        }
    }
    (maps, margin)
}

/// Sums of every layer up to the highest that a plan taps: its features before they are rectified.
pub fn sums(network: &Network, plan: &Plan, picture: &[f64]) -> Vec<Map> {
    let normalisation = network.normalisation;
    let mut input = Map::zero(3, plan.height, plan.width);
    let pixels = plan.height * plan.width;
    for channel in 0..3 {
        for pixel in 0..pixels {
            let sample = picture[normalisation.channels[channel] * pixels + pixel];
            input.values[channel * pixels + pixel] =
                (sample * 255.0 - f64::from(normalisation.mean[channel])) / f64::from(normalisation.deviation[channel]);
        }
    }
    let mut layers: Vec<Map> = Vec::new();
    for layer in &Layer::ALL[..=top(plan).index()] {
        if let Some(below) = layers.last() {
            input = rectified(below);
            if layer.follows_pool() {
                input = pool(&input, plan.pooling);
            }
        }
        let convolution = &network.convolutions[layer.index()];
        let mut map = convolve(&input, &convolution.weight, layer.outputs());
        let pixels = map.height * map.width;
        for (values, bias) in map.values.chunks_mut(pixels).zip(&convolution.bias) {
            for value in values {
                *value += f64::from(*bias);
            }
        }
        layers.push(map);
    }
    layers
}

pub fn rectified(sums: &Map) -> Map {
    let values = sums.values.iter().map(|sum| sum.max(0.0)).collect();
    Map { values, ..*sums }
}

pub fn root_mean_square(map: &Map) -> f64 {
    (map.values.iter().map(|value| value * value).sum::<f64>() / map.values.len() as f64).sqrt()
}

/// The smallest difference between the two largest of a window, where the largest is above 0.
fn closest_maximum(map: &Map) -> f64 {
    let contested = sorted_windows(map).filter(|members| members[3] > 0.0);
    let closest = contested
        .map(|members| members[3] - members[2])
        .fold(f64::INFINITY, f64::min);
    closest / root_mean_square(map)
}

/// The smallest root of a window with several members above 0. Near 0 the direction of the gradient depends on their
/// rounding (with one member it does not).
fn smallest_root(map: &Map) -> f64 {
    let contested = sorted_windows(map).filter(|members| members[2] > 0.0);
    let root = |members: [f64; 4]| (members.iter().map(|x| x * x).sum::<f64>() / 4.0).sqrt();
    contested.map(root).fold(f64::INFINITY, f64::min) / root_mean_square(map)
}

/// The values of each window, ascending.
fn sorted_windows(map: &Map) -> impl Iterator<Item = [f64; 4]> {
    windows(map).map(|members| {
        let mut values = members.map(|index| map.values[index]);
        values.sort_by(f64::total_cmp);
        values
    })
}

/// The highest layer that a plan taps.
fn top(plan: &Plan) -> Layer {
    *plan
        .style_layers
        .iter()
        .chain(&plan.content_layers)
        .max()
        .expect("the plan taps a layer")
}

/// Whether a pooling follows that the plan goes through.
pub fn is_pooled(plan: &Plan, index: usize) -> bool {
    index < top(plan).index() && Layer::ALL[index + 1].follows_pool()
}

/// A region's weights on a layer's grid, 0 outside the plan's window.
pub fn weights(plan: &Plan, layer: Layer, region: Option<&[f32]>) -> Vec<f64> {
    let mut map = Map::zero(1, plan.height, plan.width);
    map.values = match region {
        Some(weights) => weights.iter().map(|&weight| f64::from(weight)).collect(),
        None => vec![1.0; plan.height * plan.width],
    };
    for _ in 0..layer.pools() {
        map = pool(&map, Pooling::Average);
    }
    let window = plan.window.at_depth(layer.pools());
    for row in 0..map.height {
        for column in 0..map.width {
            let inside = (window.top..window.top + window.height).contains(&row)
                && (window.left..window.left + window.width).contains(&column);
            if !inside {
                let index = map.index(0, row, column);
                map.values[index] = 0.0;
            }
        }
    }
    map.values
}

/// `sum w F F^T / sum w`, `sum w F / sum w` and `sum w`.
pub fn moments(map: &Map, weights: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
    let total: f64 = weights.iter().sum();
    let rows: Vec<&[f64]> = map.values.chunks(weights.len()).collect();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).zip(weights).map(|((a, b), w)| a * b * w).sum() };
    let second = rows.iter().flat_map(|a| rows.iter().map(move |b| dot(a, b) / total));
    let ones = vec![1.0; weights.len()];
    let mean = rows.iter().map(|a| dot(a, &ones) / total);
    (second.collect(), mean.collect(), total)
}

/// The gradient with respect to the picture from the gradients with respect to the features of each layer, by what was
/// decided of these.
pub fn gradient(
    network: &Network,
    plan: &Plan,
    maps: &[Map],
    decided: &[Decisions],
    at_features: &[Option<Map>],
) -> Vec<f64> {
    let mut flowing: Option<Map> = None;
    for layer in Layer::ALL[..=top(plan).index()].iter().rev() {
        let map = &maps[layer.index()];
        let mut gradient = flowing
            .take()
            .unwrap_or_else(|| Map::zero(map.channels, map.height, map.width));
        if let Some(added) = &at_features[layer.index()] {
            for (gradient, added) in gradient.values.iter_mut().zip(&added.values) {
                *gradient += added;
            }
        }
        for (gradient, passes) in gradient.values.iter_mut().zip(&decided[layer.index()].passes) {
            *gradient = if *passes { *gradient } else { 0.0 };
        }
        let kernels = &network.convolutions[layer.index()].weight;
        let below = convolve_transposed(&gradient, kernels, layer.inputs());
        flowing = Some(if layer.follows_pool() {
            let map = &maps[layer.index() - 1];
            let winners = &decided[layer.index() - 1].winners;
            unpool(map, &pool(map, plan.pooling), &below, plan.pooling, winners)
        } else {
            below
        });
    }
    let at_input = flowing.expect("there is a layer");
    let pixels = plan.height * plan.width;
    let mut picture = vec![0.0; 3 * pixels];
    for channel in 0..3 {
        let factor = 255.0 / f64::from(network.normalisation.deviation[channel]);
        for pixel in 0..pixels {
            picture[network.normalisation.channels[channel] * pixels + pixel] =
                at_input.values[channel * pixels + pixel] * factor;
        }
    }
    picture
}

/// `|a - b| / |b|` in the Euclidean norm.
pub fn relative_error(a: impl IntoIterator<Item = f32>, b: impl IntoIterator<Item = f64>) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (a, b) in a.into_iter().zip(b) {
        difference += (f64::from(a) - b).powi(2);
        norm += b * b;
    }
    assert!(norm > 0.0);
    (difference / norm).sqrt()
}
