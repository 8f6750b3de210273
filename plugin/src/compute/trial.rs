//! Which device is the best: a card is tried before it is trusted.
//!
//! That a card is there does not say that it serves. It may be old and slower than the processor, its driver may be
//! broken, and it may compute wrongly. So it and the processor take the same step on a small picture, whose statistics
//! and gradient have to agree as far as a card's rounding lets them; then both are timed on a larger one, and whoever
//! takes less time for a pixel there is predicted to for others. Where a card is done with the larger picture before the
//! processor is with the small one, the processor need not try. All of it takes half a second, and is asked once as long as
//! the process lives; where there is no card, it is not asked at all.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Backend, MomentsGradient, Plan, Pooling, Statistics, StatisticsGradient, Tiling, Window};
use crate::{Error, Result, timing};

/// The side of the picture at which results are compared, and that of the one at which they are timed.
const COMPARED: usize = 48;
const TIMED: usize = 256;
/// A card that takes as many times as long for the small picture will not catch up.
const HOPELESS: f64 = 30.0;
/// How far a gradient may be off, relative in Euclidean norm. TF32 flips decisions of the network, which was found to cost
/// up to 0.02.
const TOLERANCE: f64 = 0.1;
/// The layers that are measured: those of the article, as everything that is computed is used for them.
const STYLE: [&str; 5] = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"];
const CONTENT: &str = "conv4_2";

/// Whoever is the quickest.
pub struct Quickest<N> {
    /// A card with its name, still open; `None` for the processor.
    pub card: Option<(N, Box<dyn Backend>)>,
    /// What is wrong with any of the others.
    pub notes: Vec<String>,
}

/// Of the processor and of cards, the quickest of those that compute what the processor does.
///
/// # Errors
/// The processor's own.
pub fn quickest<N>(
    processor: &mut dyn Backend,
    cards: impl IntoIterator<Item = (N, Result<Box<dyn Backend>>)>,
) -> Result<Quickest<N>> {
    quickest_by(&timing::clock(), processor, cards)
}

fn quickest_by<N>(
    clock: &dyn Fn() -> f64,
    processor: &mut dyn Backend,
    cards: impl IntoIterator<Item = (N, Result<Box<dyn Backend>>)>,
) -> Result<Quickest<N>> {
    let expected = Trial::of(processor, clock)?;
    let (mut best, mut least, mut notes) = (None, f64::INFINITY, Vec::new());
    for (name, card) in cards {
        let tried = card.and_then(|mut card| Ok((seconds_if_right(&mut *card, &expected, clock)?, card)));
        match tried {
            Ok((Some(seconds), card)) if seconds < least => (best, least) = (Some((name, card)), seconds),
            Ok(_) => {}
            Err(error) => notes.push(format!("{error}; it is not used")),
        }
    }
    // The larger picture takes the processor longer than the small one.
    if best.is_some() && least >= expected.seconds && least >= seconds(processor, clock)? {
        best = None;
    }
    Ok(Quickest { card: best, notes })
}

/// The seconds that a card takes; `None` where they are many.
///
/// # Errors
/// [`Error::Device`] when its results are not what is expected.
fn seconds_if_right(card: &mut dyn Backend, expected: &Trial, clock: &dyn Fn() -> f64) -> Result<Option<f64>> {
    let trial = Trial::of(card, clock)?;
    let error = trial.error(expected);
    let fault = match error {
        error if error.is_nan() => "are not numbers".into(),
        error if error > TOLERANCE => format!("are off by {:.0} %", 100.0 * error),
        _ if trial.seconds > HOPELESS * expected.seconds => return Ok(None),
        _ => return seconds(card, clock).map(Some),
    };
    Err(Error::Device(format!("{}: its results {fault}", card.description())))
}

/// A step, and how long it took.
struct Trial {
    /// The moments of each layer and, last, the gradient.
    results: Vec<Vec<f32>>,
    seconds: f64,
}

impl Trial {
    fn of(backend: &mut dyn Backend, clock: &dyn Fn() -> f64) -> Result<Self> {
        let picture = prepare(backend, &plan(COMPARED)?)?;
        let (statistics, gradient) = step(backend, &picture)?;
        let moments = statistics.moments.iter().flatten().map(|moments| &moments.second);
        let values = |tensor: &Tensor| Ok(tensor.flatten_all()?.to_vec1()?);
        Ok(Self {
            results: moments.chain([&gradient]).map(values).collect::<Result<_>>()?,
            // Everything was used before.
            seconds: timing::quickest_by(clock, 1, || step(backend, &picture).map(drop))?,
        })
    }

    /// The largest of the relative errors, in Euclidean norm.
    fn error(&self, expected: &Self) -> f64 {
        let pairs = self.results.iter().zip(&expected.results);
        let errors = pairs.map(|(got, expected)| {
            let squares = got.iter().zip(expected).map(|(got, expected)| {
                let (got, expected) = (f64::from(*got), f64::from(*expected));
                [(got - expected).powi(2), expected.powi(2)]
            });
            let [apart, whole] = squares.fold([0.0; 2], |sum, square| [sum[0] + square[0], sum[1] + square[1]]);
            (apart / whole).sqrt()
        });
        // Unlike `f64::max`, this keeps a NaN.
        errors.fold(0.0, |worst, error| if error <= worst { worst } else { error })
    }
}

/// The seconds of a step on a larger picture, once it runs smoothly.
fn seconds(backend: &mut dyn Backend, clock: &dyn Fn() -> f64) -> Result<f64> {
    let picture = prepare(backend, &plan(TIMED)?)?;
    timing::quickest_by(clock, 3, || step(backend, &picture).map(drop))
}

fn plan(side: usize) -> Result<Plan> {
    let named = |name: &str| name.parse().map_err(Error::Internal);
    Ok(Plan {
        height: side,
        width: side,
        window: Window::whole(side, side),
        style_layers: STYLE.into_iter().map(named).collect::<Result<_>>()?,
        content_layers: vec![named(CONTENT)?],
        pooling: Pooling::Max,
        regions: None,
        defers: false,
    })
}

/// Makes ready for a picture of noise, which is returned, with another one's content.
pub fn prepare(backend: &mut dyn Backend, plan: &Plan) -> Result<Tensor> {
    let &Plan { height, width, .. } = plan;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut picture = || {
        let samples: Vec<f32> = (0..3 * height * width).map(|_| random.random()).collect();
        Tensor::from_vec(samples, (1, 3, height, width), backend.device())
    };
    let (content, picture) = (picture()?, picture()?);
    backend.prepare(&Tiling::whole(plan)?)?;
    backend.hold_content(0, &content)?;
    Ok(picture)
}

/// Up the network and down again: the statistics, and the gradient. The moments serve as their own derivatives: what matters
/// is that nothing is zero.
pub fn step(backend: &mut dyn Backend, picture: &Tensor) -> Result<(Statistics, Tensor)> {
    let statistics = backend.forward(0, picture)?;
    let moments = statistics.moments.iter().map(|regions| {
        let derivatives = regions.iter().map(|moments| MomentsGradient {
            second: moments.second.clone(),
            mean: moments.mean.clone(),
        });
        derivatives.collect()
    });
    let gradient = backend.backward(&StatisticsGradient {
        moments: moments.collect(),
        content: vec![1.0; statistics.content.len()],
    })?;
    // A card is done when something is read back from it.
    gradient.flatten_all()?.get(0)?.to_scalar::<f32>()?;
    Ok((statistics, gradient))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::false_card::FalseCard;
    use super::*;

    /// Milliseconds that nothing but a card's steps makes pass.
    #[derive(Clone, Default)]
    struct Time(Arc<AtomicU64>);

    impl Time {
        fn clock(&self) -> impl Fn() -> f64 {
            let Self(now) = self.clone();
            move || now.load(Ordering::Relaxed) as f64 / 1000.0
        }

        /// A card whose steps take so long, and how many of them it has taken.
        fn card(&self, milliseconds: u64) -> (FalseCard, Arc<AtomicU64>) {
            let (Self(now), steps) = (self.clone(), Arc::new(AtomicU64::new(0)));
            let counted = steps.clone();
            let card = FalseCard::new(move |call| {
                if call == "backward" {
                    now.fetch_add(milliseconds, Ordering::Relaxed);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
            (card, steps)
        }
    }

    fn quickest_of(time: &Time, processor: &mut FalseCard, cards: Vec<FalseCard>) -> (Option<usize>, Vec<String>) {
        let cards = cards.into_iter().map(|card| Ok(Box::new(card) as Box<dyn Backend>));
        let quickest = quickest_by(&time.clock(), processor, cards.enumerate()).unwrap();
        (quickest.card.map(|(card, _)| card), quickest.notes)
    }

    #[test]
    fn the_quickest_is_chosen() {
        let all_well = Vec::<String>::new();
        let time = Time::default();
        let (mut processor, tried) = time.card(250);
        let cards = [500, 100, 200].map(|milliseconds| time.card(milliseconds).0);
        let chosen = quickest_of(&time, &mut processor, cards.into());
        assert_eq!(chosen, (Some(1), all_well.clone()));
        // The small picture alone, which already took it longer.
        assert_eq!(tried.load(Ordering::Relaxed), 2);
        // One that could catch up, and one that could not.
        let (mut processor, tried_too) = time.card(10);
        let ((slow, tried), (hopeless, hardly_tried)) = (time.card(299), time.card(301));
        let chosen = quickest_of(&time, &mut processor, vec![slow, hopeless]);
        assert_eq!(chosen, (None, all_well.clone()));
        assert!(
            tried_too.load(Ordering::Relaxed) > 2,
            "it was not timed at the larger picture"
        );
        let [tried, hardly_tried] = [tried, hardly_tried].map(|steps| steps.load(Ordering::Relaxed));
        assert!(tried > hardly_tried, "{tried} {hardly_tried}");
        assert_eq!(quickest_of(&time, &mut processor, vec![]), (None, all_well));
    }

    #[test]
    fn what_errs_or_fails_is_not_used_and_said() {
        let mut wrong = FalseCard::new(|_| Ok(()));
        wrong.factor = 0.8;
        let mut nonsense = FalseCard::new(|_| Ok(()));
        nonsense.factor = f64::NAN;
        let failing = FalseCard::new(|name| match name {
            "backward" => Err(Error::Device("device: cuda:2 failed".into())),
            _ => Ok(()),
        });
        let time = Time::default();
        let (mut processor, _) = time.card(50);
        let (chosen, notes) = quickest_of(&time, &mut processor, vec![wrong, nonsense, failing]);
        assert_eq!(chosen, None);
        assert_eq!(
            notes,
            [
                "a false card: its results are off by 20 %; it is not used",
                "a false card: its results are not numbers; it is not used",
                "device: cuda:2 failed; it is not used",
            ]
        );
        let absent = [((), Err(Error::Device("device: cuda:0 cannot be used".into())))];
        let quickest = quickest(&mut processor, absent).unwrap();
        assert!(quickest.card.is_none());
        assert_eq!(quickest.notes, ["device: cuda:0 cannot be used; it is not used"]);
    }
}
