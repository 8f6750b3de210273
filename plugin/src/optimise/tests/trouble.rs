//! What an optimiser does about faults, how it ends, and what it refuses.

use super::*;
use crate::optimise::Evaluation;

#[test]
fn one_faulty_evaluation_is_survived() {
    let faults: [fn(usize) -> Option<Fault>; 6] = [
        |k| (k == 1).then_some(Fault::LossNan),
        |k| (k == 2).then_some(Fault::LossNan),
        |k| (k == 7).then_some(Fault::LossNan),
        |k| (k == 7).then_some(Fault::GradientNan),
        |k| (k == 1).then_some(Fault::GradientNan),
        |k| (k == 9).then_some(Fault::Infinite),
    ];
    for fault in faults {
        for (mut optimiser, limit) in both(&grey(300)).into_iter().zip([25, 150]) {
            let quadratic = Quadratic::new(300, 10.0);
            let least = quadratic.value(&quadratic.solution());
            let goal = least + 1e-3 * (quadratic.value(&[0.5; 300]) - least);
            let steps = run(&mut *optimiser, &mut Faulty::new(quadratic, fault), limit, goal);
            let loss = optimiser.best().1;
            assert!(loss <= goal, "{loss} after {} evaluations, goal {goal}", steps.len());
            assert!(steps.iter().all(|step| step.loss.is_finite() || !step.accepted));
        }
    }
}

#[test]
fn endless_faults_are_a_divergence_that_keeps_the_best() {
    let faults: [fn(usize) -> Option<Fault>; 3] = [
        |k| (k > 5).then_some(Fault::LossNan),
        |k| (k > 5).then_some(Fault::GradientNan),
        |k| (k > 5).then_some(Fault::Infinite),
    ];
    for fault in faults {
        for mut optimiser in both(&grey(300)) {
            let mut problem = Faulty::new(Quadratic::new(300, 100.0), fault);
            let before = run(&mut *optimiser, &mut problem, 5, f64::NEG_INFINITY);
            let best = before.iter().map(|step| step.loss).fold(f64::INFINITY, f64::min);
            let after = run(&mut *optimiser, &mut problem, 50, f64::NEG_INFINITY);
            assert_eq!(after.last().unwrap().ended, Some(Ending::Diverged));
            assert!(after.len() <= 10, "{} evaluations wasted", after.len());
            assert_eq!(optimiser.best().1, best);
            assert_eq!(problem.inner.value(&values(optimiser.picture())), best);
            // An optimiser at its end evaluates nothing more.
            let evaluations = problem.evaluations;
            assert_eq!(optimiser.step(&mut problem).unwrap().ended, Some(Ending::Diverged));
            assert_eq!(problem.evaluations, evaluations);
        }
    }
}

#[test]
fn nothing_but_faults_is_a_divergence_that_keeps_the_start() {
    let start = vector(random(7, 300, 0.0, 1.0));
    for mut optimiser in both(&start) {
        let mut problem = Faulty::new(Quadratic::new(300, 100.0), |_| Some(Fault::LossNan));
        let steps = run(&mut *optimiser, &mut problem, 50, f64::NEG_INFINITY);
        assert_eq!(steps.last().unwrap().ended, Some(Ending::Diverged));
        assert_eq!(values(optimiser.picture()), values(&start));
    }
}

#[test]
fn an_explosion_makes_adam_fall_back() {
    let options = AdamOptions {
        learning_rate: 0.02,
        shown: Shown::Best,
        ..AdamOptions::default()
    };
    // Steep walls around the start: 0.02 is far too much.
    let quadratic = Quadratic {
        curvature: vec![1e6; 10],
        minimum: vec![0.499; 10],
    };
    let mut adam = Adam::new(&grey(10), options).unwrap();
    let mut problem = Faulty::new(quadratic, |_| None);
    let steps = run(&mut adam, &mut problem, 200, f64::NEG_INFINITY);
    let (first, best) = (steps[0].loss, adam.best().1);
    assert!(steps.iter().any(|step| !step.accepted), "nothing exploded");
    assert!(best < 0.5 * first, "{best} from {first}");
}

#[test]
fn an_interruption_changes_nothing() {
    for k in [1, 2, 3, 8] {
        let mut straight = both(&grey(300));
        let interrupted = both(&grey(300));
        for (straight, mut interrupted) in straight.iter_mut().zip(interrupted) {
            let mut problem = Faulty::new(Quadratic::new(300, 100.0), |_| None);
            run(&mut **straight, &mut problem, 20, f64::NEG_INFINITY);
            for step in 1..=20 {
                if step == k {
                    let before = interrupted.best().1;
                    let mut problem = Faulty::new(Quadratic::new(300, 100.0), |_| Some(Fault::Interrupted));
                    let error = interrupted.step(&mut problem).unwrap_err();
                    assert_eq!(error.to_string(), "interrupted");
                    assert_eq!(interrupted.best().1.to_bits(), before.to_bits());
                }
                interrupted.step(&mut problem).unwrap();
            }
            assert_eq!(
                values(straight.picture()),
                values(interrupted.picture()),
                "interrupted at {k}"
            );
        }
    }
}

#[test]
fn a_level_loss_ends_as_converged_or_stalled() {
    let quadratic = Quadratic::new(300, 10.0);
    let least = quadratic.value(&quadratic.solution());
    let mut optimiser = Lbfgs::new(&grey(300), LbfgsOptions::default()).unwrap();
    let steps = run(
        &mut optimiser,
        &mut Faulty::new(quadratic, |_| None),
        200,
        f64::NEG_INFINITY,
    );
    assert_eq!(steps.last().unwrap().ended, Some(Ending::Converged));
    assert!(optimiser.best().1 < least * (1.0 + 1e-5));

    // With nothing else to end it, a search along the gradient must fail in the end, or no pixel be left to move.
    let mut optimiser = Lbfgs::new(&grey(300), unending()).unwrap();
    let steps = run(
        &mut optimiser,
        &mut Faulty::new(Quadratic::new(300, 10.0), |_| None),
        500,
        f64::NEG_INFINITY,
    );
    assert!(
        matches!(steps.last().unwrap().ended, Some(Ending::Stalled | Ending::Converged)),
        "{steps:?}"
    );
}

#[test]
fn a_start_at_the_minimum_converges_at_once() {
    let solution = Quadratic::new(300, 10.0).solution();
    let start = vector(solution.clone());
    let mut optimiser = Lbfgs::new(&start, LbfgsOptions::default()).unwrap();
    let steps = run(
        &mut optimiser,
        &mut Faulty::new(Quadratic::new(300, 10.0), |_| None),
        10,
        f64::NEG_INFINITY,
    );
    assert_eq!(steps.last().unwrap().ended, Some(Ending::Converged));
    assert_eq!(values(optimiser.picture()), solution);
}

#[test]
fn endings_are_sentences_that_differ() {
    let texts = [Ending::Converged, Ending::Stalled, Ending::Diverged].map(|ending| ending.to_string());
    for (text, word) in texts.iter().zip(["converged: ", "stalled: ", "diverged: "]) {
        assert!(text.starts_with(word) && text.len() > word.len() + 20, "{text}");
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    let start = |values: &[f32]| vector(values.to_vec());
    let texts = [
        start(&[0.5, f32::NAN]),
        start(&[]),
        Tensor::zeros(3, candle_core::DType::F64, &Device::Cpu).unwrap().into(),
    ];
    for start in &texts {
        assert!(Lbfgs::new(start, LbfgsOptions::default()).is_err());
        assert!(Adam::new(start, AdamOptions::default()).is_err());
    }
    let outside = Lbfgs::new(&start(&[-1.0, 0.25, 2.0]), LbfgsOptions::default()).unwrap();
    assert_eq!(values(outside.picture()), [0.0, 0.25, 1.0]);
}

/// A problem whose gradient has lost its last element.
struct Short;

impl Problem for Short {
    fn evaluate(&mut self, x: &Vector) -> Result<Evaluation> {
        let gradient = x.to_tensor()?.narrow(0, 0, x.elem_count() - 1)?;
        Ok(Evaluation {
            loss: 1.0,
            gradient: gradient.into(),
        })
    }
}

#[test]
fn a_gradient_of_another_shape_is_refused() {
    for mut optimiser in both(&grey(10)) {
        let text = optimiser.step(&mut Short).unwrap_err().to_string();
        assert!(
            text.contains("gradient") && text.contains("[9]") && text.contains("[10]"),
            "{text}"
        );
    }
}
