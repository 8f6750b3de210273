//! Both optimisers on functions whose minima are known.

mod trouble;

use candle_core::{Device, Tensor};
use rayon::ThreadPoolBuilder;

use super::problems::{Fault, Faulty, Miniature, Quadratic, Rosenbrock, random};
use super::{
    Adam, AdamOptions, Ending, Home, Identity, Lbfgs, LbfgsOptions, Metric, Optimiser, Problem, Resampler, Shown, Step,
    Vector, vector,
};
use crate::Result;

/// Options under which only the number of evaluations ends a run.
fn unending() -> LbfgsOptions {
    LbfgsOptions {
        tolerance: -1.0,
        ..LbfgsOptions::default()
    }
}

fn vector(values: Vec<f32>) -> Vector {
    let count = values.len();
    Tensor::from_vec(values, count, &Device::Cpu).unwrap().into()
}

fn grey(count: usize) -> Vector {
    vector(vec![0.5; count])
}

fn values(x: &Vector) -> Vec<f32> {
    x.to_tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn both(start: &Vector) -> [Box<dyn Optimiser>; 2] {
    [
        Box::new(Lbfgs::new(start, LbfgsOptions::default()).unwrap()),
        Box::new(Adam::new(start, AdamOptions::default()).unwrap()),
    ]
}

/// Steps until the loss is at most `goal`, the optimiser ends, or the evaluations run out.
fn run(optimiser: &mut dyn Optimiser, problem: &mut dyn Problem, limit: usize, goal: f64) -> Vec<Step> {
    let mut steps = Vec::new();
    while steps.len() < limit {
        let step = optimiser.step(problem).unwrap();
        steps.push(step);
        if optimiser.best().1 <= goal || step.ended.is_some() {
            break;
        }
    }
    steps
}

/// Evaluations that projected L-BFGS needs to bring a quadratic's excess down to a millionth, within `limit`.
fn evaluations_on_quadratic(condition: f32, options: LbfgsOptions, limit: usize) -> usize {
    let quadratic = Quadratic::new(3000, condition);
    let least = quadratic.value(&quadratic.solution());
    let goal = least + 1e-6 * (quadratic.value(&[0.5; 3000]) - least);
    let mut optimiser = Lbfgs::new(&grey(3000), options).unwrap();
    let steps = run(&mut optimiser, &mut Faulty::new(quadratic, |_| None), limit, goal);
    let loss = optimiser.best().1;
    assert!(
        loss <= goal,
        "{loss:e} after {} evaluations, goal {goal:e}",
        steps.len()
    );
    steps.len()
}

#[test]
fn lbfgs_solves_quadratics_in_the_box_with_few_evaluations() {
    for (condition, limit) in [(1e1, 15), (1e2, 40), (1e4, 220)] {
        evaluations_on_quadratic(condition, unending(), limit);
    }
}

#[test]
fn curvature_pays_where_the_gradient_alone_does_not() {
    let with = evaluations_on_quadratic(1e3, unending(), 120);
    let without = evaluations_on_quadratic(
        1e3,
        LbfgsOptions {
            history: 0,
            ..unending()
        },
        4000,
    );
    assert!(without > 2 * with, "{with} with and {without} without the history");
}

#[test]
fn lbfgs_finds_the_constrained_minimum_pixel_by_pixel() {
    let quadratic = Quadratic::new(500, 10.0);
    let solution = quadratic.solution();
    let mut optimiser = Lbfgs::new(&grey(500), unending()).unwrap();
    run(
        &mut optimiser,
        &mut Faulty::new(quadratic, |_| None),
        200,
        f64::NEG_INFINITY,
    );
    for (x, expected) in values(optimiser.picture()).iter().zip(solution) {
        assert!((x - expected).abs() < 1e-4, "{x} for {expected}");
        // What is held at a bound must be on it, not near it.
        assert!(
            (0.0 < expected && expected < 1.0) || *x == expected,
            "{x} for {expected}"
        );
    }
}

#[test]
fn a_step_is_one_evaluation_and_nearly_every_one_is_accepted() {
    let mut miniature = Faulty::new(Miniature::new(24), |_| None);
    let mut optimiser = Lbfgs::new(&miniature.inner.start, unending()).unwrap();
    let steps = run(&mut optimiser, &mut miniature, 100, 0.0);
    assert_eq!(miniature.evaluations, 100);
    assert_eq!(steps.last().unwrap().evaluations, 100);
    let accepted = steps.iter().filter(|step| step.accepted).count();
    assert!(accepted >= 92, "{accepted} of 100");
}

#[test]
fn lbfgs_follows_a_valley_to_the_bound() {
    let mut optimiser = Lbfgs::new(&vector(vec![0.15, 0.9]), unending()).unwrap();
    let steps = run(&mut optimiser, &mut Faulty::new(Rosenbrock, |_| None), 60, 0.25 + 1e-6);
    let x = values(optimiser.picture());
    assert!(
        optimiser.best().1 <= 0.25 + 1e-6,
        "{:?} after {}",
        optimiser.best().1,
        steps.len()
    );
    assert!(x[0] == 1.0 && (x[1] - 0.875).abs() < 1e-3, "{x:?}");
}

#[test]
fn lbfgs_is_several_times_faster_than_adam_on_style_transfer_in_miniature() {
    let mut goal = f64::INFINITY;
    for (mut optimiser, limit) in both(&Miniature::new(24).start).into_iter().zip([15, 45]) {
        let mut problem = Faulty::new(Miniature::new(24), |_| None);
        let start = optimiser.step(&mut problem).unwrap().loss;
        run(&mut *optimiser, &mut problem, limit, 0.0);
        let reached = optimiser.best().1;
        assert!(reached < 0.4 * start, "{reached} from {start}");
        assert!(
            reached > goal || goal.is_infinite(),
            "Adam came to {reached}, L-BFGS to {goal}"
        );
        goal = reached;
    }
}

#[test]
fn adam_comes_near_the_minimum_and_its_average_nearer() {
    let quadratic = Quadratic::new(500, 10.0);
    let solution = quadratic.solution();
    let options = AdamOptions {
        shown: Shown::Average(0.9),
        ..AdamOptions::default()
    };
    let mut adam = Adam::new(&grey(500), options).unwrap();
    run(&mut adam, &mut Faulty::new(quadratic, |_| None), 300, f64::NEG_INFINITY);
    for (x, expected) in values(adam.picture()).iter().zip(solution) {
        assert!((x - expected).abs() < 0.01, "{x} for {expected}");
    }
}

/// Adam as Kingma and Ba's algorithm 1 has it, in f64.
fn textbook_adam(quadratic: &Quadratic, start: f64, learning_rate: f64, steps: i32) -> Vec<f64> {
    let descend = |pixel: usize| {
        let (mut x, mut first, mut second) = (start, 0.0, 0.0);
        for step in 1..=steps {
            let gradient = f64::from(quadratic.curvature[pixel]) * (x - f64::from(quadratic.minimum[pixel]));
            first = 0.9 * first + 0.1 * gradient;
            second = 0.999 * second + 0.001 * gradient * gradient;
            let unbiased = second / (1.0 - 0.999f64.powi(step));
            x -= learning_rate * first / (1.0 - 0.9f64.powi(step)) / (unbiased.sqrt() + 1e-12);
        }
        x
    };
    (0..quadratic.minimum.len()).map(descend).collect()
}

#[test]
fn plain_adam_is_the_textbook_s_and_leaves_the_box() {
    let quadratic = || Quadratic {
        curvature: vec![1.0, 3.0, 0.5],
        minimum: vec![1.5, 0.4, -0.3],
    };
    let mut adam = Adam::new(&grey(3), AdamOptions::plain(0.02)).unwrap();
    let mut problem = quadratic();
    for steps in [1, 60] {
        while run(&mut adam, &mut problem, 1, f64::NEG_INFINITY)[0].evaluations < steps {}
        let expected = textbook_adam(&quadratic(), 0.5, 0.02, steps as i32);
        for (found, expected) in values(adam.picture()).iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
    assert!(values(adam.picture())[0] > 1.1, "{:?}", values(adam.picture()));
}

#[test]
fn the_best_is_never_worse_than_the_start_and_never_rises() {
    for mut optimiser in both(&grey(300)) {
        let mut problem = Faulty::new(Quadratic::new(300, 1e3), |_| None);
        let mut least = optimiser.step(&mut problem).unwrap().loss;
        assert_eq!(optimiser.best().1, least);
        for _ in 0..60 {
            optimiser.step(&mut problem).unwrap();
            let (picture, loss) = optimiser.best();
            assert!(loss <= least);
            assert_eq!(problem.inner.value(&values(picture)), loss);
            least = loss;
        }
    }
}

#[test]
fn a_search_that_need_not_fall_still_reports_the_best() {
    let options = LbfgsOptions {
        memory: 8,
        ..unending()
    };
    let mut problem = Faulty::new(Rosenbrock, |_| None);
    let mut optimiser = Lbfgs::new(&vector(vec![0.15, 0.9]), options).unwrap();
    let steps = run(&mut optimiser, &mut problem, 60, 0.25 + 1e-6);
    let least = steps.iter().map(|step| step.loss).fold(f64::INFINITY, f64::min);
    assert_eq!(optimiser.best().1, least);
    assert!(least <= 0.25 + 1e-6, "{least}");
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let bits = |threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            both(&grey(100_003)).map(|mut optimiser| {
                let mut problem = Quadratic::new(100_003, 1e3);
                let steps = run(&mut *optimiser, &mut problem, 15, f64::NEG_INFINITY);
                let losses: Vec<u64> = steps.iter().map(|step| step.loss.to_bits()).collect();
                let pixels: Vec<u32> = values(optimiser.picture()).iter().map(|x| x.to_bits()).collect();
                (losses, pixels)
            })
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(7), "threads change the result");
}

/// The exact inverse of a diagonal Hessian.
struct Diagonal(Vector);

impl Metric for Diagonal {
    fn apply(&self, v: Vector) -> Result<Vector> {
        vector::product(&self.0, &v)
    }
}

#[test]
fn a_good_metric_solves_a_bad_condition_in_a_few_steps() {
    let quadratic = Quadratic::new(3000, 1e4);
    let least = quadratic.value(&quadratic.solution());
    let goal = least + 1e-6 * (quadratic.value(&[0.5; 3000]) - least);
    let inverse: Vec<f32> = quadratic.curvature.iter().map(|c| 1.0 / c).collect();
    let metric = Diagonal(vector(inverse));
    let mut optimiser = Lbfgs::with_metric(&grey(3000), unending(), Box::new(metric)).unwrap();
    run(&mut optimiser, &mut Faulty::new(quadratic, |_| None), 20, goal);
    assert!(optimiser.best().1 <= goal);
}

/// A metric that is none: every direction that it makes points uphill.
struct Uphill;

impl Metric for Uphill {
    fn apply(&self, v: Vector) -> Result<Vector> {
        vector::scale(-1.0, v)
    }
}

#[test]
fn directions_uphill_are_not_followed() {
    let mut optimiser = Lbfgs::with_metric(&grey(300), unending(), Box::new(Uphill)).unwrap();
    let mut problem = Faulty::new(Quadratic::new(300, 10.0), |_| None);
    let steps = run(&mut optimiser, &mut problem, 10, f64::NEG_INFINITY);
    assert!(steps.last().unwrap().ended.is_some() && problem.evaluations == 1);
}

#[test]
fn the_curvature_survives_a_change_of_grid() {
    let coarse = Quadratic::new(300, 100.0);
    // Every pixel twice, at half the weight each: the same function of the same picture on a finer grid.
    let twice = |values: &[f32], factor: f32| -> Vec<f32> { values.iter().flat_map(|v| [factor * v; 2]).collect() };
    let fine = || Quadratic {
        curvature: twice(&coarse.curvature, 0.5),
        minimum: twice(&coarse.minimum, 1.0),
    };
    let resample = move |v: &Tensor| vector(twice(&v.to_vec1::<f32>()?, 1.0)).to_tensor();
    let run_on = |optimiser: &mut Lbfgs, problem: Quadratic, count: usize| -> Vec<f64> {
        let steps = run(optimiser, &mut Faulty::new(problem, |_| None), count, f64::NEG_INFINITY);
        steps.iter().map(|step| step.loss).collect()
    };

    let mut stays = Lbfgs::new(&grey(300), unending()).unwrap();
    let mut moves = Lbfgs::new(&grey(300), unending()).unwrap();
    let coarse_again = || Quadratic::new(300, 100.0);
    let halfway = *run_on(&mut stays, coarse_again(), 8).last().unwrap();
    run_on(&mut moves, coarse_again(), 8);
    let picture = resample(&moves.picture().to_tensor().unwrap()).unwrap();
    let resampler = Resampler::new(&Home::Device(Device::Cpu), resample);
    let mut moves = moves.resized(10, Box::new(Identity), &resampler).unwrap();
    assert_eq!(values(moves.picture()), values(&picture.into()));
    assert!(moves.pairs() > 0);

    // The two go on alike, but for one more evaluation at the start of the new grid and for rounding.
    let (stayed, moved) = (run_on(&mut stays, coarse_again(), 6), run_on(&mut moves, fine(), 7));
    assert!((moved[0] - halfway).abs() < 1e-5 * halfway, "{} {halfway}", moved[0]);
    for (stayed, moved) in stayed.iter().zip(&moved[1..]) {
        assert!((stayed - moved).abs() < 1e-5 * stayed, "{stayed} {moved}");
    }
}
