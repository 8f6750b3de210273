//! A driver that has no graphs, or takes this one and not that.

use super::on_a_card::replays::{in_two_parts, plain_steps, steps};
use super::*;
use crate::control::Outcome;
use crate::filters::style_transfer::tests::{self as filter, Listener};
use crate::filters::{Rendered, style_transfer};

#[test]
#[ignore = "needs an emulated card that has no graphs or refuses one"]
fn kernels_are_launched_one_by_one_and_that_is_said() {
    let mut backend = open(Precision::Tf32).unwrap();
    let tiling = in_two_parts();
    assert!(steps(&mut backend, &tiling, 4) == plain_steps(&tiling, 4));
    let description = backend.description();
    eprintln!("{description}");
    assert!(
        description.contains(", kernel by kernel (device: cuda:0"),
        "{description}"
    );
}

#[test]
#[ignore = "needs an emulated card that has no graphs or refuses one"]
fn a_render_finishes_and_says_so_too() {
    let settings = filter::settings(&[
        ("device", "cuda:0"),
        ("quality", "0.05"),
        ("edges", "zero"),
        ("pyramid", "false"),
        ("style_layers", "conv1_1:1"),
        ("content_layers", "conv1_1:1"),
    ]);
    let listener = Listener::default();
    let styles = [(filter::picture(16, 16, 53), 1.0)];
    let rendered = style_transfer::render(filter::picture(16, 16, 37), &styles, &settings, &listener).unwrap();
    assert!(matches!(rendered, Rendered::Picture(_, Outcome::Finished)));
    assert!(listener.warnings.into_inner().is_empty());
    let said = listener.information.into_inner();
    let is_said = |line: &String| line.starts_with("comput") && line.contains(", kernel by kernel (device: cuda:0");
    assert!(said.iter().any(is_said), "{said:?}");
}
