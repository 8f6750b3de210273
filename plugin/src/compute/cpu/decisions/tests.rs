//! The backend against the oracle at pictures where rounding decides.

use std::sync::Arc;

use super::super::InstructionSet;
use super::super::oracle::{self, noise, relative_error};
use super::super::tests::comparison::{BOUND, Expected};
use super::super::tests::{NETWORK, exact, picture, plan, values};
use super::super::winograd::Variant;
use super::*;
use crate::compute::{Plan, Pooling};
use crate::network::Network;

/// As close to a decision as float32 may take it for the other, relative to the size of a layer's sums.
const CLOSE: f64 = 1e-5;

fn backend(network: &Arc<Network>, set: InstructionSet) -> CpuBackend {
    CpuBackend::with_instructions(network.clone(), 2, set).expect("threads")
}

/// Compares a step with the oracle's by the same decisions. Returns how many of these are not the oracle's own, all
/// of which must be close, and how far the gradient is from that by its own.
fn check(network: &Network, mut backend: CpuBackend, plan: &Plan, canvas: &[f32], what: &str) -> (usize, f64) {
    let sums = oracle::sums(network, plan, &exact(canvas));
    let maps: Vec<_> = sums.iter().map(oracle::rectified).collect();
    let at_picture = Expected::of(network, plan, &maps);
    let gradient = at_picture.check_statistics(&mut backend, plan, canvas, BOUND, what);
    let error = |decided: &[Decisions]| {
        let expected = oracle::gradient(network, plan, &maps, decided, &at_picture.at_features);
        relative_error(values(&gradient), expected)
    };
    let decided = backend.decisions();
    let mistakes = Decisions::mistakes(plan, &sums, &decided);
    let largest = mistakes.iter().copied().fold(0.0, f64::max);
    let (same, own) = (error(&decided), error(&Decisions::of(plan, &sums)));
    eprintln!(
        "{what}: {} decisions differ, by {largest:.1e}; off by {same:.1e}, by the oracle's own by {own:.1e}",
        mistakes.len()
    );
    assert!(largest < CLOSE, "{what}: a decision is wrong by {largest:e}");
    assert!(
        same < 1e-5,
        "{what}: by the same decisions the gradient is off by {same:e}"
    );
    (mistakes.len(), own)
}

#[test]
fn at_pictures_as_they_come_gradients_agree_by_the_same_decisions() {
    for pooling in [Pooling::Max, Pooling::Average, Pooling::L2] {
        for (seed, (height, width)) in [(1, (17, 30)), (2, (33, 26)), (3, (19, 47))] {
            let plan = Plan {
                pooling,
                ..plan(height, width)
            };
            let what = format!("{pooling:?} at {height} x {width}");
            let canvas = picture(&plan, 200 + seed);
            let backend = backend(&NETWORK, InstructionSet::detect());
            let (mistakes, _) = check(&NETWORK, backend, &plan, &canvas, &what);
            assert!(mistakes <= 3, "{what}: {mistakes} decisions differ");
        }
    }
}

/// The network that is built in, with larger tiles than any processor gives it at this size.
#[test]
fn in_the_largest_tiles_everywhere_gradients_agree_by_the_same_decisions() {
    let network = Network::embedded().expect("the network that is built in");
    for pooling in [Pooling::Max, Pooling::Average, Pooling::L2] {
        let plan = Plan {
            pooling,
            ..plan(101, 83)
        };
        let mut backend = backend(&network, InstructionSet::detect());
        backend.model.weights.choose = |_, _, _, _| Variant::F6;
        let what = format!("{pooling:?} in tiles of 6 x 6");
        check(&network, backend, &plan, &picture(&plan, 210), &what);
    }
}

/// A network with a feature in every channel of a layer that is 0 but for the rounding of its bias.
fn on_the_fence(plan: &Plan, canvas: &[f32]) -> Arc<Network> {
    const LAYER: usize = 5;
    let mut network = oracle::network(1);
    let sums = &oracle::sums(&network, plan, &exact(canvas))[LAYER];
    let mut random = noise(9);
    let pixels = sums.values.chunks(sums.height * sums.width);
    for (sums, bias) in pixels.zip(&mut network.convolutions[LAYER].bias) {
        let pixel = (0.5 + 0.5 * random()) * sums.len() as f64;
        *bias -= sums[pixel as usize] as f32;
    }
    Arc::new(network)
}

#[test]
fn where_rounding_decides_gradients_agree_by_the_same_decisions() {
    for set in InstructionSet::available() {
        let plan = plan(25, 27);
        let canvas = picture(&plan, 300);
        let network = on_the_fence(&plan, &canvas);
        let backend = backend(&network, set);
        let (mistakes, own) = check(&network, backend, &plan, &canvas, &format!("a fence on {}", set.name()));
        assert!(mistakes > 20, "only {mistakes} of 256 features fall to the other side");
        assert!(own > 1e-4, "the gradient does not jump: {own:e}");
    }
}

#[test]
fn in_a_flat_picture_gradients_agree_by_the_same_maxima() {
    let plan = plan(40, 43);
    let canvas = vec![0.6; 3 * 40 * 43];
    let backend = backend(&NETWORK, InstructionSet::detect());
    let (mistakes, own) = check(&NETWORK, backend, &plan, &canvas, "a flat picture");
    assert!(mistakes > 20 && own > 1e-4, "{mistakes} maxima differ, {own:e}");
}
