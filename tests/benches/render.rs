//! Whole renders, with criterion's statistics: what a change costs or gains an artist. `cargo bench -p pentimento-tests
//! --bench render [-- NAME] [--save-baseline BEFORE | --baseline BEFORE]`.
//!
//! `render/draft/256` is the sample canvas, 256 pixels wide, repainted through the host library by that preset, from
//! its pixels to its pixels, on the device that the plugin chooses. The plugin is loaded already. All of it takes some
//! six minutes on two cores.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use pentimento_tests::render::render;
use pentimento_tests::{content, style};

const PRESETS: [&str; 3] = ["draft", "standard", "fine"];
/// The canvas's longer side, and the style's, in pixels.
const SIZE: u32 = 256;
const SAMPLES: usize = 10;

fn renders(criterion: &mut Criterion) {
    let (content, style) = (content(SIZE), style(SIZE));
    let mut group = criterion.benchmark_group("render");
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_secs(60));
    for preset in PRESETS {
        group.bench_function(BenchmarkId::new(preset, SIZE), |bencher| {
            bencher.iter(|| render(&content, &[(&style, 1.0)], &[("preset", preset)]));
        });
    }
}

criterion_group!(benches, renders);
criterion_main!(benches);
