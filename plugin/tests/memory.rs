//! Predictions of memory against what the system counts, in a process of its own.
#![cfg(target_os = "linux")]

mod process;

use candle_core::Tensor;
use pentimento_plugin::compute::cpu::CpuBackend;
use pentimento_plugin::compute::{Backend, MomentsGradient, Plan, Pooling, StatisticsGradient, Tiling, Window};
use pentimento_plugin::network::{Layer, Network};
use process::memory;

fn plan(side: usize) -> Plan {
    let layers = |names: &[&str]| -> Vec<Layer> { names.iter().map(|name| name.parse().unwrap()).collect() };
    Plan {
        height: side,
        width: side,
        window: Window::whole(side, side),
        style_layers: layers(&["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
        content_layers: layers(&["conv4_2"]),
        pooling: Pooling::Max,
        regions: None,
        defers: true,
    }
}

/// Takes one step.
fn step(backend: &mut dyn Backend, side: usize) {
    let samples: Vec<f32> = (0..3 * side * side).map(|index| (index % 251) as f32 / 250.0).collect();
    let picture = Tensor::from_vec(samples, (1, 3, side, side), backend.device()).unwrap();
    backend.prepare(&Tiling::whole(&plan(side)).unwrap()).unwrap();
    backend.hold_content(0, &picture).unwrap();
    let statistics = backend.forward(0, &picture).unwrap();
    let moments = statistics.moments.into_iter().map(|regions| {
        let gradients = regions.into_iter().map(|moments| MomentsGradient {
            second: moments.second,
            mean: moments.mean,
        });
        gradients.collect()
    });
    let gradient = StatisticsGradient {
        moments: moments.collect(),
        content: vec![1.0],
    };
    backend.backward(&gradient).unwrap();
}

#[test]
fn the_cpu_backend_takes_what_it_predicts() {
    let network = Network::embedded().unwrap();
    let Some(before) = memory("VmHWM:") else { return };
    // The smaller first: the peak never falls.
    for side in [256, 384] {
        let mut backend = CpuBackend::new(network.clone(), 2).unwrap();
        let predicted = backend.memory(&Tiling::whole(&plan(side)).unwrap()) as f64;
        step(&mut backend, side);
        let taken = memory("VmHWM:").unwrap() - before;
        let ratio = predicted / taken;
        assert!(
            (0.8..1.2).contains(&ratio),
            "{side}: {:.0} MB predicted, {:.0} MB taken",
            predicted / 1e6,
            taken / 1e6
        );
    }
}
