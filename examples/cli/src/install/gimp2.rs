//! The program that is the bridge of GIMP 2.10, compiled where it is to run.
//!
//! It is C, against the libraries of the GIMP that is there, so the command carries its source, and a compiler and
//! GIMP's headers are needed once.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;

use include_dir::{Dir, include_dir};

use super::bridge::File;
use crate::error::{Error, Kind, Result};

static SOURCES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../gimp2");
/// The contract with the plugin.
const HEADER: &str = include_str!("../../../../host-sdk/include/pentimento.h");
const PACKAGES: [&str; 2] = ["gimpui-2.0", "gegl-0.4"];
const PROGRAM: &str = "pentimento";

/// The C files and headers, by name.
fn sources() -> impl Iterator<Item = (String, &'static [u8])> {
    let files = SOURCES.files().filter_map(|file| {
        let name = file.path().to_str()?;
        let is_c = name.ends_with(".c") || name.ends_with(".h");
        is_c.then(|| (name.to_owned(), file.contents()))
    });
    files.chain([("pentimento.h".to_owned(), HEADER.as_bytes())])
}

/// What tells from which source a program was compiled: a program itself differs from compiler to compiler.
pub fn mark() -> File {
    let mut hasher = DefaultHasher::new();
    sources().for_each(|source| source.hash(&mut hasher));
    File {
        name: "source.txt".to_owned(),
        contents: format!("{:016x}\n", hasher.finish()).into_bytes(),
        executable: false,
    }
}

/// Compiles the program.
///
/// # Errors
/// When there is no compiler, or GIMP's headers are missing.
pub fn compile() -> Result<File> {
    let unwritable = |error| Error::new(Kind::File, format!("cannot compile in a temporary folder: {error}"), "");
    let folder = tempfile::tempdir().map_err(unwritable)?;
    for (name, contents) in sources() {
        fs::write(folder.path().join(name), contents).map_err(unwritable)?;
    }
    let flags = |kind: &str| {
        run(
            Command::new("pkg-config").arg(kind).args(PACKAGES),
            "GIMP 2.10's headers",
        )
    };
    let (includes, libraries) = (flags("--cflags")?, flags("--libs")?);
    let program = folder.path().join(PROGRAM);
    let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let c_files = sources().map(|(name, _)| name).filter(|name| name.ends_with(".c"));
    let mut command = Command::new(compiler);
    command
        .current_dir(folder.path())
        // GTK 2's own headers warn of what has become of GLib since.
        .args(["-std=c11", "-O2", "-I.", "-w"])
        .args(includes.split_whitespace())
        .args(c_files)
        .arg("-o")
        .arg(&program)
        .args(libraries.split_whitespace())
        .args(["-lm", "-ldl"]);
    run(&mut command, "a C compiler")?;
    Ok(File {
        name: PROGRAM.to_owned(),
        contents: fs::read(&program).map_err(unwritable)?,
        executable: true,
    })
}

/// What a command prints.
fn run(command: &mut Command, needed: &str) -> Result<String> {
    let failed = |reason: String| {
        let what = format!("the bridge of GIMP 2.10 is compiled here, and that needs {needed}: {reason}");
        Error::new(
            Kind::File,
            what,
            "install them (on Debian: gcc, pkgconf and libgimp2.0-dev), and run this again",
        )
    };
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| failed(format!("{name}: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // A compiler says much that follows from the first thing that it misses.
        let reason = said.lines().find(|line| line.contains("error")).unwrap_or(said.trim());
        return Err(failed(reason.to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
