//! A canvas that fits under its memory limit only by every means: tiles, few pictures at once, and a history in half
//! precision. In a process of its own, whose peak the system counts.
//!
//! One cheap layer is all that the network is asked for, so that the pictures are most of the memory and a step takes a
//! second.

mod limited;
mod process;

use limited::{Begun, begin};
use process::memory;

/// As many as there are pairs in the history under the limit: until then it is as long as without.
const STEPS: usize = 5;
/// In GB.
const LIMIT: f64 = 0.6;
const WIDTH: usize = 2000;
const HEIGHT: usize = 1400;

/// The first steps of a render under a limit in GB.
fn render(limit: f64, optimiser: &str) -> Begun {
    let limit = limit.to_string();
    let set = [
        ("style_layers", "conv1_1:1"),
        ("content_layers", ""),
        ("smoothness", "0.5"),
        ("memory_limit", &limit),
        ("optimiser", optimiser),
    ];
    begin(WIDTH, HEIGHT, STEPS, &set).unwrap()
}

#[test]
fn a_canvas_is_painted_in_the_memory_of_a_few_of_its_kind() {
    let limited = render(LIMIT, "lbfgs");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < LIMIT * 1e9, "{peak}");
    }
    let left = memory("VmRSS:").unwrap_or(0.0);
    render(LIMIT, "adam");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < LIMIT * 1e9 + left, "{peak}");
    }
    let log = &limited.log;
    assert!(
        log.contains("tiles") && log.contains("and 3 steps are remembered"),
        "{log}"
    );

    let free = render(0.0, "lbfgs");
    assert!(!free.log.contains("memory is short"));
    let (under, over) = (&limited.losses, &free.losses);
    assert!(over.last() < over.first(), "{over:?}");
    for (under, over) in under.iter().zip(over) {
        assert!((under - over).abs() < 1e-3 * over, "{under} and {over}");
    }
    let differences = limited
        .picture
        .samples
        .iter()
        .zip(&free.picture.samples)
        .map(|(a, b)| f64::from(a - b));
    let apart =
        (differences.map(|difference| difference * difference).sum::<f64>() / free.picture.samples.len() as f64).sqrt();
    assert!(apart < 0.1 / 255.0, "{apart}");
}
