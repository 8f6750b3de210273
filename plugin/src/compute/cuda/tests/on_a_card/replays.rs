//! Steps that are replayed as a graph are the steps that are launched kernel by kernel.

use super::super::super::replay::{Sequence, Sequences};
use super::*;

/// Two parts, of different sizes, with regions.
pub fn in_two_parts() -> Tiling {
    let plan = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: layers(&["conv1_1"]),
        window: Window::whole(16, 400),
        ..regional(16, 400)
    };
    let tiling = Tiling::cut(&plan, 1, 2).unwrap();
    let widths = tiling.parts().iter().map(|plan| plan.width);
    assert_eq!(widths.clone().count(), 2);
    assert_ne!(widths.clone().min(), widths.max());
    tiling
}

/// The bits of so many steps, each at other pictures, in turn at each part; before the last the content becomes another.
pub fn steps(backend: &mut CudaBackend, tiling: &Tiling, count: u64) -> Vec<u32> {
    backend.prepare(tiling).unwrap();
    let mut bits = Vec::new();
    for step in 0..count {
        for (part, plan) in tiling.parts().iter().enumerate() {
            let at = |seed| tensor(plan, &picture(plan, seed));
            if step == 0 || step == count - 1 {
                backend.hold_content(part, &at(100 + step)).unwrap();
            }
            let statistics = backend.forward(part, &at(step)).unwrap();
            let mut asked = statistics_gradient(plan, &statistics);
            asked.content.iter_mut().for_each(|slope| *slope *= (step + 1) as f64);
            let gradient = backend.backward(&asked).unwrap();
            let moments = statistics.moments.iter().flatten();
            let numbers = moments.flat_map(|moments| [&moments.second, &moments.mean].map(values));
            bits.extend(numbers.flatten().chain(values(&gradient)).map(f32::to_bits));
            let distances = statistics.content.iter();
            bits.extend(distances.map(|distance| (distance.mean_square as f32).to_bits()));
        }
    }
    bits
}

/// The same, kernel by kernel.
pub fn plain_steps(tiling: &Tiling, count: u64) -> Vec<u32> {
    let mut backend = open(Precision::Tf32).unwrap();
    backend.fault_of_graphs = Some(Error::Device("none are wanted".into()));
    let bits = steps(&mut backend, tiling, count);
    assert!(backend.sequences.iter().all(|part| !is_captured(part)));
    bits
}

fn is_captured(Sequences { up, down }: &Sequences) -> bool {
    matches!(up, Sequence::Captured(_)) && matches!(down, Sequence::Captured(_))
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn replayed_steps_have_the_bits_of_launched_ones() {
    let mut backend = open(Precision::Tf32).unwrap();
    let parts = in_two_parts();
    let whole = Tiling::whole(&Plan {
        style_layers: layers(&["conv1_1", "conv2_1"]),
        content_layers: layers(&["conv1_2"]),
        ..plan(16, 21)
    });
    for tiling in [parts, whole.unwrap()] {
        let bits = steps(&mut backend, &tiling, 4);
        assert!(bits == plain_steps(&tiling, 4));
        assert!(backend.sequences.iter().all(is_captured));
        assert_eq!(backend.sequences.len(), tiling.parts().len());
    }
    assert!(!backend.description().contains("kernel by kernel"));
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_content_that_comes_later_is_measured() {
    let plan = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: layers(&["conv1_1"]),
        ..plan(16, 16)
    };
    let [content, canvas] = pictures(&plan);
    let mut backend = open(Precision::Tf32).unwrap();
    backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
    for _ in 0..3 {
        assert!(backend.forward(0, &canvas).unwrap().content.is_empty());
    }
    let energy = backend.hold_content(0, &content).unwrap()[0].mean_square;
    for _ in 0..3 {
        let distances = backend.forward(0, &content).unwrap().content;
        assert_eq!(distances[0].mean_square.to_bits(), 0f64.to_bits());
        assert!(backend.forward(0, &canvas).unwrap().content[0].mean_square > 1e-3 * energy);
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn graphs_go_with_what_they_were_made_for() {
    let mut backend = open(Precision::Tf32).unwrap();
    let tiling = in_two_parts();
    let free = || list().unwrap()[0].memory_free;
    steps(&mut backend, &tiling, 2);
    let before = free();
    for _ in 0..5 {
        steps(&mut backend, &tiling, 2);
        assert!(backend.sequences.iter().all(is_captured));
    }
    // Others may use a real one.
    let is_emulated = list().unwrap()[0].name == "Emulated card";
    let kept = before.saturating_sub(free());
    assert!(
        kept <= if is_emulated { 0 } else { 16 << 20 },
        "{kept} bytes are left behind"
    );
    if is_emulated {
        let with_graphs = free();
        backend.sequences.clear();
        assert!(free() > with_graphs, "graphs take memory");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn many_parts_take_no_graphs() {
    let plan = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: Vec::new(),
        ..plan(16, 8192)
    };
    let tiling = Tiling::smallest(&plan).unwrap();
    assert!(tiling.parts().len() > 16, "{}", tiling.parts().len());
    let mut backend = open(Precision::Tf32).unwrap();
    backend.prepare(&tiling).unwrap();
    let canvas = tensor(&tiling.parts()[0], &picture(&tiling.parts()[0], 1));
    for _ in 0..3 {
        backend.forward(0, &canvas).unwrap();
    }
    assert!(matches!(backend.sequences[0].up, Sequence::Plain));
}
