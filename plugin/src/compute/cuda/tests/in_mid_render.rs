//! A render by the whole filter, on a card that fails or fills up in its midst.

use crate::compute;
use crate::control::Outcome;
use crate::filters::style_transfer::tests::{Listener, Reported, picture, settings};
use crate::filters::{Rendered, style_transfer};
use crate::settings::{Device, Precision};

/// How many steps may be taken again where a card fails.
const AGAIN: usize = 8;

/// A step that was reported: the level, its number, and the loss.
type Taken = (usize, usize, f64);

/// Renders two levels on the card, and returns the steps before the first warning and after it, and the warnings.
fn rendered() -> ([Vec<Taken>; 2], Vec<String>) {
    let layers = [("style_layers", "conv1_1:1"), ("content_layers", "conv1_1:1")];
    let method = [("device", "cuda:0"), ("quality", "0.75"), ("edges", "zero")];
    let settings = settings(&[&layers[..], &method].concat());
    let listener = Listener::default();
    let styles = [(picture(24, 24, 53), 1.0)];
    let rendered = style_transfer::render(picture(184, 24, 37), &styles, &settings, &listener).unwrap();
    assert!(matches!(rendered, Rendered::Picture(_, Outcome::Finished)));
    let seen = listener.reports.into_inner();
    assert!(seen.is_sorted_by(|one, next| one.2 <= next.2), "{seen:?}");
    assert!((seen.last().unwrap().2 - 1.0).abs() < 1e-9, "{seen:?}");
    let warnings = listener.warnings.into_inner();
    let first = listener.before.into_inner().expect("a warning");
    let (before, after) = seen.split_at(first);
    let steps = |reports: &[Reported]| {
        let taken = reports.iter();
        taken
            .filter_map(|&(level, step, _, loss)| Some((level, step, loss?)))
            .collect::<Vec<Taken>>()
    };
    ([steps(before), steps(after)], warnings)
}

#[test]
#[ignore = "needs an emulated card that fails"]
fn the_processor_goes_on_from_what_was_kept() {
    let ([before, after], warnings) = rendered();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(warning.starts_with("device: cuda:0 failed: "), "{warning}");
    let (level, step, loss) = after[0];
    if let Some(&(_, last, _)) = before.iter().rfind(|&&(same, _, _)| same == level) {
        let again = (last + 1).checked_sub(step).expect("no step is left out");
        assert!(again < AGAIN, "{before:?} {after:?}");
    }
    let from = if level > 0 || step > 0 {
        "the picture so far"
    } else {
        "the start"
    };
    assert!(
        warning.ends_with(&format!("; the processor goes on from {from}")),
        "{warning}"
    );
    // The step before left a picture of no greater a loss, on the same level.
    let kept = before
        .iter()
        .find(|&&(same, number, _)| (same, number + 1) == (level, step));
    if let Some(&(_, _, was)) = kept {
        assert!(loss <= was * 1.01, "{was} before the failure and {loss} after it");
    }
    // The next job leaves it alone, unless it is named.
    let opened = compute::open(Device::Auto, Precision::Standard, "", 1).unwrap();
    assert_eq!(opened.device, Device::Cpu);
    let (error, _) = warning.split_once("; ").unwrap();
    assert_eq!(opened.notes, [format!("{error} in an earlier job; it is not used")]);
    eprintln!("went on from {from}, level {level}");
}

#[test]
#[ignore = "needs an emulated card that fills up"]
fn what_was_remembered_is_fetched() {
    let ([before, after], warnings) = rendered();
    let [short, moved] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert_eq!(
        short,
        "device: cuda:0 has not enough memory left; trying with what is left of it"
    );
    assert!(
        moved.ends_with("; the processor goes on from the picture so far"),
        "{moved}"
    );
    // The card still serves for what it has, so no step is taken again: the first one evaluates the picture so far.
    let (&(level, last, was), (next, step, loss)) = (before.last().unwrap(), after[0]);
    assert_eq!(
        (next, step),
        if level == next {
            (level, last + 1)
        } else {
            (level + 1, 0)
        }
    );
    if level == next {
        assert!(loss <= was * 1.01, "{was} before and {loss} after");
        let last = after.iter().rfind(|&&(same, _, _)| same == level).unwrap();
        assert!(last.2 < loss, "{after:?}");
    }
}
