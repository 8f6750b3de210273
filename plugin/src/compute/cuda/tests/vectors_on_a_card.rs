//! An optimiser's vectors on a card, against those in main memory: elements to the bit, sums but for their order.

mod memory;
mod resampling;

use candle_core::Shape;

use super::*;
use crate::objective::variation::add_variation;
use crate::optimise::problems::{Fault, Faulty, Quadratic, random};
use crate::optimise::{
    Adam, AdamOptions, Home, Lbfgs, LbfgsOptions, Metric, Optimiser, PictureMetric, Problem, Resampler, Shown, Vector,
    vector,
};

/// Lengths of less than a block, a little more, and more than all blocks of a sum take at once.
const LENGTHS: [usize; 3] = [5, 300, 140_000];

pub fn home() -> Home {
    open(Precision::Float32).unwrap().home()
}

/// A vector in main memory, and the same one on a card.
pub fn both(home: &Home, values: Vec<f32>, shape: impl Into<Shape>) -> [Vector; 2] {
    let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    [home.bring(&tensor).unwrap(), tensor.into()]
}

fn noise(home: &Home, seed: u64, count: usize) -> [Vector; 2] {
    both(home, random(seed, count, -0.5, 1.5), count)
}

fn bits(vector: &Vector) -> Vec<u32> {
    let tensor = vector.to_tensor().unwrap().flatten_all().unwrap();
    tensor.to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

pub fn same([on_card, here]: [Vector; 2], what: &str) {
    assert!(on_card.is_on_card() && !here.is_on_card());
    assert!(bits(&on_card) == bits(&here), "{what}");
}

fn close(on_card: f64, here: f64, what: &str) {
    assert!(
        (on_card - here).abs() <= 1e-12 * (1.0 + here.abs()) * 1e3,
        "{what}: {on_card} {here}"
    );
}

/// A copy, which may be changed.
fn copy(vector: &Vector) -> Vector {
    let tensor = vector.to_tensor().unwrap().copy().unwrap();
    vector.home().bring(&tensor).unwrap()
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn every_operation_is_the_processors() {
    let home = home();
    for count in LENGTHS {
        let [a, b, c] = [1, 2, 3].map(|seed| noise(&home, seed, count));
        let x = [0, 1].map(|at| vector::project(&a[at]).unwrap());
        let free = [0, 1].map(|at| vector::free_pixels(&x[at], &b[at]).unwrap());
        let half = [0, 1].map(|at| vector::halved(&c[at]).unwrap());
        for (made, what) in [
            (&x, "project"),
            (&free, "free pixels"),
            (&half, "halved"),
            (&[0, 1].map(|at| vector::widened(&half[at]).unwrap()), "widened"),
            (
                &[0, 1].map(|at| vector::difference(&a[at], &b[at]).unwrap()),
                "difference",
            ),
            (
                &[0, 1].map(|at| vector::halved_difference(&a[at], &b[at]).unwrap()),
                "halved difference",
            ),
            (
                &[0, 1].map(|at| vector::product(&free[at], &half[at]).unwrap()),
                "product",
            ),
            (&[0, 1].map(|at| vector::scale(0.3, copy(&a[at])).unwrap()), "scale"),
            (
                &[0, 1].map(|at| vector::add_scaled(&a[at], 0.3, &b[at]).unwrap()),
                "add scaled",
            ),
            (&[0, 1].map(|at| a[at].zeros_like().unwrap()), "zeros"),
        ] {
            same(made.clone(), what);
        }
        let agree = |sums: [f64; 2], what: &str| close(sums[0], sums[1], &format!("{what} of {count}"));
        agree([0, 1].map(|at| vector::dot(&a[at], &half[at]).unwrap()), "dot");
        agree(
            [0, 1].map(|at| vector::weighted_dot(&free[at], &half[at], &b[at]).unwrap()),
            "weighted dot",
        );
        let changes = [0, 1].map(|at| vector::change([&a[at], &x[at]], [&b[at], &c[at]]).unwrap());
        let terms = changes.map(|change| [change.step, change.gradient, change.curvature, change.slope]);
        for (on_card, here) in terms[0].into_iter().zip(terms[1]) {
            close(on_card, here, "change");
        }

        let split = |made: [(Vector, f64); 2], what: &str| {
            let [(on_card, sum), (here, other)] = made;
            same([on_card, here], what);
            agree([sum, other], what);
        };
        split(
            [0, 1].map(|at| vector::descend(&x[at], 0.7, &b[at], &c[at]).unwrap()),
            "descend",
        );
        let scaled = |at: usize| vector::scale_masked_then_dot(copy(&a[at]), -0.3, &free[at], &b[at]).unwrap();
        split([0, 1].map(scaled), "scale masked then dot");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_vector_with_many_others_is_as_in_main_memory() {
    let home = home();
    // None, one, a whole group, a little more, and more than come back at once; of lengths as above.
    for (count, others) in [(5, 0), (300, 1), (300, 8), (300, 19), (140_000, 9), (5, 137)] {
        let (a, whole) = (noise(&home, 1, count), noise(&home, 2, count));
        let noise: Vec<[Vector; 2]> = (0..others.min(19)).map(|k| noise(&home, 3 + k, count)).collect();
        let halves = noise
            .iter()
            .map(|both| [0, 1].map(|at| vector::halved(&both[at]).unwrap()));
        let halves: Vec<[Vector; 2]> = halves.collect();
        let factors: Vec<f64> = (0..others).map(|k| 0.7 - 0.01 * k as f64).collect();
        let [on_card, here] = [0, 1].map(|at| {
            let list = (0..others as usize).map(|k| if k % 7 == 3 { &whole[at] } else { &halves[k % 19][at] });
            let list: Vec<&Vector> = list.collect();
            let moved = vector::add_combination(copy(&a[at]), &factors, &list).unwrap();
            let halved = vector::halved(&moved).unwrap();
            // In main memory products with many are good to six digits; one by one they are exact.
            let dots_with = |v: &Vector| match at {
                0 => vector::dots(&list, v).unwrap(),
                _ => list.iter().map(|other| vector::dot(other, v).unwrap()).collect(),
            };
            let dots = [dots_with(&moved), dots_with(&halved)].concat();
            assert!(vector::add_combination(copy(&a[at]), &[1.0; 200], &list).is_err());
            (moved, dots)
        });
        same([on_card.0, here.0], "a combination");
        assert_eq!(on_card.1.len(), 2 * others as usize);
        for (on_card, here) in on_card.1.into_iter().zip(here.1) {
            close(on_card, here, "products with many");
        }
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn what_is_no_number_stays_none() {
    let home = home();
    // Halves between which others lie, and those that are nearest to 0 and to infinity.
    let odd = [
        1.003_906_2,
        1.011_718_8,
        1e-40,
        3.4e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -0.0,
    ];
    let vectors = both(&home, odd.to_vec(), odd.len());
    same([0, 1].map(|at| vector::halved(&vectors[at]).unwrap()), "halved");
    same([0, 1].map(|at| vector::project(&vectors[at]).unwrap()), "project");
    let broken = both(&home, vec![0.5, f32::NAN, 2.0], 3);
    for vector in &broken {
        for made in [vector::project(vector), vector::halved(vector)] {
            let made = made.unwrap().to_tensor().unwrap().to_vec1::<f32>().unwrap();
            assert!(made[1].is_nan() && !made[0].is_nan(), "{made:?}");
        }
        assert!(vector::norm(vector).unwrap().is_nan());
        assert!(Lbfgs::new(vector, LbfgsOptions::default()).is_err());
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn vectors_of_different_lengths_or_places_are_refused() {
    let home = home();
    let ([a, here], [longer, _]) = (noise(&home, 1, 10), noise(&home, 2, 11));
    let elsewhere = self::home().bring(&here.to_tensor().unwrap()).unwrap();
    for other in [&longer, &here, &elsewhere] {
        assert!(vector::dot(&a, other).is_err());
        assert!(vector::difference(&a, other).is_err());
        assert!(vector::dots(&[&a, other], &a).is_err());
        assert!(vector::dots(&[other], &a).is_err() && vector::dots(&[&a], other).is_err());
        assert!(vector::add_combination(copy(&a), &[1.0, 1.0], &[&a, other]).is_err());
    }
    assert!(vector::admit("gradient", &here, &a).is_err());
    assert!(vector::admit("gradient", &vector::halved(&a).unwrap(), &a).is_err());
    assert!(Lbfgs::new(&vector::halved(&a).unwrap(), LbfgsOptions::default()).is_err());
    let turned = PictureMetric::unpainted().apply(a).unwrap_err().to_string();
    assert!(turned.contains("not the shape of a picture"), "{turned}");
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn the_metric_and_the_variation_are_the_processors() {
    let home = home();
    for (height, width) in [(1, 1), (3, 20), (20, 3), (33, 50)] {
        let picture = |seed| {
            let values = random(seed, 3 * height * width, -1.0, 1.0);
            both(&home, values, (1, 3, height, width))
        };
        let (v, gradient) = (picture(1), picture(2));
        let untaught = [0, 1].map(|at| PictureMetric::unpainted().apply(copy(&v[at])).unwrap());
        same(untaught, "a metric that saw no gradient");
        for metric in [PictureMetric::unpainted, PictureMetric::painted] {
            let images = [0, 1].map(|at| {
                let mut metric = metric();
                metric.learn(&gradient[at]).unwrap();
                // Another one counts less.
                metric.learn(&v[at]).unwrap();
                let square = metric.square(&v[at]).unwrap();
                (metric.apply(copy(&v[at])).unwrap().to_tensor().unwrap(), square)
            });
            let [(on_card, square_on_card), (here, square_here)] =
                images.map(|(image, square)| (values(&image), square));
            assert!(
                (square_on_card - square_here).abs() < 1e-6 * square_here,
                "{square_on_card} {square_here}"
            );
            let error = relative_error(&on_card, &here);
            assert!(error < 1e-6, "{height} x {width}: {error:e}");
        }
        let varied = [0, 1].map(|at| add_variation(&v[at], 0.7, copy(&gradient[at])).unwrap());
        let [(on_card, gradient_on_card), (here, gradient_here)] = varied;
        assert!((on_card - here).abs() <= 1e-6 * here, "{on_card} {here}");
        same([gradient_on_card, gradient_here], "the variation's gradient");
    }
}

/// Each step's loss and what is shown at the end, in main memory and on a card.
fn run(
    home: &Home,
    start: impl Fn(&Vector) -> Box<dyn Optimiser>,
    problem: impl Fn() -> Faulty<Quadratic>,
    steps: usize,
) -> [(Vec<f64>, Vector); 2] {
    both(home, vec![0.5; 300], (1, 3, 10, 10)).map(|grey| {
        let (mut optimiser, mut problem) = (start(&grey), problem());
        let steps = (0..steps).map(|_| optimiser.step(&mut problem).unwrap().loss);
        (steps.collect(), optimiser.picture().clone())
    })
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn adam_takes_the_same_steps() {
    let plain = AdamOptions::plain(0.02);
    let best = AdamOptions {
        shown: Shown::Best,
        ..AdamOptions::default()
    };
    let faults: [fn(usize) -> Option<Fault>; 2] = [|_| None, |k| (k == 9).then_some(Fault::GradientNan)];
    for options in [AdamOptions::default(), plain, best] {
        for fault in faults {
            let problem = || Faulty::new(Quadratic::new(300, 10.0), fault);
            // The plain one leaves the box, which `Faulty` does not allow.
            if !options.projected {
                continue;
            }
            let start = |grey: &Vector| -> Box<dyn Optimiser> { Box::new(Adam::new(grey, options).unwrap()) };
            let [(losses, on_card), (expected, here)] = run(&home(), start, problem, 20);
            assert_eq!(format!("{losses:?}"), format!("{expected:?}"), "{options:?}");
            same([on_card, here], "Adam");
        }
    }
    let grey = both(&home(), vec![0.5; 300], 300);
    let leave = grey.map(|grey| {
        let (mut adam, mut problem) = (Adam::new(&grey, plain).unwrap(), Quadratic::new(300, 10.0));
        for _ in 0..60 {
            adam.step(&mut problem).unwrap();
        }
        adam.picture().clone()
    });
    let furthest = values(&leave[0].to_tensor().unwrap()).into_iter().fold(0.0, f32::max);
    assert!(furthest > 1.01, "{furthest}");
    same(leave, "plain Adam");
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn lbfgs_takes_the_same_steps() {
    let faults: [fn(usize) -> Option<Fault>; 2] = [|_| None, |k| (k == 7).then_some(Fault::LossNan)];
    for fault in faults {
        let problem = || Faulty::new(Quadratic::new(300, 100.0), fault);
        let start = |grey: &Vector| -> Box<dyn Optimiser> {
            let options = LbfgsOptions {
                history: 5,
                tolerance: -1.0,
                ..LbfgsOptions::default()
            };
            let metric = Box::new(PictureMetric::unpainted());
            Box::new(Lbfgs::with_metric(grey, options, metric).unwrap())
        };
        let [(losses, on_card), (expected, here)] = run(&home(), start, problem, 25);
        for (step, (loss, expected)) in losses.iter().zip(&expected).enumerate() {
            let is_same = (loss - expected).abs() <= 1e-4 * expected || (loss.is_nan() && expected.is_nan());
            assert!(is_same, "step {step}: {loss} on the card and {expected} in main memory");
        }
        let [on_card, here] = [on_card, here].map(|picture| values(&picture.to_tensor().unwrap()));
        assert!(relative_error(&on_card, &here) < 1e-3);
        assert!(expected.last().unwrap() < &(0.7 * expected[0]), "{expected:?}");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn lbfgs_moves_between_places_with_its_history() {
    let home = home();
    let [on_card, _] = both(&home, vec![0.5; 300], (1, 3, 10, 10));
    let options = LbfgsOptions {
        tolerance: -1.0,
        ..LbfgsOptions::default()
    };
    let mut problem = Quadratic::new(300, 100.0);
    let mut optimiser = Lbfgs::new(&on_card, options).unwrap();
    for _ in 0..8 {
        optimiser.step(&mut problem).unwrap();
    }
    let (pairs, loss, picture) = (optimiser.pairs(), optimiser.best().1, bits(optimiser.picture()));
    assert!(pairs > 3);
    for place in [Home::Device(Device::Cpu), home] {
        let metric = Box::new(crate::optimise::Identity);
        let resampler = Resampler::new(&place, |vector: &Tensor| Ok(vector.clone()));
        optimiser = optimiser.resized(10, metric, &resampler).unwrap();
        assert_eq!(optimiser.picture().is_on_card(), place.is_card());
        assert_eq!((optimiser.pairs(), bits(optimiser.picture())), (pairs, picture.clone()));
    }
    assert_eq!(optimiser.step(&mut problem).unwrap().loss, loss);
    assert!(optimiser.step(&mut problem).unwrap().loss < loss);
}
