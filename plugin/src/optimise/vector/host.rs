//! Loops over the elements of tensors in main memory, spread over threads.
//!
//! Elements are taken in blocks of fixed size, each by one thread, and the blocks' sums are added in order.

use candle_core::{Device, Storage, Tensor};
use rayon::prelude::*;

use crate::{Error, Result};

/// Elements that one thread takes at a time: 32 kB of each vector, so that a handful stay in the nearer caches.
pub(super) const BLOCK: usize = 8192;

/// Running sums within a block, independent of each other so that they vectorise.
const LANES: usize = 16;

/// Lends the elements of tensors in main memory; `None` when they live elsewhere.
fn on_cpu<const N: usize, T>(tensors: [&Tensor; N], read: impl FnOnce([&[f32]; N]) -> T) -> Result<Option<T>> {
    let stored = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&stored) {
        let Storage::Cpu(cpu) = &**storage else {
            return Ok(None);
        };
        let Some((from, to)) = layout.contiguous_offsets() else {
            return Err(Error::Internal("an optimiser's vector is not contiguous".into()));
        };
        *slice = &cpu.as_slice::<f32>()?[from..to];
    }
    let length = slices[0].len();
    if slices.iter().any(|slice| slice.len() != length) {
        return Err(Error::Internal("an optimiser's vectors differ in length".into()));
    }
    Ok(Some(read(slices)))
}

/// A new tensor in main memory, `f` of the tensors' elements one by one; `None` when the tensors live elsewhere.
pub(super) fn map<const N: usize>(tensors: [&Tensor; N], f: impl Fn([f32; N]) -> f32 + Sync) -> Result<Option<Tensor>> {
    let values = on_cpu(tensors, |slices| {
        let mut values = vec![0f32; slices[0].len()];
        values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| {
            fill(values, slices.map(|slice| &slice[block * BLOCK..][..values.len()]), &f);
        });
        values
    })?;
    to_tensor(values, tensors[0])
}

/// The sum of `term` of the tensors' elements, the same bits on any number of threads; `None` when the tensors live
/// elsewhere.
pub(super) fn sum<const N: usize>(tensors: [&Tensor; N], term: impl Fn([f32; N]) -> f64 + Sync) -> Result<Option<f64>> {
    on_cpu(tensors, |slices| {
        let count = slices[0].len();
        let blocks: Vec<f64> = (0..count.div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| {
                let length = BLOCK.min(count - block * BLOCK);
                sum_block(slices.map(|slice| &slice[block * BLOCK..][..length]), &term)
            })
            .collect();
        blocks.iter().sum()
    })
}

/// [`map`] of all tensors but the last, and the inner product of what comes out with the last.
pub(super) fn map_then_dot<const N: usize>(
    tensors: [&Tensor; N],
    last: &Tensor,
    f: impl Fn([f32; N]) -> f32 + Sync,
) -> Result<Option<(Tensor, f64)>> {
    let with = on_cpu([last], |[last]| {
        on_cpu(tensors, |slices| {
            let mut values = vec![0f32; slices[0].len()];
            let blocks = values.par_chunks_mut(BLOCK).zip(last.par_chunks(BLOCK)).enumerate();
            let sums: Vec<f64> = blocks
                .map(|(block, (values, last))| {
                    fill(values, slices.map(|slice| &slice[block * BLOCK..][..values.len()]), &f);
                    sum_block([values, last], |[a, b]| f64::from(a) * f64::from(b))
                })
                .collect();
            (values, sums.iter().sum())
        })
    })?;
    match with.transpose()?.flatten() {
        Some((values, sum)) => Ok(to_tensor(Some(values), tensors[0])?.map(|tensor| (tensor, sum))),
        None => Ok(None),
    }
}

fn to_tensor(values: Option<Vec<f32>>, model: &Tensor) -> Result<Option<Tensor>> {
    let tensor = values.map(|values| Tensor::from_vec(values, model.shape(), &Device::Cpu));
    Ok(tensor.transpose()?)
}

/// Cuts the first `LANES` elements off each slice, as arrays: loops over them need no bounds checks and vectorise.
fn cut<'a, const N: usize>(slices: &mut [&'a [f32]; N]) -> Option<[&'a [f32; LANES]; N]> {
    let mut lanes = [&[0f32; LANES]; N];
    for (lane, slice) in lanes.iter_mut().zip(slices) {
        (*lane, *slice) = slice.split_first_chunk()?;
    }
    Some(lanes)
}

/// `f` of the elements of slices as long as `values`.
fn fill<const N: usize>(values: &mut [f32], mut slices: [&[f32]; N], f: impl Fn([f32; N]) -> f32) {
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for values in whole {
        let Some(lanes) = cut(&mut slices) else { return };
        for (lane, value) in values.iter_mut().enumerate() {
            *value = f(lanes.map(|slice| slice[lane]));
        }
    }
    for (i, value) in rest.iter_mut().enumerate() {
        *value = f(slices.map(|slice| slice[i]));
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
