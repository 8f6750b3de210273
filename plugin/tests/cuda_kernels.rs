//! The CUDA kernels without a card: compiled as C++, run on emulated threads, and held against plain loops; and the PTX
//! that the plugin carries, whether it was made of these sources.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compute/cuda/kernels")
}

#[test]
fn kernels_compute_what_plain_loops_do() {
    if Command::new("g++").arg("--version").output().is_err() {
        // Past the harness, which keeps to itself what a test that passes prints.
        let line = b"SKIPPED: kernels_compute_what_plain_loops_do: there is no g++ to compile the kernels with\n";
        std::io::stderr().write_all(line).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("check");
    let compiled = Command::new("g++")
        .args([
            "-std=c++17",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unknown-pragmas",
            "-ffp-contract=off",
            "-o",
        ])
        .arg(&program)
        .arg(kernels().join("check.cpp"))
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let checked = Command::new(&program).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    eprintln!("{said}");
    let refused = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{refused}");
    // Whatever is compared prints a line.
    assert!(said.matches("good:").count() > 40);
}

/// As `make.py --check-sources` has it.
#[test]
fn the_ptx_was_made_of_these_sources() {
    let mut sources: Vec<PathBuf> = fs::read_dir(kernels())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let has = |path: &Path, extension: &str| path.extension().is_some_and(|its| its == extension);
    let is_emulated = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("emulated"))
    };
    sources.retain(|path| (has(path, "cu") || has(path, "h")) && !is_emulated(path));
    // All of one kind, then all of the other.
    sources.sort_by_key(|path| (has(path, "h"), path.file_name().map(ToOwned::to_owned)));
    let mut digest = Sha256::new();
    for path in sources {
        let text = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
        let name = path.file_name().unwrap().to_str().unwrap();
        digest.update(format!("{name}\0{text}\0"));
    }
    let hash: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let ptx = fs::read_to_string(kernels().join("kernels.ptx")).unwrap();
    let first = ptx.lines().next().unwrap();
    assert!(
        first.ends_with(&hash),
        "kernels.ptx is to be made again by make.py: {first}"
    );
}
