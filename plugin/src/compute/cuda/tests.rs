//! The backend against the f64 oracle and the plain backend, on a card: a real one where there is one, and one that is
//! emulated, wherever there is a C++ compiler.
//!
//! The library that a process takes for the driver is found by the loader when it is first called, so the tests on a card
//! are ignored ones, which another test runs in a process of their own: with the emulated driver in front of all
//! others, and, where there is a real one, once more without.

mod in_mid_render;
mod on_a_card;
mod renders_on_a_card;
mod vectors_on_a_card;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::thread;

use candle_core::{Device, Tensor};

use super::{CudaBackend, Precision, is_there, list};
use crate::compute::candle::CandleBackend;
use crate::compute::cpu::tests::{
    NETWORK, check_against_oracle, layers, picture, plan, statistics_gradient, tensor, values,
};
use crate::compute::{Backend, Plan, Pooling, Statistics, Tiling, Window};
use crate::network::Network;
use crate::{Error, Result, compute, settings};

/// What befalls an emulated card, and at which launch of a kernel: see `kernels/driver.cpp`.
#[derive(Clone, Copy)]
enum Mishap {
    None,
    FailsAt(u32),
    IsFullAt(u32),
}

/// Runs the ignored tests of a group in a process of their own, and returns what it said.
fn run_apart(group: &str, driver: Option<&Path>, mishap: Mishap) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let group = format!("compute::cuda::tests::{group}");
    command.args(["--ignored", "--nocapture", "--test-threads=1", &group]);
    if let Some(driver) = driver {
        command.env("LD_LIBRARY_PATH", driver);
    }
    match mishap {
        Mishap::None => &mut command,
        Mishap::FailsAt(launch) => command.env("EMULATED_CARD_FAILS_AT", launch.to_string()),
        Mishap::IsFullAt(launch) => command.env("EMULATED_CARD_IS_FULL_AT", launch.to_string()),
    };
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(" 0 passed"), "no test of {group} was run: {said}");
    said
}

/// The emulated driver, in a folder that the loader can be told of.
static EMULATED: LazyLock<Option<tempfile::TempDir>> = LazyLock::new(|| {
    if Command::new("g++").arg("--version").output().is_err() || !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: no card can be emulated without Linux and g++");
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
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    Some(folder)
});

#[test]
fn an_emulated_card_computes_what_the_processor_does() {
    if let Some(driver) = &*EMULATED {
        eprintln!("{}", run_apart("on_a_card::", Some(driver.path()), Mishap::None));
    }
}

#[test]
fn an_emulated_card_moves_pixels_as_the_processor_does() {
    if let Some(driver) = &*EMULATED {
        for group in ["vectors_on_a_card::", "renders_on_a_card::"] {
            run_apart(group, Some(driver.path()), Mishap::None);
        }
    }
}

#[test]
fn a_card_that_fails_is_an_error() {
    if let Some(driver) = &*EMULATED {
        let path = Some(driver.path());
        run_apart("on_a_failing_card", path, Mishap::FailsAt(20));
        run_apart("on_a_card_that_cannot_be_used", path, Mishap::FailsAt(0));
    }
}

#[test]
fn a_card_that_fails_in_mid_render_loses_nothing() {
    let Some(driver) = &*EMULATED else { return };
    // Before anything is painted, early and late on a level, and on the next one.
    for (launch, from) in [
        (40, "the start, level 0"),
        (250, "the start, level 0"),
        (600, "the picture so far, level 0"),
        (900, "the picture so far, level 1"),
    ] {
        let mishap = Mishap::FailsAt(launch);
        let said = run_apart("in_mid_render::the_processor_goes_on", Some(driver.path()), mishap);
        assert!(said.contains(&format!("went on from {from}")), "{launch}: {said}");
    }
}

#[test]
fn a_card_that_fills_up_in_mid_render_loses_nothing() {
    let Some(driver) = &*EMULATED else { return };
    for launch in [250, 800] {
        run_apart(
            "in_mid_render::what_was_remembered_is_fetched",
            Some(driver.path()),
            Mishap::IsFullAt(launch),
        );
    }
}

#[test]
fn a_real_card_computes_what_the_processor_does() {
    match list() {
        Ok(cards) if !cards.is_empty() => {
            for group in ["on_a_card::", "vectors_on_a_card::", "renders_on_a_card::"] {
                eprintln!("{}", run_apart(group, None, Mishap::None));
            }
        }
        _ => eprintln!("SKIPPED: there is no NVIDIA card on this machine"),
    }
}

#[test]
fn without_a_driver_there_are_no_cards() {
    if is_there() {
        eprintln!("SKIPPED: there is an NVIDIA driver on this machine");
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

/// Holds statistics against each other, and returns by how much the gradients are apart.
fn compare(plain: &mut dyn Backend, backend: &mut dyn Backend, plan: &Plan) -> f64 {
    let ((expected, expected_gradient), (got, gradient)) = (step(plain, plan), step(backend, plan));
    for (expected, got) in expected.moments.iter().flatten().zip(got.moments.iter().flatten()) {
        let error = relative_error(&values(&got.second), &values(&expected.second));
        assert!(error < 2e-3, "second moments are off by {error:e}");
        assert!(relative_error(&values(&got.mean), &values(&expected.mean)) < 2e-3);
    }
    let (expected, got) = (expected.content[0].mean_square, got.content[0].mean_square);
    assert!((got - expected).abs() < 2e-3 * expected, "{got} and {expected}");
    let error = relative_error(&gradient, &expected_gradient);
    eprintln!("{}: the gradient is off by {error:.1e}", backend.description());
    error
}

mod on_a_card_that_cannot_be_used {
    use super::*;

    #[test]
    #[ignore = "needs an emulated card that cannot be used"]
    fn it_is_refused_by_name_and_the_processor_still_serves() {
        let error = compute::open(settings::Device::Cuda(0), "", 1).err().expect("an error");
        assert!(error.to_string().contains("cuda:0 failed"), "{error}");
        let opened = compute::open(settings::Device::Auto, "", 1).unwrap();
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
