//! Finding and loading the plugin, with errors for the terminal.

use std::path::Path;

use pentimento_host::discover::{Found, PATH_VARIABLE};
use pentimento_host::manifest::Manifest;
use pentimento_host::{Plugin, abi, discover};

use crate::error::{Error, Kind, Result};

/// The best plugin of those in the usual places, or the one at `explicit`.
pub fn find(explicit: Option<&Path>) -> Result<Found> {
    // Its text ends with what to do.
    discover(explicit)
        .first()
        .map_err(|error| Error::new(Kind::Plugin, error.to_string(), ""))
}

/// Loads a plugin that was found.
pub fn load(found: &Found) -> Result<Plugin> {
    Plugin::load(&found.library).map_err(|error| {
        let remedy = format!("install the plugin again, or choose another by --plugin or {PATH_VARIABLE}");
        Error::new(Kind::Plugin, format!("cannot use the plugin {error}"), remedy)
    })
}

/// What a plugin says of itself: its manifest or, of a library without one, what it tells when loaded.
pub fn manifest(found: Found) -> Result<Manifest> {
    if let Some(manifest) = found.manifest {
        return Ok(manifest);
    }
    let plugin = load(&found)?;
    let filters = plugin.filters().map_err(|error| {
        Error::new(
            Kind::Plugin,
            format!("the plugin {} cannot describe itself: {error}", found.library.display()),
            "install it again",
        )
    })?;
    Ok(Manifest {
        abi: abi::ABI,
        id: plugin.id(),
        name: plugin.name(),
        version: plugin.version(),
        library: found
            .library
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        filters,
    })
}
