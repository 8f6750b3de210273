//! The bridges between editors and the plugin, which this command carries, and the files that one is made of.

use std::fs;
use std::path::Path;

use include_dir::{Dir, include_dir};
use pentimento_host::discover::Found;
use pentimento_host::manifest;

use super::gimp2;
use super::profiles::Profile;
use crate::error::{Error, Kind, Result};

/// That of the plugin which is built together with this command.
const MANIFEST: &str = include_str!("../../../../manifest.toml");
static GIMP3: Dir = include_dir!("$CARGO_MANIFEST_DIR/../gimp3");
/// What hosts in Python share.
const LIBRARY_MODULE: &str = include_str!("../../../python-host/library.py");
static CATALOGUES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../locale");
/// The module that GIMP starts.
const PROGRAM: &str = "pentimento.py";

/// A file of an installed bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, in the bridge's folder; folders in it are separated by `/`.
    pub name: String,
    /// What it holds.
    pub contents: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

/// The bridge for an editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// Modules in Python.
    Gimp3,
    /// A program that is compiled where it is installed.
    Gimp2,
}

impl Bridge {
    /// The one for the GIMP of this profile.
    ///
    /// # Errors
    /// When there is none that would run there.
    pub fn of(profile: &Profile) -> Result<Self> {
        match profile.version {
            (3.., _) => Ok(Self::Gimp3),
            _ if profile.is_sandboxed() => Err(Error::new(
                Kind::Plugin,
                "a GIMP 2.10 in a sandbox of its own does not run programs that were compiled outside of it",
                "use GIMP 3 there, or GIMP 2.10 from the system's packages",
            )),
            _ => Ok(Self::Gimp2),
        }
    }

    /// The program that has to be made for this machine, if it has one.
    ///
    /// # Errors
    /// When it cannot be made here.
    pub fn program(self) -> Result<Option<File>> {
        match self {
            Self::Gimp3 => Ok(None),
            Self::Gimp2 => gimp2::compile().map(Some),
        }
    }

    /// All else that belongs into its folder, the same on every machine: its modules and translations, the library that
    /// was found, and what describes that.
    ///
    /// # Errors
    /// When the library or its manifest cannot be read.
    pub fn files(self, found: &Found) -> Result<Vec<File>> {
        let mut files = match self {
            Self::Gimp3 => modules(),
            Self::Gimp2 => vec![gimp2::mark()],
        };
        let library_name = found.library.file_name().unwrap_or_default().to_string_lossy();
        // A library that lies alone is one that was just built.
        let manifest = match found.manifest {
            Some(_) => read(&found.library.with_file_name(manifest::FILE_NAME))?,
            None => MANIFEST.as_bytes().to_owned(),
        };
        for (name, contents) in [
            (library_name.as_ref(), read(&found.library)?),
            (manifest::FILE_NAME, manifest),
        ] {
            files.push(File {
                name: name.to_owned(),
                contents,
                executable: false,
            });
        }
        files.extend(translations()?);
        Ok(files)
    }
}

/// The modules of GIMP 3's bridge.
fn modules() -> Vec<File> {
    let is_module = |path: &Path| path.extension().is_some_and(|extension| extension == "py");
    let modules = GIMP3.files().filter(|file| is_module(file.path()));
    let modules = modules.map(|file| (file.path().to_string_lossy().into_owned(), file.contents()));
    modules
        .chain([("library.py".to_owned(), LIBRARY_MODULE.as_bytes())])
        .map(|(name, contents)| File {
            executable: name == PROGRAM,
            contents: contents.to_owned(),
            name,
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Error::new(Kind::Plugin, what, "see that it may be read")
    })
}

/// The catalogues, compiled as gettext reads them.
fn translations() -> Result<Vec<File>> {
    let is_catalogue = |path: &Path| path.extension().is_some_and(|extension| extension == "po");
    let catalogues = CATALOGUES.files().filter(|file| is_catalogue(file.path()));
    let compiled = catalogues.map(|file| {
        let language = file.path().file_stem().unwrap_or_default().to_string_lossy();
        let contents = compile(file.contents()).map_err(|error| {
            let what = format!("the catalogue {} cannot be compiled: {error}", file.path().display());
            Error::new(Kind::Internal, what, "please report it")
        })?;
        Ok(File {
            name: format!("locale/{language}/LC_MESSAGES/pentimento.mo"),
            contents,
            executable: false,
        })
    });
    compiled.collect()
}

fn compile(catalogue: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let catalogue = polib::po_file::parse_from_reader(catalogue)?;
    let compiled = tempfile::NamedTempFile::new()?;
    polib::mo_file::write(&catalogue, compiled.path())?;
    Ok(fs::read(compiled.path())?)
}
