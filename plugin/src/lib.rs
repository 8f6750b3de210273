//! Pentimento: neural style transfer behind a stable C ABI, in one library that carries its network.
//!
//! Data goes down this list and comes back up it:
//!
//! - [`boundary`]: C in, Rust out; the exported symbol, handles, pointers, panics, errors.
//! - [`diagnostics`]: what it would run on.
//! - [`job`]: one render: settings, canvases and control.
//! - [`memory`]: how much of it there is.
//! - [`threads`]: those that compute, apart from the host's.
//! - [`samples`]: the elements of tensors, lent rather than copied.
//! - [`settings`]: what the manifest declares, typed and checked.
//! - [`canvas`]: pixels of any format to planar pictures and back.
//! - [`filters`]: what a menu item does.
//! - [`objective`]: the losses, functions of a picture's statistics.
//! - [`optimise`]: how pixels are moved.
//! - [`network`]: VGG-19, its layers and weights.
//! - [`compute`]: the seam behind which the network runs on a device.
//!
//! Nothing below the boundary knows of C, nothing below the job knows of hosts, and nothing below the objective knows
//! of style.
//!
//! Unsafe code is denied, but in five places: [`boundary`], which deals with C; [`canvas::Raster`], whose pixels belong
//! to a host; [`compute::cpu`], whose threads write to one picture; the part of `compute::cuda` that calls the driver; and
//! [`memory`], which asks the C library for one thing.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "C's pointers, tables and callbacks")]
pub mod boundary;
pub mod canvas;
pub mod compute;
pub mod control;
pub mod diagnostics;
pub mod error;
pub mod filters;
pub mod job;
pub mod memory;
pub mod network;
pub mod objective;
pub mod optimise;
pub mod samples;
pub mod settings;
pub mod threads;
mod timing;

pub use error::{Error, Result};
