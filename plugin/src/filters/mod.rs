//! What a menu item does: content and styles in, a picture out, in one readable page each.

mod deferral;
pub(crate) mod extent;
pub(crate) mod means;
pub mod memory;
mod painter;
mod painting;
mod progress;
mod schedule;
pub mod style_transfer;

use crate::canvas::Picture;
use crate::control::Outcome;

/// What became of a render.
#[derive(Clone, Debug)]
pub enum Rendered {
    /// A picture of the content's size; finished or stopped early.
    Picture(Picture, Outcome),
    /// Nothing, as was asked for.
    Cancelled,
}

/// What a render would take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// On a machine that has little else to do, should all planned steps be needed.
    pub seconds: f64,
    /// The most bytes of memory at any time.
    pub bytes: u64,
}
