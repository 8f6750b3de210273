//! What is done with a block of vectors, compiled for each instruction set.
//!
//! Halves are widened a short run at a time, so that none but f32 are ever reckoned with. Nothing is fused, so all
//! instruction sets give the same bits.

use std::ops::Range;

use half::bf16;

use crate::compute::cpu::instructions::{Instructions, Kernel};

/// Elements that are widened at a time: 2 kB of each vector, so that all of them stay in the nearest cache.
pub(super) const RUN: usize = 512;
/// Bytes of a line of the caches.
const LINE: usize = 64;
/// Running sums within a block, independent of each other so that they vectorise.
pub(super) const LANES: usize = 16;

/// A tensor's elements, lent.
#[derive(Clone, Copy)]
pub(super) enum Elements<'a> {
    Single(&'a [f32]),
    Half(&'a [bf16]),
}

impl<'a> Elements<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Single(elements) => elements.len(),
            Self::Half(elements) => elements.len(),
        }
    }

    /// Asks for elements that will be needed soon.
    #[inline(always)]
    pub(super) fn fetch<I: Instructions>(self, range: Range<usize>) {
        match self {
            Self::Single(elements) => elements[range]
                .iter()
                .step_by(LINE / size_of::<f32>())
                .for_each(I::fetch),
            Self::Half(elements) => elements[range]
                .iter()
                .step_by(LINE / size_of::<bf16>())
                .for_each(I::fetch),
        }
    }

    /// A run of elements; halves are widened in memory that is lent for it.
    #[inline(always)]
    pub(super) fn run<'b>(self, range: Range<usize>, widened: &'b mut [f32; RUN]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Single(elements) => &elements[range],
            Self::Half(elements) => {
                let halves = &elements[range];
                for (wide, half) in widened.iter_mut().zip(halves) {
                    *wide = half.single();
                }
                &widened[..halves.len()]
            }
        }
    }
}

/// The sums of a block's terms.
pub(super) struct Sums<'a, const N: usize, const K: usize, T> {
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) vectors: [Elements<'a>; N],
    pub(super) terms: &'a T,
    pub(super) sums: &'a mut [f64; K],
}

impl<const N: usize, const K: usize, T: Fn([f32; N]) -> [f64; K]> Kernel for Sums<'_, N, K, T> {
    #[inline(always)]
    fn run<I: Instructions>(self) {
        let mut lanes = [[0.0; LANES]; K];
        walk(self.vectors, self.start, self.length, |_, slices| {
            add(&mut lanes, slices[0], slices, |_, elements| (self.terms)(elements));
        });
        *self.sums = lanes.map(|lanes| lanes.iter().sum());
    }
}

/// A block's change, and the sums of its terms.
pub(super) struct Change<'a, const N: usize, const K: usize, F, T> {
    pub(super) values: &'a mut [f32],
    pub(super) start: usize,
    pub(super) vectors: [Elements<'a>; N],
    pub(super) f: &'a F,
    pub(super) terms: &'a T,
    pub(super) sums: &'a mut [f64; K],
}

impl<const N: usize, const K: usize, F, T> Kernel for Change<'_, N, K, F, T>
where
    F: Fn(f32, [f32; N]) -> f32,
    T: Fn(f32, [f32; N]) -> [f64; K],
{
    #[inline(always)]
    fn run<I: Instructions>(self) {
        let mut lanes = [[0.0; LANES]; K];
        walk(self.vectors, self.start, self.values.len(), |range, slices| {
            let values = &mut self.values[range];
            fill(values, slices, self.f);
            if K > 0 {
                add(&mut lanes, values, slices, self.terms);
            }
        });
        *self.sums = lanes.map(|lanes| lanes.iter().sum());
    }
}

/// An element, wide or in halves.
pub(super) trait Element: Copy {
    fn single(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn single(self) -> f32 {
        self
    }
}

impl Element for bf16 {
    /// Without the crate's care for what is not a number, which would keep loops from being vectorised.
    #[inline(always)]
    fn single(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// A block's halves.
pub(super) struct ToHalves<'a, const N: usize, F> {
    pub(super) halves: &'a mut [bf16],
    pub(super) start: usize,
    pub(super) vectors: [Elements<'a>; N],
    pub(super) f: &'a F,
}

impl<const N: usize, F: Fn([f32; N]) -> f32> Kernel for ToHalves<'_, N, F> {
    #[inline(always)]
    fn run<I: Instructions>(self) {
        let mut values = [0f32; RUN];
        walk(self.vectors, self.start, self.halves.len(), |range, slices| {
            let halves = &mut self.halves[range];
            let values = &mut values[..halves.len()];
            fill(values, slices, &|_, elements| (self.f)(elements));
            for (half, value) in halves.iter_mut().zip(values) {
                *half = bf16::from_f32(*value);
            }
        });
    }
}

/// Shows a block's elements run by run, and where in the block they are.
#[inline(always)]
fn walk<const N: usize>(
    vectors: [Elements; N],
    start: usize,
    length: usize,
    mut show: impl FnMut(Range<usize>, [&[f32]; N]),
) {
    let mut widened = [[0f32; RUN]; N];
    for first in (0..length).step_by(RUN) {
        let range = first..length.min(first + RUN);
        let mut slices: [&[f32]; N] = [&[]; N];
        for ((slice, vector), widened) in slices.iter_mut().zip(vectors).zip(&mut widened) {
            *slice = vector.run(start + first..start + range.end, widened);
        }
        show(range, slices);
    }
}

/// Sets each value to `f` of what it was and of the elements of slices of the same length.
#[inline(always)]
fn fill<const N: usize>(values: &mut [f32], slices: [&[f32]; N], f: &impl Fn(f32, [f32; N]) -> f32) {
    // Cut to one length, so that the loop needs no bounds checks and vectorises.
    let slices = slices.map(|slice| &slice[..values.len()]);
    for i in 0..values.len() {
        values[i] = f(values[i], slices.map(|slice| slice[i]));
    }
}

/// Adds terms of values and of the elements of slices of the same length to running sums.
#[inline(always)]
fn add<const N: usize, const K: usize>(
    sums: &mut [[f64; LANES]; K],
    values: &[f32],
    mut slices: [&[f32]; N],
    terms: impl Fn(f32, [f32; N]) -> [f64; K],
) {
    let (whole, rest) = values.as_chunks::<LANES>();
    // Of their own, so that they stay in registers.
    let mut running = *sums;
    for values in whole {
        let Some(lanes) = cut(&mut slices) else { break };
        for lane in 0..LANES {
            let terms = terms(values[lane], lanes.map(|slice| slice[lane]));
            for k in 0..K {
                running[k][lane] += terms[k];
            }
        }
    }
    *sums = running;
    for (i, value) in rest.iter().enumerate() {
        let terms = terms(*value, slices.map(|slice| slice[i]));
        for (sums, term) in sums.iter_mut().zip(terms) {
            sums[i] += term;
        }
    }
}

/// Cuts the first `LANES` elements off each slice, as arrays: loops over them need no bounds checks and vectorise.
#[inline(always)]
fn cut<'a, const N: usize>(slices: &mut [&'a [f32]; N]) -> Option<[&'a [f32; LANES]; N]> {
    let mut lanes = [&[0f32; LANES]; N];
    for (lane, slice) in lanes.iter_mut().zip(slices) {
        (*lane, *slice) = slice.split_first_chunk()?;
    }
    Some(lanes)
}

#[cfg(test)]
mod tests {
    use super::super::host::BLOCK;
    use super::*;
    use crate::compute::cpu::instructions::InstructionSet;
    use crate::optimise::problems::random;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for length in [0, 1, LANES - 1, LANES, RUN, RUN + 1, 3 * RUN + 5, BLOCK] {
            let [a, b, c] = [1, 2, 3].map(|seed| random(seed, length, -2.0, 2.0));
            let half: Vec<bf16> = c.iter().copied().map(bf16::from_f32).collect();
            let vectors = [Elements::Single(&b), Elements::Half(&half)];
            let results = InstructionSet::available().into_iter().map(|set| {
                let (mut values, mut halves) = (a.clone(), vec![bf16::ZERO; length]);
                let (mut sums, mut changed) = ([0.0; 2], [0.0]);
                set.run(Sums {
                    start: 0,
                    length,
                    vectors,
                    terms: &|[b, c]: [f32; 2]| [f64::from(b) * f64::from(c), f64::from(c)],
                    sums: &mut sums,
                });
                set.run(Change {
                    values: &mut values,
                    start: 0,
                    vectors,
                    f: &|a, [b, c]: [f32; 2]| a + 0.3 * (b * c),
                    terms: &|value, [b, _]: [f32; 2]| [f64::from(value) * f64::from(b)],
                    sums: &mut changed,
                });
                set.run(ToHalves {
                    halves: &mut halves,
                    start: 0,
                    vectors,
                    f: &|[b, c]: [f32; 2]| b - c,
                });
                let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                (bits, sums.map(f64::to_bits), changed.map(f64::to_bits), halves)
            });
            let results: Vec<_> = results.collect();
            let plain = results.last().expect("the plain set");
            assert!(results.iter().all(|result| result == plain), "{length} elements");
            for (i, half) in plain.3.iter().enumerate() {
                assert_eq!(f32::from_bits(plain.0[i]), a[i] + 0.3 * (b[i] * half_of(c[i])));
                assert_eq!(*half, bf16::from_f32(b[i] - half_of(c[i])));
            }
        }
    }

    fn half_of(value: f32) -> f32 {
        bf16::from_f32(value).to_f32()
    }
}
