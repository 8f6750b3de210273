//! A driver that has no graphs, or takes this one and not that.

use super::on_a_card::replays::{in_two_parts, plain_steps, steps};
use super::*;

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
