//! Choosing a backend: the network on the device that was asked for.

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;

use super::Backend;
use super::candle::CandleBackend;
use super::cpu::CpuBackend;
#[cfg(not(feature = "cuda"))]
use super::cuda::{CudaBackend, Precision};
use crate::network::Network;
use crate::settings;
use crate::{Error, Result};

/// A backend, and what should be told about the choice.
pub struct Opened {
    /// The network, ready to be prepared.
    pub backend: Box<dyn Backend>,
    /// Why it is not a better device, where one was tried in vain.
    pub notes: Vec<String>,
}

/// Opens the network in `model` (the built-in one when empty) on a device with at most `threads` processor threads (0
/// for all).
///
/// # Errors
/// [`Error::Model`] for a file that is not a VGG-19, [`Error::Device`] for a device that was asked for by name and
/// cannot be had. Only `auto` turns to another device, and says so.
pub fn open(device: settings::Device, model: &str, threads: usize) -> Result<Opened> {
    let network = match model {
        "" => Network::embedded()?,
        path => Arc::new(Network::load(Path::new(path))?),
    };
    let mut notes = Vec::new();
    let backend = match device {
        settings::Device::Cpu => None,
        settings::Device::Cuda(number) => Some(cuda(&network, number, threads)?),
        settings::Device::Metal => Some(metal(&network, threads)?),
        settings::Device::Auto => best(&network, threads, &mut notes),
    };
    let backend = match backend {
        Some(on_card) => on_card,
        None => Box::new(CpuBackend::new(network, threads)?),
    };
    Ok(Opened { backend, notes })
}

/// Our own backend, which needs nothing but the driver.
#[cfg(not(feature = "cuda"))]
fn cuda(network: &Arc<Network>, number: usize, _threads: usize) -> Result<Box<dyn Backend>> {
    Ok(Box::new(CudaBackend::new(network, number, Precision::Tf32)?))
}

/// candle's, in builds for it.
#[cfg(feature = "cuda")]
fn cuda(network: &Arc<Network>, number: usize, threads: usize) -> Result<Box<dyn Backend>> {
    let unusable = |error| Error::Device(format!("device: cuda:{number} cannot be used: {error}"));
    let device = Device::new_cuda(number).map_err(unusable)?;
    Ok(Box::new(CandleBackend::new(network.clone(), device, threads)?))
}

fn metal(network: &Arc<Network>, threads: usize) -> Result<Box<dyn Backend>> {
    if !candle_core::utils::metal_is_available() {
        return Err(Error::Device(
            "device: this build has no Metal; set device to cpu or auto".into(),
        ));
    }
    let unusable = |error| Error::Device(format!("device: metal cannot be used: {error}"));
    let device = Device::new_metal(0).map_err(unusable)?;
    Ok(Box::new(CandleBackend::new(network.clone(), device, threads)?))
}

/// A graphics card where there is one that this build knows and that can be used. Not our own kernels for CUDA, until they
/// were run and timed on cards: who wants them names the card.
fn best(network: &Arc<Network>, threads: usize, notes: &mut Vec<String>) -> Option<Box<dyn Backend>> {
    let mut tries = Vec::new();
    if cfg!(feature = "cuda") {
        tries.push(cuda(network, 0, threads));
    }
    if candle_core::utils::metal_is_available() {
        tries.push(metal(network, threads));
    }
    for tried in tries {
        match tried {
            Ok(backend) => return Some(backend),
            Err(error) => notes.push(format!("{error}; the processor is used")),
        }
    }
    None
}
