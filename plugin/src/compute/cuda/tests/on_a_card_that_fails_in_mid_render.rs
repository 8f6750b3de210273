//! A render by the whole filter, on a card that fails in its midst.

use crate::compute;
use crate::control::Outcome;
use crate::filters::style_transfer::tests::{Listener, picture, settings};
use crate::filters::{Rendered, style_transfer};
use crate::settings::{Device, Precision};

#[test]
#[ignore = "needs an emulated card that fails"]
fn the_processor_goes_on() {
    let settings = settings(&[("device", "cuda:0"), ("quality", "0.1"), ("edges", "zero")]);
    let listener = Listener::default();
    let styles = [(picture(24, 24, 53), 1.0)];
    let rendered = style_transfer::render(picture(24, 24, 37), &styles, &settings, &listener).unwrap();
    assert!(matches!(rendered, Rendered::Picture(_, Outcome::Finished)));
    let warnings = listener.warnings.into_inner();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(warning.starts_with("device: cuda:0 failed: "), "{warning}");
    assert!(
        warning.ends_with("; the processor goes on from the picture so far"),
        "{warning}"
    );
    // The next job leaves it alone, unless it is named.
    let opened = compute::open(Device::Auto, Precision::Standard, "", 1).unwrap();
    assert_eq!(opened.device, Device::Cpu);
    let (error, _) = warning.split_once("; ").unwrap();
    assert_eq!(opened.notes, [format!("{error} in an earlier job; it is not used")]);
}
