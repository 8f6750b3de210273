//! The backend against the f64 oracle and the plain backend, on a card: a real one where there is one, and one that is
//! emulated, wherever there is a C++ compiler.
//!
//! The library that a process takes for the driver is found by the loader when it is first called, so the tests on a card
//! are ignored ones, which another test runs in a process of their own: with the emulated driver in front of all
//! others, and, where there is a real one, once more without.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use candle_core::{Device, Tensor};

use super::{CudaBackend, Precision, is_there, list};
use crate::compute::candle::CandleBackend;
use crate::compute::cpu::tests::{
    NETWORK, check_against_oracle, layers, picture, plan, statistics_gradient, tensor, values,
};
use crate::compute::{Backend, Plan, Pooling, Statistics, Tiling, Window};
use crate::network::Network;
use crate::{Error, Result, compute, settings};

/// Runs the ignored tests of a group in a process of their own, and returns what it said.
fn run_apart(group: &str, driver: Option<&Path>, fails_at: Option<u32>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let group = format!("compute::cuda::tests::{group}");
    command.args(["--ignored", "--nocapture", "--test-threads=1", &group]);
    if let Some(driver) = driver {
        command.env("LD_LIBRARY_PATH", driver);
    }
    if let Some(launch) = fails_at {
        command.env("EMULATED_CARD_FAILS_AT", launch.to_string());
    }
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
        eprintln!("{}", run_apart("on_a_card::", Some(driver.path()), None));
    }
}

#[test]
fn a_card_that_fails_is_an_error() {
    if let Some(driver) = &*EMULATED {
        run_apart("on_a_failing_card", Some(driver.path()), Some(20));
        run_apart("on_a_card_that_cannot_be_used", Some(driver.path()), Some(0));
    }
}

#[test]
fn a_real_card_computes_what_the_processor_does() {
    match list() {
        Ok(cards) if !cards.is_empty() => eprintln!("{}", run_apart("on_a_card::", None, None)),
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

mod on_a_card {
    use super::*;

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn float32_agrees_with_the_oracle() {
        let mut backend = open(Precision::Float32).unwrap();
        let poolings = [Pooling::Max, Pooling::Average, Pooling::L2];
        for (pooling, (height, width)) in poolings.into_iter().zip([(16, 16), (33, 21), (19, 29)]) {
            let plan = Plan {
                pooling,
                ..plan(height, width)
            };
            let what = format!("float32, {pooling:?} at {height} x {width}");
            check_against_oracle(&mut backend, &plan, &what);
        }
        check_against_oracle(&mut backend, &regional(33, 37), "float32, a window and regions");
        let odd = Plan {
            style_layers: layers(&["conv1_2", "conv3_4"]),
            content_layers: layers(&["conv2_2", "conv3_4"]),
            pooling: Pooling::L2,
            ..plan(21, 18)
        };
        check_against_oracle(&mut backend, &odd, "float32, pooled layers measured");
        let lowest = Plan {
            style_layers: layers(&["conv1_1"]),
            content_layers: Vec::new(),
            ..plan(20, 30)
        };
        check_against_oracle(&mut backend, &lowest, "float32, conv1_1 alone");
    }

    /// Rounding to 10 bits flips a few ReLUs and maxima that are all but undecided, and each moves the gradient by all that
    /// flows through it. So the arithmetic is held against the plain backend where nothing can flip: all weights are
    /// positive, and poolings are averages.
    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn tf32_agrees_with_the_plain_backend_where_nothing_is_to_be_decided() {
        let mut network = Network::clone(&NETWORK);
        for convolution in &mut network.convolutions {
            convolution
                .weight
                .iter_mut()
                .for_each(|weight| *weight = weight.abs() / 4.0);
            convolution.bias.iter_mut().for_each(|bias| *bias = bias.abs());
        }
        network.normalisation.mean = [-1.0; 3];
        let mut plain = CandleBackend::new(Arc::new(network.clone()), Device::Cpu, 0).unwrap();
        let mut backend = CudaBackend::new(&network, 0, Precision::Tf32).unwrap();
        for plan in [plan(48, 40), regional(40, 33)] {
            let plan = Plan {
                pooling: Pooling::Average,
                ..plan
            };
            let error = compare(&mut plain, &mut backend, &plan);
            assert!(error < 2e-3, "the gradient is off by {error:e}");
        }
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn tf32_is_close_to_the_plain_backend_where_decisions_flip() {
        let plan = plan(48, 40);
        let mut plain = CandleBackend::new(NETWORK.clone(), Device::Cpu, 0).unwrap();
        let error = compare(&mut plain, &mut open(Precision::Tf32).unwrap(), &plan);
        assert!(error < 1.5e-1, "the gradient is off by {error:e} with weights of noise");
        let network = Network::embedded().unwrap();
        let mut plain = CandleBackend::new(network.clone(), Device::Cpu, 0).unwrap();
        let mut backend = CudaBackend::new(&network, 0, Precision::Tf32).unwrap();
        let error = compare(&mut plain, &mut backend, &plan);
        assert!(
            error < 2e-2,
            "the gradient is off by {error:e} with the network that is built in"
        );
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn parts_of_different_sizes_keep_apart() {
        let plan = Plan {
            style_layers: layers(&["conv1_2"]),
            content_layers: layers(&["conv1_1"]),
            ..plan(32, 400)
        };
        let tiling = Tiling::cut(&plan, 1, 2).unwrap();
        assert_eq!(tiling.parts().len(), 2);
        let mut plain = CandleBackend::new(NETWORK.clone(), Device::Cpu, 0).unwrap();
        let mut backend = open(Precision::Float32).unwrap();
        let steps = |backend: &mut dyn Backend| -> Vec<Vec<f32>> {
            backend.prepare(&tiling).unwrap();
            for (part, plan) in tiling.parts().iter().enumerate() {
                backend.hold_content(part, &pictures(plan)[0]).unwrap();
            }
            let parts = tiling.parts().iter().enumerate().rev();
            let gradients = parts.map(|(part, plan)| {
                let statistics = backend.forward(part, &pictures(plan)[1]).unwrap();
                values(&backend.backward(&statistics_gradient(plan, &statistics)).unwrap())
            });
            gradients.collect()
        };
        for (got, expected) in steps(&mut backend).iter().zip(steps(&mut plain)) {
            let error = relative_error(got, &expected);
            assert!(error < 1e-4, "the gradient of a part is off by {error:e}");
        }
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn the_same_comes_out_twice_and_nothing_is_left_behind() {
        let free = || list().unwrap()[0].memory_free;
        let before = free();
        let bits = [(); 2].map(|()| {
            let mut backend = open(Precision::Tf32).unwrap();
            let plan = regional(32, 35);
            let (statistics, gradient) = step(&mut backend, &plan);
            let moments = statistics
                .moments
                .iter()
                .flatten()
                .flat_map(|moments| values(&moments.second));
            let bits: Vec<u32> = moments.chain(gradient).map(f32::to_bits).collect();
            let taken = before - free();
            let predicted = backend.memory(&Tiling::whole(&plan).unwrap());
            (bits, taken, predicted)
        });
        assert!(bits[0] == bits[1]);
        let (_, taken, predicted) = &bits[0];
        if list().unwrap()[0].name == "Emulated card" {
            assert_eq!(taken, predicted);
            assert_eq!(free(), before);
        }
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn too_large_a_picture_is_an_error_of_memory_and_a_smaller_one_still_works() {
        let mut backend = open(Precision::Tf32).unwrap();
        let huge = Tiling::whole(&plan(16384, 32768)).unwrap();
        let error = backend.prepare(&huge).unwrap_err();
        assert!(matches!(error, Error::Memory(_)), "{error}");
        step(&mut backend, &plan(16, 16));
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn a_card_is_chosen_by_name_alone() {
        let opened = compute::open(settings::Device::Cuda(0), "", 1).unwrap();
        assert!(opened.backend.description().starts_with("CUDA, "));
        assert!(opened.notes.is_empty(), "{:?}", opened.notes);
        assert!(opened.backend.free_memory().unwrap() > 0);
        let by_itself = compute::open(settings::Device::Auto, "", 1).unwrap();
        assert!(by_itself.backend.description().starts_with("CPU"));
        let error = compute::open(settings::Device::Cuda(99), "", 1)
            .err()
            .expect("an error");
        assert!(error.to_string().contains("cuda:99 cannot be used: there "), "{error}");
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn diagnostics_list_it() {
        let report: toml::Table = crate::diagnostics::report().unwrap().parse().unwrap();
        let card = &report["cuda:0"];
        assert_eq!(card["name"].as_str().unwrap(), list().unwrap()[0].name);
        assert!(card["memory_available"].as_integer() <= card["memory_total"].as_integer());
        assert!(!report.contains_key("problems"), "{report}");
    }

    #[test]
    #[ignore = "needs a card, or an emulated one"]
    fn misuse_is_refused() {
        let mut backend = open(Precision::Tf32).unwrap();
        let plan = plan(16, 16);
        let [_, canvas] = pictures(&plan);
        assert!(backend.forward(0, &canvas).is_err(), "not prepared");
        backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        assert!(backend.forward(1, &canvas).is_err(), "no such part");
        assert!(
            backend.forward(0, &canvas.narrow(2, 0, 8).unwrap()).is_err(),
            "another size"
        );
        let statistics = backend.forward(0, &canvas).unwrap();
        assert!(statistics.content.is_empty(), "no content is held");
        let asked = statistics_gradient(&plan, &statistics);
        backend.backward(&asked).unwrap();
        assert!(backend.backward(&asked).is_err(), "the forward pass is used up");
        assert!(CudaBackend::new(&NETWORK, 99, Precision::Tf32).is_err(), "no such card");
    }
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
