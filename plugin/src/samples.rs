//! The elements of f32 tensors: lent where they are in main memory, copied where they are on a card.
//!
//! Pictures are large, and so is every copy of one.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor};

use crate::{Error, Result};

/// What `read` makes of a contiguous tensor's elements.
///
/// # Errors
/// [`Error::Internal`] for elements that are not f32 or not contiguous.
pub fn lend<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    if let Storage::Cpu(cpu) = &*storage {
        let (from, to) = layout.contiguous_offsets().ok_or_else(scattered)?;
        return Ok(read(&cpu.as_slice::<f32>()?[from..to]));
    }
    drop(storage);
    Ok(read(&tensor.flatten_all()?.to_vec1::<f32>()?))
}

/// Changes a contiguous tensor's elements, and returns it with what `change` does. In main memory they are changed where
/// they are: so are those of its clones and views, and `change` must not look at any of them.
///
/// # Errors
/// [`Error::Internal`] for elements that are not f32 or not contiguous.
pub fn change<T>(tensor: Tensor, change: impl FnOnce(&mut [f32]) -> T) -> Result<(Tensor, T)> {
    if tensor.device().is_cpu() {
        let change = Change {
            change: Cell::new(Some(change)),
            outcome: Cell::new(None),
        };
        tensor.inplace_op1(&change)?;
        let outcome = change.outcome.take().ok_or_else(scattered)?;
        return Ok((tensor, outcome));
    }
    let mut samples = tensor.flatten_all()?.to_vec1::<f32>()?;
    let outcome = change(&mut samples);
    let changed = Tensor::from_vec(samples, tensor.shape(), tensor.device())?;
    Ok((changed, outcome))
}

/// Something done once to a tensor's elements.
struct Change<F, T> {
    change: Cell<Option<F>>,
    outcome: Cell<Option<T>>,
}

impl<T, F: FnOnce(&mut [f32]) -> T> InplaceOp1 for Change<F, T> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        if let (CpuStorage::F32(samples), Some((from, to))) = (storage, layout.contiguous_offsets()) {
            let change = self.change.take();
            self.outcome.set(change.map(|change| change(&mut samples[from..to])));
        }
        Ok(())
    }
}

fn scattered() -> Error {
    Error::Internal("a vector of pixels is not contiguous, or not of f32".into())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn ramp() -> Tensor {
        Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap()
    }

    #[test]
    fn elements_are_read_and_changed_where_they_are() {
        let whole = ramp();
        let part = whole.narrow(0, 2, 3).unwrap();
        assert_eq!(lend(&part, <[f32]>::to_vec).unwrap(), [2.0, 3.0, 4.0]);
        let (part, sum) = change(part, |samples| {
            samples.iter_mut().for_each(|sample| *sample *= 2.0);
            samples.iter().sum::<f32>()
        })
        .unwrap();
        assert_eq!((part.to_vec1::<f32>().unwrap(), sum), (vec![4.0, 6.0, 8.0], 18.0));
        assert_eq!(whole.to_vec1::<f32>().unwrap(), [0.0, 1.0, 4.0, 6.0, 8.0, 5.0]);
    }

    #[test]
    fn what_is_scattered_or_of_another_type_is_refused() {
        let turned = ramp().reshape((2, 3)).unwrap().t().unwrap();
        let wide = ramp().to_dtype(DType::F64).unwrap();
        for tensor in [turned, wide] {
            assert!(lend(&tensor, <[f32]>::len).is_err());
            assert!(change(tensor, |_| ()).is_err());
        }
    }
}
