//! What the plugin would run on, for `doctor` commands and bug reports.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::compute::listing::{self, ListedCard};
use crate::compute::{self, Backend, Plan, Window, trial};
use crate::memory::Memory;
use crate::network::{Layer, Network};
use crate::settings::{Device, Precision, Settings, StyleTransfer, manifest};
use crate::{Error, Result, timing};

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
    /// In bytes, where it has memory of its own.
    memory_total: Option<u64>,
    memory_available: Option<u64>,
}

fn cards(listed: Vec<ListedCard>) -> BTreeMap<String, Card> {
    let cards = listed.into_iter().map(|listed| {
        let card = Card {
            name: listed.name,
            memory_total: listed.memory_total,
            memory_available: listed.memory_free,
        };
        (listed.device.to_string(), card)
    });
    cards.collect()
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
    match listing::list() {
        Ok(listed) => report.cards = cards(listed),
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
        let mut opened = compute::open(Device::Auto, Precision::Standard, "", 0)?;
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
        defers: false,
    };
    let picture = trial::prepare(backend, &plan)?;
    let begun = Instant::now();
    let mut quickest = f64::INFINITY;
    while begun.elapsed() < PATIENCE {
        quickest = quickest.min(timing::quickest(1, || trial::step(backend, &picture).map(drop))?);
    }
    Ok(quickest)
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
        let opened = compute::open(Device::Auto, Precision::Standard, "", 0).unwrap();
        assert_eq!(text("device"), opened.backend.description());
        assert!(report["threads"].as_integer().unwrap() >= 1);
        let seconds = report["seconds_per_evaluation_at_256"].as_float().unwrap();
        // 95 GFLOP cannot be had in less than a tenth of a millisecond on anything.
        assert!(seconds > 1e-4 && seconds < 600.0, "{report}");
    }

    #[test]
    fn cards_are_told_of_by_what_the_setting_calls_them() {
        let card = |device, memory: Option<u64>| ListedCard {
            device,
            name: format!("a card called {device}"),
            memory_total: memory,
            memory_free: memory.map(|total| total / 2),
        };
        let listed = vec![card(Device::Cuda(1), Some(80 << 30)), card(Device::Metal, None)];
        for listed in &listed {
            assert_eq!(listed.device.to_string().parse(), Ok(listed.device));
        }
        let told = toml::to_string(&cards(listed)).unwrap();
        let expected = "[\"cuda:1\"]\nname = \"a card called cuda:1\"\nmemory_total = 85899345920\n\
                        memory_available = 42949672960\n\n[metal]\nname = \"a card called metal\"\n";
        assert_eq!(told, expected);
    }
}
