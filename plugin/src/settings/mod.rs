//! What can be set: the manifest's declarations, what was set by hand, and the typed settings that filters read.
//!
//! The manifest is the one source. [`Settings`] holds what was set explicitly, each value checked against its
//! declaration as it comes in; resolving lays it over the preset's values and those over the defaults, and hands the
//! result to serde. So a new parameter is one entry of the manifest and one field of a struct such as
//! [`StyleTransfer`]: a field without an entry, or an entry without a field, does not resolve, which a test sees.

mod device;
mod explicit;
mod layers;
mod style_transfer;

use std::sync::LazyLock;

use pentimento_host::manifest::Manifest;

pub use device::Device;
pub use explicit::Settings;
pub use style_transfer::{Edges, Optimiser, Precision, Start, StyleTransfer};

/// What this plugin says of itself.
///
/// # Panics
/// When the manifest that was built in is not valid, which a test rules out.
pub fn manifest() -> &'static Manifest {
    static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
        Manifest::parse(include_str!("../../../manifest.toml")).unwrap_or_else(|error| panic!("manifest.toml: {error}"))
    });
    &MANIFEST
}

#[cfg(test)]
mod tests;
