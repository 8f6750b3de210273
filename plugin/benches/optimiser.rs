//! Seconds that L-BFGS takes beside the network, a step: `cargo bench -p pentimento-plugin --bench optimiser
//! [-- SIZE:PAIRS...] [--device=NAME]`.
//!
//! Its vectors are where those of a render on the device are, which is the processor where none is named. Square
//! pictures, SIZE pixels wide, and a history of so many pairs, which is full before the time is taken; by default what
//! a render of that size has. The loss is a bowl of noise whose evaluation costs little, and is not counted. Each line
//! gives the median of the steps and the least.

#[path = "subject/median.rs"]
mod median;

use std::time::Instant;

use candle_core::{Device, Tensor};
use median::median;
use pentimento_plugin::optimise::{Evaluation, Home, Lbfgs, LbfgsOptions, Optimiser, PictureMetric, Problem, Vector};
use pentimento_plugin::{Error, Result, compute, settings};

const STEPS: usize = 30;
const DEFAULTS: [(usize, usize); 3] = [(256, 100), (512, 85), (1024, 21)];

/// `1/2 sum c_i (x_i - m_i)^2`, curvatures of four decades.
struct Bowl {
    curvature: Tensor,
    middle: Tensor,
    /// What evaluations took.
    seconds: f64,
}

impl Bowl {
    fn new(shape: (usize, usize, usize, usize)) -> Result<Self> {
        let noise = || Tensor::rand(0f32, 1f32, shape, &Device::Cpu);
        Ok(Self {
            curvature: (noise()? * 1e4f64.ln())?.exp()?,
            middle: noise()?,
            seconds: 0.0,
        })
    }
}

impl Problem for Bowl {
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation> {
        let begun = Instant::now();
        let here = x.to_tensor()?;
        let away = (&here - &self.middle)?;
        let gradient = (&away * &self.curvature)?;
        let loss = 0.5 * f64::from((away * &gradient)?.mean_all()?.to_scalar::<f32>()?) * x.elem_count() as f64;
        let gradient = x.home().bring(&gradient)?;
        self.seconds += begun.elapsed().as_secs_f64();
        Ok(Evaluation { loss, gradient })
    }
}

fn main() -> Result<()> {
    let mut device = settings::Device::Cpu;
    let mut arguments = Vec::new();
    for argument in std::env::args().skip(1) {
        if let Some(name) = argument.strip_prefix("--device=") {
            device = name.parse().map_err(|reason| Error::argument("--device", reason))?;
        } else if !argument.starts_with('-') {
            arguments.push(argument);
        }
    }
    let home = compute::open(device, settings::Precision::Standard, "", 0)?
        .backend
        .home();
    let asked = arguments.iter().map(|argument| {
        let pair = argument
            .split_once(':')
            .map(|(size, pairs)| (size.parse(), pairs.parse()));
        match pair {
            Some((Ok(size), Ok(pairs))) => Ok((size, pairs)),
            _ => Err(Error::Internal(format!("{argument} is not SIZE:PAIRS"))),
        }
    });
    let asked: Vec<(usize, usize)> = asked.collect::<Result<_>>()?;
    for (size, pairs) in if asked.is_empty() { DEFAULTS.to_vec() } else { asked } {
        let seconds = time(size, pairs, &home)?;
        let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{size} px, {pairs} pairs: {:.4} ({least:.4}) s", median(seconds));
    }
    Ok(())
}

/// The seconds of each step beside its evaluation.
fn time(size: usize, pairs: usize, home: &Home) -> Result<Vec<f64>> {
    let shape = (1, 3, size, size);
    let options = LbfgsOptions {
        history: pairs,
        tolerance: -1.0,
        ..LbfgsOptions::default()
    };
    let start = home.bring(&Tensor::rand(0f32, 1f32, shape, &Device::Cpu)?)?;
    let mut optimiser = Lbfgs::with_metric(&start, options, Box::new(PictureMetric::unpainted()))?;
    let mut bowl = Bowl::new(shape)?;
    while optimiser.pairs() < pairs {
        optimiser.step(&mut bowl)?;
    }
    let mut seconds = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let (begun, evaluated) = (Instant::now(), bowl.seconds);
        optimiser.step(&mut bowl)?;
        seconds.push(begun.elapsed().as_secs_f64() - (bowl.seconds - evaluated));
    }
    Ok(seconds)
}
