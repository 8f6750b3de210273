//! What crosses crates: the plugin as a host meets it, a library in a file.
//!
//! The unit tests of each crate see its parts; the tests of this package load the library that ships and render with
//! it, from Rust, C, Python and the command line. Here is what they share: where the [`library`] and the
//! [`program`](command) are, [`pictures`], [`process`], the editors ([`hosts`]) and a painter at their [`screen`], and [`render`], the shortest way from
//! settings to a picture.

pub mod built;
#[cfg(unix)]
pub mod hosts;
pub mod pictures;
#[path = "../../plugin/tests/process/mod.rs"]
pub mod process;
pub mod render;
#[cfg(unix)]
pub mod screen;

use std::path::Path;

pub use built::{command, library};
pub use pictures::{Pixels, content, style};
pub use render::{Settings, plugin, render};

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
