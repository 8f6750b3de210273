//! Losses that a card finds by itself, against those that are found in main memory of the card's own statistics.

use super::renders_on_a_card::slopes;
use super::*;
use crate::compute::{GaussianTarget, Losses, Margin, Moments, MomentsDistance, MomentsLoss, Resident, Tiled};
use crate::network::Layer;
use crate::objective::{ContentTerm, Objective, Scaling, StyleLoss, StyleTarget, StyleTerm};
use crate::optimise::{Home, Vector, vector};

const STYLE_LAYERS: [&str; 3] = ["conv1_1", "conv2_1", "conv3_1"];

/// A plan of few layers, which an emulated card is soon done with.
fn measured(plan: Plan) -> Plan {
    Plan {
        style_layers: layers(&STYLE_LAYERS),
        content_layers: layers(&["conv2_2"]),
        ..plan
    }
}

/// What asks a picture to look like another.
fn objective(moments: &[Vec<Moments>], energies: &[f64], loss: StyleLoss, scaling: Scaling) -> Objective {
    let style = layers(&STYLE_LAYERS).into_iter().zip(moments).zip([1.0, 0.5, 0.25]);
    let style = style.map(|((layer, regions), weight): ((Layer, _), _)| StyleTerm {
        layer,
        weight,
        targets: regions
            .iter()
            .map(|moments| StyleTarget::new(moments, loss).unwrap())
            .collect(),
    });
    Objective {
        alpha: 0.7,
        beta: 3.0,
        scaling,
        content: energies
            .iter()
            .map(|&energy| ContentTerm { weight: 0.5, energy })
            .collect(),
        style: style.collect(),
    }
}

/// A backend that is prepared, and holds its content.
fn prepared<'a>(backend: &'a mut CudaBackend, plan: &Plan, content: &Tensor) -> (Tiled<'a>, Vec<f64>) {
    let mut tiled = Tiled::new(backend);
    tiled
        .prepare(Tiling::whole(plan).unwrap(), Margin::new(0, plan.height, plan.width))
        .unwrap();
    let energies = tiled.hold_content(content).unwrap();
    (tiled, energies)
}

/// Loss and gradient as they are found by way of main memory.
fn by_way_of_main_memory(tiled: &mut Tiled, objective: &Objective, picture: &Vector) -> (f64, Vector) {
    let ask = |statistics: &Statistics, _: Option<f64>| {
        let valued = objective.evaluate(statistics)?;
        Ok((valued.total, valued.gradient))
    };
    tiled.evaluate(picture, ask).unwrap()
}

fn brought(home: &Home, tensor: &Tensor) -> Vector {
    home.bring(tensor).unwrap()
}

fn samples(vector: &Vector) -> Vec<f32> {
    values(&vector.to_tensor().unwrap())
}

/// Fewer pixels that count than channels, and a style of all directions: what is rounded must not grow from step to step.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn all_directions_come_to_their_roots() {
    const CHANNELS: usize = 64;
    const SIDE: usize = 24;
    let counts = |pixel: usize| pixel / SIDE < 6 && pixel % SIDE < 6;
    let few: Vec<f32> = (0..SIDE * SIDE)
        .map(|pixel| f32::from(u8::from(counts(pixel))))
        .collect();
    let plan = Plan {
        style_layers: layers(&["conv1_1"]),
        content_layers: Vec::new(),
        regions: Some(Tensor::from_vec(few, (1, SIDE, SIDE), &Device::Cpu).unwrap()),
        ..plan(SIDE, SIDE)
    };
    let [content, canvas] = pictures(&plan);
    let mut backend = open(Precision::Float32).unwrap();
    let canvas = brought(&backend.home(), &canvas);
    let (mut tiled, _) = prepared(&mut backend, &plan, &content);
    let one = |index| if index % (CHANNELS + 1) == 0 { 1.0 } else { 0.0 };
    let target = GaussianTarget {
        mean: vec![0.0; CHANNELS],
        directions: (0..CHANNELS * CHANNELS).map(one).collect(),
        trace: CHANNELS as f64,
        lengths: vec![1.0; CHANNELS],
        noise: 1e-6,
    };
    let losses = Losses {
        style: vec![vec![MomentsLoss {
            distance: MomentsDistance::Gaussian(target),
            slope: 1.0,
        }]],
        content: Vec::new(),
    };
    tiled.take_losses(|_| Some(losses)).unwrap();
    let (loss, _) = tiled.evaluate_losses(&canvas).unwrap().expect("all roots are found");
    assert!(loss.is_finite() && loss > 0.0, "{loss}");
}

/// Of a picture with far fewer pixels than channels, most directions have the noise alone: with what float32 rounds away of
/// that, the gradient is known to three digits.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn few_pixels_have_a_distance() {
    let plan = Plan {
        style_layers: layers(&["conv4_1"]),
        content_layers: layers(&["conv1_2"]),
        ..plan(48, 64)
    };
    let [content, canvas] = pictures(&plan);
    let mut backend = CudaBackend::new(&Network::embedded().unwrap(), 0, Precision::Tf32).unwrap();
    let canvas = brought(&backend.home(), &canvas);
    let (mut tiled, energies) = prepared(&mut backend, &plan, &content);
    let moments = tiled.forward(&tensor(&plan, &picture(&plan, 3))).unwrap().moments;
    let objective = Objective {
        style: vec![StyleTerm {
            layer: plan.style_layers[0],
            weight: 1.0,
            targets: vec![StyleTarget::new(&moments[0][0], StyleLoss::Wasserstein).unwrap()],
        }],
        ..objective(&[], &energies, StyleLoss::Wasserstein, Scaling::Balanced)
    };
    let (expected, expected_gradient) = by_way_of_main_memory(&mut tiled, &objective, &canvas);
    tiled.take_losses(|amounts| objective.losses(amounts)).unwrap();
    let (loss, gradient) = tiled.evaluate_losses(&canvas).unwrap().expect("all roots are found");
    assert!((loss - expected).abs() <= 1e-6 * expected, "{loss} for {expected}");
    let error = relative_error(&samples(&gradient), &samples(&expected_gradient));
    eprintln!("with few pixels the gradient is {error:.1e} from that by way of main memory");
    assert!(error <= 1e-3, "{error:e}");
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn they_are_those_found_in_main_memory() {
    // More pixels than channels at one layer, and fewer at another.
    for plan in [measured(plan(33, 37)), measured(regional(40, 33))] {
        for (loss, scaling, bound) in [
            (StyleLoss::Gram, Scaling::Article, 1e-6),
            (StyleLoss::Wasserstein, Scaling::Balanced, 1e-5),
            (StyleLoss::Wasserstein, Scaling::Hw, 1e-5),
        ] {
            let what = format!("{loss:?}, {scaling:?}, {} rows", plan.height);
            let [content, canvas] = pictures(&plan);
            let mut backend = open(Precision::Float32).unwrap();
            let canvas = brought(&backend.home(), &canvas);
            let (mut tiled, energies) = prepared(&mut backend, &plan, &content);
            let style = tensor(&plan, &picture(&plan, 3));
            let moments = tiled.forward(&style).unwrap().moments;
            let objective = objective(&moments, &energies, loss, scaling);
            let (expected, expected_gradient) = by_way_of_main_memory(&mut tiled, &objective, &canvas);
            assert!(tiled.evaluate_losses(&canvas).unwrap().is_none(), "none were taken");
            tiled.take_losses(|amounts| objective.losses(amounts)).unwrap();
            // Launched, captured, and replayed.
            let evaluations = [(); 3].map(|()| tiled.evaluate_losses(&canvas).unwrap().expect(&what));
            for (loss, gradient) in &evaluations {
                assert!(
                    (loss - expected).abs() <= 1e-6 * expected,
                    "{what}: {loss} for {expected}"
                );
                let error = relative_error(&samples(gradient), &samples(&expected_gradient));
                eprintln!("{what}: the gradient is {error:.1e} from that by way of main memory");
                assert!(error <= bound, "{what}: {error:e}");
                assert!(
                    samples(gradient) == samples(&evaluations[0].1) && *loss == evaluations[0].0,
                    "{what}"
                );
            }
            // The way by main memory is as it was.
            let (again, _) = by_way_of_main_memory(&mut tiled, &objective, &canvas);
            assert_eq!(again, expected, "{what}");
        }
    }
}

/// A picture of one colour has no covariance but what its moments are rounded by, which may be negative.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn what_cannot_be_told_is_left_to_main_memory() {
    let plan = measured(Plan {
        // Away from what is around pictures.
        window: Window {
            top: 16,
            left: 16,
            height: 16,
            width: 16,
        },
        ..plan(48, 48)
    });
    let [content, canvas] = pictures(&plan);
    let mut backend = open(Precision::Tf32).unwrap();
    let home = backend.home();
    let (mut tiled, energies) = prepared(&mut backend, &plan, &content);
    let moments = tiled.forward(&canvas).unwrap().moments;
    let of_one_colour = brought(&home, &(canvas.zeros_like().unwrap() + 0.6).unwrap());
    let told = objective(&moments, &energies, StyleLoss::Wasserstein, Scaling::Balanced);
    tiled.take_losses(|amounts| told.losses(amounts)).unwrap();
    let (expected, _) = by_way_of_main_memory(&mut tiled, &told, &of_one_colour);
    if let Some((loss, gradient)) = tiled.evaluate_losses(&of_one_colour).unwrap() {
        assert!((loss - expected).abs() <= 1e-3 * expected, "{loss} for {expected}");
        assert!(vector::norm(&gradient).unwrap().is_finite());
    }
    // Nothing of it stays.
    let canvas = brought(&home, &canvas);
    let (loss, _) = tiled.evaluate_losses(&canvas).unwrap().expect("a loss");
    let (expected, _) = by_way_of_main_memory(&mut tiled, &told, &canvas);
    assert!((loss - expected).abs() <= 1e-5 * expected, "{loss} for {expected}");
    // Without any energy there is no root to find.
    let moments = tiled.forward(&of_one_colour.to_tensor().unwrap()).unwrap().moments;
    let nothing = moments.iter().map(|regions| {
        let regions = regions.iter().map(|moments| Moments {
            second: moments.second.zeros_like().unwrap(),
            mean: moments.mean.zeros_like().unwrap(),
            weight: moments.weight,
        });
        regions.collect()
    });
    let nothing: Vec<Vec<Moments>> = nothing.collect();
    let black = objective(&nothing, &energies, StyleLoss::Wasserstein, Scaling::Balanced);
    tiled
        .prepare(Tiling::whole(&plan).unwrap(), Margin::new(0, 48, 48))
        .unwrap();
    tiled.hold_content(&content).unwrap();
    for objective in [
        black,
        objective(&moments, &energies, StyleLoss::Covariance, Scaling::Balanced),
    ] {
        tiled.take_losses(|amounts| objective.losses(amounts)).unwrap();
        assert!(tiled.evaluate_losses(&canvas).unwrap().is_none());
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn others_are_refused_and_all_of_it_is_reckoned_with() {
    let plan = measured(plan(32, 35));
    let tiling = Tiling::whole(&plan).unwrap();
    let [content, canvas] = pictures(&plan);
    let free = || list().unwrap()[0].memory_free;
    let before = free();
    let mut backend = open(Precision::Tf32).unwrap();
    let predicted = backend.memory(&tiling);
    backend.prepare(&tiling).unwrap();
    let amounts = backend.amounts(0).unwrap();
    let moments = backend.forward(0, &canvas).unwrap().moments;
    let losses = objective(&moments, &[1.0], StyleLoss::Wasserstein, Scaling::Balanced);
    let losses = losses.losses(&amounts).unwrap();
    assert!(backend.take_losses(0, &losses).is_err(), "no content is held");
    backend.hold_content(0, &content).unwrap();
    let fewer = Losses {
        style: losses.style[1..].to_vec(),
        ..losses.clone()
    };
    assert!(backend.take_losses(0, &fewer).is_err(), "a layer is missing");
    assert!(backend.take_losses(1, &losses).is_err(), "no such part");
    assert!(!backend.has_losses(0));
    backend.take_losses(0, &losses).unwrap();
    assert!(backend.has_losses(0) && !backend.has_losses(1));
    let statistics = backend.forward(0, &canvas).unwrap();
    backend.backward(&slopes(&statistics)).unwrap();
    if list().unwrap()[0].name == "Emulated card" {
        let taken = before - free();
        assert!(taken <= predicted, "{taken} bytes, {predicted} were told");
    }
    backend.prepare(&tiling).unwrap();
    assert!(!backend.has_losses(0));
}
