//! Seconds of one evaluation, forward and backward to the pixels, by picture size: `cargo bench -p pentimento-plugin`.
//!
//! Arguments are sizes in pixels (128 256 512 where there are none). Weights are noise: the time does not depend on
//! them. Each line gives the median and the least of the repetitions, and the peak memory of the process so far.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor};
use pentimento_plugin::Result;
use pentimento_plugin::compute::cpu::CpuBackend;
use pentimento_plugin::compute::{Backend, MomentsGradient, Plan, Pooling, StatisticsGradient, Tiling, Window};
use pentimento_plugin::network::{Convolution, Layer, Network, Normalisation};

fn main() -> Result<()> {
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![128, 256, 512] } else { sizes };
    let mut backend = CpuBackend::new(Arc::new(network()), 0)?;
    println!("{}", backend.description());
    for size in sizes {
        let plan = plan(size);
        let picture = Tensor::rand(0f32, 1f32, (1, 3, size, size), &Device::Cpu)?;
        backend.prepare(&Tiling::whole(&plan)?)?;
        backend.hold_content(0, &picture)?;
        let gradient = gradient(&plan)?;
        let (mut up, mut down, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for repetition in 0..=7 {
            let start = Instant::now();
            backend.forward(0, &picture)?;
            let middle = start.elapsed().as_secs_f64();
            backend.backward(&gradient)?;
            let end = start.elapsed().as_secs_f64();
            // The first step touches the memory for the first time.
            if repetition > 0 {
                up.push(middle);
                down.push(end - middle);
                both.push(end);
            }
        }
        println!(
            "{size} px: forward {}, backward {}, both {}; peak {:.0} MB",
            summary(up),
            summary(down),
            summary(both),
            peak_megabytes()
        );
    }
    Ok(())
}

/// Median and minimum.
fn summary(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    format!("{:.4} ({:.4}) s", seconds[seconds.len() / 2], seconds[0])
}

/// The largest resident size of this process; 0 where the system does not say.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

/// The article's layers.
fn plan(size: usize) -> Plan {
    let layers = |names: &[&str]| names.iter().filter_map(|name| name.parse().ok()).collect();
    Plan {
        height: size,
        width: size,
        window: Window::whole(size, size),
        style_layers: layers(&["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
        content_layers: layers(&["conv4_2"]),
        pooling: Pooling::Max,
        regions: None,
    }
}

fn gradient(plan: &Plan) -> Result<StatisticsGradient> {
    let region = |layer: &Layer| -> Result<_> {
        let channels = layer.outputs();
        Ok(vec![MomentsGradient {
            second: Tensor::rand(-1f32, 1f32, (channels, channels), &Device::Cpu)?,
            mean: Tensor::rand(-1f32, 1f32, channels, &Device::Cpu)?,
        }])
    };
    Ok(StatisticsGradient {
        moments: plan.style_layers.iter().map(region).collect::<Result<_>>()?,
        content: vec![1.0],
    })
}

/// Weights of a size that lets noise through.
fn network() -> Network {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let convolutions = Layer::ALL.into_iter().map(|layer| {
        let scale = (6.0 / (9 * layer.inputs()) as f32).sqrt();
        let weights = layer.outputs() * layer.inputs() * 9;
        Convolution {
            weight: (0..weights).map(|_| random() * scale).collect(),
            bias: vec![0.1; layer.outputs()],
        }
    });
    Network {
        convolutions: convolutions.collect(),
        normalisation: Normalisation::CAFFE,
        origin: "noise".into(),
    }
}
