//! C in, Rust out: the exported symbols and the table of functions behind them.
//!
//! Everything here follows one pattern. An entry point is a few lines inside [`guard`]'s `answer`, which catches
//! panics and turns results into a status and a text. [`pointer`] checks what comes from the host and names what it
//! refuses; [`handle`] keeps the jobs, so that a handle is never followed; [`image`] and [`render`] look a whole request
//! through before a pixel is read; [`host`] turns callbacks into a [`Control`](crate::control::Control); [`describe`]
//! answers from the manifest. What a render is, [`job`](crate::job) knows, in safe Rust.

mod describe;
mod diagnostics;
mod estimate;
mod guard;
mod handle;
mod host;
mod image;
mod jobs;
mod pointer;
mod presets;
mod render;
mod table;

#[cfg(test)]
mod tests;

#[cfg(feature = "layout")]
pub use table::PENTIMENTO_LAYOUT;
pub use table::pentimento_entry;
