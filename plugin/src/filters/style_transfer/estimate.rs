//! What a render would take, told from the sizes of its pictures.
//!
//! Bytes are predicted by whoever will take them. Seconds are the schedule's work times the speed that was measured
//! here ([`Speed`]); should an optimiser converge before its steps are done, the render takes less.

use super::speed::Speed;
use crate::canvas::Size;
use crate::compute::{self, Backend};
use crate::filters::Estimate;
use crate::filters::extent::Extent;
use crate::filters::means::Means;
use crate::filters::memory::USUAL_PROGRAM;
use crate::filters::schedule::Level;
use crate::settings::{Device, StyleTransfer};
use crate::{Error, Result};

/// What it would take to repaint a content of this size in the manner of styles of these sizes.
///
/// # Errors
/// Settings that this machine cannot follow, and failures of the device.
pub fn estimate(content: Size, styles: &[Size], settings: &StyleTransfer) -> Result<Estimate> {
    let open = |device| {
        let opened = compute::open(device, settings.precision, &settings.model, settings.threads);
        opened.map(|opened| opened.backend)
    };
    let mut backend = open(settings.device)?;
    let extent = Extent {
        settings,
        content,
        styles: styles.to_vec(),
    };
    let plan = |backend: &dyn Backend| extent.planned(backend, extent.room(backend));
    let mut levels = plan(&*backend);
    // What has no room on a card, the processor paints.
    if backend.is_card() && matches!(levels, Err(Error::Memory(_))) {
        backend = open(Device::Cpu)?;
        levels = plan(&*backend);
    }
    let levels = levels?;
    Ok(Estimate {
        bytes: USUAL_PROGRAM + extent.read() + extent.bytes(&*backend, &levels)?,
        seconds: seconds(&extent, &levels, &Speed::of(settings, &mut *backend)?),
    })
}

/// The time of these levels, each painted by its means.
fn seconds(extent: &Extent, levels: &[(Level, Means)], speed: &Speed) -> f64 {
    let mut taken = 0;
    let mut level = |(level, means): &(Level, Means)| {
        let look_at = |size: Size| speed.look(extent.pixels_seen(size.height, size.width));
        let styles = extent.styles.iter().map(|&style| look_at(extent.style(style, level)));
        let pixels = extent.pixels_seen(level.height, level.width);
        // The history is carried from level to level: a pair for each step until it is full.
        let pairs = (taken..taken + level.steps).map(|step| step.min(means.history)).sum();
        taken += level.steps;
        let steps = speed.steps(level, pixels, means.tiling.cost(), pairs);
        styles.sum::<f64>() + speed.look(pixels) + speed.begin(means.bytes, 1 + extent.styles.len()) + steps
    };
    levels.iter().map(&mut level).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;
    use crate::compute::cpu::CpuBackend;
    use crate::network::Network;

    const STYLE: Size = Size { width: 90, height: 50 };

    /// What is told of a render with these settings and its levels.
    fn told_of(set: &[(&str, &str)], tell: impl Fn(&Extent, &[(Level, Means)]) -> f64) -> f64 {
        let extent = Extent {
            settings: &settings(set),
            content: Size { width: 160, height: 80 },
            styles: vec![STYLE; 2],
        };
        let network = Network::embedded().unwrap();
        let backend = CpuBackend::new(network, 1).unwrap();
        let levels = extent.planned(&backend, extent.room(&backend)).unwrap();
        tell(&extent, &levels)
    }

    fn seconds_at(speed: Speed, set: &[(&str, &str)]) -> f64 {
        told_of(set, |extent, levels| seconds(extent, levels, &speed))
    }

    #[test]
    fn steps_looks_and_levels_are_counted() {
        let nothing = Speed {
            step: 0.0,
            pixel: 0.0,
            level: 0.0,
            eigen: 0.0,
            pair: 0.0,
            byte: 0.0,
        };
        // 50 steps, and a look, half as long, at the canvas and at each style.
        let single = [("pyramid", "false"), ("quality", "0.5"), ("edges", "zero")];
        assert_eq!(seconds_at(Speed { step: 2.0, ..nothing }, &single), 2.0 * 51.5);
        assert_eq!(seconds_at(Speed { level: 2.0, ..nothing }, &single), 2.0);
        // Styles are looked at as large as the canvas is.
        let pixels = 50.5 * (160.0 * 80.0) + 2.0 * 0.5 * (160.0 * 89.0);
        assert_eq!(seconds_at(Speed { pixel: 1.0, ..nothing }, &single), pixels);
        // The history fills up to 50 pairs, the last of which is never read.
        let pairs = (0..50).sum::<usize>() * 3 * 160 * 80;
        assert_eq!(seconds_at(Speed { pair: 1.0, ..nothing }, &single), pairs as f64);
        // Large enough for every covariance to have its full rank.
        let long = [("quality", "1"), ("pyramid", "false"), ("working_size", "1600")];
        assert_eq!(seconds_at(Speed { eigen: 1.28, ..nothing }, &long), 400.0);
        // Its memory comes for each picture.
        let bytes = told_of(&single, |_, levels| levels[0].1.bytes as f64);
        assert_eq!(seconds_at(Speed { byte: 1.0, ..nothing }, &single), 3.0 * bytes);
        // Where memory is short, tiles are seen more than once.
        let pixel = Speed { pixel: 1.0, ..nothing };
        let tiled = [&long[..], &[("memory_limit", "1")]].concat();
        let ratio = seconds_at(pixel, &tiled) / seconds_at(pixel, &long);
        assert!((1.3..4.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_machine_is_measured_once() {
        let content = Size { width: 160, height: 80 };
        let of = |set: &[(&str, &str)]| estimate(content, &[STYLE], &settings(set)).unwrap();
        let first = of(&[]);
        assert!(first.seconds.is_finite() && first.seconds > 0.0, "{first:?}");
        assert_eq!(of(&[]), first);
        // Of a method that was measured: one level with 200 steps in place of 100.
        let [short, long] = ["1", "2"].map(|quality| of(&[("working_size", "100"), ("quality", quality)]));
        let ratio = long.seconds / short.seconds;
        assert!((1.5..=2.2).contains(&ratio), "{short:?} {long:?}");
        assert_eq!(long.bytes, short.bytes);
        assert!(of(&[("working_size", "600")]).bytes > first.bytes);
    }
}
