//! Loops over the elements of tensors in main memory, spread over threads.
//!
//! One pass reads some vectors, may write one, and may take sums of what it sees: memory is what such loops wait for, so
//! whatever is wanted of a vector is asked for while it passes by. Elements are taken in blocks of fixed size, each by
//! one thread, and the blocks' sums are added in order: any number of threads gives the same bits, and so does any
//! instruction set.

use candle_core::{CpuStorage, Device, Storage, Tensor};
use half::bf16;
use rayon::prelude::*;

use super::blocks::{Change, Elements, Sums, ToHalves};
use super::many::{Combination, Dots};
use crate::compute::cpu::instructions::InstructionSet;
use crate::{Error, Result, samples};

/// Elements that one thread takes at a time: 32 kB of each vector, so that a handful stay in the nearer caches.
pub(super) const BLOCK: usize = 8192;

/// Lends the elements of tensors in main memory; `None` when they live elsewhere.
fn on_cpu<const N: usize, T>(tensors: [&Tensor; N], read: impl FnOnce([Elements; N]) -> T) -> Result<Option<T>> {
    lend(&tensors, |vectors| read(std::array::from_fn(|index| vectors[index])))
}

/// As [`on_cpu`], any number of tensors.
fn lend<T>(tensors: &[&Tensor], read: impl FnOnce(&[Elements]) -> T) -> Result<Option<T>> {
    let stored: Vec<_> = tensors.iter().map(|tensor| tensor.storage_and_layout()).collect();
    let mut vectors = vec![Elements::Single(&[]); tensors.len()];
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
    if vectors.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    Ok(Some(read(&vectors)))
}

/// The sums of `terms` of the tensors' elements; `None` when the tensors live elsewhere.
pub(super) fn sum<const N: usize, const K: usize>(
    tensors: [&Tensor; N],
    terms: impl Fn([f32; N]) -> [f64; K] + Sync,
) -> Result<Option<[f64; K]>> {
    on_cpu(tensors, |vectors| sum_of(vectors, terms))
}

/// The sums of `terms` of vectors' elements.
pub(super) fn sum_of<const N: usize, const K: usize>(
    vectors: [Elements; N],
    terms: impl Fn([f32; N]) -> [f64; K] + Sync,
) -> [f64; K] {
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
}

/// The inner products of a vector with each of others; `None` when they live elsewhere. A block of the vector stays in a
/// cache while those of the others pass by.
pub(super) fn dots(others: &[&Tensor], a: &Tensor) -> Result<Option<Vec<f64>>> {
    let tensors: Vec<&Tensor> = others.iter().copied().chain([a]).collect();
    lend(&tensors, |vectors| {
        let Some((&a, others)) = vectors.split_last() else {
            return Vec::new();
        };
        let set = InstructionSet::detect();
        let starts = (0..a.len().div_ceil(BLOCK)).into_par_iter().map(|block| block * BLOCK);
        let sums: Vec<Vec<f64>> = starts
            .map(|start| {
                let mut dots = vec![0.0; others.len()];
                set.run(Dots {
                    start,
                    length: BLOCK.min(a.len() - start),
                    vector: a,
                    others,
                    dots: &mut dots,
                });
                dots
            })
            .collect();
        let total = |other: usize| sums.iter().map(|block| block[other]).sum();
        (0..others.len()).map(total).collect()
    })
}

/// Adds others' multiples to a tensor in main memory, block by block as in [`dots`].
///
/// # Errors
/// When the others live elsewhere or differ in length.
pub(super) fn add_combination(target: Tensor, factors: &[f64], others: &[&Tensor]) -> Result<Tensor> {
    let length = target.elem_count();
    if others.iter().any(|tensor| tensor.elem_count() != length) || factors.len() != others.len() {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    let factors: Vec<f32> = factors.iter().map(|&factor| factor as f32).collect();
    let changed = lend(others, |vectors| {
        let set = InstructionSet::detect();
        let add = |values: &mut [f32]| {
            let blocks = values.par_chunks_mut(BLOCK).enumerate();
            blocks.for_each(|(block, values)| {
                set.run(Combination {
                    values,
                    start: block * BLOCK,
                    factors: &factors,
                    others: vectors,
                });
            });
        };
        samples::change(target, add)
    })?;
    let (changed, ()) =
        changed.ok_or_else(|| Error::Internal("an optimiser's vectors live on different devices".into()))??;
    Ok(changed)
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
