//! Choosing a backend: the network on the device that was asked for.

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;

use super::Backend;
use super::candle::CandleBackend;
use super::cpu::CpuBackend;
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
    let device = match device {
        settings::Device::Cpu => Device::Cpu,
        settings::Device::Cuda(number) => cuda(number)?,
        settings::Device::Metal => metal()?,
        settings::Device::Auto => best(&mut notes),
    };
    let backend: Box<dyn Backend> = match device {
        Device::Cpu => Box::new(CpuBackend::new(network, threads)?),
        card => Box::new(CandleBackend::new(network, card, threads)?),
    };
    Ok(Opened { backend, notes })
}

fn cuda(number: usize) -> Result<Device> {
    if !candle_core::utils::cuda_is_available() {
        return Err(Error::Device(
            "device: this build has no CUDA; set device to cpu or auto".into(),
        ));
    }
    Device::new_cuda(number).map_err(|error| Error::Device(format!("device: cuda:{number} cannot be used: {error}")))
}

fn metal() -> Result<Device> {
    if !candle_core::utils::metal_is_available() {
        return Err(Error::Device(
            "device: this build has no Metal; set device to cpu or auto".into(),
        ));
    }
    Device::new_metal(0).map_err(|error| Error::Device(format!("device: metal cannot be used: {error}")))
}

/// A graphics card where this build knows one and it can be used, else the processor.
fn best(notes: &mut Vec<String>) -> Device {
    let cards = [
        (
            candle_core::utils::cuda_is_available(),
            cuda as fn(usize) -> Result<Device>,
        ),
        (candle_core::utils::metal_is_available(), |_| metal()),
    ];
    for (_, card) in cards.into_iter().filter(|(built, _)| *built) {
        match card(0) {
            Ok(device) => return device,
            Err(error) => notes.push(format!("{error}; the processor is used")),
        }
    }
    Device::Cpu
}
