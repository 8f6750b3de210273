//! What a profile counts is what a step does.

use super::*;
use crate::network::Layer;

/// Multiplications and additions of all convolutions up to a layer, once up and once down.
fn operations(plan: &Plan, top: Layer) -> f64 {
    let layers = Layer::ALL[..=top.index()].iter();
    let operations = layers.map(|layer| {
        let pixels = (plan.height >> layer.pools()) * (plan.width >> layer.pools());
        4 * 9 * layer.inputs() * layer.outputs() * pixels
    });
    operations.sum::<usize>() as f64
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn kernels_of_a_step_are_counted_and_timed() {
    let plan = Plan {
        style_layers: layers(&["conv1_1", "conv3_1"]),
        content_layers: layers(&["conv2_2"]),
        ..regional(32, 35)
    };
    for (precision, pooling) in [(Precision::Tf32, Pooling::L2), (Precision::Bfloat16, Pooling::Max)] {
        let plan = Plan {
            pooling,
            ..plan.clone()
        };
        let mut backend = open(precision).unwrap();
        let (_, plain) = step(&mut backend, &plan);
        backend.start_profile();
        let (_, gradient) = step(&mut backend, &plan);
        let profile = backend.stop_profile().unwrap();
        assert!(gradient == plain, "the same is computed");
        for row in &profile {
            assert!(row.seconds > 0.0 && row.seconds < 600.0, "{row:?}");
            assert!(row.bytes > 0.0, "{row:?}");
            assert!(!row.size.is_empty() && row.launches > 0, "{row:?}");
        }
        let convolving = |row: &&KernelProfile| ["convolve", "picture"].iter().any(|name| row.name.starts_with(name));
        // The content was looked at as well, once up.
        let counted: f64 = profile.iter().filter(convolving).map(|row| row.operations).sum();
        assert_eq!(counted, 1.5 * operations(&plan, "conv3_1".parse().unwrap()));
        let launches = |name: &str| -> usize {
            let rows = profile.iter().filter(|row| row.name.starts_with(name));
            rows.map(|row| row.launches).sum()
        };
        // Of two layers and two regions.
        assert_eq!(launches("inject_moments"), 4);
        assert_eq!((launches("hold"), launches("squared_distance")), (1, 2));
        assert_eq!(launches("pool_"), 6);
        assert!(backend.stop_profile().unwrap().is_empty(), "it has been stopped");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn what_a_card_can_do_is_measured() {
    let peak = open(Precision::Tf32).unwrap().peak(1 << 20).unwrap();
    for precision in [Precision::Float32, Precision::Tf32, Precision::Bfloat16] {
        assert!(peak.of(precision).is_normal(), "{peak:?}");
    }
    assert!(peak.bytes.is_normal(), "{peak:?}");
}
