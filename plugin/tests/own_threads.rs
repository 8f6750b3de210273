//! That all work is done by threads of the plugin's own, as few as were asked for: in a process of its own, as the global
//! pools of rayon and of candle are the whole process's, and whoever uses one first starts it for good.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use pentimento_plugin::canvas::Picture;
use pentimento_plugin::control::{Flow, Report};
use pentimento_plugin::diagnostics;
use pentimento_plugin::filters::style_transfer::{estimate, render};
use pentimento_plugin::settings::{Settings, StyleTransfer, manifest};
use rayon::ThreadPoolBuilder;

/// Settings with one thread, each with an optimiser and a distance of its own.
const METHODS: [&[(&str, &str)]; 3] = [
    &[],
    &[("optimiser", "adam"), ("loss", "gram")],
    &[("optimiser", "plain-adam"), ("start", "noise"), ("edges", "zero")],
];

fn picture(width: usize, height: usize, period: usize) -> Picture {
    let samples = (0..3 * width * height).map(|index| (index * index / 97 % period) as f32 / period as f32);
    Picture::new(width, height, samples.collect()).unwrap()
}

fn settings(set: &[(&str, &str)]) -> StyleTransfer {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in [("threads", "1"), ("quality", "0.05")].iter().chain(set) {
        settings.set_text(id, value).unwrap();
    }
    settings.resolve().unwrap()
}

/// How many threads of each name there are, of which the system keeps fifteen letters; `None` where it does not tell.
fn threads() -> Option<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        // One may have ended meanwhile.
        if let Ok(name) = std::fs::read_to_string(task.ok()?.path().join("comm")) {
            *counts.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    Some(counts)
}

/// Waits until there are no other threads than before. Those of a pool that is gone take a moment to end.
fn wait_for(before: Option<&BTreeMap<String, usize>>, what: &str) {
    for _ in 0..1000 {
        if threads().as_ref() == before {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} leaves {:?} where there was {before:?}", threads());
}

/// Renders two levels, looking at the threads that there are meanwhile.
fn paint(set: &[(&str, &str)]) {
    // So large that candle would take to its pool for a sum of two.
    let (content, style) = (picture(192, 128, 251), picture(60, 40, 83));
    let look = |_: &Report| {
        let ours = threads().into_iter().flatten();
        let ours: Vec<_> = ours.filter(|(name, _)| name.starts_with("pentimento")).collect();
        // The network's, and the one of what is done beside it, which waits for the other.
        let one_each = ["pentimento-cpu-", "pentimento-filt"].map(|name| (name.to_owned(), 1));
        assert!(
            ours.is_empty() && threads().is_none() || ours == one_each,
            "{set:?}: {ours:?}"
        );
        Flow::Continue
    };
    render(content, &[(style, 1.0)], &settings(set), &look).unwrap();
}

/// One test, because a process has one global pool.
#[test]
fn one_thread_does_all_the_work_and_ends_with_it() {
    let host = ThreadPoolBuilder::new()
        .num_threads(2)
        .thread_name(|_| "host".into())
        .build()
        .unwrap();
    // They have their names by then.
    host.broadcast(|_| ());
    let before = threads();
    for set in METHODS {
        paint(set);
        wait_for(before.as_ref(), &format!("a render with {set:?}"));
        host.install(|| paint(set));
        wait_for(before.as_ref(), &format!("a render in the host's pool with {set:?}"));
    }
    let size = picture(192, 64, 251).size();
    let foresee = || estimate(size, &[size], &settings(&[])).unwrap();
    assert!(foresee().seconds > 0.0);
    wait_for(before.as_ref(), "an estimate");
    diagnostics::report().unwrap();
    wait_for(before.as_ref(), "a report");
    // Only the first can start it.
    let global = ThreadPoolBuilder::new().num_threads(1).build_global();
    assert!(global.is_ok(), "somebody used the global pool");
}
