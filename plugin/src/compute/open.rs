//! Choosing a backend: the network on the device that was asked for.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;

use super::candle::CandleBackend;
use super::cpu::CpuBackend;
#[cfg(not(feature = "cuda"))]
use super::cuda::{self, CudaBackend};
use super::{Backend, listing, trial};
use crate::network::Network;
use crate::settings::{self, Precision};
use crate::{Error, Result, threads};

/// A backend, and what should be told about the choice.
pub struct Opened {
    /// The network, ready to be prepared.
    pub backend: Box<dyn Backend>,
    /// Where it computes.
    pub device: settings::Device,
    /// What is wrong with cards that might have been used.
    pub notes: Vec<String>,
}

/// Opens the network in `model` (the built-in one when empty) on a device with at most `threads` processor threads (0
/// for all). Our own backend for NVIDIA cards computes a draft in bfloat16; the others know one precision, float32.
///
/// # Errors
/// [`Error::Model`] for a file that is not a VGG-19, [`Error::Device`] for a device that was asked for by name and
/// cannot be had. Only `auto` chooses, and says what is wrong with a card that it does not use.
pub fn open(device: settings::Device, precision: Precision, model: &str, threads: usize) -> Result<Opened> {
    let network = match model {
        "" => Network::embedded()?,
        path => Arc::new(Network::load(Path::new(path))?),
    };
    let mut notes = Vec::new();
    let on_card = match device {
        settings::Device::Auto => best(&network, precision, threads, &mut notes)?,
        settings::Device::Cpu => None,
        card => Some((card, open_card(&network, card, precision, threads)?)),
    };
    let (device, backend) = match on_card {
        Some(on_card) => on_card,
        None => (
            settings::Device::Cpu,
            Box::new(CpuBackend::new(network, threads)?) as Box<dyn Backend>,
        ),
    };
    Ok(Opened { backend, device, notes })
}

fn open_card(
    network: &Arc<Network>,
    card: settings::Device,
    precision: Precision,
    threads: usize,
) -> Result<Box<dyn Backend>> {
    match card {
        settings::Device::Cuda(number) => cuda(network, number, precision, threads),
        settings::Device::Metal => metal(network, threads),
        other => Err(Error::Internal(format!("{other:?} is not a card"))),
    }
}

/// Our own backend, which needs nothing but the driver.
#[cfg(not(feature = "cuda"))]
fn cuda(network: &Arc<Network>, number: usize, precision: Precision, _threads: usize) -> Result<Box<dyn Backend>> {
    let precision = match precision {
        Precision::Standard => cuda::Precision::Tf32,
        Precision::Draft => cuda::Precision::Bfloat16,
    };
    Ok(Box::new(CudaBackend::new(network, number, precision)?))
}

/// candle's, in builds for it.
#[cfg(feature = "cuda")]
fn cuda(network: &Arc<Network>, number: usize, _precision: Precision, threads: usize) -> Result<Box<dyn Backend>> {
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

/// What this process has found out about cards.
struct Known {
    choices: Vec<Choice>,
    /// Cards that failed in a job, and how.
    failed: Vec<(settings::Device, String)>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known {
    choices: Vec::new(),
    failed: Vec::new(),
});

impl Known {
    /// Takes down that a card failed: what was chosen has to be chosen anew.
    fn add_failure(&mut self, card: settings::Device, error: &Error) {
        self.failed.retain(|(failed, _)| *failed != card);
        self.failed.push((card, error.to_string()));
        self.choices.clear();
    }

    /// How a card failed in an earlier job, if it did.
    fn failure(&self, card: settings::Device) -> Option<String> {
        let failure = self.failed.iter().find(|(failed, _)| *failed == card);
        failure.map(|(_, error)| format!("{error} in an earlier job; it is not used"))
    }
}

/// From now on `auto` does not choose this card, which failed in a job; whoever names it still gets it. That it was short
/// of memory is no failure of its own: there may be more at another time.
pub fn distrust(card: settings::Device, error: &Error) {
    if matches!(error, Error::Device(_)) {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.add_failure(card, error);
    }
}

/// What was found of the cards beside so many threads of the processor.
#[derive(Clone)]
struct Choice {
    threads: usize,
    /// The one that takes less time than the processor, if any.
    card: Option<settings::Device>,
    /// What is wrong with others.
    notes: Vec<String>,
}

/// The precision in which cards are tried: a draft's rounding would hide what is wrong with one.
const TRIED: Precision = Precision::Standard;

/// The card that takes the least time, if it takes less than so many threads of the processor. What is wrong with others
/// is noted.
fn best(
    network: &Arc<Network>,
    precision: Precision,
    threads: usize,
    notes: &mut Vec<String>,
) -> Result<Option<(settings::Device, Box<dyn Backend>)>> {
    // A lock is held, which nothing else on this thread may want.
    let (choice, tried) = threads::apart(|| choice(network, threads))?;
    notes.extend(choice.notes);
    // What was just tried serves where it is of the precision that is wanted.
    let tried = tried.filter(|_| precision == TRIED);
    let opened = choice
        .card
        .map(|card| {
            let opened = tried.map_or_else(|| open_card(network, card, precision, threads), Ok);
            opened.map(|backend| (card, backend))
        })
        .transpose();
    Ok(opened.unwrap_or_else(|error| {
        notes.push(format!("{error}; the processor is used"));
        None
    }))
}

/// What is chosen, once for each number of threads, and again when a card has failed; then that card comes with it, opened.
fn choice(network: &Arc<Network>, threads: usize) -> Result<(Choice, Option<Box<dyn Backend>>)> {
    // Held while choosing: two trials at once would each see half of a machine.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(choice) = known.choices.iter().find(|choice| choice.threads == threads) {
        return Ok((choice.clone(), None));
    }
    let (choice, tried) = choose(network, threads, &known)?;
    known.choices.push(choice.clone());
    Ok((choice, tried))
}

fn choose(network: &Arc<Network>, threads: usize, known: &Known) -> Result<(Choice, Option<Box<dyn Backend>>)> {
    let (mut cards, mut notes) = (Vec::new(), Vec::new());
    match listing::count_of_cuda() {
        Ok(count) => cards.extend((0..count).map(settings::Device::Cuda)),
        Err(error) => notes.push(format!("{error}; it is not used")),
    }
    if candle_core::utils::metal_is_available() {
        cards.push(settings::Device::Metal);
    }
    cards.retain(|&card| {
        let failure = known.failure(card);
        notes.extend(failure.clone());
        failure.is_none()
    });
    let (mut card, mut tried) = (None, None);
    if !cards.is_empty() {
        let mut processor = CpuBackend::new(network.clone(), threads)?;
        let open = |card| open_card(network, card, TRIED, threads);
        let opened = cards.into_iter().map(|card| (card, open(card)));
        let quickest = trial::quickest(&mut processor, opened)?;
        (card, tried) = quickest.card.unzip();
        notes.extend(quickest.notes);
    }
    Ok((Choice { threads, card, notes }, tried))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_failed_is_chosen_no_more() {
        let card = settings::Device::Cuda(7);
        let mut known = Known {
            choices: vec![Choice {
                threads: 1,
                card: Some(card),
                notes: Vec::new(),
            }],
            failed: Vec::new(),
        };
        assert_eq!(known.failure(card), None);
        for what in ["fell off the bus", "failed once more"] {
            known.add_failure(card, &Error::Device(format!("device: cuda:7 {what}")));
            assert!(known.choices.is_empty());
        }
        assert_eq!(known.failed.len(), 1);
        assert_eq!(
            known.failure(card).unwrap(),
            "device: cuda:7 failed once more in an earlier job; it is not used"
        );
        assert_eq!(known.failure(settings::Device::Cuda(0)), None);
    }

    /// Builds for it need a Mac.
    #[cfg(not(feature = "metal"))]
    #[test]
    fn metal_is_refused_where_it_is_not_built_in() {
        let opened = open(settings::Device::Metal, Precision::Standard, "", 1);
        let error = opened.map(|opened| opened.backend.description()).unwrap_err();
        assert!(matches!(error, Error::Device(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "device: this build has no Metal; set device to cpu or auto"
        );
        let listed = listing::list().unwrap();
        assert!(!listed.iter().any(|card| card.device == settings::Device::Metal));
    }

    #[test]
    fn a_card_without_room_is_still_trusted() {
        let card = settings::Device::Cuda(8);
        distrust(card, &Error::Memory("device: cuda:8 has not enough memory left".into()));
        let failed = |card| KNOWN.lock().unwrap().failure(card).is_some();
        assert!(!failed(card));
        distrust(card, &Error::Device("device: cuda:8 failed".into()));
        assert!(failed(card));
    }
}
