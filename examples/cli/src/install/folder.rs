//! The folder of an installed bridge: filled, compared and emptied without leaving half a file or a stray one.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::bridge::File;
use crate::error::{Error, Kind, Result};

/// The list of the files that were installed, one name a line. What an older version left is known by it.
const LIST: &str = "installed.txt";
/// What Python makes of the modules when they are first used.
const PYTHON_CACHE: &str = "__pycache__";

/// Whether anything is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Change,
    /// Only say what would be done.
    Pretend,
}

/// Something that was done to a file or folder, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Written, new or in the place of another.
    Written(PathBuf),
    /// Removed.
    Removed(PathBuf),
    /// Left, since it is not ours.
    Left(PathBuf),
}

impl Change {
    /// The change as a line for people.
    pub fn told(&self, mode: Mode) -> String {
        let (path, done, would) = match self {
            Self::Written(path) => (path, "wrote", "would write"),
            Self::Removed(path) => (path, "removed", "would remove"),
            Self::Left(path) => (path, "left, as it is not ours:", "would leave, as it is not ours:"),
        };
        let verb = if mode == Mode::Pretend { would } else { done };
        format!("{verb} {}", path.display())
    }
}

/// The folder.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The one at this path, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether there is something in that place.
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Writes these files, and removes those of an earlier version that are not among them.
    ///
    /// # Errors
    /// When one cannot be written or removed. Each file is then whole, of the old version or the new.
    pub fn install(&self, files: Vec<File>, mode: Mode) -> Result<Vec<Change>> {
        let names: BTreeSet<_> = files.iter().map(|file| file.name.clone()).collect();
        let list = names.iter().map(|name| format!("{name}\n")).collect::<String>();
        let outdated: Vec<_> = self.listed().difference(&names).cloned().collect();
        let list = File {
            name: LIST.to_owned(),
            contents: list.into_bytes(),
            executable: false,
        };
        let mut changes = Vec::new();
        for name in outdated {
            changes.extend(self.remove(&name, mode)?);
        }
        for file in files.iter().chain([&list]) {
            let path = self.0.join(&file.name);
            if mode == Mode::Change {
                self.write(file, &path).map_err(|error| unusable(&path, &error))?;
            }
            changes.push(Change::Written(path));
        }
        Ok(changes)
    }

    /// Under another name first: an editor that has the old file open keeps it until it ends.
    fn write(&self, file: &File, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.0);
        fs::create_dir_all(folder)?;
        let mut unfinished = tempfile::NamedTempFile::new_in(folder)?;
        unfinished.write_all(&file.contents)?;
        unfinished.as_file().sync_all()?;
        permit(unfinished.as_file(), file.executable)?;
        unfinished.persist(path)?;
        Ok(())
    }

    /// The name of a file that is not there as it should be.
    pub fn differs_from(&self, files: &[File]) -> Option<String> {
        let same = |file: &&File| fs::read(self.0.join(&file.name)).is_ok_and(|found| found == file.contents);
        files.iter().find(|file| !same(file)).map(|file| file.name.clone())
    }

    /// Removes what was installed, and the folder when nothing else is in it.
    ///
    /// # Errors
    /// When something of ours cannot be removed.
    pub fn uninstall(&self, mode: Mode) -> Result<Vec<Change>> {
        let listed = self.listed();
        let mut changes = Vec::new();
        for name in &listed {
            changes.extend(self.remove(name, mode)?);
        }
        if !listed.is_empty() {
            for name in [PYTHON_CACHE, LIST] {
                changes.extend(self.remove(name, mode)?);
            }
        }
        let removed: BTreeSet<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Removed(path) => Some(path.as_path()),
                _ => None,
            })
            .collect();
        let foreign = others(&self.0, &removed).map_err(|error| unusable(&self.0, &error))?;
        if foreign.is_empty() {
            if mode == Mode::Change {
                // Nothing but folders is left in it.
                fs::remove_dir_all(&self.0).map_err(|error| unusable(&self.0, &error))?;
            }
            changes.push(Change::Removed(self.0.clone()));
        }
        changes.extend(foreign.into_iter().map(Change::Left));
        Ok(changes)
    }

    /// The names of the files that are noted as ours. A name that leads elsewhere is none of ours.
    fn listed(&self) -> BTreeSet<String> {
        let list = fs::read_to_string(self.0.join(LIST)).unwrap_or_default();
        let is_inside = |name: &&str| {
            let mut parts = Path::new(name).components();
            !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        list.lines().filter(is_inside).map(str::to_owned).collect()
    }

    fn remove(&self, name: &str, mode: Mode) -> Result<Option<Change>> {
        let path = self.0.join(name);
        if !path.exists() {
            return Ok(None);
        }
        if mode == Mode::Change {
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            removed.map_err(|error| unusable(&path, &error))?;
            // The folders that it leaves empty go too; others cannot be removed.
            let above = path.ancestors().skip(1).take_while(|folder| *folder != self.0);
            above.map_while(|folder| fs::remove_dir(folder).ok()).for_each(drop);
        }
        Ok(Some(Change::Removed(path)))
    }
}

/// The files below a folder, without those in `known` or below them.
fn others(folder: &Path, known: &BTreeSet<&Path>) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if known.contains(path.as_path()) {
            continue;
        }
        match path.is_dir() {
            true => found.extend(others(&path, known)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn permit(file: &fs::File, executable: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 }))
}

#[cfg(not(unix))]
fn permit(_file: &fs::File, _executable: bool) -> io::Result<()> {
    // Elsewhere a program is known by its name.
    Ok(())
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(
        Kind::File,
        format!("{}: {error}", path.display()),
        "see that the folder may be written to, and install again",
    )
}
