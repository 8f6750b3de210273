//! The backend against the f64 oracle and the plain backend, on a card: a real one where there is one, and one that is
//! emulated, wherever there is a C++ compiler.
//!
//! The library that a process takes for the driver is found by the loader when it is first called, so the tests on a card
//! are ignored ones, which another test runs in a process of their own: with the emulated driver in front of all
//! others, and, where there is a real one, once more without.

mod in_mid_render;
mod losses_on_a_card;
mod on_a_card;
mod on_a_card_without_graphs;
mod plans_on_a_card;
mod renders_on_a_card;
mod vectors_on_a_card;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::thread;

use candle_core::{Device, Tensor};

use super::{CudaBackend, KernelProfile, Precision, is_there, list, losses};
use crate::compute::candle::CandleBackend;
use crate::compute::cpu::tests::{
    NETWORK, check_against_oracle, layers, picture, plan, statistics_gradient, tensor, values,
};
use crate::compute::{Backend, Plan, Pooling, Statistics, Tiling, Window};
use crate::network::Network;
use crate::{Error, Result, compute, settings};

/// Runs the ignored tests of a group in a process of their own, and returns what it said. An emulated driver is told
/// things by a variable of the environment.
fn run_apart(group: &str, driver: Option<&Path>, told: Option<(&str, &str)>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let group = format!("compute::cuda::tests::{group}");
    command.args(["--ignored", "--nocapture", "--test-threads=1", &group]);
    if let Some(driver) = driver {
        command.env("LD_LIBRARY_PATH", driver);
    }
    command.envs(told);
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(" 0 passed"), "no test of {group} was run: {said}");
    said.lines()
        .filter_map(|line| line.split_once(SKIPPED))
        .for_each(|(_, why)| skip(why));
    said
}

/// The groups of tests in which pixels are moved on a card, and losses found.
const MOVING: [&str; 4] = [
    "vectors_on_a_card::",
    "losses_on_a_card::",
    "renders_on_a_card::",
    "plans_on_a_card::",
];
const SKIPPED: &str = "SKIPPED: ";

/// Says that a test does nothing, past the harness, which keeps to itself what a test that passes prints.
fn skip(why: &str) {
    let line = format!("{SKIPPED}{}: {why}\n", thread::current().name().unwrap_or("a test"));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The emulated driver, in a folder that the loader can be told of.
static EMULATED: LazyLock<Option<tempfile::TempDir>> = LazyLock::new(|| emulated(&[]));

/// An emulated driver, made with more of the compiler's options.
fn emulated(options: &[&str]) -> Option<tempfile::TempDir> {
    if Command::new("g++").arg("--version").output().is_err() || !cfg!(target_os = "linux") {
        skip("no card can be emulated without Linux and g++");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compute/cuda/kernels/driver.cpp");
    let compiled = Command::new("g++")
        .args([
            "-std=c++17",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unknown-pragmas",
            "-ffp-contract=off",
            "-shared",
            "-fPIC",
            "-o",
        ])
        .arg(folder.path().join("libcuda.so"))
        .arg(source)
        .args(options)
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    Some(folder)
}

#[test]
fn an_emulated_card_computes_what_the_processor_does() {
    if let Some(driver) = &*EMULATED {
        eprintln!("{}", run_apart("on_a_card::", Some(driver.path()), None));
    }
}

#[test]
fn an_older_emulated_card_computes_it_by_other_kernels() {
    if let Some(driver) = &*EMULATED {
        let older = Some(("EMULATED_CARD_IS", "older"));
        eprintln!("{}", run_apart("on_a_card::float64::", Some(driver.path()), older));
        run_apart("on_a_card::profiles::", Some(driver.path()), older);
    }
}

#[test]
fn an_emulated_card_moves_pixels_as_the_processor_does() {
    if let Some(driver) = &*EMULATED {
        for group in MOVING {
            run_apart(group, Some(driver.path()), None);
        }
    }
}

#[test]
fn a_card_that_fails_is_an_error() {
    if let Some(driver) = &*EMULATED {
        let failing_at = |launch| Some(("EMULATED_CARD_FAILS_AT", launch));
        run_apart("on_a_failing_card", Some(driver.path()), failing_at("20"));
        run_apart("on_a_card_that_cannot_be_used", Some(driver.path()), failing_at("0"));
    }
}

#[test]
fn a_card_that_fails_in_mid_render_loses_nothing() {
    let Some(driver) = &*EMULATED else { return };
    // Before anything is painted, early and late on a level, and on the next one.
    for (launch, from) in [
        ("40", "the start, level 0"),
        ("250", "the start, level 0"),
        ("900", "the picture so far, level 0"),
        ("1200", "the picture so far, level 1"),
    ] {
        let failing = Some(("EMULATED_CARD_FAILS_AT", launch));
        let said = run_apart("in_mid_render::the_processor_goes_on", Some(driver.path()), failing);
        assert!(said.contains(&format!("went on from {from}")), "{launch}: {said}");
    }
}

#[test]
fn a_card_that_fills_up_in_mid_render_loses_nothing() {
    let Some(driver) = &*EMULATED else { return };
    for launch in ["250", "800"] {
        run_apart(
            "in_mid_render::what_was_remembered_is_fetched",
            Some(driver.path()),
            Some(("EMULATED_CARD_IS_FULL_AT", launch)),
        );
    }
}

#[test]
fn what_a_driver_refuses_is_done_without() {
    if let Some(driver) = &*EMULATED {
        let refusing = |function| Some(("EMULATED_CARD_REFUSES", function));
        let group = "on_a_card_without_locked_memory";
        run_apart(group, Some(driver.path()), refusing("cuMemHostAlloc:1"));
        // At once, while it is tried out, and later.
        let refused = [
            "cuStreamBeginCapture_v2:1",
            "cuStreamEndCapture:2",
            "cuGraphInstantiateWithFlags:3",
            "cuGraphLaunch:7",
        ];
        for function in refused {
            run_apart("on_a_card_without_graphs", Some(driver.path()), refusing(function));
        }
    }
    if let Some(driver) = emulated(&["-DWITHOUT_GRAPHS"]) {
        let said = run_apart("on_a_card_without_graphs", Some(driver.path()), None);
        assert!(said.contains("'s driver has no cuStreamBeginCapture_v2"), "{said}");
    }
}

#[test]
fn a_real_card_computes_what_the_processor_does() {
    match list() {
        Ok(cards) if !cards.is_empty() => {
            for group in ["on_a_card::"].into_iter().chain(MOVING) {
                eprintln!("{}", run_apart(group, None, None));
            }
        }
        _ => skip("there is no NVIDIA card on this machine"),
    }
}

#[test]
fn without_a_driver_there_are_no_cards() {
    if is_there() {
        skip("there is an NVIDIA driver on this machine");
        return;
    }
    assert!(list().unwrap().is_empty());
    let error = open(Precision::Tf32).err().expect("an error").to_string();
    assert_eq!(
        error,
        "device: cuda:0 cannot be used: there is no NVIDIA driver on this machine"
    );
}

fn open(precision: Precision) -> Result<CudaBackend> {
    CudaBackend::new(&NETWORK, 0, precision)
}

fn regional(height: usize, width: usize) -> Plan {
    let right: Vec<f32> = (0..height * width)
        .map(|pixel| (pixel % width) as f32 / width as f32)
        .collect();
    let top = (0..height * width).map(|pixel| if pixel / width < 20 { 0.7 } else { 0.0 });
    let weights: Vec<f32> = right.iter().copied().chain(top).collect();
    Plan {
        window: Window {
            top: 16,
            left: 0,
            height: height - 16,
            width: 24,
        },
        regions: Some(Tensor::from_vec(weights, (2, height, width), &Device::Cpu).unwrap()),
        ..plan(height, width)
    }
}

fn pictures(plan: &Plan) -> [Tensor; 2] {
    [1, 2].map(|seed| tensor(plan, &picture(plan, seed)))
}

/// A step at a picture: its statistics, and its gradient.
fn step(backend: &mut dyn Backend, plan: &Plan) -> (Statistics, Vec<f32>) {
    let [content, canvas] = pictures(plan);
    backend.prepare(&Tiling::whole(plan).unwrap()).unwrap();
    backend.hold_content(0, &content).unwrap();
    let statistics = backend.forward(0, &canvas).unwrap();
    let gradient = backend.backward(&statistics_gradient(plan, &statistics)).unwrap();
    (statistics, values(&gradient))
}

fn relative_error(got: &[f32], expected: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    let apart: f64 = got.iter().zip(expected).map(square).sum();
    let whole: f64 = expected.iter().map(|value| f64::from(*value).powi(2)).sum();
    (apart / whole).sqrt()
}

/// Holds statistics against each other, and returns by how much the gradients are apart. The content's distance is one of
/// differences of two features: if those are rounded, it may be off twice as far.
fn compare(plain: &mut dyn Backend, backend: &mut dyn Backend, plan: &Plan, bound: f64, are_rounded: bool) -> f64 {
    let ((expected, expected_gradient), (got, gradient)) = (step(plain, plan), step(backend, plan));
    for (expected, got) in expected.moments.iter().flatten().zip(got.moments.iter().flatten()) {
        let error = relative_error(&values(&got.second), &values(&expected.second));
        assert!(error < bound, "second moments are off by {error:e}");
        assert!(relative_error(&values(&got.mean), &values(&expected.mean)) < bound);
    }
    let (expected, got) = (expected.content[0].mean_square, got.content[0].mean_square);
    let bound = if are_rounded { 2.0 * bound } else { bound };
    assert!((got - expected).abs() < bound * expected, "{got} and {expected}");
    let error = relative_error(&gradient, &expected_gradient);
    eprintln!("{}: the gradient is off by {error:.1e}", backend.description());
    error
}

mod on_a_card_that_cannot_be_used {
    use super::*;

    #[test]
    #[ignore = "needs an emulated card that cannot be used"]
    fn it_is_refused_by_name_and_the_processor_still_serves() {
        let error = compute::open(settings::Device::Cuda(0), settings::Precision::Standard, "", 1)
            .err()
            .expect("an error");
        assert!(error.to_string().contains("cuda:0 failed"), "{error}");
        let opened = compute::open(settings::Device::Auto, settings::Precision::Standard, "", 1).unwrap();
        assert!(opened.backend.description().starts_with("CPU"));
        assert_eq!(opened.notes, [format!("{error}; it is not used")]);
    }
}

mod on_a_failing_card {
    use super::*;

    #[test]
    #[ignore = "needs an emulated card that fails"]
    fn a_failure_names_the_device() {
        let mut backend = open(Precision::Tf32).unwrap();
        let plan = plan(16, 16);
        backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        let [content, canvas] = pictures(&plan);
        let outcome = backend
            .hold_content(0, &content)
            .and_then(|_| backend.forward(0, &canvas).map(drop));
        let error = outcome.unwrap_err();
        assert!(
            matches!(&error, Error::Device(text) if text.contains("cuda:0 failed")),
            "{error}"
        );
    }
}

mod on_a_card_without_locked_memory {
    use super::*;

    #[test]
    #[ignore = "needs an emulated card that locks no memory"]
    fn it_computes_the_same_and_says_so() {
        let mut backend = open(Precision::Float32).unwrap();
        check_against_oracle(&mut backend, &regional(33, 37), "without locked memory");
        let description = backend.description();
        assert!(
            description.ends_with(", copied by way of pageable memory"),
            "{description}"
        );
    }
}
