//! Loops over the elements of tensors in main memory, spread over threads.
//!
//! One pass reads some vectors, may write one, and may take sums of what it sees: memory is what such loops wait for, so
//! whatever is wanted of a vector is asked for while it passes by. Elements are taken in blocks of fixed size, each by
//! one thread, and the blocks' sums are added in order: any number of threads gives the same bits, and so does any
//! instruction set, as nothing is fused. Halves are widened a short run at a time, so that none but f32 are ever
//! reckoned with.

use std::ops::Range;

use candle_core::{CpuStorage, Device, Storage, Tensor};
use half::bf16;
use rayon::prelude::*;

use crate::compute::cpu::instructions::{InstructionSet, Instructions, Kernel};
use crate::{Error, Result, samples};

/// Elements that one thread takes at a time: 32 kB of each vector, so that a handful stay in the nearer caches.
pub(super) const BLOCK: usize = 8192;
/// Elements that are widened at a time: 2 kB of each vector, so that all of them stay in the nearest cache.
const RUN: usize = 512;
/// Running sums within a block, independent of each other so that they vectorise.
const LANES: usize = 16;

/// A tensor's elements, lent.
#[derive(Clone, Copy)]
enum Elements<'a> {
    Single(&'a [f32]),
    Half(&'a [bf16]),
}

impl<'a> Elements<'a> {
    fn len(self) -> usize {
        match self {
            Self::Single(elements) => elements.len(),
            Self::Half(elements) => elements.len(),
        }
    }

    /// A run of elements; halves are widened in memory that is lent for it.
    #[inline(always)]
    fn run<'b>(self, range: Range<usize>, widened: &'b mut [f32; RUN]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Single(elements) => &elements[range],
            Self::Half(elements) => {
                let halves = &elements[range];
                for (wide, half) in widened.iter_mut().zip(halves) {
                    *wide = f32::from_bits(u32::from(half.to_bits()) << 16);
                }
                &widened[..halves.len()]
            }
        }
    }
}

/// Lends the elements of tensors in main memory; `None` when they live elsewhere.
fn on_cpu<const N: usize, T>(tensors: [&Tensor; N], read: impl FnOnce([Elements; N]) -> T) -> Result<Option<T>> {
    let stored = tensors.map(Tensor::storage_and_layout);
    let mut vectors = [Elements::Single(&[]); N];
    for (vector, (storage, layout)) in vectors.iter_mut().zip(&stored) {
        let Storage::Cpu(cpu) = &**storage else {
            return Ok(None);
        };
        let Some((from, to)) = layout.contiguous_offsets() else {
            return Err(Error::Internal("an optimiser's vector is not contiguous".into()));
        };
        *vector = match cpu {
            CpuStorage::BF16(elements) => Elements::Half(&elements[from..to]),
            elements => Elements::Single(&elements.as_slice::<f32>()?[from..to]),
        };
    }
    let lengths = tensors.map(Tensor::elem_count);
    if lengths.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    Ok(Some(read(vectors)))
}

/// The sums of `terms` of the tensors' elements; `None` when the tensors live elsewhere.
pub(super) fn sum<const N: usize, const K: usize>(
    tensors: [&Tensor; N],
    terms: impl Fn([f32; N]) -> [f64; K] + Sync,
) -> Result<Option<[f64; K]>> {
    on_cpu(tensors, |vectors| {
        let set = InstructionSet::detect();
        let length = vectors[0].len();
        let starts = (0..length.div_ceil(BLOCK)).into_par_iter().map(|block| block * BLOCK);
        let sums: Vec<[f64; K]> = starts
            .map(|start| {
                let mut sums = [0.0; K];
                set.run(Sums {
                    start,
                    length: BLOCK.min(length - start),
                    vectors,
                    terms: &terms,
                    sums: &mut sums,
                });
                sums
            })
            .collect();
        total(&sums)
    })
}

/// A new tensor in main memory, `f` of the tensors' elements one by one, and the sums of `terms` of what that is and of
/// those elements; `None` when the tensors live elsewhere.
pub(super) fn map<const N: usize, const K: usize>(
    tensors: [&Tensor; N],
    f: impl Fn([f32; N]) -> f32 + Sync,
    terms: impl Fn(f32, [f32; N]) -> [f64; K] + Sync,
) -> Result<Option<(Tensor, [f64; K])>> {
    let mapped = on_cpu(tensors, |vectors| {
        let mut values = vec![0f32; vectors[0].len()];
        let sums = change(&mut values, vectors, |_, elements| f(elements), terms);
        (values, sums)
    })?;
    mapped
        .map(|(values, sums)| Ok((Tensor::from_vec(values, tensors[0].shape(), &Device::Cpu)?, sums)))
        .transpose()
}

/// As [`map`], each element the nearest half, and without sums.
pub(super) fn map_to_halves<const N: usize>(
    tensors: [&Tensor; N],
    f: impl Fn([f32; N]) -> f32 + Sync,
) -> Result<Option<Tensor>> {
    let values = on_cpu(tensors, |vectors| {
        let set = InstructionSet::detect();
        let mut halves = vec![bf16::ZERO; vectors[0].len()];
        let blocks = halves.par_chunks_mut(BLOCK).enumerate();
        blocks.for_each(|(block, halves)| {
            set.run(ToHalves {
                halves,
                start: block * BLOCK,
                vectors,
                f: &f,
            });
        });
        halves
    })?;
    let tensor = values.map(|values| Tensor::from_vec(values, tensors[0].shape(), &Device::Cpu));
    Ok(tensor.transpose()?)
}

/// Changes a tensor where it is in main memory: each element to `f` of what it was and of the others' elements. Returns
/// the sums of `terms` of what comes out and of those elements.
///
/// # Errors
/// When the others live elsewhere or differ in length.
pub(super) fn update<const N: usize, const K: usize>(
    target: Tensor,
    tensors: [&Tensor; N],
    f: impl Fn(f32, [f32; N]) -> f32 + Sync,
    terms: impl Fn(f32, [f32; N]) -> [f64; K] + Sync,
) -> Result<(Tensor, [f64; K])> {
    let length = target.elem_count();
    if tensors.iter().any(|tensor| tensor.elem_count() != length) {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    let changed = on_cpu(tensors, |vectors| {
        samples::change(target, |values| change(values, vectors, f, terms))
    })?;
    changed.ok_or_else(|| Error::Internal("an optimiser's vectors live on different devices".into()))?
}

/// Sets values to `f` of what they were and of the vectors' elements, and sums `terms` of what they are and of those.
fn change<const N: usize, const K: usize>(
    values: &mut [f32],
    vectors: [Elements; N],
    f: impl Fn(f32, [f32; N]) -> f32 + Sync,
    terms: impl Fn(f32, [f32; N]) -> [f64; K] + Sync,
) -> [f64; K] {
    let set = InstructionSet::detect();
    let blocks = values.par_chunks_mut(BLOCK).enumerate();
    let sums: Vec<[f64; K]> = blocks
        .map(|(block, values)| {
            let mut sums = [0.0; K];
            set.run(Change {
                values,
                start: block * BLOCK,
                vectors,
                f: &f,
                terms: &terms,
                sums: &mut sums,
            });
            sums
        })
        .collect();
    total(&sums)
}

/// The sums of a block's terms.
struct Sums<'a, const N: usize, const K: usize, T> {
    start: usize,
    length: usize,
    vectors: [Elements<'a>; N],
    terms: &'a T,
    sums: &'a mut [f64; K],
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
struct Change<'a, const N: usize, const K: usize, F, T> {
    values: &'a mut [f32],
    start: usize,
    vectors: [Elements<'a>; N],
    f: &'a F,
    terms: &'a T,
    sums: &'a mut [f64; K],
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

/// A block's halves.
struct ToHalves<'a, const N: usize, F> {
    halves: &'a mut [bf16],
    start: usize,
    vectors: [Elements<'a>; N],
    f: &'a F,
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
fn fill<const N: usize>(values: &mut [f32], mut slices: [&[f32]; N], f: &impl Fn(f32, [f32; N]) -> f32) {
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for values in whole {
        let Some(lanes) = cut(&mut slices) else { return };
        // All are read before any is written, so that it does not matter whether they overlap.
        let mut changed = [0f32; LANES];
        for lane in 0..LANES {
            changed[lane] = f(values[lane], lanes.map(|slice| slice[lane]));
        }
        *values = changed;
    }
    for (i, value) in rest.iter_mut().enumerate() {
        *value = f(*value, slices.map(|slice| slice[i]));
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
        let mut found = [[0f64; LANES]; K];
        for lane in 0..LANES {
            let terms = terms(values[lane], lanes.map(|slice| slice[lane]));
            for k in 0..K {
                found[k][lane] = terms[k];
            }
        }
        for k in 0..K {
            for lane in 0..LANES {
                running[k][lane] += found[k][lane];
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

/// The sums of blocks, added in their order.
fn total<const K: usize>(blocks: &[[f64; K]]) -> [f64; K] {
    let mut total = [0.0; K];
    for block in blocks {
        for (total, sum) in total.iter_mut().zip(block) {
            *total += sum;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
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
