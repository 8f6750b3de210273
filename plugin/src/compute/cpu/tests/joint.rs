//! Passes that end at the joint, against the whole network and the f64 oracle.

use super::*;
use crate::compute::cpu::lanes::WIDTH;
use crate::compute::cpu::oracle::gradient;

fn deferring(plan: Plan) -> Plan {
    Plan { defers: true, ..plan }
}

/// A backend that holds the content, and the plan's picture of a seed.
fn ready(plan: &Plan) -> CpuBackend {
    let mut backend = backend(InstructionSet::detect(), 2);
    backend
        .prepare(&Tiling::whole(plan).unwrap())
        .expect("the plan is good");
    backend
        .hold_content(0, &tensor(plan, &picture(plan, 1)))
        .expect("content");
    backend
}

/// A step through the whole network.
fn whole(backend: &mut CpuBackend, plan: &Plan, canvas: &[f32]) -> Vec<f32> {
    let statistics = backend.forward(0, &tensor(plan, canvas)).expect("forward");
    let asked = statistics_gradient(plan, &statistics);
    values(&backend.backward(&asked).expect("backward"))
}

/// A step to the joint, and the change above it.
fn to_joint(backend: &mut CpuBackend, plan: &Plan, canvas: &[f32], weight: f64) -> (Vec<f32>, f64) {
    let statistics = backend.forward_to_joint(0, &tensor(plan, canvas)).expect("forward");
    let change = backend.deferred_change().expect("features").expect("something is held");
    let mut asked = statistics_gradient(plan, &statistics);
    for region in asked.moments.iter_mut().flatten() {
        region.second = (&region.second * weight).unwrap();
        region.mean = (&region.mean * weight).unwrap();
    }
    asked.content.iter_mut().for_each(|content| *content *= weight);
    (values(&backend.backward(&asked).expect("backward")), change)
}

fn plans() -> [Plan; 3] {
    let window = Window {
        top: 16,
        left: 16,
        height: 16,
        width: 21,
    };
    let nearer = Plan {
        style_layers: layers(&["conv1_2", "conv3_1", "conv4_1"]),
        content_layers: layers(&["conv2_1", "conv3_1"]),
        pooling: Pooling::L2,
        ..plan(19, 27)
    };
    [plan(21, 34), Plan { window, ..plan(32, 37) }, nearer].map(deferring)
}

#[test]
fn what_is_held_is_what_comes_down_from_above() {
    for plan in plans() {
        let plain = Plan {
            defers: false,
            ..plan.clone()
        };
        let (mut backend, mut undeferred) = (ready(&plan), ready(&plain));
        for seed in [2, 3] {
            let canvas = picture(&plan, seed);
            let expected = whole(&mut undeferred, &plain, &canvas);
            let held = whole(&mut backend, &plan, &canvas);
            let error = relative_error(held.clone(), expected.into_iter().map(f64::from));
            assert!(error < 1e-6, "{error:e}");
            // Where it was held, it says the same.
            let (same, change) = to_joint(&mut backend, &plan, &canvas, 1.0);
            assert_eq!(same, held);
            assert_eq!(change, 0.0);
        }
        // The way down from there leaves the buffers as the other needs them.
        let canvas = picture(&plan, 4);
        assert_eq!(
            whole(&mut backend, &plan, &canvas),
            whole(&mut ready(&plan), &plan, &canvas)
        );
    }
}

#[test]
fn away_from_where_it_was_held_it_is_a_linear_function_of_the_features() {
    for plan in plans() {
        let joint = plan.joint().expect("a joint");
        let mut backend = ready(&plan);
        let first = picture(&plan, 2);
        whole(&mut backend, &plan, &first);
        // With nothing asked of the statistics, all that comes down is what was held.
        let (canvas, is) = decided_picture(&plan);
        let (found, change) = to_joint(&mut backend, &plan, &canvas, 0.0);
        let (was, _) = oracle::features(&NETWORK, &plan, &exact(&first));
        let held = &backend.prepared.as_ref().expect("prepared").parts[0].deferred;
        let held = &held.as_ref().expect("something is held").gradient;
        let map = &is[joint.index()];
        let pixels = map.height * map.width;
        let at = |index: usize| {
            let (channel, pixel) = (index / pixels, index % pixels);
            f64::from(held[channel / WIDTH * pixels + pixel].0[channel % WIDTH])
        };
        let mut at_features: Vec<Option<Map>> = is.iter().map(|_| None).collect();
        let mut derivative = Map::zero(map.channels, map.height, map.width);
        let (mut expected, mut size) = (0.0, 0.0);
        for (index, value) in derivative.values.iter_mut().enumerate() {
            *value = at(index);
            let (is, was) = (map.values[index], was[joint.index()].values[index]);
            expected += *value * (is - was);
            size += (*value * is).abs() + (*value * was).abs();
        }
        at_features[joint.index()] = Some(derivative);
        let decided = Decisions::of(&plan, &is);
        let error = relative_error(found, gradient(&NETWORK, &plan, &is, &decided, &at_features));
        assert!(error < 1e-5, "the gradient is off by {error:e}");
        let error = (change - expected).abs() / size;
        assert!(
            error < 1e-6,
            "{change} for {expected}, which is {error:e} of what cancels out"
        );
    }
}

#[test]
fn what_cannot_be_deferred_is_not() {
    let joint = |style: &[&str], content: &[&str]| {
        let plan = Plan {
            style_layers: layers(style),
            content_layers: layers(content),
            ..plan(32, 32)
        };
        assert_eq!(plan.joint(), None);
        deferring(plan).joint().map(Layer::name)
    };
    assert_eq!(joint(&["conv1_1", "conv4_1", "conv5_1"], &["conv4_2"]), Some("conv4_2"));
    assert_eq!(joint(&["conv1_1", "conv4_1", "conv5_1"], &["conv3_4"]), Some("conv4_1"));
    assert_eq!(joint(&["conv5_1"], &["conv4_3"]), Some("conv4_3"));
    // Content is the highest, or as high; a pooling comes between; there is nothing else.
    assert_eq!(joint(&["conv1_1", "conv4_1"], &["conv4_2"]), None);
    assert_eq!(joint(&["conv1_1", "conv4_2"], &["conv4_2"]), None);
    assert_eq!(joint(&["conv1_1", "conv5_1"], &["conv4_4"]), None);
    assert_eq!(joint(&["conv5_1"], &[]), None);
    assert_eq!(joint(&[], &["conv4_2"]), None);

    let deferring = deferring(plan(600, 600));
    assert!(Tiling::whole(&deferring).unwrap().plan().joint().is_some());
    let tiled = Tiling::cut(&deferring, 2, 1).unwrap();
    assert!(
        tiled
            .parts()
            .iter()
            .chain([tiled.plan()])
            .all(|plan| plan.joint().is_none())
    );

    let plan = plans()[0].clone();
    let mut backend = ready(&plan);
    let canvas = tensor(&plan, &picture(&plan, 2));
    assert!(backend.forward_to_joint(0, &canvas).is_err(), "nothing is held yet");
    assert!(backend.deferred_change().is_err(), "no pass left features");
    whole(&mut backend, &plan, &picture(&plan, 2));
    assert!(backend.forward_to_joint(0, &canvas).is_ok());
    backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
    assert!(backend.forward_to_joint(0, &canvas).is_err(), "what was held is gone");
}
