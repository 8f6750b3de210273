//! From a file to a table of functions that can be trusted, with an error of its own for each way that can fail.
//!
//! The system's loader is not asked first, because it is no judge of files: glibc maps a library whose end is missing
//! and dies of SIGBUS on the first page that is not there, and an artist's editor with it. So the file's own headers
//! are read before, and everything that they promise must be in the file. Then, from the outside in: the entry symbol,
//! the ABI number, the size of the table, and with feature `layout` the layouts behind the optional second symbol.
//!
//! A library is never unloaded: its threads, its thread-local data and the texts that it lent may outlive any handle.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSegment, ReadCache};

use crate::abi;

/// Why a file is not a plugin that this host can use.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("{}: there is no such file", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no library, or part of it is missing.
    #[error("{}: not a library, or a damaged one: {reason}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The system's loader refuses it, for instance because a library that it needs is not installed.
    #[error("{}: the system cannot load it: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// It is a library, but not a Pentimento plugin.
    #[error("{}: not a Pentimento plugin: it has no symbol {}", .0.display(), abi::ENTRY_SYMBOL)]
    NotAPlugin(PathBuf),
    /// It is a plugin for hosts of another generation.
    #[error("{}: it does not speak ABI {}, which this host needs; another version of the plugin or host may fit", .0.display(), abi::ABI)]
    OtherAbi(PathBuf),
    /// Its table ends before functions that this ABI has: a defect of the plugin.
    #[error("{}: its table of functions has {found} bytes; ABI {} needs {}", path.display(), abi::ABI, size_of::<abi::Plugin>())]
    TableTooSmall {
        /// The file.
        path: PathBuf,
        /// The size that the table gives itself.
        found: u32,
    },
    /// Its tables have the right sizes but other contents.
    #[error("{}: it was built with other tables: {reason}", path.display())]
    OtherLayout {
        /// The file.
        path: PathBuf,
        /// The first difference.
        reason: String,
    },
}

/// Loads a library, for the rest of the process, and returns its table.
pub(crate) fn load(path: &Path) -> Result<&'static abi::Plugin, LoadError> {
    check_file(path)?;
    // A bare file name would send the loader to the system's own folders.
    let absolute = std::path::absolute(path).map_err(|source| unreadable(path, source))?;
    let library = open(&absolute).map_err(|error| LoadError::Refused {
        path: path.to_owned(),
        reason: whole_message(&error),
    })?;
    let library = ManuallyDrop::new(library);
    // SAFETY: the contract gives this symbol this type, and nothing else goes by its name.
    let entry =
        unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL) }.map_err(|_| LoadError::NotAPlugin(path.to_owned()))?;
    // SAFETY: any thread may call it with any number.
    let table = unsafe { entry(abi::ABI) };
    if table.is_null() {
        return Err(LoadError::OtherAbi(path.to_owned()));
    }
    // SAFETY: every table, of every ABI, begins with its size and its ABI number, and lives as long as the library.
    let [found, number] = unsafe { table.cast::<[u32; 2]>().read() };
    if number != abi::ABI {
        return Err(LoadError::OtherAbi(path.to_owned()));
    }
    if (found as usize) < size_of::<abi::Plugin>() {
        return Err(LoadError::TableTooSmall {
            path: path.to_owned(),
            found,
        });
    }
    #[cfg(feature = "layout")]
    check_layout(&library, path)?;
    // SAFETY: it is of this ABI and long enough, and the library is never unloaded.
    Ok(unsafe { &*table })
}

fn open(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // Resolved now, a function that no library provides is an error; resolved at its first call, it ends the process.
    #[cfg(unix)]
    let open = |path| {
        use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
        // SAFETY: loading runs the library's initialisers. That is what a plugin is; the user chose to trust it.
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(libloading::Library::from)
    };
    #[cfg(not(unix))]
    // SAFETY: as above.
    let open = |path| unsafe { libloading::Library::new(path) };
    open(path)
}

#[cfg(feature = "layout")]
fn check_layout(library: &libloading::Library, path: &Path) -> Result<(), LoadError> {
    use crate::layout::{LayoutTag, check};

    // SAFETY: the contract gives this symbol this type; of a static, the loader gives the address.
    let Ok(tag) = (unsafe { library.get::<*const LayoutTag>(abi::LAYOUT_SYMBOL) }) else {
        return Ok(()); // Optional: plugins need not be written in Rust.
    };
    // SAFETY: it is what a plugin exports under this symbol, and the library is never unloaded.
    unsafe { check(*tag) }.map_err(|error| LoadError::OtherLayout {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Whether the file is there, is a library, and is all there.
fn check_file(path: &Path) -> Result<(), LoadError> {
    let not_a_library = |reason: String| LoadError::NotALibrary {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => unreadable(path, source),
    })?;
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(not_a_library("it is not a file".to_owned()));
    }
    let length = metadata.len();
    let cache = ReadCache::new(file);
    // Universal libraries of macOS hold several of the kinds below; that system's loader checks them well.
    if let Ok(object::FileKind::MachOFat32 | object::FileKind::MachOFat64) = object::FileKind::parse(&cache) {
        return Ok(());
    }
    let parsed = object::File::parse(&cache).map_err(|error| not_a_library(error.to_string()))?;
    for segment in parsed.segments() {
        let (start, size) = segment.file_range();
        if start.checked_add(size).is_none_or(|end| end > length) {
            let reason = format!("its end is missing: a segment lies beyond its {length} bytes");
            return Err(not_a_library(reason));
        }
    }
    Ok(())
}

fn unreadable(path: &Path, source: io::Error) -> LoadError {
    let path = path.to_owned();
    LoadError::Unreadable { path, source }
}

/// libloading keeps what the system said one level below its own words.
fn whole_message(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}
