//! How far to go along a direction, decided from as few evaluations as possible.
//!
//! An evaluation of the network is dear, and a quasi-Newton direction comes with its own natural length, so the full
//! step is tried first and taken whenever the loss falls by a small part of what the gradient promised (Armijo 1966).
//! Only when it does not is the step shortened: to the minimiser of the cubic through both losses and both slopes
//! (Nocedal and Wright, Numerical Optimization, 2006, section 3.5), held between a tenth and a half of the failed step.
//!
//! The path is bent where it meets the box, so slopes are taken along the chord from the start to the trial point: the
//! chord lies in the box too, and its slope at the start is what Bertsekas (1982) compares the loss with.

/// The share of the promised decrease that is asked for.
const SUFFICIENT: f64 = 1e-4;
/// The shortest and the longest next trial, as shares of the one that failed.
const SHORTEST: f64 = 0.1;
const LONGEST: f64 = 0.5;

/// What was found at a trial point `x'`, seen along the chord from the start `x`.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The loss there.
    pub loss: f64,
    /// `g . (x' - x)`, with `g` the gradient at the start: the promised change, below 0 along a descent direction.
    pub promised: f64,
    /// `g' . (x' - x)`, with `g'` the gradient at the trial point.
    pub slope: f64,
}

/// What to do about a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Go there.
    Accept,
    /// Try again at this share of the length.
    Shorten(f64),
}

/// Judges a trial. `loss` is the loss at the start; `reference` is what the trial's loss is compared with: `loss`
/// itself, or the largest of the last few for a search that need not fall at every step (Grippo, Lampariello and
/// Lucidi 1986).
pub fn judge(loss: f64, reference: f64, trial: &Trial) -> Verdict {
    if !trial.loss.is_finite() || !trial.slope.is_finite() {
        return Verdict::Shorten(SHORTEST);
    }
    if trial.promised < 0.0 && trial.loss <= reference + SUFFICIENT * trial.promised {
        return Verdict::Accept;
    }
    let share = cubic_minimiser(loss, trial.promised, trial.loss, trial.slope);
    Verdict::Shorten(share.map_or(LONGEST, |share| share.clamp(SHORTEST, LONGEST)))
}

/// Where the cubic with value `f0` and slope `d0` at 0, and `f1` and `d1` at 1, is least.
fn cubic_minimiser(f0: f64, d0: f64, f1: f64, d1: f64) -> Option<f64> {
    let a = d0 + d1 - 3.0 * (f1 - f0);
    let discriminant = a * a - d0 * d1;
    if discriminant < 0.0 {
        return None;
    }
    let root = discriminant.sqrt();
    let share = 1.0 - (d1 + root - a) / (d1 - d0 + 2.0 * root);
    share.is_finite().then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(loss: f64, promised: f64, slope: f64) -> Trial {
        Trial { loss, promised, slope }
    }

    #[test]
    fn a_cubic_is_minimised_exactly() {
        // f(t) = (t - 0.3)^2 (t + 2): least at 0.3 for t >= 0.
        let f = |t: f64| (t - 0.3) * (t - 0.3) * (t + 2.0);
        let d = |t: f64| 2.0 * (t - 0.3) * (t + 2.0) + (t - 0.3) * (t - 0.3);
        let share = cubic_minimiser(f(0.0), d(0.0), f(1.0), d(1.0)).unwrap();
        assert!((share - 0.3).abs() < 1e-12, "{share}");
    }

    #[test]
    fn enough_decrease_is_accepted_and_too_little_is_not() {
        assert_eq!(judge(1.0, 1.0, &trial(0.9, -0.5, -0.1)), Verdict::Accept);
        assert_eq!(judge(1.0, 1.0, &trial(1.0 - 1e-4, -0.5, 0.1)), Verdict::Accept);
        assert!(matches!(
            judge(1.0, 1.0, &trial(1.0 - 1e-5, -0.5, 0.1)),
            Verdict::Shorten(_)
        ));
        assert!(matches!(judge(1.0, 1.0, &trial(1.2, -0.5, 0.9)), Verdict::Shorten(_)));
    }

    #[test]
    fn a_search_that_need_not_fall_compares_with_its_reference() {
        assert_eq!(judge(1.0, 1.5, &trial(1.2, -0.5, 0.9)), Verdict::Accept);
    }

    #[test]
    fn an_ascent_is_never_accepted() {
        assert!(matches!(judge(1.0, 1.0, &trial(0.5, 0.1, 0.1)), Verdict::Shorten(_)));
    }

    #[test]
    fn a_loss_that_is_not_finite_shortens_most() {
        for (loss, slope) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (0.0, f64::NAN)] {
            assert_eq!(judge(1.0, 1.0, &trial(loss, -0.5, slope)), Verdict::Shorten(SHORTEST));
        }
    }

    #[test]
    fn the_next_trial_stays_within_its_safeguards() {
        for loss in [1.0, 1.1, 2.0, 1e6, 1e300] {
            for slope in [-1e9, -0.5, 0.0, 1.0, 1e9] {
                let Verdict::Shorten(share) = judge(1.0, 1.0, &trial(loss, -0.5, slope)) else {
                    panic!("accepted {loss}");
                };
                assert!((SHORTEST..=LONGEST).contains(&share), "{loss} {slope}: {share}");
            }
        }
    }
}
