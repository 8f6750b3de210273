//! The editors that the bridges are tested in.
//!
//! A developer need not have them all: a test whose editor is missing passes and says how to get it. Where
//! `PENTIMENTO_REQUIRE_HOSTS` is set, as in CI, it fails.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{library, repository};

/// Tells that the test of an editor cannot be run, and what to do about it.
///
/// # Panics
/// Where the editors are required.
pub fn missing(host: &str, how_to_get_it: &str) {
    let text = format!("{host} is missing: {how_to_get_it}");
    assert!(env::var_os("PENTIMENTO_REQUIRE_HOSTS").is_none(), "{text}");
    eprintln!("NOT TESTED: {text}");
}

/// A GIMP 3, with the bridge installed in a profile of its own.
pub struct Gimp3 {
    /// The Debian that has it; `None` for the machine's own.
    root: Option<PathBuf>,
    folder: PathBuf,
}

/// Where GIMP finds the folder that it shares with the test.
const INSIDE: &str = "/mnt";
const COMMAND: &str = "gimp-console-3.0";
const HOW: &str = "install GIMP 3, or make a Debian 13 that has it by `bash .ci/gimp3-root FOLDER` (as root) and set \
                   PENTIMENTO_GIMP3_ROOT=FOLDER";

impl Gimp3 {
    /// The one that PENTIMENTO_GIMP3_ROOT names or else the machine's own; `None`, with a message, where there is none.
    /// It shares `folder` with the test and has its profile in there.
    ///
    /// # Panics
    /// When the bridge cannot be installed, or GIMP is required and missing.
    pub fn find(folder: &Path) -> Option<Self> {
        let root = env::var_os("PENTIMENTO_GIMP3_ROOT").map(PathBuf::from);
        let there = match &root {
            Some(root) => root.join("usr/bin").join(COMMAND).exists(),
            None => Command::new(COMMAND).arg("--version").output().is_ok(),
        };
        if !there {
            missing("GIMP 3", HOW);
            return None;
        }
        let gimp = Self {
            root,
            folder: folder.to_owned(),
        };
        gimp.install();
        Some(gimp)
    }

    /// The shared folder, as GIMP knows it.
    pub fn inside(&self) -> &Path {
        match &self.root {
            Some(_) => Path::new(INSIDE),
            None => &self.folder,
        }
    }

    fn install(&self) {
        let plug_in = self.folder.join("profile/plug-ins/pentimento");
        fs::create_dir_all(&plug_in).expect("a folder can be made");
        let bridge = fs::read_dir(repository().join("examples/gimp3")).expect("the bridge is there");
        let modules = bridge.map(|entry| entry.expect("an entry").path());
        let modules = modules.filter(|path| path.extension() == Some(OsStr::new("py")));
        for file in modules.chain([library(), repository().join("manifest.toml")]) {
            let name = file.file_name().expect("a file has a name");
            fs::copy(&file, plug_in.join(name)).expect("a file can be copied");
        }
    }

    /// A command to be run where GIMP is. In another Debian it has /dev and /proc, in mounts that end with it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.root {
            None => Command::new(program),
            Some(root) => {
                let enter = r#"
                    mount --bind /dev "$1/dev" && mount -t proc proc "$1/proc" && mount --bind "$2" "$1/mnt" &&
                    root=$1 && shift 2 && exec chroot "$root" "$@""#;
                let mut command = Command::new("unshare");
                command.args(["--mount", "sh", "-c", enter, "sh"]);
                command.args([root, &self.folder]).arg(program);
                command
            }
        };
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LANG", "C.UTF-8")
            .env("HOME", self.inside())
            .env("GIMP3_DIRECTORY", self.inside().join("profile"));
        command
    }

    /// Whether a program is there where GIMP is.
    pub fn has(&self, program: &str) -> bool {
        self.command("which")
            .arg(program)
            .output()
            .is_ok_and(|output| output.status.success())
    }

    /// Runs Python in GIMP without a window.
    ///
    /// # Panics
    /// When it fails, with what GIMP said.
    pub fn run_python(&self, code: &str) {
        let output = self
            .command(COMMAND)
            .args(["--no-interface", "--no-data", "--no-fonts", "--quit"])
            .args(["--batch-interpreter=python-fu-eval", "--batch", code])
            .output()
            .expect("GIMP runs");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{said}", output.status);
    }
}
