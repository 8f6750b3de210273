//! Compiling C and C++ in tests.

use std::env;
use std::path::Path;
use std::process::Command;

/// The crate's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles a file that may include the header, by a standard such as "c11" or "c++17", with every warning an error.
pub fn compile(standard: &str, flags: &[&str], source: &Path, output: &Path) {
    let (variable, default) = if standard.starts_with("c++") {
        ("CXX", "c++")
    } else {
        ("CC", "cc")
    };
    let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| default.into()));
    command
        .arg(format!("-std={standard}"))
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-fPIC"]);
    command
        .args(flags)
        .arg("-I")
        .arg(root().join("include"))
        .arg(source)
        .arg("-o")
        .arg(output);
    let result = command.output().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("these tests need a C and a C++ compiler; {program} does not run ({error}); set {variable}");
    });
    assert!(
        result.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&result.stderr)
    );
}
