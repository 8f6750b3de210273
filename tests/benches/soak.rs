//! Many renders in one process, as in an editor that is open all day: `cargo bench -p pentimento-tests --bench soak
//! [-- COUNT] [ID=VALUE...]` (2000 renders where no count is given, some ten minutes).
//!
//! Sizes, settings and endings vary; memory is under a ceiling. A line for each twentieth of the renders says what the
//! process holds (Linux alone tells). It fails when that grows after the first fifth, or when a peak breaks the ceiling,
//! unless `memory_limit=0` takes it away (what a driver maps is not ours).

use std::env;
use std::time::Instant;

use pentimento_host::{Callbacks, Flow, Outcome};
use pentimento_tests::process::memory;
use pentimento_tests::render::{job, render_into};
use pentimento_tests::{Settings, content, style};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a render may take, in GB.
const CEILING: f64 = 0.5;
/// Growth that is put down to the allocator.
const SLACK: f64 = 32e6;
/// What varies beside the sizes.
const METHODS: [Settings; 5] = [
    &[],
    &[("loss", "gram"), ("pooling", "average"), ("edges", "zero")],
    &[("optimiser", "adam"), ("pooling", "l2")],
    &[("start", "noise"), ("brush_size", "0.5"), ("threads", "1")],
    &[("content_layers", ""), ("style_layers", "conv1_1:1 conv3_1:1")],
];

fn main() {
    let count = env::args().find_map(|argument| argument.parse().ok()).unwrap_or(2000);
    let arguments: Vec<String> = env::args().skip(1).collect();
    let others: Vec<(&str, &str)> = arguments
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .collect();
    let (begun, limit) = (Instant::now(), CEILING.to_string());
    let mut numbers = ChaCha8Rng::seed_from_u64(1);
    let mut settled = f64::INFINITY;
    for number in 1..=count {
        // Small ones mostly: what leaks, leaks at any size.
        let longest = if number % 20 == 0 { 320 } else { 96 };
        let (content, style) = (
            content(numbers.random_range(1..=longest)),
            style(numbers.random_range(1..=longest)),
        );
        let method = METHODS[numbers.random_range(0..METHODS.len())];
        let ending = [Flow::Continue, Flow::Continue, Flow::Stop, Flow::Cancel][numbers.random_range(0..4)];
        let settings = [
            &[("quality", "0.02"), ("memory_limit", limit.as_str())],
            method,
            &others,
        ]
        .concat();
        let mut output = content.clone();
        let mut callbacks = Callbacks::new().on_progress(|_| ending);
        let outcome = render_into(
            &mut job(&settings),
            &content,
            &[(&style, 1.0)],
            &mut output,
            &mut callbacks,
        );
        let expected = match ending {
            Flow::Continue => Outcome::Finished,
            Flow::Stop => Outcome::Stopped,
            Flow::Cancel => Outcome::Cancelled,
        };
        assert_eq!(outcome, Ok(expected), "{settings:?}");
        drop(callbacks);

        let held = memory("VmRSS:").expect("Linux tells");
        if number == (count / 5).max(1) {
            settled = memory("VmHWM:").expect("Linux tells");
        }
        assert!(
            held <= settled + SLACK,
            "after {number} renders {:.0} MB are held",
            held / 1e6
        );
        if number % (count / 20).max(1) == 0 {
            println!(
                "{number} renders, {:.0} s: {:.0} MB, at most {:.0} MB",
                begun.elapsed().as_secs_f64(),
                held / 1e6,
                memory("VmHWM:").expect("Linux tells") / 1e6
            );
        }
    }
    let has_ceiling = !others.contains(&("memory_limit", "0"));
    assert!(
        !has_ceiling || memory("VmHWM:").expect("Linux tells") <= CEILING * 1e9,
        "the ceiling was broken"
    );
}
