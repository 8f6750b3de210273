//! The graphics cards that a build can compute on, by what the setting `device` calls them, whoever computes there: our own
//! backend, or candle's where that is built in.

use crate::Result;
use crate::settings;

/// A card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCard {
    /// What the setting calls it.
    pub device: settings::Device,
    /// What its maker calls it.
    pub name: String,
    /// Its own memory in bytes, if it has any and tells.
    pub memory_total: Option<u64>,
    /// How much of that nobody uses.
    pub memory_free: Option<u64>,
}

/// The cards of this machine; none where there is no driver.
///
/// # Errors
/// [`crate::Error::Device`] for a driver that does not work.
pub fn list() -> Result<Vec<ListedCard>> {
    let mut cards = nvidia::list()?;
    cards.extend(metal()?);
    Ok(cards)
}

/// The number of NVIDIA's cards; 0 where there is no driver.
///
/// # Errors
/// [`crate::Error::Device`] for a driver that does not work.
pub fn count_of_cuda() -> Result<usize> {
    nvidia::count()
}

#[cfg(not(feature = "cuda"))]
mod nvidia {
    use super::ListedCard;
    use crate::compute::cuda;
    use crate::{Result, settings};

    pub(super) use cuda::count;

    pub(super) fn list() -> Result<Vec<ListedCard>> {
        let cards = cuda::list()?.into_iter().enumerate();
        let cards = cards.map(|(number, card)| ListedCard {
            device: settings::Device::Cuda(number),
            name: card.name,
            memory_total: Some(card.memory_total),
            memory_free: Some(card.memory_free),
        });
        Ok(cards.collect())
    }
}

/// candle links the driver's library, and lists no cards by itself: cudarc does, which it stands on.
#[cfg(feature = "cuda")]
mod nvidia {
    use cudarc::driver::{CudaContext, DriverError, sys};

    use super::ListedCard;
    use crate::{Error, Result, settings};

    pub(super) fn count() -> Result<usize> {
        match CudaContext::device_count() {
            Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
            Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => Ok(0),
            Err(error) => Err(Error::Device(format!("device: cuda failed: {error}"))),
        }
    }

    pub(super) fn list() -> Result<Vec<ListedCard>> {
        let card = |number| {
            let asked = CudaContext::new(number).and_then(|context| Ok((context.name()?, context.mem_get_info()?)));
            let (name, (free, total)) =
                asked.map_err(|error| Error::Device(format!("device: cuda:{number} failed: {error}")))?;
            Ok(ListedCard {
                device: settings::Device::Cuda(number),
                name,
                memory_total: Some(total as u64),
                memory_free: Some(free as u64),
            })
        };
        (0..count()?).map(card).collect()
    }
}

/// Apple's graphics, whose memory is the system's.
#[cfg(feature = "metal")]
fn metal() -> Result<Option<ListedCard>> {
    let device = candle_core::Device::new_metal(0)?;
    let name = device.as_metal_device()?.metal_device().architecture_name();
    Ok(Some(ListedCard {
        device: settings::Device::Metal,
        name,
        memory_total: None,
        memory_free: None,
    }))
}

/// This build has no Metal.
#[cfg(not(feature = "metal"))]
#[allow(clippy::unnecessary_wraps, reason = "builds that have it can fail")]
fn metal() -> Result<Option<ListedCard>> {
    Ok(None)
}
