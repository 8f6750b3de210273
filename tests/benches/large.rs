//! Seconds of a step and peak memory of the whole process on a canvas of any size: `cargo bench -p pentimento-tests
//! --bench large [-- WIDTHxHEIGHT] [--steps=N] [ID=VALUE...]`.
//!
//! Where nothing is said, that is 6000 x 4000 pixels in one level under a memory limit of 4 GB, and 3 steps, some six
//! minutes on two cores. The canvas is drawn here, waves and grain, and so is a style of 1024 x 768. A line for each step
//! says how long it took and the most memory so far (Linux alone tells), and the last line what to compare: seconds per
//! step and megapixel, from the second step on. It fails where the process took more than `memory_limit` allows.

use std::env;
use std::time::Instant;

use pentimento_host::{Callbacks, Flow};
use pentimento_tests::Pixels;
use pentimento_tests::process::memory;
use pentimento_tests::render::{job, render_into};

fn main() {
    let (mut width, mut height, mut steps) = (6000, 4000, 3);
    let mut settings = vec![
        ("pyramid".to_owned(), "false".to_owned()),
        ("memory_limit".into(), "4".into()),
    ];
    for argument in env::args().skip(1).filter(|argument| argument != "--bench") {
        if let Some(count) = argument.strip_prefix("--steps=") {
            steps = count.parse().expect("a number of steps");
        } else if let Some((id, value)) = argument.split_once('=') {
            settings.push((id.into(), value.into()));
        } else {
            let (columns, rows) = argument.split_once('x').expect("WIDTHxHEIGHT");
            (width, height) = (columns.parse().expect("a width"), rows.parse().expect("a height"));
        }
    }
    let set: Vec<(&str, &str)> = settings
        .iter()
        .map(|(id, value)| (id.as_str(), value.as_str()))
        .collect();
    let limit = set.iter().rev().find(|(id, _)| *id == "memory_limit");
    let limit: f64 = limit.expect("it was set").1.parse().expect("a number");
    let peak = || memory("VmHWM:").unwrap_or(0.0) / 1e6;

    let (content, style) = (draw(width, height, 1), draw(1024, 768, 2));
    let mut output = content.clone();
    let mut taken = Vec::new();
    let mut begun = Instant::now();
    let outcome = {
        let mut callbacks = Callbacks::new()
            .on_log(|_, message| println!("{message}"))
            .on_progress(|progress| {
                let seconds = begun.elapsed().as_secs_f64();
                begun = Instant::now();
                let (level, of, step) = (progress.level + 1, progress.level_count, progress.step + 1);
                let loss = progress.loss.map_or(String::new(), |loss| format!(", loss {loss:.6}"));
                println!(
                    "level {level} of {of}, {} {step}: {seconds:.2} s, at most {:.0} MB{loss}",
                    progress.stage,
                    peak()
                );
                if level < of || progress.step_count == 0 {
                    return Flow::Continue;
                }
                taken.push(seconds);
                if taken.len() < steps {
                    Flow::Continue
                } else {
                    Flow::Stop
                }
            });
        render_into(&mut job(&set), &content, &[(&style, 1.0)], &mut output, &mut callbacks)
    };
    println!(
        "{:?}, {:.2} s after the last step",
        outcome.expect("it is rendered"),
        begun.elapsed().as_secs_f64()
    );
    // The first touches its memory for the first time.
    let later = &taken[1.min(taken.len() - 1)..];
    let seconds = later.iter().sum::<f64>() / later.len() as f64;
    let megapixels = f64::from(width) * f64::from(height) / 1e6;
    println!(
        "{width} x {height}: {seconds:.2} s per step, {:.3} s per megapixel, at most {:.0} MB",
        seconds / megapixels,
        peak()
    );
    assert!(limit == 0.0 || peak() <= limit * 1e3, "the limit was broken");
}

/// Waves of several lengths, with some grain on them.
fn draw(width: u32, height: u32, seed: u32) -> Pixels {
    let mut bytes = Vec::with_capacity(3 * width as usize * height as usize);
    let mut grain = seed;
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (column as f32 / 41.0, row as f32 / 29.0);
            let wave = (x + seed as f32).sin() * (y - x / 7.0).cos() + (0.13 * x * (0.1 * y).sin()).sin();
            for channel in 0..3 {
                grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = 128.0 + 50.0 * wave * (1.0 - 0.3 * channel as f32) + (grain >> 28) as f32;
                bytes.push(value as u8);
            }
        }
    }
    Pixels::rgb(width, height, bytes)
}
