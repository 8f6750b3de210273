//! Estimates against what happens: `cargo bench -p pentimento-tests --bench estimate [-- SIZE... [ID=VALUE...]]`.
//!
//! For each size of the longer side (128 256 512 1024 where there are none) the sample canvas is repainted with these
//! settings, or with several sets of them where there are none, each in a process of its own: what is counted as memory
//! is the most during the render, less what the process had before it estimated. The machine should have nothing else to
//! do. It fails where seconds or bytes were estimated a fifth too high or too low.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{env, fs};

use pentimento_host::{Callbacks, Outcome};
use pentimento_tests::process::memory;
use pentimento_tests::render::{job, render_into};
use pentimento_tests::{content, style};

/// Where there are no settings.
const SETS: [&[&str]; 4] = [
    &["preset=standard"],
    &["preset=draft"],
    &["preset=article", "quality=1"],
    &["pyramid=false", "brush_size=0.5", "edges=zero", "quality=0.5"],
];
/// The first argument of a process that renders.
const ONE: &str = "--one";
/// How far an estimate may be off, as a share of what was taken.
const TOLERANCE: f64 = 0.2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (settings, sizes): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| *argument != ONE)
        .partition(|argument| argument.contains('='));
    if arguments.first().is_some_and(|first| first == ONE) {
        return one(sizes[0].parse().expect("a size"), &settings);
    }
    println!("| settings | px | seconds: estimated | taken | ratio | MB: estimated | taken | ratio | measuring, s |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let sizes = if sizes.is_empty() {
        vec!["128", "256", "512", "1024"]
    } else {
        sizes
    };
    let sets = if settings.is_empty() {
        SETS.to_vec()
    } else {
        vec![&settings[..]]
    };
    let mut all_well = ExitCode::SUCCESS;
    for set in sets {
        for size in &sizes {
            let mut process = Command::new(env::current_exe().expect("a program knows its own file"));
            let status = process.arg(ONE).arg(size).args(set).stderr(Stdio::inherit()).status();
            if !status.is_ok_and(|status| status.success()) {
                all_well = ExitCode::FAILURE;
            }
        }
    }
    all_well
}

/// Estimates one render, renders, prints a line about both, and says what is too far off.
fn one(size: u32, settings: &[&str]) -> ExitCode {
    let (content, style) = (content(size), style(600));
    let pairs: Vec<_> = settings.iter().filter_map(|setting| setting.split_once('=')).collect();
    let mut job = job(&pairs);
    let mut output = content.clone();
    let before = memory("VmRSS:").unwrap_or(f64::NAN);

    let begun = Instant::now();
    let of = |pixels: &pentimento_tests::Pixels| (pixels.shape.width, pixels.shape.height);
    let estimate = job
        .estimate(of(&content), &[of(&style)])
        .expect("it estimates")
        .expect("it can");
    let measuring = begun.elapsed().as_secs_f64();

    // Linux counts the most anew from here: what estimating took is not the render's.
    let counts_anew = fs::write("/proc/self/clear_refs", "5").is_ok();
    let begun = Instant::now();
    let outcome = render_into(&mut job, &content, &[(&style, 1.0)], &mut output, &mut Callbacks::new());
    assert_eq!(outcome, Ok(Outcome::Finished));
    let seconds = begun.elapsed().as_secs_f64();
    let most = memory("VmHWM:").filter(|_| counts_anew);
    let bytes = most.unwrap_or(f64::NAN) - before;
    println!(
        "| {} | {size} | {:.1} | {seconds:.1} | {:.2} | {:.0} | {:.0} | {:.2} | {measuring:.2} |",
        settings.join(" "),
        estimate.seconds,
        estimate.seconds / seconds,
        estimate.bytes as f64 / 1e6,
        bytes / 1e6,
        estimate.bytes as f64 / bytes,
    );
    let mut all_well = ExitCode::SUCCESS;
    for (what, estimated, taken) in [
        ("seconds", estimate.seconds, seconds),
        ("bytes", estimate.bytes as f64, bytes),
    ] {
        // Where the system does not count them, it is not known.
        if (estimated / taken - 1.0).abs() > TOLERANCE {
            eprintln!(
                "{size} px, {settings:?}: {estimated:.1} {what} were estimated and {taken:.1} taken, more than {:.0} % apart",
                100.0 * TOLERANCE
            );
            all_well = ExitCode::FAILURE;
        }
    }
    all_well
}
