//! Where plugins are, and what their manifests say. No library is loaded here.
//!
//! Places are looked at in this order; the first plugin found is the one that a host without a choice should take:
//!
//! 1. the path that the user named, and then nowhere else: a wish is not to be answered with something similar;
//! 2. each entry of `PENTIMENTO_PLUGIN_PATH`, separated as the system's `PATH` is;
//! 3. the user's own plugins: `~/.local/share/pentimento/plugins` (or below `$XDG_DATA_HOME`),
//!    `~/Library/Application Support/pentimento/plugins`, `%LOCALAPPDATA%\pentimento\plugins`;
//! 4. the folder of the running program, and the folder above it when Cargo built it as a test or an example.
//!
//! At each of them a plugin takes one of three forms:
//!
//! - a folder that holds a `manifest.toml` and, beside it, the library that the manifest names;
//! - in places 1 to 3 also a folder of such folders, one for each installed plugin;
//! - a library alone: the path itself (its manifest is then the one beside it, if that names this library), or, in a
//!   folder without a manifest, a file of the default name, such as `libpentimento_plugin.so`. That is how a library
//!   lies in `target/release` after a build. It has no manifest to be read; the loaded plugin describes itself.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::manifest::{self, Manifest};

/// The variable that lists folders and libraries to look at.
pub const PATH_VARIABLE: &str = "PENTIMENTO_PLUGIN_PATH";

/// The base name of a library that is found without a manifest.
pub const DEFAULT_LIBRARY: &str = "pentimento_plugin";

/// A plugin that is there but was not loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its library.
    pub library: PathBuf,
    /// What its manifest says; `None` for a library without one.
    pub manifest: Option<Manifest>,
}

/// Something that looks like a plugin but cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Problem {
    /// The manifest or folder at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What a search came to.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The plugins, best first, each library once.
    pub found: Vec<Found>,
    /// The places that were looked at, in order.
    pub searched: Vec<PathBuf>,
    /// What was passed over, and why.
    pub problems: Vec<Problem>,
}

/// No plugin was found. The text says where it was looked for and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no Pentimento plugin found; {}", .0.account())]
pub struct NotFound(Box<Discovery>);

/// Looks for plugins in every place there is, or at `explicit` alone.
pub fn discover(explicit: Option<&Path>) -> Discovery {
    match explicit {
        Some(path) => {
            let mut discovery = Discovery::default();
            discovery.look_at(path, Depth::Nested);
            discovery
        }
        None => look_everywhere(&env::var_os(PATH_VARIABLE).unwrap_or_default()),
    }
}

/// Places 2 to 4, where `listed` is what the variable says.
fn look_everywhere(listed: &OsStr) -> Discovery {
    let mut discovery = Discovery::default();
    for path in env::split_paths(listed).filter(|path| !path.as_os_str().is_empty()) {
        discovery.look_at(&path, Depth::Nested);
    }
    if let Some(folder) = user_folder() {
        discovery.look_at(&folder, Depth::Nested);
    }
    for folder in program_folders() {
        discovery.look_at(&folder, Depth::Itself);
    }
    discovery
}

/// The folder for the plugins of the current user, where installers put them; `None` without a home.
pub fn user_folder() -> Option<PathBuf> {
    let folders = directories::BaseDirs::new()?;
    Some(folders.data_local_dir().join("pentimento").join("plugins"))
}

/// A library's file name on this system.
pub fn library_file_name(base: &str) -> String {
    format!("{DLL_PREFIX}{base}{DLL_SUFFIX}")
}

fn program_folders() -> Vec<PathBuf> {
    // The link that started the program may lie anywhere; its plugin lies beside the program itself.
    let program = env::current_exe().and_then(fs::canonicalize).unwrap_or_default();
    let Some(folder) = program.parent() else {
        return Vec::new();
    };
    let built_by_cargo = folder.ends_with("deps") || folder.ends_with("examples");
    let above = folder.parent().filter(|_| built_by_cargo);
    [Some(folder), above]
        .into_iter()
        .flatten()
        .map(Path::to_owned)
        .collect()
}

/// Whether folders inside a place are plugins too.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Itself,
    Nested,
}

impl Discovery {
    /// The best plugin.
    ///
    /// # Errors
    /// When there is none.
    pub fn first(self) -> Result<Found, NotFound> {
        match self.found.first() {
            Some(found) => Ok(found.clone()),
            None => Err(NotFound(Box::new(self))),
        }
    }

    fn account(&self) -> String {
        let places: Vec<_> = self.searched.iter().map(|path| path.display().to_string()).collect();
        let mut account = format!("looked at {}", places.join(", "));
        for problem in &self.problems {
            account += &format!("; {problem}");
        }
        account + &format!("; set {PATH_VARIABLE} to its folder")
    }

    fn look_at(&mut self, place: &Path, depth: Depth) {
        self.searched.push(place.to_owned());
        if place.is_file() {
            return self.look_at_library(place);
        }
        if self.look_at_folder(place) || depth == Depth::Itself {
            return;
        }
        let entries = match fs::read_dir(place) {
            Ok(entries) => entries,
            // Most places need not exist.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.problem(place, error.to_string()),
        };
        let mut folders: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        for folder in folders {
            self.look_at_folder(&folder);
        }
    }

    /// A library that was named itself. Its manifest counts only if it is this library's.
    fn look_at_library(&mut self, library: &Path) {
        let path = library.with_file_name(manifest::FILE_NAME);
        let manifest = match self.read_manifest(&path) {
            ManifestFile::Read(manifest) => Some(manifest),
            ManifestFile::Absent | ManifestFile::Bad => None,
        };
        let is_its_own =
            |manifest: &Manifest| library.file_name() == Some(library_file_name(&manifest.library).as_ref());
        self.add(library.to_owned(), manifest.filter(is_its_own));
    }

    /// Whether there is something in this folder that is a plugin or means to be one.
    fn look_at_folder(&mut self, folder: &Path) -> bool {
        match self.read_manifest(&folder.join(manifest::FILE_NAME)) {
            ManifestFile::Read(manifest) => {
                let library = folder.join(library_file_name(&manifest.library));
                if library.is_file() {
                    self.add(library, Some(manifest));
                } else {
                    self.problem(
                        &library,
                        "the manifest beside it names this library, but it is missing".to_owned(),
                    );
                }
                true
            }
            ManifestFile::Bad => true,
            ManifestFile::Absent => {
                let library = folder.join(library_file_name(DEFAULT_LIBRARY));
                let is_there = library.is_file();
                if is_there {
                    self.add(library, None);
                }
                is_there
            }
        }
    }

    fn read_manifest(&mut self, path: &Path) -> ManifestFile {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return ManifestFile::Absent,
            // The folder may be a file, or there may be none.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return ManifestFile::Absent,
            Err(error) => {
                self.problem(path, error.to_string());
                return ManifestFile::Bad;
            }
        };
        match Manifest::parse(&text) {
            Ok(manifest) => ManifestFile::Read(manifest),
            Err(error) => {
                self.problem(path, error.to_string());
                ManifestFile::Bad
            }
        }
    }

    fn add(&mut self, library: PathBuf, manifest: Option<Manifest>) {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !self.found.iter().any(|known| real(&known.library) == real(&library)) {
            self.found.push(Found { library, manifest });
        }
    }

    fn problem(&mut self, path: &Path, reason: String) {
        let path = path.to_owned();
        self.problems.push(Problem { path, reason });
    }
}

enum ManifestFile {
    Read(Manifest),
    Absent,
    Bad,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("../../manifest.toml");

    /// A folder with empty files of these names, `manifest.toml` being the plugin's own.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, if name.ends_with("manifest.toml") { MANIFEST } else { "" }).unwrap();
        }
        folder
    }

    fn library() -> String {
        library_file_name(DEFAULT_LIBRARY)
    }

    #[test]
    fn a_folder_with_a_manifest_is_a_plugin() {
        let folder = folder(&["manifest.toml", &library()]);
        let found = discover(Some(folder.path())).first().unwrap();
        assert_eq!(found.library, folder.path().join(library()));
        assert_eq!(found.manifest.unwrap().id, "org.pentimento.plugin");
    }

    #[test]
    fn folders_inside_a_place_are_plugins_in_the_order_of_their_names() {
        let names = [
            "b/manifest.toml",
            &format!("b/{}", library()),
            &format!("a/{}", library()),
            "c/readme.txt",
        ];
        let folder = folder(&names);
        let discovery = discover(Some(folder.path()));
        let libraries: Vec<_> = discovery.found.iter().map(|found| found.library.clone()).collect();
        assert_eq!(
            libraries,
            [
                folder.path().join("a").join(library()),
                folder.path().join("b").join(library())
            ]
        );
        assert!(discovery.found[0].manifest.is_none() && discovery.found[1].manifest.is_some());
        assert_eq!(discovery.problems, []);
    }

    #[test]
    fn a_library_takes_the_manifest_that_names_it() {
        let folder = folder(&["manifest.toml", &library(), "libother.so"]);
        assert!(
            discover(Some(&folder.path().join(library())))
                .first()
                .unwrap()
                .manifest
                .is_some()
        );
        assert!(
            discover(Some(&folder.path().join("libother.so")))
                .first()
                .unwrap()
                .manifest
                .is_none()
        );
    }

    #[test]
    fn what_is_broken_is_passed_over_and_named() {
        let folder = folder(&["manifest.toml"]);
        let error = discover(Some(folder.path())).first().unwrap_err().to_string();
        assert!(error.contains(&library()) && error.contains("missing"), "{error}");
        fs::write(folder.path().join("manifest.toml"), "abi = 1\nid = 3").unwrap();
        let error = discover(Some(folder.path())).first().unwrap_err().to_string();
        assert!(error.contains("manifest.toml: line 2, column 6: id"), "{error}");
    }

    #[test]
    fn what_the_variable_lists_comes_first_and_each_library_once() {
        let (a, b) = (folder(&[&library()]), folder(&["manifest.toml", &library()]));
        let b_library = b.path().join(library());
        let listed = env::join_paths([a.path(), Path::new(""), b_library.as_path(), b.path()]).unwrap();
        let discovery = look_everywhere(&listed);
        let libraries: Vec<_> = discovery.found.iter().map(|found| &found.library).collect();
        assert_eq!(libraries[..2], [&a.path().join(library()), &b_library]);
        assert_eq!(discovery.searched[..3], [a.path(), b_library.as_path(), b.path()]);
        assert_eq!(libraries.iter().filter(|library| **library == &b_library).count(), 1);
        let user = discovery
            .searched
            .iter()
            .position(|place| *place == user_folder().unwrap());
        assert_eq!(user, Some(3));
    }

    #[test]
    fn the_error_tells_every_place_that_was_looked_at() {
        let folder = folder(&[]);
        let nowhere = folder.path().join("nowhere");
        let error = discover(Some(&nowhere)).first().unwrap_err().to_string();
        assert!(
            error.contains(nowhere.to_str().unwrap()) && error.contains(PATH_VARIABLE),
            "{error}"
        );
        let searched = discover(None).searched;
        let program = fs::canonicalize(env::current_exe().unwrap()).unwrap();
        assert!(searched.contains(&program.parent().unwrap().to_owned()), "{searched:?}");
        assert!(searched.contains(&user_folder().unwrap()), "{searched:?}");
    }
}
