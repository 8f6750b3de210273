//! The filter in a real GIMP 3: the scenes of `tests/gimp3/scenes.py`, played in it without a window.
#![cfg(unix)]

use std::fs;

use pentimento_tests::hosts::Gimp3;
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
