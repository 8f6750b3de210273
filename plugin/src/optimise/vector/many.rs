//! What is done with blocks of many vectors, as a history has them, compiled for each instruction set.
//!
//! Vectors are read from memory, and that is what takes the time: so they go by a few at a time, which keeps the reading
//! ahead busy, and what each is multiplied with is loaded once for all of those.

use std::ops::Range;

use half::bf16;

use super::blocks::{Element, Elements, LANES, RUN};
use crate::compute::cpu::instructions::{Instructions, Kernel};

/// Vectors that go by at the same time.
const ABREAST: usize = 4;

/// The inner products of a block of a vector with those of others.
pub(super) struct Dots<'a> {
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) vector: Elements<'a>,
    pub(super) others: &'a [Elements<'a>],
    pub(super) dots: &'a mut [f64],
}

impl Kernel for Dots<'_> {
    #[inline(always)]
    fn run<I: Instructions>(self) {
        let block = self.start..self.start + self.length;
        let mut widened = [0f32; RUN];
        self.dots.fill(0.0);
        abreast::<I>(self.others, &block, |first, run, others| {
            let vector = self.vector.run(run, &mut widened);
            let dots = &mut self.dots[first..];
            match others {
                Abreast::Halves(others) => add_products(vector, others, dots),
                Abreast::Half(other) => add_products(vector, [other], dots),
                Abreast::Single(other) => add_products(vector, [other], dots),
            }
        });
    }
}

/// A block's change by multiples of others.
pub(super) struct Combination<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) start: usize,
    pub(super) factors: &'a [f32],
    pub(super) others: &'a [Elements<'a>],
}

impl Kernel for Combination<'_> {
    #[inline(always)]
    fn run<I: Instructions>(self) {
        let start = self.start;
        let block = start..start + self.values.len();
        abreast::<I>(self.others, &block, |first, run, others| {
            let values = &mut self.values[run.start - start..run.end - start];
            let factors = &self.factors[first..];
            match others {
                Abreast::Halves(others) => add_multiples(values, factors, others),
                Abreast::Half(other) => add_multiples(values, factors, [other]),
                Abreast::Single(other) => add_multiples(values, factors, [other]),
            }
        });
    }
}

/// Runs of neighbouring vectors: of several at a time, where all are halves. What they are reckoned with is read once for
/// all of them, and they do not wait for each other.
enum Abreast<'a> {
    Halves([&'a [bf16]; ABREAST]),
    Half(&'a [bf16]),
    Single(&'a [f32]),
}

/// Shows the runs of a block of vectors, with the index of the first vector, and asks for what comes next: none of them
/// goes on for so long that the processor would foresee it.
#[inline(always)]
fn abreast<'a, I: Instructions>(
    vectors: &[Elements<'a>],
    block: &Range<usize>,
    mut show: impl FnMut(usize, Range<usize>, Abreast<'a>),
) {
    let mut first = 0;
    while first < vectors.len() {
        let several = vectors[first..].first_chunk::<ABREAST>().and_then(halves);
        let taken = if several.is_some() { ABREAST } else { 1 };
        let next = &vectors[first + taken..];
        let next = &next[..next.len().min(ABREAST)];
        for start in block.clone().step_by(RUN) {
            let run = start..block.end.min(start + RUN);
            next.iter().for_each(|next| next.fetch::<I>(run.clone()));
            let vectors = match (several, vectors[first]) {
                (Some(several), _) => Abreast::Halves(several.map(|vector| &vector[run.clone()])),
                (None, Elements::Half(vector)) => Abreast::Half(&vector[run.clone()]),
                (None, Elements::Single(vector)) => Abreast::Single(&vector[run.clone()]),
            };
            show(first, run, vectors);
        }
        first += taken;
    }
}

/// Vectors' elements, if all are halves.
fn halves<'a>(vectors: &[Elements<'a>; ABREAST]) -> Option<[&'a [bf16]; ABREAST]> {
    let mut halves: [&[bf16]; ABREAST] = [&[]; ABREAST];
    for (half, vector) in halves.iter_mut().zip(vectors) {
        match vector {
            Elements::Half(elements) => *half = elements,
            Elements::Single(_) => return None,
        }
    }
    Some(halves)
}

/// Adds the inner products of a slice with others of its length, a run at most: so few terms that f32 sums them to six
/// digits.
#[inline(always)]
fn add_products<E: Element, const N: usize>(vector: &[f32], others: [&[E]; N], dots: &mut [f64]) {
    let mut sums = [[0f32; LANES]; N];
    let (whole, rest) = vector.as_chunks::<LANES>();
    let others = others.map(|other| other[..vector.len()].as_chunks::<LANES>());
    for (place, lanes) in whole.iter().enumerate() {
        for n in 0..N {
            let other = &others[n].0[place];
            for lane in 0..LANES {
                sums[n][lane] += lanes[lane] * other[lane].single();
            }
        }
    }
    for ((mut sums, (_, other)), dot) in sums.into_iter().zip(others).zip(dots) {
        for ((sum, a), b) in sums.iter_mut().zip(rest).zip(other) {
            *sum += a * b.single();
        }
        *dot += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    }
}

/// Adds multiples of slices of the same length, one after the other.
#[inline(always)]
fn add_multiples<E: Element, const N: usize>(values: &mut [f32], factors: &[f32], others: [&[E]; N]) {
    let factors = factors.first_chunk::<N>().expect("as many factors as vectors");
    let others = others.map(|other| other[..values.len()].as_chunks::<LANES>());
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for (place, lanes) in whole.iter_mut().enumerate() {
        let mut sums = *lanes;
        for n in 0..N {
            let other = others[n].0[place];
            for lane in 0..LANES {
                sums[lane] += factors[n] * other[lane].single();
            }
        }
        *lanes = sums;
    }
    for (factor, (_, other)) in factors.iter().zip(others) {
        for (value, other) in rest.iter_mut().zip(other) {
            *value += factor * other.single();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::BLOCK;
    use super::*;
    use crate::compute::cpu::instructions::InstructionSet;
    use crate::optimise::problems::random;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for (count, length) in [
            (0, BLOCK),
            (1, 1),
            (3, LANES + 1),
            (4, RUN),
            (6, RUN + 5),
            (9, 2 * RUN - 1),
        ] {
            let a = random(1, length, -2.0, 2.0);
            let factors = random(2, count, -1.0, 1.0);
            let wide: Vec<Vec<f32>> = (0..count as u64)
                .map(|seed| random(3 + seed, length, -2.0, 2.0))
                .collect();
            let halves: Vec<Vec<bf16>> = wide
                .iter()
                .map(|values| values.iter().copied().map(bf16::from_f32).collect())
                .collect();
            // All in halves, and every third whole.
            for whole in [usize::MAX, 3] {
                let others: Vec<Elements> = (0..count)
                    .map(|index| match (index + 1) % whole {
                        0 => Elements::Single(&wide[index]),
                        _ => Elements::Half(&halves[index]),
                    })
                    .collect();
                let results = InstructionSet::available().into_iter().map(|set| {
                    let (mut dots, mut values) = (vec![f64::NAN; count], a.clone());
                    set.run(Dots {
                        start: 0,
                        length,
                        vector: Elements::Single(&a),
                        others: &others,
                        dots: &mut dots,
                    });
                    set.run(Combination {
                        values: &mut values,
                        start: 0,
                        factors: &factors,
                        others: &others,
                    });
                    (dots, values)
                });
                let results: Vec<_> = results.collect();
                assert!(
                    results.iter().all(|result| *result == results[0]),
                    "{count} of {length}"
                );
                for (index, dot) in results[0].0.iter().enumerate() {
                    let exact: f64 = (0..length)
                        .map(|place| f64::from(a[place]) * f64::from(value(others[index], place)))
                        .sum();
                    assert!((dot - exact).abs() < 1e-5 * length as f64, "{index}: {dot} for {exact}");
                }
                for (place, found) in results[0].1.iter().enumerate() {
                    let terms = factors.iter().zip(&others);
                    let exact = terms.fold(a[place], |sum, (factor, other)| sum + factor * value(*other, place));
                    assert_eq!(*found, exact);
                }
            }
        }
    }

    fn value(vector: Elements, place: usize) -> f32 {
        match vector {
            Elements::Single(elements) => elements[place],
            Elements::Half(elements) => elements[place].to_f32(),
        }
    }
}
