//! Which evaluations go through the whole network, where its highest layers say little.
//!
//! To reach conv5_1, a sixth of a step's time is spent above conv4_2, and in the article's objective what is found there
//! is a fraction of a percent of the loss, which hardly changes from step to step. So the loss above the joint, seen as a
//! function of the features there, is taken as linear for a few evaluations, and then seen anew: the slowly varying part
//! of a force, as multiple time stepping in molecular dynamics has it (Tuckerman, Berne and Martyna 1992). Where the
//! layer weighs as much as the others, this would lead astray; so it is found out each time the whole is seen how far the
//! linear function was off, beside how far the loss fell meanwhile. The Wasserstein distance, which is relative to the style
//! at every layer, is never deferred.
//!
//! An optimiser compares losses, which must not jump where the function is exchanged. So each function is moved by a
//! constant to go through the value that its predecessor had where it was made; [`Deferral::true_loss`] takes that back.

/// The most evaluations in a row that are spared the highest layers.
const MOST: usize = 15;
/// More are spared where the error is less than this share of what the loss fell by ...
const LITTLE: f64 = 0.1;
/// ... and fewer where it is more than this. Twice as many make it about twice as large a share.
const MUCH: f64 = 0.3;

/// What is known of the loss above the joint.
#[derive(Debug, Default)]
pub struct Deferral {
    /// Evaluations to be spared before the whole is seen again.
    spares: usize,
    spared: usize,
    held: Option<Held>,
    offset: f64,
}

/// Losses when the whole was last seen.
#[derive(Clone, Copy, Debug)]
struct Held {
    above: f64,
    total: f64,
}

impl Deferral {
    /// Whether the next evaluation is spared the layers above the joint.
    pub fn spares_next(&self) -> bool {
        self.held.is_some() && self.spared < self.spares
    }

    /// The loss to give the optimiser for an evaluation that was spared, from the loss up to the joint and what the linear
    /// function has changed by.
    pub fn spared(&mut self, below: f64, change: f64) -> f64 {
        self.spared += 1;
        below + self.told(change)
    }

    /// That for one that went through the whole, with the loss above the joint, and what the linear function has changed
    /// by if there was one.
    pub fn seen(&mut self, below: f64, above: f64, change: Option<f64>) -> f64 {
        let total = below + above;
        let told = match self.held.and(change) {
            Some(change) => self.told(change),
            None => above + self.offset,
        };
        if !(total.is_finite() && told.is_finite()) {
            // Nothing can be made of that: the next evaluation begins anew.
            (self.held, self.spares) = (None, 0);
            return f64::NAN;
        }
        if let Some(before) = self.held {
            let error = (told - self.offset - above).abs();
            let fall = before.total - total;
            if error <= LITTLE * fall {
                self.spares = (2 * self.spares + 1).min(MOST);
            } else if error > MUCH * fall {
                self.spares /= 2;
            }
        }
        self.offset = told - above;
        self.held = Some(Held { above, total });
        self.spared = 0;
        below + told
    }

    /// What a loss that was given to the optimiser since the whole was last seen stands for.
    pub fn true_loss(&self, given: f64) -> f64 {
        given - self.offset
    }

    /// The loss above the joint as the linear function has it, moved.
    fn told(&self, change: f64) -> f64 {
        self.held.map_or(0.0, |held| held.above) + change + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes down a slope of 1 each evaluation, of which the part above the joint is `error` lower than the linear
    /// function had it whenever the whole is seen. Returns how many were spared each time.
    fn spared(error: impl Fn(usize) -> f64, whole: usize) -> Vec<usize> {
        let (mut deferral, mut below, mut above) = (Deferral::default(), 1000.0, 50.0);
        let mut last = deferral.seen(below, above, None);
        assert_eq!(last, below + above);
        let mut counts = Vec::new();
        for index in 0..whole {
            let mut count = 0;
            while deferral.spares_next() {
                count += 1;
                below -= 1.0;
                let loss = deferral.spared(below, 0.0);
                // From one evaluation to the next it falls as the function that is followed does.
                assert!((last - loss - 1.0).abs() < 1e-9);
                last = loss;
            }
            below -= 1.0;
            above -= error(index);
            let loss = deferral.seen(below, above, Some(0.0));
            assert!((last - loss - 1.0).abs() < 1e-9);
            assert!((deferral.true_loss(loss) - below - above).abs() < 1e-9);
            last = loss;
            counts.push(count);
        }
        counts
    }

    #[test]
    fn more_are_spared_while_little_is_lost_by_it() {
        assert_eq!(spared(|_| 0.0, 6), [0, 1, 3, 7, 15, 15]);
        assert_eq!(spared(|_| -0.05, 3), [0, 1, 3]);
        // A layer that says as much as the others.
        assert_eq!(spared(|_| 0.9, 3), [0, 0, 0]);
        assert_eq!(spared(|_| -5.0, 3), [0, 0, 0]);
        // One that comes to say more.
        let waking = |index| if index < 3 { 0.0 } else { 4.0 };
        assert_eq!(spared(waking, 8), [0, 1, 3, 7, 3, 1, 0, 0]);
    }

    #[test]
    fn what_is_not_finite_is_forgotten() {
        let mut deferral = Deferral::default();
        deferral.seen(10.0, 1.0, None);
        deferral.seen(9.0, 0.9, Some(-0.05));
        assert!(deferral.spares_next());
        assert!(deferral.seen(f64::NAN, 0.9, Some(0.0)).is_nan());
        assert!(!deferral.spares_next());
        // What the backend holds was made of it.
        let loss = deferral.seen(8.0, 0.8, Some(f64::NAN));
        assert!((deferral.true_loss(loss) - 8.8).abs() < 1e-12 && (loss - 8.85).abs() < 1e-12);
        assert!(!deferral.spares_next());
    }

    #[test]
    fn nothing_is_spared_before_the_whole_was_seen() {
        let mut deferral = Deferral::default();
        assert!(!deferral.spares_next());
        deferral.seen(1.0, 1.0, None);
        assert!(!deferral.spares_next());
    }
}
