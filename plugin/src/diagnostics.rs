//! What the plugin would run on, for `doctor` commands and bug reports.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use candle_core::Tensor;
use serde::Serialize;

use crate::compute::{self, Backend, MomentsGradient, Plan, StatisticsGradient, Tiling, Window};
use crate::memory::Memory;
use crate::network::{Layer, Network};
use crate::settings::{Device, Settings, StyleTransfer, manifest};
use crate::{Error, Result};

/// The side of the square picture that the network is timed on.
const SIDE: usize = 256;
/// Evaluations are repeated for as long, and the quickest counts.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a report says. What cannot be known is left out.
#[derive(Serialize)]
struct Report<'a> {
    /// The plugin's version.
    version: &'a str,
    /// Where the network's weights came from.
    model: Option<String>,
    /// What computes when the device is left to choose.
    device: Option<String>,
    /// The processor threads that it may use.
    threads: Option<usize>,
    /// Memory in bytes.
    memory_total: Option<u64>,
    memory_available: Option<u64>,
    /// Seconds for one evaluation of the network and its gradient, of a picture of 256 x 256.
    seconds_per_evaluation_at_256: Option<f64>,
    /// Why it is not a better device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What keeps it from rendering.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    /// The graphics cards that the setting `device` can name, by what it calls them.
    #[serde(flatten)]
    cards: BTreeMap<String, Card>,
}

/// A graphics card.
#[derive(Serialize)]
struct Card {
    name: String,
    /// In bytes.
    memory_total: u64,
    memory_available: u64,
}

#[cfg(not(feature = "cuda"))]
fn cards() -> Result<BTreeMap<String, Card>> {
    let cards = compute::cuda::list()?.into_iter().enumerate();
    let cards = cards.map(|(number, listed)| {
        let card = Card {
            name: listed.name,
            memory_total: listed.memory_total,
            memory_available: listed.memory_free,
        };
        (format!("cuda:{number}"), card)
    });
    Ok(cards.collect())
}

/// candle does not list them.
#[cfg(feature = "cuda")]
fn cards() -> Result<BTreeMap<String, Card>> {
    Ok(BTreeMap::new())
}

/// Examines the machine and times the network on it. Returns TOML text.
///
/// # Errors
/// Defects alone: a machine that cannot render is told of under `problems`.
pub fn report() -> Result<String> {
    let memory = Memory::now();
    let mut report = Report {
        version: &manifest().version,
        model: None,
        device: None,
        threads: available_parallelism().ok().map(usize::from),
        memory_total: memory.map(|memory| memory.total),
        memory_available: memory.map(|memory| memory.available),
        seconds_per_evaluation_at_256: None,
        notes: Vec::new(),
        problems: Vec::new(),
        cards: BTreeMap::new(),
    };
    match cards() {
        Ok(cards) => report.cards = cards,
        Err(error) => report.notes.push(error.to_string()),
    }
    if let Err(problem) = report.examine() {
        report.problems.push(problem.to_string());
    }
    toml::to_string(&report).map_err(|error| Error::Internal(error.to_string()))
}

impl Report<'_> {
    /// Fills in what may fail, as far as it goes.
    fn examine(&mut self) -> Result<()> {
        self.model = Some(Network::embedded()?.origin.clone());
        let mut opened = compute::open(Device::Auto, "", 0)?;
        self.notes.append(&mut opened.notes);
        self.device = Some(opened.backend.description());
        self.seconds_per_evaluation_at_256 = Some(seconds_per_evaluation(&mut *opened.backend)?);
        Ok(())
    }
}

/// Times what one step of a render with default settings takes: forward and backward.
fn seconds_per_evaluation(backend: &mut dyn Backend) -> Result<f64> {
    let filter = manifest()
        .filter("style-transfer")
        .ok_or_else(|| Error::Internal("there is no style transfer to time".into()))?;
    let settings: StyleTransfer = Settings::new(filter).resolve()?;
    let names = |layers: &[(Layer, f64)]| layers.iter().map(|&(layer, _)| layer).collect();
    let plan = Plan {
        height: SIDE,
        width: SIDE,
        window: Window::whole(SIDE, SIDE),
        style_layers: names(&settings.style_layers),
        content_layers: names(&settings.content_layers),
        pooling: settings.pooling,
        regions: None,
    };
    // Any picture takes the same time, but one of zeros might meet shortcuts.
    let pixels = 3 * SIDE * SIDE;
    let samples: Vec<f32> = (0..pixels).map(|index| (index % 251) as f32 / 250.0).collect();
    let picture = Tensor::from_vec(samples, (1, 3, SIDE, SIDE), backend.device())?;
    backend.prepare(&Tiling::whole(&plan)?)?;
    backend.hold_content(0, &picture)?;

    let begun = Instant::now();
    let mut quickest = f64::INFINITY;
    while begun.elapsed() < PATIENCE {
        let turn = Instant::now();
        evaluate(backend, &picture)?;
        quickest = quickest.min(turn.elapsed().as_secs_f64());
    }
    Ok(quickest)
}

fn evaluate(backend: &mut dyn Backend, picture: &Tensor) -> Result<()> {
    let statistics = backend.forward(0, picture)?;
    // The moments serve as their own gradients: what matters is that nothing is zero.
    let moments = statistics.moments.into_iter().map(|regions| {
        let gradients = regions.into_iter().map(|moments| MomentsGradient {
            second: moments.second,
            mean: moments.mean,
        });
        gradients.collect()
    });
    let gradient = backend.backward(&StatisticsGradient {
        moments: moments.collect(),
        content: vec![1.0; statistics.content.len()],
    })?;
    // A graphics card is done when something is read back from it.
    gradient.flatten_all()?.get(0)?.to_scalar::<f32>()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_renders_is_told_of_in_full() {
        let report: toml::Table = report().unwrap().parse().unwrap();
        assert!(!report.contains_key("problems"), "{report}");
        let text = |key: &str| report[key].as_str().unwrap().to_owned();
        assert_eq!(text("version"), env!("CARGO_PKG_VERSION"));
        assert!(text("model").contains("VGG-19"), "{report}");
        let opened = compute::open(Device::Auto, "", 0).unwrap();
        assert_eq!(text("device"), opened.backend.description());
        assert!(report["threads"].as_integer().unwrap() >= 1);
        let seconds = report["seconds_per_evaluation_at_256"].as_float().unwrap();
        // 95 GFLOP cannot be had in less than a tenth of a millisecond on anything.
        assert!(seconds > 1e-4 && seconds < 600.0, "{report}");
    }
}
