//! `pentimento install`: puts the plugin and its bridge where an editor finds them, or takes them away again.
//!
//! An editor of an artist has a profile, a folder in the home of its user, and in there a folder for plug-ins. The
//! bridge gets a folder of its own in that, with the library and its manifest beside it ([`bridge`]); where profiles
//! are is known by rule ([`profiles`]). Files are written under other names first and renamed when they are whole
//! ([`folder`]), since an editor may be running, and each that is written is noted, so that nothing stays behind.

pub mod bridge;
pub mod folder;
pub mod gimp2;
pub mod profiles;

use std::fmt::Write;

use pentimento_host::discover::{Found, discover};
use pentimento_host::manifest::Manifest;

use crate::arguments::{Editor, InstallArguments};
use crate::error::{Error, Kind, Result};
use crate::{plugin, print};
use bridge::Bridge;
use folder::{Change, Folder, Mode};
use profiles::Profile;

/// Installs or uninstalls, and says what was done.
///
/// # Errors
/// When there is no profile to install into, no plugin to install, or a file cannot be written or removed. What was
/// done before is said all the same.
pub fn run(arguments: &InstallArguments) -> Result<()> {
    let Editor::Gimp = arguments.editor;
    let profiles = match arguments.profiles.as_slice() {
        [] => profiles::find(),
        named => named.iter().map(|path| Profile::named(path)).collect::<Result<_>>()?,
    };
    if profiles.is_empty() {
        return Err(Error::new(
            Kind::File,
            "no GIMP was found, neither a profile of one nor its program",
            "install GIMP, or name its profile's folder by --profile",
        ));
    }
    let mode = match arguments.dry_run {
        true => Mode::Pretend,
        false => Mode::Change,
    };
    if arguments.uninstall {
        return each(&profiles, |profile| uninstall(profile, mode));
    }
    let found = plugin::find(arguments.plugin.path.as_deref())?;
    let manifest = plugin::manifest(found.clone())?;
    each(&profiles, |profile| install(profile, &found, mode))?;
    if mode == Mode::Pretend {
        return print("Nothing was changed.\n");
    }
    print(&format!("\nStart GIMP again. {}\n", menu(&manifest)))
}

/// Where a user finds the filters.
fn menu(manifest: &Manifest) -> String {
    let mut text = String::new();
    for filter in &manifest.filters {
        let path = filter.menu.replace('/', " ▸ ");
        _ = write!(text, "The filter is at {path} ▸ {}…", filter.label);
    }
    text
}

/// Does something with every profile, also after one where it failed; the first failure is the result.
fn each(profiles: &[Profile], mut work: impl FnMut(&Profile) -> Result<()>) -> Result<()> {
    let mut failure = None;
    for profile in profiles {
        print(&format!("{profile}\n"))?;
        if let Err(error) = work(profile) {
            print(&format!("  {error}\n"))?;
            failure = failure.or(Some(error));
        }
    }
    failure.map_or(Ok(()), Err)
}

fn install(profile: &Profile, found: &Found, mode: Mode) -> Result<()> {
    let bridge = Bridge::of(profile)?;
    let folder = Folder::new(profile.plug_in_folder());
    let mut files = bridge.files(found)?;
    files.extend(bridge.program()?);
    report(folder.install(files, mode)?, mode)
}

fn uninstall(profile: &Profile, mode: Mode) -> Result<()> {
    let folder = Folder::new(profile.plug_in_folder());
    if !folder.exists() {
        return print("  is not installed there\n");
    }
    report(folder.uninstall(mode)?, mode)
}

fn report(changes: Vec<Change>, mode: Mode) -> Result<()> {
    let lines: String = changes
        .iter()
        .map(|change| format!("  {}\n", change.told(mode)))
        .collect();
    print(&lines)
}

/// What a GIMP of each profile would find, a line for each, for `doctor`.
pub fn survey() -> Vec<(String, String)> {
    let found = discover(None).found.into_iter().next();
    profiles::find()
        .into_iter()
        .map(|profile| {
            let folder = Folder::new(profile.plug_in_folder());
            let state = match (folder.exists(), Bridge::of(&profile), &found) {
                (_, Err(error), _) => error.to_string(),
                (false, ..) => "the filter is not installed; run pentimento install gimp".to_owned(),
                (true, Ok(_), None) => "installed; there is no plugin here to compare it with".to_owned(),
                (true, Ok(bridge), Some(found)) => match bridge.files(found).map(|files| folder.differs_from(&files)) {
                    Ok(None) => "installed and up to date".to_owned(),
                    Ok(Some(name)) => format!("{name} is missing or of another version; run pentimento install gimp"),
                    Err(error) => error.to_string(),
                },
            };
            (profile.to_string(), state)
        })
        .collect()
}
