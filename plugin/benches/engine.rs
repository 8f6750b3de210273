//! The processor's engine step by step and layer by layer, with criterion's statistics: what a change to it costs or
//! gains. `cargo bench -p pentimento-plugin --bench engine [-- NAME] [--save-baseline BEFORE | --baseline BEFORE]`.
//!
//! Each is named by the instruction set and the size in pixels: `step/AMX/256` is one evaluation of the article's
//! objective, forward and backward; `layer/AMX/256/conv3_1/backward` and `statistics/AMX/256/conv3_1` are what of it goes
//! there, by the engine's own clock. Steps are measured by every set that this processor has, layers by the fastest, and
//! their operations per second are counted as a direct convolution's. A NAME, or a part of one, picks what is measured;
//! all takes some four minutes. What bounds a layer `layers` tells; `step` is for scripts that run another program
//! beside it, and tells memory as well.

mod subject;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use pentimento_plugin::Result;
use pentimento_plugin::compute::Backend;
use pentimento_plugin::compute::cpu::profile::LayerProfile;
use pentimento_plugin::compute::cpu::{CpuBackend, InstructionSet};
use subject::Subject;

/// Pixels along a side.
const SIZES: [usize; 2] = [256, 512];
/// Of the pictures whose layers are measured.
const LAYERS_SIZE: usize = 256;
const SAMPLES: usize = 10;
/// For all samples of a step. Without vectors it takes longer, and criterion says so.
const STEP_TIME: Duration = Duration::from_secs(8);
/// For all samples of a layer, with the steps that they are parts of.
const LAYER_TIME: Duration = Duration::from_secs(2);

/// A picture, what is wanted of it, and what computes that.
struct Engine {
    backend: CpuBackend,
    subject: Subject,
}

impl Engine {
    fn new(instructions: InstructionSet, size: usize) -> Result<Self> {
        let mut backend = CpuBackend::with_instructions(subject::network(), 0, instructions)?;
        let subject = Subject::new(&mut backend, size)?;
        Ok(Self { backend, subject })
    }

    /// Forward, and backward to the pixels.
    fn step(&mut self) -> Result<()> {
        let statistics = self.backend.forward(0, &self.subject.picture)?;
        let gradient = self.subject.objective.evaluate(&statistics)?.gradient;
        self.backend.backward(&gradient)?;
        Ok(())
    }

    /// A step, and where its time went.
    fn profile(&mut self) -> Result<Vec<LayerProfile>> {
        self.step()?;
        self.backend.profile()
    }
}

fn steps(criterion: &mut Criterion) {
    for instructions in InstructionSet::available() {
        let mut group = group(criterion, "step", instructions, STEP_TIME);
        for size in SIZES {
            let mut engine = Engine::new(instructions, size).expect("the processor has these instructions");
            group.bench_function(size.to_string(), |bencher| {
                bencher.iter(|| engine.step().expect("a step is taken"));
            });
        }
    }
}

fn layers(criterion: &mut Criterion) {
    let instructions = InstructionSet::available()[0];
    let mut engine = Engine::new(instructions, LAYERS_SIZE).expect("the processor has these instructions");
    let profile = engine.profile().expect("a step is taken");
    let mut part = |group: &mut BenchmarkGroup<WallTime>, name: String, seconds: &dyn Fn(&[LayerProfile]) -> f64| {
        group.bench_function(format!("{LAYERS_SIZE}/{name}"), |bencher| {
            bencher.iter_custom(|repetitions| {
                let taken = (0..repetitions).map(|_| seconds(&engine.profile().expect("a step is taken")));
                Duration::from_secs_f64(taken.sum())
            });
        });
    };
    let mut convolutions = group(criterion, "layer", instructions, LAYER_TIME);
    for (index, row) in profile.iter().enumerate() {
        convolutions.throughput(Throughput::Elements(row.forward.direct as u64));
        let name = row.layer.name();
        part(&mut convolutions, format!("{name}/forward"), &|layers| {
            layers[index].forward.seconds
        });
        part(&mut convolutions, format!("{name}/backward"), &|layers| {
            layers[index].backward.seconds
        });
    }
    convolutions.finish();
    let mut statistics = group(criterion, "statistics", instructions, LAYER_TIME);
    for (index, row) in profile.iter().enumerate() {
        if row.statistics > 0.0 {
            part(&mut statistics, row.layer.name().into(), &|layers| {
                layers[index].statistics
            });
        }
    }
}

/// Few samples of the same length, as a step is long.
fn group<'a>(
    criterion: &'a mut Criterion,
    of: &str,
    instructions: InstructionSet,
    time: Duration,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("{of}/{}", instructions.name()));
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(time / 8).measurement_time(time);
    group
}

criterion_group!(engine, steps, layers);
criterion_main!(engine);
