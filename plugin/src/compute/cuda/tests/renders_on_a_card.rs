//! Renders by the whole filter on a card, whose pixels are moved there.

use super::*;
use crate::canvas::Picture;
use crate::control::Outcome;
use crate::filters::style_transfer::tests::{Listener, picture, settings};
use crate::filters::{Rendered, style_transfer};

/// What a render comes to on a device, and its last loss.
fn rendered(device: &str, optimiser: &str) -> (Picture, f64) {
    let settings = settings(&[
        ("device", device),
        ("optimiser", optimiser),
        ("quality", "0.2"),
        ("style_layers", "conv1_1:1"),
        ("content_layers", "conv1_2:1"),
        ("working_size", "24"),
    ]);
    let listener = Listener::default();
    let styles = [(picture(30, 26, 53), 1.0)];
    let Rendered::Picture(painted, Outcome::Finished) =
        style_transfer::render(picture(36, 30, 37), &styles, &settings, &listener).unwrap()
    else {
        panic!("nobody stopped it");
    };
    assert!(listener.warnings.borrow().is_empty(), "{:?}", listener.warnings);
    let loss = listener.reports.borrow().iter().rev().find_map(|report| report.3);
    (painted, loss.expect("a step"))
}

#[test]
#[ignore = "needs a card, or an emulated one"]
fn a_render_comes_to_what_the_processors_does_and_leaves_nothing_behind() {
    for optimiser in ["lbfgs", "adam"] {
        let before = list().unwrap()[0].memory_free;
        let (painted, loss) = rendered("cuda:0", optimiser);
        assert!(
            rendered("cuda:0", optimiser) == (painted.clone(), loss),
            "{optimiser}: not the same twice"
        );
        if list().unwrap()[0].name == "Emulated card" {
            assert_eq!(list().unwrap()[0].memory_free, before);
        }
        let (expected, least) = rendered("cpu", optimiser);
        assert!((loss - least).abs() < 0.03 * least, "{optimiser}: {loss} and {least}");
        let error = relative_error(&painted.samples, &expected.samples);
        assert!(error < 0.05, "{optimiser}: the picture is off by {error:e}");
    }
}
