//! Pictures that go to another grid on a card, against those that do in main memory.

use super::*;
use crate::canvas::Size;
use crate::optimise::{History, Identity};

const fn size(height: usize, width: usize) -> Size {
    Size { width, height }
}

/// A step of the pyramid up and down, one side each way, sides of a pixel, and more than a block has threads.
const SIZES: [(Size, Size); 6] = [
    (size(21, 34), size(30, 48)),
    (size(30, 48), size(21, 34)),
    (size(9, 70), size(31, 11)),
    (size(1, 7), size(5, 1)),
    (size(1, 1), size(3, 4)),
    (size(181, 128), size(256, 181)),
];

fn pictures(home: &Home, seed: u64, Size { width, height }: Size) -> [Vector; 2] {
    both(home, random(seed, 3 * height * width, -0.5, 1.5), (1, 3, height, width))
}

/// At another size, where it is.
fn resampled(picture: &Vector, to: Size) -> Vector {
    let resampler = Resampler::to_size(picture, to, &picture.home()).unwrap();
    resampler.apply(picture.clone()).unwrap()
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn pictures_are_resampled_as_in_main_memory() {
    let home = home();
    for (seed, (from, to)) in (1..).zip(SIZES) {
        let pictures = pictures(&home, seed, from);
        let [on_card, here] = [0, 1].map(|at| resampled(&pictures[at], to));
        assert!(on_card.is_on_card() && on_card.shape() == here.shape());
        let found = on_card.to_tensor().unwrap();
        for (found, expected) in values(&found).into_iter().zip(values(&here.to_tensor().unwrap())) {
            let apart = (found - expected).abs();
            assert!(apart < 1e-5, "{from:?} to {to:?}: {found} for {expected}");
        }
        assert_eq!(bits(&resampled(&pictures[0], to)), bits(&on_card));
    }
}

/// Sums on the card are rounded otherwise, so the last bits of many pixels tell where they were made.
#[test]
#[ignore = "needs a card, or an emulated one"]
fn main_memory_is_passed_between_places_alone() {
    let (home, elsewhere) = (home(), home());
    let (from, to) = SIZES[0];
    let [on_card, here] = pictures(&home, 1, from);
    let expected = bits(&resampled(&here, to));
    assert_ne!(bits(&resampled(&on_card, to)), expected);
    for (picture, home) in [
        (&on_card, Home::Device(Device::Cpu)),
        (&on_card, elsewhere),
        (&here, home),
    ] {
        let moved = Resampler::to_size(picture, to, &home).unwrap().apply(picture.clone());
        let moved = moved.unwrap();
        assert_eq!((moved.is_on_card(), bits(&moved)), (home.is_card(), expected.clone()));
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn pictures_of_another_size_or_place_are_refused() {
    let home = home();
    let (from, to) = SIZES[0];
    let [model, _] = pictures(&home, 1, from);
    let resampler = Resampler::to_size(&model, to, &home).unwrap();
    let others = [pictures(&home, 2, to), pictures(&self::home(), 1, from)];
    for [other, _] in others {
        let error = resampler.apply(other).unwrap_err().to_string();
        assert!(error.contains("is not a picture of"), "{error}");
    }
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_history_is_resampled_as_in_main_memory() {
    const PAIRS: usize = 5;
    let home = home();
    for (from, to) in SIZES[..2].iter().copied() {
        let steps: Vec<[Vector; 2]> = (0..PAIRS as u64).map(|seed| pictures(&home, seed, from)).collect();
        let curvature = both(
            &home,
            random(90, steps[0][0].elem_count(), 0.5, 5.0),
            steps[0][0].shape(),
        );
        let gradient = pictures(&home, 91, to);
        let free = gradient
            .each_ref()
            .map(|gradient| vector::free_pixels(gradient, gradient).unwrap());
        let directions = [0, 1].map(|at| {
            let mut history = History::new(PAIRS);
            for s in &steps {
                let y = vector::product(&curvature[at], &s[at]).unwrap();
                let halves = [&s[at], &y].map(|values| vector::halved(values).unwrap());
                let [s, y] = halves;
                assert!(history.push(s, y).unwrap());
            }
            let resampler = Resampler::to_size(&steps[0][at], to, &steps[0][at].home()).unwrap();
            // The oldest pair has no room.
            let history = history.resized(PAIRS - 1, &resampler).unwrap();
            assert_eq!(history.len(), PAIRS - 1);
            let (direction, _) = history.apply(&gradient[at], &free[at], &Identity).unwrap().unwrap();
            direction
        });
        assert!(directions[0].is_on_card() && !directions[1].is_on_card());
        let [on_card, here] = directions.map(|direction| values(&direction.to_tensor().unwrap()));
        let error = relative_error(&on_card, &here);
        // Halves are good to 8 bits, and few are rounded to the other side.
        assert!(error < 1.0 / 256.0, "{from:?} to {to:?}: {error:e}");
    }
}
