//! Many renders in one process, as in an editor that is open all day: `cargo bench -p pentimento-tests --bench soak
//! [-- COUNT] [ID=VALUE...]` (2000 renders where no count is given, some quarter of an hour).
//!
//! Sizes, settings and endings vary; memory is under a ceiling, which every fortieth picture has room under in tiles
//! alone. A line for each twentieth of the renders says what the process holds (Linux alone tells). It fails when that
//! grows after the first fifth (of two renders at least), when nothing was painted in tiles, or when a peak breaks the
//! ceiling, unless `memory_limit=0` takes it away (what a driver maps is not ours).

use std::cell::Cell;
use std::env;
use std::ops::RangeInclusive;
use std::time::Instant;

use pentimento_host::{Callbacks, Flow, Outcome};
use pentimento_tests::process::memory;
use pentimento_tests::render::{job, render_into};
use pentimento_tests::{Settings, content, style};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a render may take, in GB.
const CEILING: f64 = 0.5;
/// The longer sides of pictures that do not fit under it as a whole.
const LARGE: RangeInclusive<u32> = 600..=700;
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
    let mut settled = 0.0;
    let tiled = Cell::new(0);
    for number in 1..=count {
        // Small ones mostly: what leaks, leaks at any size.
        let is_large = number % 40 == 1;
        let longest = if number % 20 == 0 { 320 } else { 96 };
        let sides = if is_large { LARGE } else { 1..=longest };
        let (content, style) = (
            content(numbers.random_range(sides)),
            style(numbers.random_range(1..=longest)),
        );
        let method = if is_large {
            0
        } else {
            numbers.random_range(0..METHODS.len())
        };
        let method = METHODS[method];
        let ending = [Flow::Continue, Flow::Continue, Flow::Stop, Flow::Cancel][numbers.random_range(0..4)];
        let settings = [
            &[("quality", "0.02"), ("memory_limit", limit.as_str())],
            method,
            &others,
        ]
        .concat();
        let mut output = content.clone();
        let mut callbacks = Callbacks::new()
            .on_progress(|progress| {
                // Coarser levels may well fit as a whole.
                let is_finest = progress.level + 1 == progress.level_count && progress.loss.is_some();
                if is_large && !is_finest { Flow::Continue } else { ending }
            })
            .on_log(|_, message| {
                if message.contains(" tiles each step takes ") {
                    tiled.set(tiled.get() + 1);
                }
            });
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
        // After one render alone it may be a fifth less: it depends on whose heap was used.
        if number <= (count / 5).max(2) {
            settled = held.max(settled);
        }
        assert!(
            held <= settled + SLACK,
            "after {number} renders {:.0} MB are held, and {:.0} were at most in the first fifth",
            held / 1e6,
            settled / 1e6
        );
        if number % (count / 20).max(1) == 0 {
            println!(
                "{number} renders, {} of them in tiles, {:.0} s: {:.0} MB, at most {:.0} MB",
                tiled.get(),
                begun.elapsed().as_secs_f64(),
                held / 1e6,
                memory("VmHWM:").expect("Linux tells") / 1e6
            );
        }
    }
    let has_ceiling = !others.contains(&("memory_limit", "0"));
    assert!(!has_ceiling || tiled.get() > 0, "nothing was painted in tiles");
    assert!(
        !has_ceiling || memory("VmHWM:").expect("Linux tells") <= CEILING * 1e9,
        "the ceiling was broken"
    );
}
