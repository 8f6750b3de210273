//! Seconds of a step and peak memory of the whole process on a canvas of any size: `cargo bench -p pentimento-tests
//! --bench large [-- WIDTHxHEIGHT] [--steps=N] [ID=VALUE...]`.
//!
//! Where nothing is said, that is 6000 x 4000 pixels in one level under a memory limit of 4 GB, and 3 steps, some six
//! minutes on two cores. The samples are stretched to the canvas, and to a style of 1024 x 768. A line for each step
//! says how long it took and the most memory so far (Linux alone tells), and the last line what to compare: seconds per
//! step and megapixel, from the second step on. Where a card of NVIDIA's computes, its memory is looked at ten times a
//! second, by `nvidia-smi`, and what is used more than at the beginning is told as well. It fails where the process took
//! more than `memory_limit` allows, of main memory or of the card's.

use std::cell::Cell;
use std::env;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use image::imageops::FilterType;
use pentimento_host::{Callbacks, Flow};
use pentimento_tests::Pixels;
use pentimento_tests::process;
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
    let peak = || process::memory("VmHWM:").unwrap_or(0.0) / 1e6;

    let named = set.iter().rev().find(|(id, _)| *id == "device");
    let card = Card::new(
        named
            .and_then(|(_, device)| device.strip_prefix("cuda:"))
            .unwrap_or("0"),
    );
    let is_on_card = Cell::new(false);
    let memory = || match (is_on_card.get(), card.peak()) {
        (true, Some(bytes)) => format!("at most {:.0} MB and {:.0} MB of the card", peak(), bytes / 1e6),
        _ => format!("at most {:.0} MB", peak()),
    };

    let content = stretched(include_bytes!("../../examples/pictures/chelsea.png"), width, height);
    let style = stretched(include_bytes!("../../examples/pictures/painting.png"), 1024, 768);
    let mut output = content.clone();
    let mut taken = Vec::new();
    let mut begun = Instant::now();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| card.watch());
        let _watched = Watched(&card);
        let mut callbacks = Callbacks::new()
            .on_log(|_, message| {
                println!("{message}");
                if message.starts_with("computing on ") {
                    is_on_card.set(message.contains("CUDA"));
                }
            })
            .on_progress(|progress| {
                let seconds = begun.elapsed().as_secs_f64();
                begun = Instant::now();
                let (level, of, step) = (progress.level + 1, progress.level_count, progress.step + 1);
                let loss = progress.loss.map_or(String::new(), |loss| format!(", loss {loss:.6}"));
                println!(
                    "level {level} of {of}, {} {step}: {seconds:.2} s, {}{loss}",
                    progress.stage,
                    memory()
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
    });
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
        "{width} x {height}: {seconds:.2} s per step, {:.3} s per megapixel, {}",
        seconds / megapixels,
        memory()
    );
    assert!(limit == 0.0 || peak() <= limit * 1e3, "the limit was broken");
    if is_on_card.get() {
        let bytes = card.peak().unwrap_or(0.0);
        assert!(limit == 0.0 || bytes <= limit * 1e9, "the limit was broken on the card");
    }
}

/// What is used of a card's memory, whoever uses it.
struct Card {
    number: String,
    /// In bytes, when this began; `None` where nobody tells.
    before: Option<u64>,
    most: AtomicU64,
    is_over: AtomicBool,
}

/// Ends the watch over a card, whatever else happens.
struct Watched<'a>(&'a Card);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Card {
    fn new(number: &str) -> Self {
        let before = used(number);
        Self {
            number: number.into(),
            before,
            most: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Looks at it from time to time.
    fn watch(&self) {
        while self.before.is_some() && !self.is_over.load(Ordering::Relaxed) {
            self.most.fetch_max(used(&self.number).unwrap_or(0), Ordering::Relaxed);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The most bytes that were seen to be used, beside those before.
    fn peak(&self) -> Option<f64> {
        let most = self.most.load(Ordering::Relaxed);
        self.before.map(|before| most.saturating_sub(before) as f64)
    }
}

/// The bytes of a card's memory that are used; `None` where there is no such card.
fn used(number: &str) -> Option<u64> {
    let asked = [
        "--query-gpu=memory.used",
        "--format=csv,noheader,nounits",
        "--id",
        number,
    ];
    let told = Command::new("nvidia-smi").args(asked).output().ok()?;
    let mebibytes: u64 = String::from_utf8(told.stdout).ok()?.trim().parse().ok()?;
    Some(mebibytes << 20)
}

/// A picture in a file's bytes, stretched.
fn stretched(file: &[u8], width: u32, height: u32) -> Pixels {
    let picture = image::load_from_memory(file).expect("the sample is a picture");
    let picture = picture.resize_exact(width, height, FilterType::CatmullRom).into_rgb8();
    Pixels::rgb(width, height, picture.into_raw())
}
