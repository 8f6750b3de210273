//! Seconds of a step and peak memory of the whole process on a canvas of any size: `cargo bench -p pentimento-tests
//! --bench large [-- WIDTHxHEIGHT] [--steps=N] [ID=VALUE...]`.
//!
//! Where nothing is said, that is 6000 x 4000 pixels in one level under a memory limit of 4 GB, and 3 steps, some six
//! minutes on two cores. The samples are stretched to the canvas, and to a style of 1024 x 768. A line for each step
//! says how long it took and the most memory so far (Linux alone tells), and the last line what to compare: seconds per
//! step and megapixel, from the second step on. It fails where the process took more than `memory_limit` allows.

use std::env;
use std::time::Instant;

use image::imageops::FilterType;
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

    let content = stretched(include_bytes!("../../examples/pictures/chelsea.png"), width, height);
    let style = stretched(include_bytes!("../../examples/pictures/painting.png"), 1024, 768);
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

/// A picture in a file's bytes, stretched.
fn stretched(file: &[u8], width: u32, height: u32) -> Pixels {
    let picture = image::load_from_memory(file).expect("the sample is a picture");
    let picture = picture.resize_exact(width, height, FilterType::CatmullRom).into_rgb8();
    Pixels::rgb(width, height, picture.into_raw())
}
