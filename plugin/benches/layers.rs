//! Where the time of a step goes, layer by layer: `cargo bench -p pentimento-plugin --bench layers [-- SIZE...]
//! [--instructions=NAME]`.
//!
//! For each size in pixels (512 where there is none) a table: seconds of every layer, medians of 9 steps; the
//! operations per second that this is, counted as a direct convolution and as the products that are left after
//! Winograd; and what bounds the layer, the larger of two shares: products done of those that could be done in
//! registers, bytes moved of those that could be copied, both measured beforehand. Where both shares are small, most of
//! the time goes into the transforms.

#[path = "subject/median.rs"]
mod median;
#[path = "subject/processor.rs"]
mod processor;
mod subject;

use median::median;
use pentimento_plugin::Result;
use pentimento_plugin::compute::Backend;
use pentimento_plugin::compute::cpu::CpuBackend;
use pentimento_plugin::compute::cpu::profile::{LayerProfile, Pass, Peak};
use subject::Subject;

const STEPS: usize = 9;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let mut names = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix("--instructions="));
    let instructions = names.next();
    let sizes = if sizes.is_empty() { vec![512] } else { sizes };
    for size in sizes {
        let mut backend = processor::processor(subject::network(), instructions)?;
        let subject = Subject::new(&mut backend, size)?;
        let peak = backend.peak();
        println!(
            "{size} px, {}: at most {:.0} GFLOP/s, {:.1} GB/s copied",
            backend.description(),
            peak.operations / 1e9,
            peak.bytes / 1e9
        );
        table(&profile(&mut backend, &subject)?, peak);
    }
    Ok(())
}

/// Medians of each layer's seconds.
fn profile(backend: &mut CpuBackend, subject: &Subject) -> Result<Vec<LayerProfile>> {
    let mut steps = Vec::new();
    for _ in 0..=STEPS {
        let statistics = backend.forward(0, &subject.picture)?;
        let gradient = subject.objective.evaluate(&statistics)?.gradient;
        backend.backward(&gradient)?;
        steps.push(backend.profile()?);
    }
    // The first step touches the memory for the first time.
    let mut profile = steps.remove(0);
    for (index, row) in profile.iter_mut().enumerate() {
        let seconds = |of: fn(&LayerProfile) -> f64| median(steps.iter().map(|layers| of(&layers[index])).collect());
        row.forward.seconds = seconds(|row| row.forward.seconds);
        row.backward.seconds = seconds(|row| row.backward.seconds);
        row.statistics = seconds(|row| row.statistics);
    }
    Ok(profile)
}

fn table(profile: &[LayerProfile], peak: Peak) {
    println!();
    println!("| layer | tile | | ms | direct, GFLOP/s | done, GFLOP/s | of the peak | GB/s | of copying | bound by |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for row in profile {
        line(row, "forward", row.forward, peak);
        line(row, "backward", row.backward, peak);
        if row.statistics > 0.0 {
            println!(
                "| {} | | statistics | {:.2} | | | | | | |",
                row.layer.name(),
                row.statistics * 1e3
            );
        }
    }
    let passes = || profile.iter().flat_map(|row| [row.forward, row.backward]);
    let convolutions: f64 = passes().map(|pass| pass.seconds).sum();
    let direct: f64 = passes().map(|pass| pass.direct).sum();
    let done: f64 = passes().map(|pass| pass.done).sum();
    let statistics: f64 = profile.iter().map(|row| row.statistics).sum();
    // F(4) multiplies 36 times where a direct convolution does so 144 times.
    let floor = direct / 4.0 / peak.operations;
    println!();
    println!(
        "convolutions {:.1} ms, statistics {:.1} ms; products at {:.0} % of the peak; F(4)'s products alone would take \
         {:.1} ms at the peak, {:.0} % of the step",
        convolutions * 1e3,
        statistics * 1e3,
        100.0 * done / convolutions / peak.operations,
        floor * 1e3,
        100.0 * floor / (convolutions + statistics)
    );
    println!();
}

fn line(row: &LayerProfile, direction: &str, pass: Pass, peak: Peak) {
    let [direct, done, bytes] = [pass.direct, pass.done, pass.bytes].map(|amount| amount / pass.seconds);
    let (arithmetic, memory) = (done / peak.operations, bytes / peak.bytes);
    let bound = if arithmetic >= memory { "arithmetic" } else { "memory" };
    println!(
        "| {} | {} | {direction} | {:.2} | {:.0} | {:.0} | {:.0} % | {:.1} | {:.0} % | {bound} |",
        row.layer.name(),
        row.tile,
        pass.seconds * 1e3,
        direct / 1e9,
        done / 1e9,
        100.0 * arithmetic,
        bytes / 1e9,
        100.0 * memory
    );
}
