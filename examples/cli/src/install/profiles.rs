//! Where the GIMPs of a user keep their profiles.
//!
//! A profile is a folder named after GIMP's version, such as `2.10` or `3.0`, below a folder that depends on the system
//! and on how GIMP was installed. A GIMP that was never started has no profile yet; its program is in `PATH`, with its
//! version in the name, and tells which folder it will look into.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use directories::BaseDirs;

use crate::error::{Error, Kind, Result};

/// The name of our folder among the plug-ins. GIMP starts the program in there that has the folder's name.
const PLUG_IN: &str = "pentimento";

/// A profile of a GIMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its folder, which need not exist yet.
    pub path: PathBuf,
    /// Major and minor number of the GIMP that it belongs to.
    pub version: (u32, u32),
}

impl Profile {
    /// A profile that the user names. Its version is told by the folder's name or, for a portable GIMP whose folder is
    /// called otherwise, taken to be 3.0.
    ///
    /// # Errors
    /// When the folder is not there.
    pub fn named(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::new(
                Kind::Usage,
                format!("--profile {}: there is no such folder", path.display()),
                "name the folder that holds GIMP's plug-ins folder; GIMP shows it in Edit ▸ Preferences ▸ Folders",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            version: version(path).unwrap_or((3, 0)),
        })
    }

    /// Whether it is that of a GIMP in a flatpak or snap, which sees the system's libraries no more than they see it.
    pub fn is_sandboxed(&self) -> bool {
        let parts: Vec<_> = self.path.iter().collect();
        parts
            .windows(2)
            .any(|pair| pair == [".var", "app"] || pair == ["snap", "gimp"])
    }

    /// The folder that holds our bridge.
    pub fn plug_in_folder(&self) -> PathBuf {
        self.path.join("plug-ins").join(PLUG_IN)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version;
        write!(f, "GIMP {major}.{minor} ({})", self.path.display())
    }
}

/// All profiles of the user: those that are there, and those of GIMPs in `PATH` that were not started yet.
pub fn find() -> Vec<Profile> {
    let Some(folders) = BaseDirs::new() else {
        return Vec::new();
    };
    let own = folders.config_dir().join("GIMP");
    let mut found = Vec::new();
    for parent in [
        own.clone(),
        folders.home_dir().join(".var/app/org.gimp.GIMP/config/GIMP"),
        folders.home_dir().join("snap/gimp/current/.config/GIMP"),
    ] {
        found.extend(inside(&parent));
    }
    for (variable, version) in [("GIMP2_DIRECTORY", (2, 10)), ("GIMP3_DIRECTORY", (3, 0))] {
        if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
            // As GIMP itself does, a relative path begins in the user's home.
            let path = folders.home_dir().join(path);
            found.push(Profile { path, version });
        }
    }
    for version in programs() {
        let (major, minor) = version;
        let path = own.join(format!("{major}.{minor}"));
        found.push(Profile { path, version });
    }
    found.sort_by(|one, other| (one.version, &one.path).cmp(&(other.version, &other.path)));
    found.dedup();
    found
}

/// The profiles in a folder of profiles, without those of GIMPs before 2.10.
fn inside(parent: &Path) -> Vec<Profile> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let profiles = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    profiles
        .filter_map(|path| {
            let version = version(&path).filter(|version| *version >= (2, 10))?;
            Some(Profile { path, version })
        })
        .collect()
}

fn version(path: &Path) -> Option<(u32, u32)> {
    parse(path.file_name()?.to_str()?)
}

fn parse(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The versions of the GIMPs in `PATH`, whose programs are called `gimp-3.0` and the like.
fn programs() -> Vec<(u32, u32)> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut versions = Vec::new();
    for entry in env::split_paths(&path).flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let name = name.strip_suffix(env::consts::EXE_SUFFIX).unwrap_or(&name);
        versions.extend(name.strip_prefix("gimp-").and_then(parse));
    }
    versions.retain(|version| *version >= (2, 10));
    versions
}
