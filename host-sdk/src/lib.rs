//! Everything that a host needs to find, load, describe and run a Pentimento plugin.
//!
//! A plugin is one library behind one C table of functions ([`abi`]), with a `manifest.toml` beside it that tells a
//! menu what it offers ([`manifest`]). Both are all that hosts in other languages need: the table as
//! `include/pentimento.h`, the manifest as it is. For hosts in Rust this crate puts a safe side over them, in the
//! order in which a host goes:
//!
//! - [`discover()`] looks where plugins are kept and reads manifests. Nothing is loaded yet, so menus come up at once,
//!   and a damaged plugin costs its own entry and no more.
//! - [`Plugin::load`] loads a library and believes nothing: that the file is all there, that it is a plugin, that it
//!   speaks this ABI and, for plugins in Rust, that its tables are the same down to the last field ([`layout`]).
//! - [`Plugin::job`] makes a [`Job`], which takes settings; [`Job::estimate`] tells what they cost, and [`Job::render`] turns pictures into a picture. It blocks
//!   its thread; [`Callbacks`] tell how far it has come, and a [`Canceller`] ends it from any other thread: stop to
//!   keep the best picture so far, cancel to leave everything as it was.
//!
//! Pictures are lent, never copied: an [`Image`] is a slice and a [`Shape`] that fits it.
//!
//! ```no_run
//! use pentimento_host::{Callbacks, Flow, Format, Image, ImageMut, Layout, Outcome, Plugin, Shape, Transfer, discover};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let found = discover(None).first()?;
//! let plugin = Plugin::load(&found.library)?;
//!
//! let mut job = plugin.job("style-transfer")?;
//! job.set_text("preset", "draft")?;
//! job.set_number("style_strength", 2.0)?;
//!
//! let shape = Shape::packed(640, 480, Format::U8, Layout::Rgba, Transfer::Srgb);
//! let (canvas, painting) = (vec![128; shape.bytes()?], vec![200; shape.bytes()?]);
//! let mut result = canvas.clone();
//!
//! let mut callbacks = Callbacks::new()
//!     .on_progress(|progress| {
//!         println!("{:3.0} % {}", 100.0 * progress.fraction, progress.stage);
//!         Flow::Continue
//!     })
//!     .on_log(|level, line| eprintln!("{level:?}: {line}"));
//! let outcome = job.render(
//!     &Image::new(&canvas, shape)?,
//!     &[(&Image::new(&painting, shape)?, 1.0)],
//!     &mut ImageMut::new(&mut result, shape)?,
//!     &mut callbacks,
//! )?;
//! assert_eq!(outcome, Outcome::Finished);
//! # Ok(())
//! # }
//! ```
//!
//! Without feature `load` only the contract and the manifest remain, which is what a plugin needs of this crate.

pub mod abi;
#[cfg(feature = "layout")]
pub mod layout;
pub mod manifest;

#[cfg(feature = "load")]
mod call;
#[cfg(feature = "load")]
mod callbacks;
#[cfg(feature = "load")]
mod describe;
#[cfg(feature = "load")]
pub mod discover;
#[cfg(feature = "load")]
mod error;
#[cfg(feature = "load")]
mod image;
#[cfg(feature = "load")]
mod job;
#[cfg(feature = "load")]
mod library;
#[cfg(feature = "load")]
mod plugin;

#[cfg(feature = "load")]
pub use {
    callbacks::{Callbacks, Flow, Level, Progress},
    discover::discover,
    error::{Error, Result},
    image::{Format, Image, ImageMut, Layout, Shape, Transfer},
    job::{Canceller, Estimate, Job, Outcome},
    library::LoadError,
    plugin::Plugin,
};
