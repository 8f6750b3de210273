//! Renders on a card that is not one: the processor's backend, which fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::tests::{Listener, Reported, picture, settings};
use super::*;
use crate::canvas::Picture;
use crate::compute::cpu::CpuBackend;
use crate::compute::false_card::{FalseCard, PLENTY};
use crate::control::Outcome;
use crate::filters::Rendered;
use crate::network::Network;

/// A few steps, the same on any machine.
const METHOD: [(&str, &str); 2] = [("quality", "0.3"), ("threads", "2")];

/// A card that fails at the calls that are told by their number, from 1, and name, and leaves less memory than there was.
fn failing_card(
    fails: impl Fn(usize, &str) -> bool + Send + 'static,
    error: fn() -> Error,
    left: u64,
) -> Box<FalseCard> {
    let free = Arc::new(AtomicU64::new(PLENTY));
    let (mut calls, rest) = (0, free.clone());
    let before = move |name: &str| {
        calls += 1;
        if !fails(calls, name) {
            return Ok(());
        }
        rest.store(left, Ordering::Relaxed);
        Err(error())
    };
    let mut card = FalseCard::new(before);
    card.free = free;
    Box::new(card)
}

/// Fails at one call.
fn at(number: usize) -> impl Fn(usize, &str) -> bool + Send {
    move |call, _| call == number
}

fn processor() -> Result<Box<dyn Backend>> {
    Ok(Box::new(CpuBackend::new(Network::embedded()?, 2)?))
}

/// A render of two levels.
fn render(
    backend: Box<dyn Backend>,
    processor: impl FnOnce() -> Result<Box<dyn Backend>>,
    listener: &Listener,
) -> Result<Rendered> {
    let (settings, content, styles) = (settings(&METHOD), picture(192, 64, 37), [(picture(64, 80, 53), 1.0)]);
    let render = Render::new(content.size(), &styles, &settings, listener)?;
    let mut course = render.begin(content)?;
    let told = |error: &Error| {
        assert!(matches!(error, Error::Device(_) | Error::Memory(_)), "{error}");
        processor()
    };
    let flow = follow(&render, &mut course, backend, told)?;
    render.end(course, flow)
}

fn finished(rendered: Rendered) -> Picture {
    match rendered {
        Rendered::Picture(picture, Outcome::Finished) => picture,
        other => panic!("{other:?}"),
    }
}

fn failure() -> Error {
    Error::Device("device: cuda:0 failed: it fell off the bus".into())
}

fn full() -> Error {
    Error::Memory("device: cuda:0 has not enough memory left".into())
}

#[test]
fn a_failure_loses_nothing_wherever_it_comes() {
    let undisturbed = Listener::default();
    let plain = finished(render(processor().unwrap(), processor, &undisturbed).unwrap());
    let reports = undisturbed.reports.borrow().len();
    assert!(undisturbed.warnings.borrow().is_empty());
    // Before anything, while looking at pictures, in a forward and in a backward pass, and between levels.
    for fails_at in [1, 2, 4, 5, 10, 11, 15, 16, 17, 18, 19] {
        let listener = Listener::default();
        let card = failing_card(at(fails_at), failure, PLENTY);
        let painted = finished(render(card, processor, &listener).unwrap());
        let warnings = listener.warnings.borrow();
        assert_eq!(warnings.len(), 1, "{fails_at}: {warnings:?}");
        assert!(
            warnings[0].starts_with("device: cuda:0 failed: it fell off the bus; the processor goes on from the "),
            "{warnings:?}"
        );
        let seen = listener.reports.borrow();
        assert!(seen.is_sorted_by(|one, next| one.2 <= next.2), "{fails_at}: {seen:?}");
        assert!((seen.last().unwrap().2 - 1.0).abs() < 1e-9, "{seen:?}");
        // No step is taken twice.
        let steps = |reports: &[Reported]| -> Vec<(usize, usize)> {
            let steps = reports.iter().filter(|(_, _, _, loss)| loss.is_some());
            steps.map(|&(level, step, _, _)| (level, step)).collect()
        };
        assert_eq!(steps(&seen), steps(&undisturbed.reports.borrow()), "{fails_at}");
        assert!(seen.len() <= reports + 2);
        let (before, after) = seen.split_at(listener.before.borrow().unwrap());
        let loss = |&(level, _, _, loss): &Reported| Some((level, loss?));
        let (was, is) = (before.iter().rev().find_map(loss), after.iter().find_map(loss));
        match (was, is) {
            (Some((level, was)), Some((same, is))) if level == same => {
                assert!(
                    is <= was * 1.001,
                    "{fails_at}: {was} before the failure and {is} after it"
                );
            }
            (None, _) => assert_eq!(painted, plain, "{fails_at}: the processor painted it all"),
            _ => {}
        }
    }
}

#[test]
fn where_memory_is_short_tiles_are_smaller() {
    // Layers that see little around a pixel, so that even a small picture can be cut.
    let settings = settings(&[
        ("threads", "2"),
        ("pyramid", "false"),
        ("quality", "0.03"),
        ("style_layers", "conv1_2:1"),
        ("content_layers", "conv1_1:1"),
    ]);
    let (content, styles) = (picture(1200, 32, 37), [(picture(20, 20, 53), 1.0)]);
    let listener = Listener::default();
    let render = Render::new(content.size(), &styles, &settings, &listener).unwrap();
    let mut course = render.begin(content).unwrap();
    let tiles_in = |free: u64| {
        let card = failing_card(|_, _| false, full, 0);
        card.free.store(free, Ordering::Relaxed);
        let planned = render.plan(&course, &*card).ok()?;
        Some((planned[0].1.tiling.parts().len(), planned[0].1.bytes))
    };
    let (whole, bytes) = tiles_in(PLENTY).unwrap();
    assert_eq!(whole, 1);
    // A tenth of what is free is left to others. First the history becomes shorter.
    let enough = bytes / 9 * 10;
    let less = (1..100).map(|share| enough - enough / 100 * share);
    let mut cut = less.filter_map(|free| Some((free, tiles_in(free)?.0)));
    let (left, tiles) = cut.find(|(_, tiles)| *tiles > 1).unwrap();
    // The style is prepared for and looked at, then the canvas is prepared for.
    let card = failing_card(at(3), full, left);
    let flow = follow(&render, &mut course, card, |_| panic!("the card has room for tiles")).unwrap();
    finished(render.end(course, flow).unwrap());
    assert_eq!(
        listener.warnings.borrow()[0],
        "device: cuda:0 has not enough memory left; trying with what is left of it"
    );
    let said = [&listener.warnings.borrow()[..], &listener.information.borrow()].concat();
    let expected = format!("memory is short: in {tiles} tiles ");
    assert!(said.iter().any(|message| message.starts_with(&expected)), "{said:?}");
}

#[test]
fn where_tiles_do_not_help_the_processor_paints() {
    for (fails_at, left, expected) in [
        // There never was enough.
        (0, 0, "; the processor goes on from the start"),
        // What is left is too little.
        (3, 1000, "; the processor goes on from the start"),
        (14, 1000, "; the processor goes on from the picture so far"),
    ] {
        let listener = Listener::default();
        let card = failing_card(at(fails_at), full, left);
        if fails_at == 0 {
            card.free.store(left, Ordering::Relaxed);
        }
        finished(render(card, processor, &listener).unwrap());
        let warnings = listener.warnings.borrow();
        assert!(warnings.last().unwrap().ends_with(expected), "{warnings:?}");
        assert_eq!(warnings.len(), if fails_at == 0 { 1 } else { 2 }, "{warnings:?}");
    }
}

#[test]
fn a_card_that_says_it_has_room_and_has_none_is_tried_once_more() {
    let listener = Listener::default();
    let card = failing_card(|call, name| call > 2 && name == "prepare", full, PLENTY);
    finished(render(card, processor, &listener).unwrap());
    assert_eq!(listener.warnings.borrow().len(), 2, "{:?}", listener.warnings);
}

#[test]
fn where_nothing_can_go_on_the_picture_so_far_is_kept() {
    let nothing = || Err(Error::Device("no processor".into()));
    let listener = Listener::default();
    let card = failing_card(at(10), failure, PLENTY);
    let Rendered::Picture(painted, Outcome::Stopped) = render(card, nothing, &listener).unwrap() else {
        panic!("no picture");
    };
    assert_ne!(painted, picture(192, 64, 37));
    assert_eq!(
        listener.warnings.borrow()[1],
        "no processor; the picture is left as it was painted so far"
    );
    let card = failing_card(at(2), failure, PLENTY);
    let error = render(card, nothing, &Listener::default()).unwrap_err();
    assert_eq!(error.to_string(), "no processor");
}

#[test]
fn what_is_not_the_cards_fault_is_an_error() {
    let defect = || Error::Internal("a defect".into());
    for fails_at in [1, 10] {
        let card = failing_card(at(fails_at), defect, PLENTY);
        let error = render(card, || panic!("no card failed"), &Listener::default()).unwrap_err();
        assert_eq!(error.to_string(), "a defect");
    }
}
