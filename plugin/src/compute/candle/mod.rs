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

use self::pooling::Pooled;
use self::statistics::{Measure, RegionWeights};
use super::{Backend, Plan, Statistics, StatisticsGradient};
use crate::network::{Layer, Network};
use crate::{Error, Result};

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

/// What belongs to one plan.
struct Prepared {
    plan: Plan,
    /// The layers to run: up to the deepest one that is measured.
    layers: Vec<Layer>,
    regions: RegionWeights,
    /// The content's features over the window, per content layer, `[C, N]`.
    content: Vec<Tensor>,
    /// Of the last forward pass; one per layer run.
    traces: Vec<Trace>,
}

/// VGG-19 on a candle device.
pub struct CandleBackend {
    network: Arc<Network>,
    device: Device,
    pool: rayon::ThreadPool,
    kernels: Vec<Kernel>,
    prepared: Option<Prepared>,
}

impl CandleBackend {
    /// The network on a device, with at most `threads` processor threads (0 for all).
    ///
    /// # Errors
    /// When the device has no room for the weights, or no threads can be started.
    pub fn new(network: Arc<Network>, device: Device, threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| Error::Device(format!("threads cannot be started: {error}")))?;
        let kernels = Layer::ALL
            .into_iter()
            .map(|layer| Kernel::new(&network, layer, &device))
            .collect::<Result<_>>()?;
        Ok(Self {
            network,
            device,
            pool,
            kernels,
            prepared: None,
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

impl Prepared {
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
            traces: Vec::new(),
        })
    }

    fn measures(&self, layer: Layer) -> bool {
        self.plan.style_layers.contains(&layer) || self.plan.content_layers.contains(&layer)
    }
}

impl CandleBackend {
    fn prepared(&self) -> Result<&Prepared> {
        self.prepared
            .as_ref()
            .ok_or_else(|| Error::Internal("the backend was not prepared".into()))
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
    fn run(&self, picture: &Tensor) -> Result<Vec<Trace>> {
        let prepared = self.prepared()?;
        let (_, channels, height, width) = picture.dims4()?;
        if (channels, height, width) != (3, prepared.plan.height, prepared.plan.width) {
            return Err(Error::Internal(format!(
                "a picture of {channels} x {height} x {width} does not fit the plan for 3 x {} x {}",
                prepared.plan.height, prepared.plan.width
            )));
        }
        let mut traces = Vec::with_capacity(prepared.layers.len());
        let mut current = self.normalise(picture)?;
        for &layer in &prepared.layers {
            let pooled = layer
                .follows_pool()
                .then(|| Pooled::new(&current, prepared.plan.pooling))
                .transpose()?;
            let input = pooled.as_ref().map_or(&current, Pooled::output);
            let kernel = &self.kernels[layer.index()];
            let output = convolve(input, &kernel.forward)?.broadcast_add(&kernel.bias)?.relu()?;
            traces.push(Trace {
                positive: output.gt(0f32)?,
                features: prepared.measures(layer).then(|| output.clone()),
                pooled,
            });
            current = output;
        }
        Ok(traces)
    }

    fn measure(&self, traces: &[Trace]) -> Result<Statistics> {
        let prepared = self.prepared()?;
        let measure = Measure {
            plan: &prepared.plan,
            regions: &prepared.regions,
        };
        let features = |layer: &Layer| {
            let trace = &traces[layer.index()];
            measure.inside(
                trace.features.as_ref().expect("measured layers keep their features"),
                *layer,
            )
        };
        let moments = prepared.plan.style_layers.iter();
        let moments = moments
            .map(|layer| measure.moments(&features(layer)?, *layer))
            .collect::<Result<_>>()?;
        let content = prepared.plan.content_layers.iter().zip(&prepared.content);
        let content = content
            .map(|(layer, held)| statistics::content_distance(&features(layer)?, held))
            .collect::<Result<_>>()?;
        Ok(Statistics { moments, content })
    }

    fn pull_back(&self, gradient: &StatisticsGradient) -> Result<Tensor> {
        let prepared = self.prepared()?;
        let measure = Measure {
            plan: &prepared.plan,
            regions: &prepared.regions,
        };
        let mut flowing: Option<Tensor> = None;
        for (&layer, trace) in prepared.layers.iter().zip(&prepared.traces).rev() {
            if let Some(features) = &trace.features {
                let injected = self.gradient_at(layer, features, &measure, gradient)?;
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
                (1, 3, prepared.plan.height, prepared.plan.width),
                DType::F32,
                &self.device,
            )?),
        }
    }

    /// The derivative of the loss with respect to a measured layer's features, before what flows down from above.
    fn gradient_at(
        &self,
        layer: Layer,
        features: &Tensor,
        measure: &Measure,
        gradient: &StatisticsGradient,
    ) -> Result<Tensor> {
        let prepared = self.prepared()?;
        let inside = measure.inside(features, layer)?;
        let mut total = inside.zeros_like()?;
        if let Some(index) = prepared.plan.style_layers.iter().position(|&style| style == layer) {
            total = (total + measure.moments_gradient(&inside, layer, &gradient.moments[index])?)?;
        }
        let content = prepared
            .plan
            .content_layers
            .iter()
            .position(|&content| content == layer);
        if let (Some(index), false) = (content, gradient.content.is_empty()) {
            let held = &prepared.content[index];
            total = (total + statistics::content_gradient(&inside, held, gradient.content[index])?)?;
        }
        measure.spread(&total, features, layer)
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

    fn memory(&self, plan: &Plan) -> u64 {
        (plan.height * plan.width * BYTES_PER_PIXEL) as u64
    }

    fn prepare(&mut self, plan: &Plan) -> Result<()> {
        self.prepared = None;
        plan.check()?;
        self.prepared = Some(Prepared::new(plan, &self.device)?);
        Ok(())
    }

    fn hold_content(&mut self, picture: &Tensor) -> Result<Vec<f64>> {
        let traces = self.pool.install(|| self.run(picture))?;
        let prepared = self.prepared()?;
        let measure = Measure {
            plan: &prepared.plan,
            regions: &prepared.regions,
        };
        let mut held = Vec::new();
        let mut energies = Vec::new();
        for &layer in &prepared.plan.content_layers {
            let features = traces[layer.index()]
                .features
                .as_ref()
                .expect("measured layers keep their features");
            let inside = measure.inside(features, layer)?;
            energies.push(statistics::energy(&inside)?);
            held.push(inside);
        }
        if let Some(prepared) = &mut self.prepared {
            prepared.content = held;
        }
        Ok(energies)
    }

    fn forward(&mut self, picture: &Tensor) -> Result<Statistics> {
        if let Some(prepared) = &mut self.prepared {
            // Two forward passes' traces need never be held at once.
            prepared.traces.clear();
        }
        let (traces, statistics) = self.pool.install(|| {
            let traces = self.run(picture)?;
            let statistics = self.measure(&traces)?;
            Ok::<_, Error>((traces, statistics))
        })?;
        if let Some(prepared) = &mut self.prepared {
            prepared.traces = traces;
        }
        Ok(statistics)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        if self.prepared()?.traces.is_empty() {
            return Err(Error::Internal("backward without a forward pass".into()));
        }
        self.pool.install(|| self.pull_back(gradient))
    }
}
