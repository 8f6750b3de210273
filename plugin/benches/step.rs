//! Seconds of one evaluation of the article's objective, forward and backward to the pixels, by picture size:
//! `cargo bench -p pentimento-plugin --bench step [-- SIZE... [--repetitions=N]]`.
//!
//! Sizes are in pixels (128 256 512 where there are none). Weights are noise: the time does not depend on them. Each
//! line gives the median and the least of the repetitions (7), and the peak memory of the process so far. `compare.py`
//! runs this beside another program.

#[path = "../tests/process/mod.rs"]
mod process;
mod subject;

use std::time::Instant;

use pentimento_plugin::Result;
use pentimento_plugin::compute::Backend;
use process::memory;
use subject::{Subject, median};

fn main() -> Result<()> {
    let (mut sizes, mut repetitions) = (Vec::new(), 7);
    for argument in std::env::args().skip(1) {
        match argument.strip_prefix("--repetitions=").map(str::parse) {
            Some(Ok(number)) => repetitions = usize::max(number, 1),
            _ => sizes.extend(argument.parse::<usize>()),
        }
    }
    let sizes = if sizes.is_empty() { vec![128, 256, 512] } else { sizes };
    for size in sizes {
        let Subject {
            mut backend,
            picture,
            objective,
        } = Subject::new(size)?;
        let (mut up, mut down, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for repetition in 0..=repetitions {
            let start = Instant::now();
            let statistics = backend.forward(0, &picture)?;
            let middle = start.elapsed().as_secs_f64();
            backend.backward(&objective.evaluate(&statistics)?.gradient)?;
            let end = start.elapsed().as_secs_f64();
            // The first step touches the memory for the first time.
            if repetition > 0 {
                up.push(middle);
                down.push(end - middle);
                both.push(end);
            }
        }
        println!(
            "{size} px, {}: forward {}, backward {}, both {}; peak {:.0} MB",
            backend.description(),
            summary(up),
            summary(down),
            summary(both),
            memory("VmHWM:").unwrap_or(0.0) / (1 << 20) as f64
        );
    }
    Ok(())
}

/// Median and minimum.
fn summary(seconds: Vec<f64>) -> String {
    let least = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    format!("{:.4} ({least:.4}) s", median(seconds))
}
