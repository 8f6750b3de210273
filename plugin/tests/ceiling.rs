//! Renders under a memory limit, in a process of their own, whose peak the system counts.

mod limited;
mod process;

use limited::{Begun, begin};
use pentimento_plugin::{Error, Result};
use process::memory;

const STEPS: usize = 2;

/// The first steps of a render, and what was said about it.
fn render(set: &[(&str, &str)]) -> Result<Begun> {
    begin(701, 475, STEPS, set)
}

/// One test, because a process has one peak.
#[test]
fn a_limit_is_kept_and_costs_nothing_but_time() {
    let error = render(&[("memory_limit", "0.33")]).err().expect("too little");
    assert!(matches!(error, Error::Memory(_)), "{error}");
    let text = error.to_string();
    let (_, advice) = text.split_once("set working_size to ").expect("a size that fits");
    let size = advice.split(' ').next().unwrap();
    render(&[("memory_limit", "0.33"), ("working_size", size)]).expect("it does fit");
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < 330e6, "{peak}");
    }

    let tiled = render(&[("memory_limit", "0.5")]).unwrap();
    assert!(tiled.log.contains("tiles"), "{}", tiled.log);
    assert_eq!(tiled.losses.len(), STEPS);
    if let Some(peak) = memory("VmHWM:") {
        assert!(peak < 500e6, "{peak}");
    }
    let whole = render(&[]).unwrap();
    assert!(!whole.log.contains("tiles"), "{}", whole.log);
    for (tiled, whole) in tiled.picture.samples.iter().zip(&whole.picture.samples) {
        assert!((tiled - whole).abs() < 1e-3, "{tiled} and {whole}");
    }
}
