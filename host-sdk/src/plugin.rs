//! A loaded plugin.

use std::ffi::c_char;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::abi;
use crate::call::{extension, read_text};
use crate::callbacks::text;
use crate::describe;
use crate::error::Result;
use crate::job::Job;
use crate::library::{self, LoadError};
use crate::manifest::Filter;

/// A plugin that was loaded and found to speak this host's ABI. It stays loaded until the process ends; all of its
/// methods may be called from any thread.
#[derive(Clone)]
pub struct Plugin {
    table: &'static abi::Plugin,
    path: PathBuf,
}

impl Plugin {
    /// Loads a library.
    ///
    /// # Errors
    /// When the file is missing, is no library, lacks its end, is no plugin, or was built for other hosts.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref().to_owned();
        let table = library::load(&path)?;
        Ok(Self { table, path })
    }

    /// The library.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stable identifier of the plugin.
    pub fn id(&self) -> String {
        self.own_text(self.table.id)
    }

    /// Its name for people.
    pub fn name(&self) -> String {
        self.own_text(self.table.name)
    }

    /// Its version, "major.minor.patch".
    pub fn version(&self) -> String {
        self.own_text(self.table.version)
    }

    fn own_text(&self, pointer: *const c_char) -> String {
        // SAFETY: texts that describe the plugin live as long as the library, which is never unloaded.
        unsafe { text(pointer) }.into_owned()
    }

    /// What it offers. The ABI tells of presets only what a dialog needs, the choices of a parameter, so that
    /// [`Filter::presets`] is empty here; their values stand in the manifest.
    ///
    /// # Errors
    /// When the plugin fails, or describes itself in a way that makes no sense.
    pub fn filters(&self) -> Result<Vec<Filter>> {
        describe::filters(self.table)
    }

    /// A job for the filter with this id, with every parameter at its default.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown filter.
    pub fn job(&self, filter: &str) -> Result<Job> {
        Job::new(self.table, filter)
    }

    /// A report of what the plugin would run on, as TOML text; takes about a second. `None` when the plugin does not
    /// offer one.
    pub fn diagnostics(&self) -> Option<Result<String>> {
        // SAFETY: the contract says that this is the extension's table.
        let table = match unsafe { extension::<abi::Diagnostics>(self.table, abi::DIAGNOSTICS_EXTENSION) }? {
            Ok(table) => table,
            Err(error) => return Some(Err(error)),
        };
        Some(read_text(|buffer, capacity, needed, error| {
            // SAFETY: the buffer has that capacity, and both pointers are good for this call.
            unsafe { (table.report)(buffer, capacity, needed, error) }
        }))
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
