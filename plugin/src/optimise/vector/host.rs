//! Loops over the elements of tensors in main memory, spread over threads.
//!
//! Elements are taken in blocks of fixed size, each by one thread, and the blocks' sums are added in order. Halves are
//! widened block by block, so that none but f32 are ever reckoned with.

use candle_core::{CpuStorage, Device, Storage, Tensor};
use half::bf16;
use rayon::prelude::*;

use crate::{Error, Result, samples};

/// Elements that one thread takes at a time: 32 kB of each vector, so that a handful stay in the nearer caches.
pub(super) const BLOCK: usize = 8192;

/// Running sums within a block, independent of each other so that they vectorise.
const LANES: usize = 16;

/// A tensor's elements, lent.
#[derive(Clone, Copy)]
enum Elements<'a> {
    Single(&'a [f32]),
    Half(&'a [bf16]),
}

impl Elements<'_> {
    fn len(self) -> usize {
        match self {
            Self::Single(elements) => elements.len(),
            Self::Half(elements) => elements.len(),
        }
    }

    /// The elements of a block; halves are widened in memory that is lent for it.
    fn block<'b>(&'b self, block: usize, widened: &'b mut Vec<f32>) -> &'b [f32] {
        let range = block * BLOCK..self.len().min((block + 1) * BLOCK);
        match self {
            Self::Single(elements) => &elements[range],
            Self::Half(elements) => {
                let widen = |half: &bf16| f32::from_bits(u32::from(half.to_bits()) << 16);
                widened.extend(elements[range].iter().map(widen));
                widened
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

/// What `read` makes of a block of vectors.
fn at<const N: usize, T>(vectors: [Elements; N], block: usize, read: impl FnOnce([&[f32]; N]) -> T) -> T {
    let mut widened = [const { Vec::new() }; N];
    let mut slices: [&[f32]; N] = [&[]; N];
    for ((slice, vector), widened) in slices.iter_mut().zip(&vectors).zip(&mut widened) {
        *slice = vector.block(block, widened);
    }
    read(slices)
}

/// A new tensor in main memory, `f` of the tensors' elements one by one; `None` when the tensors live elsewhere.
pub(super) fn map<const N: usize>(tensors: [&Tensor; N], f: impl Fn([f32; N]) -> f32 + Sync) -> Result<Option<Tensor>> {
    let values = on_cpu(tensors, |vectors| {
        let mut values = vec![0f32; vectors[0].len()];
        values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
            at(vectors, block, |slices| fill(values, slices, |_, elements| f(elements)));
        });
        values
    })?;
    let tensor = values.map(|values| Tensor::from_vec(values, tensors[0].shape(), &Device::Cpu));
    Ok(tensor.transpose()?)
}

/// The sum of `term` of the tensors' elements, the same bits on any number of threads; `None` when the tensors live
/// elsewhere.
pub(super) fn sum<const N: usize>(tensors: [&Tensor; N], term: impl Fn([f32; N]) -> f64 + Sync) -> Result<Option<f64>> {
    on_cpu(tensors, |vectors| {
        let blocks = vectors[0].len().div_ceil(BLOCK);
        let sums = (0..blocks).into_par_iter();
        let sums: Vec<f64> = sums
            .map(|block| at(vectors, block, |slices| sum_block(slices, &term)))
            .collect();
        sums.iter().sum()
    })
}

/// Changes a tensor where it is in main memory: each element to `f` of what it was and of the others' elements. Returns
/// the inner product of what comes out with `last`, 0 without one.
///
/// # Errors
/// When the others live elsewhere or differ in length.
pub(super) fn update<const N: usize>(
    target: Tensor,
    tensors: [&Tensor; N],
    last: Option<&Tensor>,
    f: impl Fn(f32, [f32; N]) -> f32 + Sync,
) -> Result<(Tensor, f64)> {
    let elsewhere = || Error::Internal("an optimiser's vectors live on different devices".into());
    let length = target.elem_count();
    if tensors
        .iter()
        .copied()
        .chain(last)
        .any(|tensor| tensor.elem_count() != length)
    {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    let changed = on_cpu(tensors, |vectors| match last {
        None => samples::change(target, |values| {
            values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
                at(vectors, block, |slices| fill(values, slices, &f));
            });
            0.0
        }),
        Some(last) => on_cpu([last], |last| {
            samples::change(target, |values| {
                let blocks = values.par_chunks_mut(BLOCK).enumerate();
                let sums: Vec<f64> = blocks
                    .map(|(block, values)| {
                        at(vectors, block, |slices| fill(values, slices, &f));
                        at(last, block, |[last]| {
                            sum_block([values, last], |[a, b]| f64::from(a) * f64::from(b))
                        })
                    })
                    .collect();
                sums.iter().sum()
            })
        })?
        .ok_or_else(elsewhere)?,
    })?;
    changed.ok_or_else(elsewhere)?
}

/// Cuts the first `LANES` elements off each slice, as arrays: loops over them need no bounds checks and vectorise.
fn cut<'a, const N: usize>(slices: &mut [&'a [f32]; N]) -> Option<[&'a [f32; LANES]; N]> {
    let mut lanes = [&[0f32; LANES]; N];
    for (lane, slice) in lanes.iter_mut().zip(slices) {
        (*lane, *slice) = slice.split_first_chunk()?;
    }
    Some(lanes)
}

/// Sets each value to `f` of what it was and of the elements of slices as long as `values`.
fn fill<const N: usize>(values: &mut [f32], mut slices: [&[f32]; N], f: impl Fn(f32, [f32; N]) -> f32) {
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for values in whole {
        let Some(lanes) = cut(&mut slices) else { return };
        for (lane, value) in values.iter_mut().enumerate() {
            *value = f(*value, lanes.map(|slice| slice[lane]));
        }
    }
    for (i, value) in rest.iter_mut().enumerate() {
        *value = f(*value, slices.map(|slice| slice[i]));
    }
}

/// The sum of `term` of the elements of slices of one length, in an order that depends on that length alone.
fn sum_block<const N: usize>(mut slices: [&[f32]; N], term: impl Fn([f32; N]) -> f64) -> f64 {
    let mut sums = [0f64; LANES];
    while let Some(lanes) = cut(&mut slices) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(lanes.map(|slice| slice[lane]));
        }
    }
    let rest: f64 = (0..slices[0].len()).map(|i| term(slices.map(|slice| slice[i]))).sum();
    sums.iter().sum::<f64>() + rest
}
