//! One plugin, three languages: the same render from Rust, C and Python gives the same bytes.
//!
//! The hosts in C and Python are the repository's examples, run as a reader would run them.
#![cfg(unix)] // The example in C loads the plugin with dlopen.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use pentimento_tests::{Pixels, content, library, render, repository, style};
use tempfile::TempDir;

const SETTINGS: &[(&str, &str)] = &[
    ("quality", "0.05"),
    ("style_strength", "2"),
    ("start", "noise"),
    ("seed", "7"),
    ("threads", "1"),
];

/// The pictures as files, and the picture that Rust makes of them.
struct Task {
    folder: TempDir,
    expected: Pixels,
}

impl Task {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (content, style) = (content(64), style(48));
        content.write_ppm(&folder.path().join("content.ppm"));
        style.write_ppm(&folder.path().join("style.ppm"));
        let expected = render(&content, &[(&style, 1.0)], SETTINGS);
        assert_ne!(expected, content);
        Self { folder, expected }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a host of the examples, which share their arguments, and compares its picture.
    fn check(&self, mut host: Command) {
        let output = self.path("output.ppm");
        host.arg(library())
            .args([self.path("content.ppm"), self.path("style.ppm"), output.clone()])
            .args(SETTINGS.iter().map(|(id, value)| format!("{id}={value}")));
        succeed(host);
        assert!(Pixels::read_ppm(&output) == self.expected, "the pictures differ");
    }
}

fn succeed(mut command: Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

fn compile(source: &Path, program: &Path) {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let found = Command::new(&compiler).arg("--version").output();
    assert!(
        found.is_ok(),
        "this test needs a C compiler, and {compiler:?} does not run; install one or set CC"
    );
    let mut command = Command::new(compiler);
    command
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-I"])
        .arg(repository().join("host-sdk/include"))
        .arg("-o")
        .args([program, source])
        .arg("-ldl");
    succeed(command);
}

#[test]
fn the_host_in_c_paints_what_rust_paints() {
    let task = Task::new();
    let program = task.path("host");
    compile(&repository().join("examples/c-host/host.c"), &program);
    task.check(Command::new(program));
}

/// The interpreter, where there is one. Python is no requirement of the project, but its own machines have to have it.
fn python() -> Option<Command> {
    // tomllib, which the example reads the manifest with, came with 3.11.
    let usable = Command::new("python3").args(["-c", "import tomllib"]).output();
    match usable {
        Ok(output) if output.status.success() => Some(Command::new("python3")),
        _ if env::var("CI").is_ok_and(|value| value == "true") => panic!("CI needs python3, 3.11 or newer"),
        _ => None,
    }
}

#[test]
fn the_host_in_python_paints_what_rust_paints() {
    let Some(mut python) = python() else {
        println!("SKIPPED: there is no python3 of version 3.11 or newer, so its host is not tested");
        return;
    };
    python.arg(repository().join("examples/python-host/host.py"));
    Task::new().check(python);
}
