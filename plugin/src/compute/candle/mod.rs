//! The plain backend: VGG-19 written with candle tensors, forward and backward by hand.
//!
//! It runs on any candle device (CPU, CUDA, Metal) and is the reference that every faster backend is held against, so
//! it is written to be read. candle's own gradient tape is not used, for three reasons: it always computes the weight
//! gradients, which a frozen network never needs; its transposed convolution is slow; and its pooling gradients are
//! wrong (candle 0.11.1). Instead:
//!
//! - The gradient of a 3 x 3 convolution of padding 1 with respect to its input is the same convolution with the
//!   kernel flipped and its channels transposed: `W'[i][o][y][x] = W[o][i][2 - y][2 - x]`.
//! - ReLU passes the gradient where its output is positive; one mask per layer is kept for that.
//! - Poolings keep what their gradients need ([`pooling`]).
//! - Only layers whose statistics are wanted keep their features ([`statistics`]).

mod pooling;
mod statistics;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use half::f16;

use self::pooling::Pooled;
use self::statistics::{Measure, RegionWeights};
use super::{Backend, ContentDistance, Holding, Plan, Statistics, StatisticsGradient, Tiling};
use crate::network::{Layer, Network};
use crate::{Error, Result, threads};

/// A bound of the peak of a forward and a backward pass. On the processor, at 160 and at 256 pixels squared, 3.1 and 3.2
/// KB were measured with the usual layers and max pooling: most is conv1_2's input laid out for a matrix product, nine
/// times its 64 channels. L2 pooling keeps four slopes per window, 0.5 KB more; all layers' features are another 0.9.
const BYTES_PER_PIXEL: usize = 4800;

/// One convolution's parameters as tensors, for both directions.
struct Kernel {
    /// `[out, in, 3, 3]`.
    forward: Tensor,
    /// `[in, out, 3, 3]`, flipped.
    backward: Tensor,
    /// `[1, out, 1, 1]`.
    bias: Tensor,
}

/// What the backward pass needs of a layer's forward pass.
struct Trace {
    /// Where the ReLU's output is positive, u8 `[1, C, H, W]`.
    positive: Tensor,
    /// The features themselves, of measured layers only, `[1, C, H, W]`.
    features: Option<Tensor>,
    /// The pooling that came before the convolution.
    pooled: Option<Pooled>,
}

impl Trace {
    fn features(&self) -> Result<&Tensor> {
        self.features
            .as_ref()
            .ok_or_else(|| Error::Internal("a measured layer kept no features".into()))
    }
}

/// What belongs to one part.
struct Part {
    plan: Plan,
    /// The layers to run: up to the deepest one that is measured.
    layers: Vec<Layer>,
    regions: RegionWeights,
    /// The content's features over the window, per content layer, `[C, N]`; in halves where memory is short.
    content: Vec<Tensor>,
}

/// What one forward pass left.
struct Passed {
    /// The part that it went over.
    part: usize,
    /// One per layer run.
    traces: Vec<Trace>,
}

/// VGG-19 on a candle device.
pub struct CandleBackend {
    network: Arc<Network>,
    device: Device,
    pool: rayon::ThreadPool,
    kernels: Vec<Kernel>,
    /// Empty until they are prepared.
    parts: Vec<Part>,
    /// What the content is held in.
    held_in: DType,
    passed: Option<Passed>,
}

impl CandleBackend {
    /// The network on a device, with at most `threads` processor threads (0 for all).
    ///
    /// # Errors
    /// When the device has no room for the weights, or no threads can be started.
    pub fn new(network: Arc<Network>, device: Device, threads: usize) -> Result<Self> {
        let pool = threads::pool(threads, "pentimento-plain")?;
        let kernels = Layer::ALL
            .into_iter()
            .map(|layer| Kernel::new(&network, layer, &device))
            .collect::<Result<_>>()?;
        Ok(Self {
            network,
            device,
            pool,
            kernels,
            parts: Vec::new(),
            held_in: DType::F32,
            passed: None,
        })
    }
}

impl Kernel {
    fn new(network: &Network, layer: Layer, device: &Device) -> Result<Self> {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        let convolution = &network.convolutions[layer.index()];
        let forward = Tensor::from_slice(&convolution.weight, (outputs, inputs, 3, 3), device)?;
        let mut flipped = vec![0f32; convolution.weight.len()];
        for (from, weight) in convolution.weight.iter().enumerate() {
            let (output, input, tap) = (from / (9 * inputs), from / 9 % inputs, from % 9);
            flipped[(input * outputs + output) * 9 + 8 - tap] = *weight;
        }
        let backward = Tensor::from_vec(flipped, (inputs, outputs, 3, 3), device)?;
        let bias = Tensor::from_slice(&convolution.bias, (1, outputs, 1, 1), device)?;
        Ok(Self {
            forward,
            backward,
            bias,
        })
    }
}

/// A 3 x 3 convolution that keeps the size.
fn convolve(input: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    Ok(input.contiguous()?.conv2d(kernel, 1, 1, 1, 1)?)
}

impl Part {
    fn new(plan: &Plan, device: &Device) -> Result<Self> {
        let deepest = plan.style_layers.iter().chain(&plan.content_layers).max();
        let count = deepest.map_or(0, |layer| layer.index() + 1);
        let layers = Layer::ALL[..count].to_vec();
        let regions = RegionWeights::new(plan, &layers, device)?;
        Ok(Self {
            plan: plan.clone(),
            layers,
            regions,
            content: Vec::new(),
        })
    }

    fn measure(&self) -> Measure<'_> {
        Measure {
            plan: &self.plan,
            regions: &self.regions,
        }
    }

    fn measures(&self, layer: Layer) -> bool {
        self.plan.style_layers.contains(&layer) || self.plan.content_layers.contains(&layer)
    }

    /// The derivative of the loss with respect to a measured layer's features, before what flows down from above.
    fn gradient_at(&self, layer: Layer, features: &Tensor, gradient: &StatisticsGradient) -> Result<Tensor> {
        let measure = self.measure();
        let inside = measure.inside(features, layer)?;
        let mut total = inside.zeros_like()?;
        if let Some(index) = self.plan.style_layers.iter().position(|&style| style == layer) {
            total = (total + measure.moments_gradient(&inside, layer, &gradient.moments[index])?)?;
        }
        let content = self.plan.content_layers.iter().position(|&content| content == layer);
        if let (Some(index), false) = (content, gradient.content.is_empty()) {
            let held = &self.content[index].to_dtype(DType::F32)?;
            total = (total + statistics::content_gradient(&inside, held, gradient.content[index])?)?;
        }
        measure.spread(&total, features, layer)
    }
}

impl CandleBackend {
    fn part(&self, part: usize) -> Result<&Part> {
        self.parts
            .get(part)
            .ok_or_else(|| Error::Internal(format!("the backend was not prepared for part {part}")))
    }

    /// From a picture to the network's input space.
    fn normalise(&self, picture: &Tensor) -> Result<Tensor> {
        let normalisation = &self.network.normalisation;
        let channels: Vec<u32> = normalisation.channels.iter().map(|&channel| channel as u32).collect();
        let channels = Tensor::new(channels, &self.device)?;
        let mean = Tensor::new(&normalisation.mean, &self.device)?.reshape((1, 3, 1, 1))?;
        let deviation = Tensor::new(&normalisation.deviation, &self.device)?.reshape((1, 3, 1, 1))?;
        let scaled = (picture.index_select(&channels, 1)? * 255.0)?;
        Ok(scaled.broadcast_sub(&mean)?.broadcast_div(&deviation)?)
    }

    /// From a gradient in the network's input space to one of the picture: the adjoint of [`Self::normalise`].
    fn denormalise_gradient(&self, gradient: &Tensor) -> Result<Tensor> {
        let normalisation = &self.network.normalisation;
        let mut order = vec![0u32; 3];
        for (channel, &from) in normalisation.channels.iter().enumerate() {
            order[from] = channel as u32;
        }
        let deviation = Tensor::new(&normalisation.deviation, &self.device)?.reshape((1, 3, 1, 1))?;
        let scaled = (gradient.broadcast_div(&deviation)? * 255.0)?;
        Ok(scaled
            .index_select(&Tensor::new(order, &self.device)?, 1)?
            .contiguous()?)
    }

    /// Runs the network and keeps what the backward pass needs.
    fn run(&self, part: &Part, picture: &Tensor) -> Result<Vec<Trace>> {
        let (_, channels, height, width) = picture.dims4()?;
        if (channels, height, width) != (3, part.plan.height, part.plan.width) {
            return Err(Error::Internal(format!(
                "a picture of {channels} x {height} x {width} does not fit the plan for 3 x {} x {}",
                part.plan.height, part.plan.width
            )));
        }
        let mut traces = Vec::with_capacity(part.layers.len());
        let mut current = self.normalise(picture)?;
        for &layer in &part.layers {
            let pooled = layer
                .follows_pool()
                .then(|| Pooled::new(&current, part.plan.pooling))
                .transpose()?;
            let input = pooled.as_ref().map_or(&current, Pooled::output);
            let kernel = &self.kernels[layer.index()];
            let output = convolve(input, &kernel.forward)?.broadcast_add(&kernel.bias)?.relu()?;
            traces.push(Trace {
                positive: output.gt(0f32)?,
                features: part.measures(layer).then(|| output.clone()),
                pooled,
            });
            current = output;
        }
        Ok(traces)
    }

    fn measure(&self, part: &Part, traces: &[Trace]) -> Result<Statistics> {
        let measure = part.measure();
        let features = |layer: &Layer| measure.inside(traces[layer.index()].features()?, *layer);
        let moments = part.plan.style_layers.iter();
        let moments = moments
            .map(|layer| measure.moments(&features(layer)?, *layer))
            .collect::<Result<_>>()?;
        let content = part.plan.content_layers.iter().zip(&part.content);
        let content = content
            .map(|(layer, held)| statistics::content_distance(&features(layer)?, &held.to_dtype(DType::F32)?))
            .collect::<Result<_>>()?;
        Ok(Statistics { moments, content })
    }

    fn pull_back(&self, part: &Part, traces: &[Trace], gradient: &StatisticsGradient) -> Result<Tensor> {
        let mut flowing: Option<Tensor> = None;
        for (&layer, trace) in part.layers.iter().zip(traces).rev() {
            if let Some(features) = &trace.features {
                let injected = part.gradient_at(layer, features, gradient)?;
                flowing = Some(match flowing {
                    Some(from_above) => (from_above + injected)?,
                    None => injected,
                });
            }
            let Some(gradient) = flowing else { continue };
            let masked = (gradient * trace.positive.to_dtype(DType::F32)?)?;
            let at_input = convolve(&masked, &self.kernels[layer.index()].backward)?;
            flowing = Some(match &trace.pooled {
                Some(pooled) => pooled.pull_back(&at_input)?,
                None => at_input,
            });
        }
        match flowing {
            Some(gradient) => self.denormalise_gradient(&gradient),
            None => Ok(Tensor::zeros(
                (1, 3, part.plan.height, part.plan.width),
                DType::F32,
                &self.device,
            )?),
        }
    }
}

impl Backend for CandleBackend {
    fn device(&self) -> &Device {
        &self.device
    }

    fn description(&self) -> String {
        match &self.device {
            Device::Cpu => format!("CPU, plain, {} threads", self.pool.current_num_threads()),
            Device::Cuda(_) => "CUDA, plain".into(),
            Device::Metal(_) => "Metal, plain".into(),
        }
    }

    fn memory(&self, tiling: &Tiling) -> u64 {
        let largest = tiling.largest();
        let passing = largest.height * largest.width * BYTES_PER_PIXEL;
        let held = match tiling.holding() {
            Holding::AsTheyAre | Holding::Aside => tiling.content_bytes(),
            // One part's are widened at a time, as it is passed.
            Holding::Halves => tiling.content_bytes() / 2,
        };
        (passing + held) as u64
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        (self.parts, self.passed) = (Vec::new(), None);
        self.held_in = match tiling.holding() {
            Holding::AsTheyAre | Holding::Aside => DType::F32,
            Holding::Halves => DType::F16,
        };
        let parts = tiling.parts().iter().map(|plan| Part::new(plan, &self.device));
        self.parts = parts.collect::<Result<_>>()?;
        Ok(())
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.passed = None;
        let this = self.part(part)?;
        let (held, energies) = threads::within(&self.pool, || {
            let traces = self.run(this, picture)?;
            let layers = this.plan.content_layers.iter();
            let held = layers.map(|&layer| this.measure().inside(traces[layer.index()].features()?, layer));
            let held = held.collect::<Result<Vec<_>>>()?;
            let energies = held.iter().map(statistics::energy).collect::<Result<_>>()?;
            let held = held.iter().map(|features| match self.held_in {
                DType::F32 => Ok(features.clone()),
                halves => Ok(features.clamp(0f32, f16::MAX.to_f32())?.to_dtype(halves)?),
            });
            Ok::<_, Error>((held.collect::<Result<_>>()?, energies))
        })?;
        self.parts[part].content = held;
        Ok(energies)
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        // Two forward passes' traces need never be held at once.
        self.passed = None;
        let this = self.part(part)?;
        let (traces, statistics) = threads::within(&self.pool, || {
            let traces = self.run(this, picture)?;
            let statistics = self.measure(this, &traces)?;
            Ok::<_, Error>((traces, statistics))
        })?;
        self.passed = Some(Passed { part, traces });
        Ok(statistics)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let Some(Passed { part, traces }) = &self.passed else {
            return Err(Error::Internal("backward without a forward pass".into()));
        };
        let part = self.part(*part)?;
        threads::within(&self.pool, || self.pull_back(part, traces, gradient))
    }
}
