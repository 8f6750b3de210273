//! Where Cargo has put what is tested, built by the same profile as the tests.
//!
//! The library costs nothing: this package depends on the plugin, and Cargo compiles a crate in all of its forms at
//! once, so that the `cdylib` lies beside the test's own executable and is as new as the test. A program cannot be
//! depended upon; it is asked of Cargo when it is wanted, which does nothing when it is there and up to date.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use pentimento_host::discover::{DEFAULT_LIBRARY, library_file_name};

use crate::repository;

/// The folder of the test's own executable, `target/PROFILE/deps`.
fn own_folder() -> PathBuf {
    let executable = env::current_exe().expect("a test knows its own file");
    executable.parent().expect("a file lies in a folder").to_owned()
}

/// The plugin's library.
pub fn library() -> PathBuf {
    let library = own_folder().join(library_file_name(DEFAULT_LIBRARY));
    assert!(
        library.is_file(),
        "{} is missing: run the tests by cargo test",
        library.display()
    );
    library
}

/// The command-line host, built by the profile of the tests.
pub fn command() -> &'static Path {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(build_command)
}

fn build_command() -> PathBuf {
    let folder = own_folder();
    let profile = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    // The development profile is the one whose folder has another name.
    let profile = match profile.expect("tests lie in target/PROFILE/deps") {
        "debug" => "dev",
        name => name,
    };
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--package",
            "pentimento-cli",
            "--bin",
            "pentimento",
            "--profile",
            profile,
        ])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .expect("Cargo runs");
    assert!(output.status.success(), "the command-line host cannot be built");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("Cargo tells where the executable is")
}
