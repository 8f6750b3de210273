//! TF32 against float64: the oracle of the processor's backend, by which TF32 may be off by 2e-2.
//!
//! TF32 keeps 10 bits, so a sum comes to the card off by some 1e-3 of its layer's size. Where it is closer to 0 than
//! that, or two of a window are closer to one another, the card may decide otherwise than float64. Either gradient is
//! then right for a sum that cannot be told apart from the other, and each such decision moves the gradient by all that
//! flows through it. So the card is held against the oracle twice: by the decisions that the card took, none of which may
//! be wrong by more than rounding explains, and, with the network that is built in, by the oracle's own.
//!
//! With weights of noise, decisions alone move the gradient by more than 2e-2: at 16 x 16 pixels 3 of 74,240 differ and it
//! is off by 8.9e-2, at 33 x 37 30 of 338,560 and by 6.4e-2; by the same decisions it is off by 8.7e-4 and 1.1e-3. With the
//! network that is built in, 1 to 13 differ, and by the oracle's own decisions it is off by 3.8e-4 to 6.8e-3.

use super::super::super::Prepared;
use super::super::super::layout::PooledRoom;
use super::*;
use crate::compute::cpu::decisions::Decisions;
use crate::compute::cpu::oracle::{self, relative_error};
use crate::compute::cpu::tests::comparison::Expected;
use crate::compute::cpu::tests::exact;

/// What a gradient may be off by, whoever decides.
const BOUND: f64 = 2e-2;
/// What statistics may be off by, and gradients by the same decisions.
const BOUND_BY_THE_SAME: f64 = 2e-3;
/// The same where L2 pooling is: of a window whose features are all but 0, rounding turns the gradient's direction.
const BOUND_OF_L2: f64 = 1e-2;
/// As close to a decision as TF32 may take it for the other, relative to the size of a layer's sums.
const CLOSE: f64 = 5e-3;

/// What the last forward pass decided.
fn decisions(backend: &CudaBackend) -> Vec<Decisions> {
    let Prepared {
        layout, memory, parts, ..
    } = backend.prepared.as_ref().unwrap();
    let plan = &parts[0].plan;
    let rooms = layout.layers.iter();
    let decided = rooms.map(|room| {
        let (channels, pools) = (room.layer.outputs(), room.layer.pools());
        let (height, width) = (plan.height >> pools, plan.width >> pools);
        let mut decided = Decisions::none(channels, height, width);
        // Channels come last on the card, and first here.
        let (pixels, windows) = (height * width, (height / 2) * (width / 2));
        let words: Vec<u32> = memory.read(room.positive, pixels * channels / 32).unwrap();
        for (index, passes) in decided.passes.iter_mut().enumerate() {
            let element = index % pixels * channels + index / pixels;
            *passes = words[element / 32] >> (element % 32) & 1 == 1;
        }
        if let Some(PooledRoom::Max { winners }) = room.pooled {
            let found: Vec<u8> = memory.read(winners, windows * channels).unwrap();
            for (index, winner) in decided.winners.iter_mut().enumerate() {
                *winner = found[index % windows * channels + index / windows];
            }
        }
        decided
    });
    decided.collect()
}

/// Takes a step in TF32, and returns how far its gradient is from the oracle's by the oracle's own decisions.
fn check(network: &Arc<Network>, plan: &Plan, seed: u64) -> f64 {
    let canvas = picture(plan, seed);
    let sums = oracle::sums(network, plan, &exact(&canvas));
    let maps: Vec<_> = sums.iter().map(oracle::rectified).collect();
    let mut backend = CudaBackend::new(network, 0, Precision::Tf32).unwrap();
    let what = format!(
        "{} in TF32, {:?}, {} x {}",
        network.origin, plan.pooling, plan.height, plan.width
    );
    let at_picture = Expected::of(network, plan, &maps);
    let gradient = at_picture.check_statistics(&mut backend, plan, &canvas, BOUND_BY_THE_SAME, &what);
    let error = |decided: &[Decisions]| {
        let expected = oracle::gradient(network, plan, &maps, decided, &at_picture.at_features);
        relative_error(values(&gradient), expected)
    };
    let decided = decisions(&backend);
    let mistakes = Decisions::mistakes(plan, &sums, &decided);
    let largest = mistakes.iter().copied().fold(0.0, f64::max);
    let (same, own) = (error(&decided), error(&Decisions::of(plan, &sums)));
    let all: usize = sums.iter().map(|sums| sums.values.len()).sum();
    eprintln!(
        "{what}: {} of {all} decisions differ, by {largest:.1e}; the gradient is off by {same:.1e} by the card's own, and by \
         {own:.1e} by the oracle's",
        mistakes.len()
    );
    assert!(largest < CLOSE, "{what}: a decision is wrong by {largest:e}");
    let bound = match plan.pooling {
        Pooling::L2 => BOUND_OF_L2,
        Pooling::Max | Pooling::Average => BOUND_BY_THE_SAME,
    };
    assert!(same < bound, "{what}: by the same decisions off by {same:e}");
    own
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn by_the_same_decisions_the_gradient_is_that_of_float64() {
    for plan in [plan(16, 16), regional(33, 37)] {
        check(&NETWORK, &plan, 200);
    }
}

/// The objective that is rendered is of this network.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn with_the_network_that_is_built_in_so_it_is_by_its_own() {
    let network = Network::embedded().unwrap();
    for (pooling, height, width) in [(Pooling::Max, 16, 16), (Pooling::L2, 19, 29)] {
        let plan = Plan {
            pooling,
            ..plan(height, width)
        };
        let own = check(&network, &plan, 200);
        assert!(own < BOUND, "{pooling:?}: the gradient is off by {own:e}");
    }
}
