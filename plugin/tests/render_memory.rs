//! The memory of whole renders against what was predicted, and that it goes back, in a process of its own.
#![cfg(target_os = "linux")]

mod process;

use std::fs;

use pentimento_plugin::canvas::Picture;
use pentimento_plugin::control::{Flow, Report};
use pentimento_plugin::filters::style_transfer::{estimate, render};
use pentimento_plugin::settings::{Settings, StyleTransfer, manifest};
use process::memory;

fn picture(width: usize, height: usize, period: usize) -> Picture {
    let samples = (0..3 * width * height).map(|index| (index * index / 97 % period) as f32 / period as f32);
    Picture::new(width, height, samples.collect()).unwrap()
}

fn settings(set: &[(&str, &str)]) -> StyleTransfer {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in set {
        settings.set_text(id, value).unwrap();
    }
    settings.resolve().unwrap()
}

#[test]
fn renders_take_what_is_predicted_and_give_it_back() {
    let Some(before) = memory("VmRSS:") else { return };
    for side in [128, 320] {
        let settings = settings(&[("quality", "0.1"), ("threads", "2")]);
        let (content, style) = (picture(side, side, 251), picture(200, 100, 83));
        let sizes = (content.size(), [style.size()]);
        let predicted = estimate(sizes.0, &sizes.1, &settings).unwrap().bytes as f64;
        // The most is counted anew from here: what estimating took is not the render's.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        render(content, &[(style, 1.0)], &settings, &|_: &Report| Flow::Continue).unwrap();
        let taken = memory("VmHWM:").unwrap() - before;
        let left = memory("VmRSS:").unwrap() - before;
        let [predicted, taken, left] = [predicted, taken, left].map(|bytes| bytes / 1e6);
        let figures = format!("{side}: {predicted:.0} MB predicted, {taken:.0} MB taken, {left:.0} MB left");
        assert!((0.8..1.2).contains(&(predicted / taken)), "{figures}");
        // The network as it comes, 52 MB, is kept for the next render, and the library's own pages are in memory by now.
        assert!(left < 170.0, "{figures}");
    }
}
