//! A painter at an editor's screen: `tests/gimp/screen.py`, played under Xvfb.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::repository;

/// The longer side of the canvas that is painted, in pixels: so many that no render ends by itself while the painter does
/// something else meanwhile, for some seconds.
pub const CANVAS: u32 = 512;

/// How to get what a screen takes.
pub const HOW: &str = "install xvfb, openbox, xdotool and imagemagick";

/// What a screen takes that is not there, where `command` makes commands.
pub fn missing_tool(command: impl Fn(&str) -> Command) -> Option<&'static str> {
    let has = |tool: &str| {
        command("which")
            .arg(tool)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    ["Xvfb", "openbox", "xdotool", "import"]
        .into_iter()
        .find(|tool| !has(tool))
}

/// Plays with the editor that is started as `program`. `folder` holds `canvas.xcf`; where it is, the editor knows it as
/// `inside`, and `python` is a command to run Python. Where PENTIMENTO_SCREENSHOTS names a folder, the screenshots are
/// put there.
///
/// # Panics
/// When something does not go as it should, with what it was.
pub fn play(folder: &Path, inside: &Path, mut python: Command, program: &str, display: &str) {
    let script = "screen.py";
    fs::copy(repository().join("tests/gimp").join(script), folder.join(script)).expect("a script can be copied");
    let output = python
        .arg(inside.join(script))
        .arg(inside)
        .args([program, display])
        .output()
        .expect("Python runs");
    if let Some(keep) = env::var_os("PENTIMENTO_SCREENSHOTS") {
        let entries = fs::read_dir(folder).expect("the folder is there");
        for shot in entries.map(|entry| entry.expect("a file").path()) {
            if shot.extension() == Some(OsStr::new("png")) {
                let name = shot.file_name().expect("it has a name");
                fs::copy(&shot, Path::new(&keep).join(name)).expect("a picture can be copied");
            }
        }
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
