//! What crosses crates: the plugin as a host meets it, a library in a file.
//!
//! The unit tests of each crate see its parts; the tests of this package load the library that ships and render with
//! it, from Rust, C, Python and the command line. Here is what they share: where the [`library`] and the
//! [`program`](command) are, what [`command_line`] renders, [`pictures`] and their [`judge`], [`process`], the editors
//! ([`hosts`]) and a painter at their [`screen`], and [`render`], the shortest way from settings to a picture.

pub mod built;
pub mod command_line;
#[cfg(unix)]
pub mod hosts;
pub mod judge;
pub mod pictures;
#[path = "../../plugin/tests/process/mod.rs"]
pub mod process;
pub mod render;
#[cfg(unix)]
pub mod screen;

use std::fs;
use std::path::Path;

pub use built::{command, library};
pub use command_line::{command_line, farthest};
pub use pictures::{Pixels, content, style};
pub use render::{Settings, plugin, render};

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The first example in a page of `docs/` that is in this language.
///
/// # Panics
/// When there is none.
pub fn documented(page: &str, language: &str) -> String {
    let page = fs::read_to_string(repository().join("docs").join(page)).expect("the page is there");
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("an example");
    rest.split_once("```").expect("the example ends").0.to_owned()
}
