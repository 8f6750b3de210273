//! Seconds of one evaluation of the article's objective, forward and backward to the pixels, by picture size:
//! `cargo bench -p pentimento-plugin --bench step [-- SIZE...] [--repetitions=N]
//! [--device=NAME] [--instructions=NAME] [--draft]`.
//!
//! Sizes are in pixels (128 256 512 where there are none), and the device is the processor where none is named, with the
//! fastest of its instruction sets where none is (AMX, AVX-512, AVX2, plain); a card computes a draft when told to. The
//! picture, its gradient and the losses are where a render has them: on a card of our own backend they stay there, where up
//! and down are not told apart, and the gradient is there when its square has come back. Each line gives the median and the
//! least of the repetitions (7), the peak memory of the process so far, and what a card's memory is taken of. `compare.py`
//! and `card.py` run this beside another program.

#[path = "subject/median.rs"]
mod median;
#[path = "../tests/process/mod.rs"]
mod process;
#[path = "subject/processor.rs"]
mod processor;
mod subject;

use std::time::Instant;

use median::median;
use pentimento_plugin::compute::{self, Backend, Seen, Window};
use pentimento_plugin::objective::Objective;
use pentimento_plugin::optimise::{Vector, vector};
use pentimento_plugin::{Error, Result, settings};
use process::memory;
use subject::Subject;

fn main() -> Result<()> {
    let (mut sizes, mut repetitions) = (Vec::new(), 7);
    let (mut device, mut precision) = (settings::Device::Cpu, settings::Precision::Standard);
    let mut instructions = None;
    for argument in std::env::args().skip(1) {
        if let Some(Ok(number)) = argument.strip_prefix("--repetitions=").map(str::parse) {
            repetitions = usize::max(number, 1);
        } else if let Some(name) = argument.strip_prefix("--device=") {
            device = name.parse().map_err(|reason| Error::argument("--device", reason))?;
        } else if let Some(name) = argument.strip_prefix("--instructions=") {
            instructions = Some(name.to_owned());
        } else if argument == "--draft" {
            precision = settings::Precision::Draft;
        } else {
            sizes.extend(argument.parse::<usize>());
        }
    }
    let mut backend: Box<dyn Backend> = match device {
        settings::Device::Cpu => Box::new(processor::processor(subject::network(), instructions.as_deref())?),
        card => compute::open(card, precision, "", 0)?.backend,
    };
    let sizes = if sizes.is_empty() { vec![128, 256, 512] } else { sizes };
    for size in sizes {
        let Subject { picture, objective } = Subject::new(&mut *backend, size)?;
        let picture = backend.home().bring(&picture)?;
        if let Some(resident) = backend.resident() {
            let losses = objective.losses(&resident.amounts(0)?);
            let losses = losses.ok_or_else(|| Error::Internal("the losses are the processor's".into()))?;
            resident.take_losses(0, &losses)?;
        }
        let (mut up, mut down, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for repetition in 0..=repetitions {
            let start = Instant::now();
            let middle = step(&mut *backend, &objective, &picture, start)?;
            let end = start.elapsed().as_secs_f64();
            // The first step touches the memory for the first time.
            if repetition > 0 {
                up.extend(middle);
                down.extend(middle.map(|middle| end - middle));
                both.push(end);
            }
        }
        let on_card = match backend.is_card() {
            true => format!(
                ", {:.0} MB on the card",
                backend.memory(&subject::tiling(size)?) as f64 / (1 << 20) as f64
            ),
            false => String::new(),
        };
        let apart = match up.is_empty() {
            true => String::new(),
            false => format!("forward {}, backward {}, ", summary(up), summary(down)),
        };
        println!(
            "{size} px, {}: {apart}both {}; peak {:.0} MB{on_card}",
            backend.description(),
            summary(both),
            memory("VmHWM:").unwrap_or(0.0) / (1 << 20) as f64
        );
    }
    Ok(())
}

/// Up the network and down again, and how long after the start the way down began, where that is told.
fn step(backend: &mut dyn Backend, objective: &Objective, picture: &Vector, start: Instant) -> Result<Option<f64>> {
    let Some(resident) = backend.resident() else {
        let statistics = backend.forward(0, &picture.to_tensor()?)?;
        let middle = start.elapsed().as_secs_f64();
        backend.backward(&objective.evaluate(&statistics)?.gradient)?;
        return Ok(Some(middle));
    };
    let gradient = picture.zeros_like()?;
    let total = resident.evaluate_box(0, picture, seen(picture)?, &gradient)?;
    total.ok_or_else(|| Error::Internal("the losses could not be told".into()))?;
    vector::dot(&gradient, &gradient)?;
    Ok(None)
}

/// The box of all of a picture that has no margin.
fn seen(picture: &Vector) -> Result<Seen> {
    let (_, _, height, width) = picture.shape().dims4()?;
    Ok(Seen {
        window: Window::whole(height, width),
        margin: 0,
    })
}

/// Median and minimum.
fn summary(seconds: Vec<f64>) -> String {
    let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    format!("{:.4} ({least:.4}) s", median(seconds))
}
