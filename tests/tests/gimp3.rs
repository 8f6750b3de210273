//! The filter in a real GIMP 3: the scenes of `tests/gimp3/scenes.py`, played in it without a window, and a painter at
//! its screen, `tests/gimp3/screen.py`.
#![cfg(unix)]

use std::ffi::OsStr;
use std::path::Path;
use std::{env, fs};

use pentimento_tests::hosts::{Gimp3, missing};
use pentimento_tests::{command, content, library, repository, style};
use tempfile::TempDir;

#[test]
fn gimp_paints_what_the_command_line_paints() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    content(64).write_png(&folder.path().join("content.png"));
    style(56).write_png(&folder.path().join("style.png"));
    // The command finds the library beside it.
    for file in [command(), &library()] {
        fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    fs::copy(
        repository().join("tests/gimp3/scenes.py"),
        folder.path().join("scenes.py"),
    )
    .unwrap();
    let inside = gimp.inside().display();
    gimp.run_python(&format!(
        "scope = {{'FOLDER': '{inside}', '__name__': 'scenes'}}\n\
         exec(compile(open('{inside}/scenes.py').read(), 'scenes.py', 'exec'), scope)\n\
         scope['run']()"
    ));
}

#[test]
fn at_the_screen_renders_are_stopped_undone_cancelled_and_killed() {
    let folder = TempDir::new().unwrap();
    let Some(gimp) = Gimp3::find(folder.path()) else {
        return;
    };
    for tool in ["Xvfb", "openbox", "xdotool", "import"] {
        if !gimp.has(tool) {
            return missing(tool, "install xvfb, openbox, xdotool and imagemagick");
        }
    }
    content(256).write_png(&folder.path().join("content.png"));
    style(256).write_png(&folder.path().join("style.png"));
    for file in ["screen.py", "images.py"] {
        fs::copy(repository().join("tests/gimp3").join(file), folder.path().join(file)).unwrap();
    }
    // Nothing is to stand between the painter and the image.
    fs::write(
        folder.path().join("profile/gimprc"),
        "(show-welcome-dialog no)\n(check-updates no)\n",
    )
    .unwrap();
    let inside = gimp.inside();
    let images = |call: &str| {
        let inside = inside.display();
        gimp.run_python(&format!(
            "import sys; sys.path.insert(0, '{inside}'); import images; images.{call}"
        ));
    };
    images("make()");
    let output = gimp
        .command("python3")
        .arg(inside.join("screen.py"))
        .arg(inside)
        .output()
        .unwrap();
    if let Some(keep) = env::var_os("PENTIMENTO_SCREENSHOTS") {
        for shot in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if shot.extension() == Some(OsStr::new("png")) {
                fs::copy(&shot, Path::new(&keep).join(shot.file_name().unwrap())).unwrap();
            }
        }
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    images("judge()");
}
