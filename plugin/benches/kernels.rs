//! What bounds each kernel of a step on an NVIDIA card: `cargo bench -p pentimento-plugin --bench kernels [-- SIZE...]
//! [--device=cuda:N] [--draft] [--steps=N] [--copied=MEGABYTES]`.
//!
//! For each size in pixels (512 and 1024 where there is none) a table: the time of kernels of each size by the card's own
//! clock, medians of 9 steps; what they do in that time; and what bounds them, the larger of two shares: operations of
//! those that could be done in registers in the same arithmetic, bytes of those that could be copied (256 MB, to and fro),
//! both measured beforehand on the same card. Where both shares are below 30 %, a kernel waits: for caches, for shared
//! memory, or for a grid that is too small to fill the card. `card.py` runs this.

#[cfg(not(feature = "cuda"))]
#[path = "subject/median.rs"]
mod median;
#[cfg(not(feature = "cuda"))]
mod subject;

use pentimento_plugin::{Error, Result};

#[cfg(feature = "cuda")]
fn main() -> Result<()> {
    Err(Error::Device(
        "candle's CUDA is built in, whose kernels are not ours".into(),
    ))
}

#[cfg(not(feature = "cuda"))]
fn main() -> Result<()> {
    on_card::main()
}

#[cfg(not(feature = "cuda"))]
mod on_card {
    use pentimento_plugin::compute::Backend;
    use pentimento_plugin::compute::cuda::{CudaBackend, KernelProfile, Peak, Precision};
    use pentimento_plugin::settings::Device;

    use super::median::median;
    use super::subject::{Subject, network};
    use super::{Error, Result};

    /// A share that says that something else bounds a kernel.
    const LITTLE: f64 = 0.3;

    pub fn main() -> Result<()> {
        let (mut sizes, mut steps, mut megabytes) = (Vec::new(), 9, 256);
        let (mut device, mut precision) = (Device::Cuda(0), Precision::Tf32);
        for argument in std::env::args().skip(1) {
            if let Some(Ok(number)) = argument.strip_prefix("--steps=").map(str::parse) {
                steps = usize::max(number, 1);
            } else if let Some(Ok(number)) = argument.strip_prefix("--copied=").map(str::parse) {
                megabytes = usize::max(number, 1);
            } else if let Some(name) = argument.strip_prefix("--device=") {
                device = name.parse().map_err(|reason| Error::argument("--device", reason))?;
            } else if argument == "--draft" {
                precision = Precision::Bfloat16;
            } else {
                sizes.extend(argument.parse::<usize>());
            }
        }
        let Device::Cuda(number) = device else {
            return Err(Error::argument("--device", "a card is named cuda or cuda:N"));
        };
        let mut backend = CudaBackend::new(&network(), number, precision)?;
        let peak = backend.peak(megabytes << 20)?;
        println!(
            "{}: at most {:.1} TFLOP/s in float32, {:.1} in TF32, {:.1} in bfloat16, {:.0} GB/s copied",
            backend.description(),
            peak.of(Precision::Float32) / 1e12,
            peak.of(Precision::Tf32) / 1e12,
            peak.of(Precision::Bfloat16) / 1e12,
            peak.bytes / 1e9
        );
        let sizes = if sizes.is_empty() { vec![512, 1024] } else { sizes };
        for size in sizes {
            let subject = Subject::new(&mut backend, size)?;
            println!("\n{size} px\n");
            table(&profile(&mut backend, &subject, steps)?, peak);
        }
        Ok(())
    }

    /// Medians of each row's seconds.
    fn profile(backend: &mut CudaBackend, subject: &Subject, steps: usize) -> Result<Vec<KernelProfile>> {
        let mut profiles = Vec::new();
        for _ in 0..=steps {
            backend.start_profile();
            let statistics = backend.forward(0, &subject.picture)?;
            backend.backward(&subject.objective.evaluate(&statistics)?.gradient)?;
            profiles.push(backend.stop_profile()?);
        }
        // The first step touches everything for the first time.
        let mut profile = profiles.remove(0);
        for (index, row) in profile.iter_mut().enumerate() {
            row.seconds = median(profiles.iter().map(|rows| rows[index].seconds).collect());
        }
        Ok(profile)
    }

    fn table(profile: &[KernelProfile], peak: Peak) {
        println!(
            "| kernel | of | launches | µs | of the step | TFLOP/s | of the rate | GB/s | of copying | bound by |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        let step: f64 = profile.iter().map(|row| row.seconds).sum();
        for row in profile {
            let (operations, bytes) = (row.operations / row.seconds, row.bytes / row.seconds);
            let (arithmetic, memory) = (operations / peak.of(row.arithmetic), bytes / peak.bytes);
            let bound = match arithmetic.max(memory) {
                most if most < LITTLE => "waiting",
                _ if arithmetic >= memory => "arithmetic",
                _ => "memory",
            };
            println!(
                "| {} | {} | {} | {:.1} | {:.1} % | {:.1} | {:.0} % | {:.0} | {:.0} % | {bound} |",
                row.name,
                row.size,
                row.launches,
                row.seconds * 1e6,
                100.0 * row.seconds / step,
                operations / 1e12,
                100.0 * arithmetic,
                bytes / 1e9,
                100.0 * memory
            );
        }
        let sum = |of: fn(&KernelProfile) -> f64| profile.iter().map(of).sum::<f64>();
        println!(
            "\nall kernels {:.3} ms, {:.1} GFLOP, {:.2} GB",
            step * 1e3,
            sum(|row| row.operations) / 1e9,
            sum(|row| row.bytes) / 1e9
        );
    }
}
