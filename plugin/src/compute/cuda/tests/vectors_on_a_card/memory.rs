//! What an optimiser's vectors take of a card's memory.

use super::*;
use crate::canvas::Size;
use crate::filters::memory::{self, Place};

/// A loss whose gradient costs no memory of its own on the card, but for itself.
struct Bowl(Quadratic);

impl Problem for Bowl {
    fn evaluate(&mut self, x: &Vector) -> Result<crate::optimise::Evaluation> {
        self.0.evaluate(x)
    }
}

#[test]
#[ignore = "needs an emulated card"]
fn what_is_idle_makes_room() {
    if list().unwrap()[0].name != "Emulated card" {
        return skip("the card is a real one");
    }
    let home = home();
    // Two of these are more than the card has.
    for count in [135_000_000, 136_000_000] {
        let zeros = Tensor::zeros(count, candle_core::DType::F32, &Device::Cpu).unwrap();
        drop(home.bring(&zeros).unwrap());
    }
    let free = list().unwrap()[0].memory_free;
    home.tidy();
    assert_eq!(list().unwrap()[0].memory_free, free + 4 * 136_000_000);
}

#[test]
#[ignore = "needs an emulated card"]
fn optimisers_take_what_is_planned_for_and_leave_nothing_behind() {
    if list().unwrap()[0].name != "Emulated card" {
        return skip("the card is a real one");
    }
    let (size, pairs) = (Size { width: 96, height: 64 }, 4);
    let samples = 3 * size.width * size.height;
    let before = list().unwrap()[0].memory_free;
    let start = |grey: &Vector, optimiser: settings::Optimiser| -> Box<dyn Optimiser> {
        let options = LbfgsOptions {
            history: pairs,
            tolerance: -1.0,
            ..LbfgsOptions::default()
        };
        match optimiser {
            settings::Optimiser::Lbfgs => {
                let metric = Box::new(PictureMetric::unpainted());
                Box::new(Lbfgs::with_metric(grey, options, metric).unwrap())
            }
            _ => Box::new(Adam::new(grey, AdamOptions::default()).unwrap()),
        }
    };
    let cases = [
        (settings::Optimiser::Lbfgs, pairs, Place::Card),
        (settings::Optimiser::Lbfgs, pairs, Place::ThriftyCard),
        (settings::Optimiser::Adam, 0, Place::Card),
    ];
    for ((optimiser, history, place), is_full) in cases.into_iter().flat_map(|case| [(case, false), (case, true)]) {
        let backend = open(Precision::Float32).unwrap();
        let Home::Card(space) = backend.home() else {
            panic!("vectors live on the card");
        };
        space.keep_idle(place == Place::Card);
        let taken = || before - list().unwrap()[0].memory_free;
        let others = taken();
        let planned = memory::painting(optimiser, size, history, place);
        // No more than that can be had, in the midst of a step either; or as much as is wanted.
        let filler = is_full.then(|| space.take((before - others - planned) as usize).unwrap());
        let others = taken();
        {
            let grey = Tensor::full(0.5f32, (1, 3, size.height, size.width), &Device::Cpu).unwrap();
            let mut painter = start(&backend.home().bring(&grey).unwrap(), optimiser);
            let mut problem = Bowl(Quadratic::new(samples, 100.0));
            for _ in 0..10 {
                painter.step(&mut problem).unwrap();
            }
            // What is idle was taken once, so this is as much as there ever was.
            let most = taken() - others;
            assert!(
                most <= planned,
                "{optimiser:?} in {place:?} took {most} bytes where {planned} are planned"
            );
            assert!(
                most > planned / 2,
                "{optimiser:?} in {place:?} took {most} bytes where {planned} are planned"
            );
        }
        drop((filler, space, backend));
        assert_eq!(taken(), 0);
    }
}

#[test]
#[ignore = "needs an emulated card"]
fn a_history_goes_to_a_finer_level_in_what_is_planned_for_that() {
    if list().unwrap()[0].name != "Emulated card" {
        return skip("the card is a real one");
    }
    let [coarse, fine] = [(68, 45), (96, 64)].map(|(width, height)| Size { width, height });
    let pairs = 4;
    let before = list().unwrap()[0].memory_free;
    let taken = || before - list().unwrap()[0].memory_free;
    for place in [Place::Card, Place::ThriftyCard] {
        let home = home();
        let Home::Card(space) = &home else {
            panic!("vectors live on the card");
        };
        space.keep_idle(place == Place::Card);
        let planned = memory::painting(settings::Optimiser::Lbfgs, fine, pairs, place);
        let _filler = space.take((before - taken() - planned) as usize).unwrap();
        let grey = Tensor::full(0.5f32, (1, 3, coarse.height, coarse.width), &Device::Cpu).unwrap();
        let options = LbfgsOptions {
            history: pairs,
            tolerance: -1.0,
            ..LbfgsOptions::default()
        };
        let mut painter = Lbfgs::new(&home.bring(&grey).unwrap(), options).unwrap();
        let mut problem = Bowl(Quadratic::new(3 * coarse.pixels() as usize, 100.0));
        for _ in 0..10 {
            painter.step(&mut problem).unwrap();
        }
        let resampler = Resampler::to_size(painter.picture(), fine, &home).unwrap();
        let refined = painter.resized(pairs, Box::new(PictureMetric::painted()), &resampler);
        let refined = refined.unwrap_or_else(|error| panic!("{place:?}: {error}"));
        assert_eq!(refined.pairs(), pairs, "{place:?}");
    }
}
