//! The editors that the bridges are tested in.
//!
//! A developer need not have them all: a test whose editor is missing passes and says how to get it. Where
//! `PENTIMENTO_REQUIRE_HOSTS` is set, as in CI, it fails.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{command, library};

/// Tells that the test of an editor cannot be run, and what to do about it.
///
/// # Panics
/// Where the editors are required.
pub fn missing(host: &str, how_to_get_it: &str) {
    let text = format!("{host} is missing: {how_to_get_it}");
    assert!(env::var_os("PENTIMENTO_REQUIRE_HOSTS").is_none(), "{text}");
    eprintln!("NOT TESTED: {text}");
}

/// Installs the bridge in a profile.
fn install(profile: &Path) {
    fs::create_dir_all(profile).expect("a folder can be made");
    let output = Command::new(command())
        .args(["install", "gimp", "--profile"])
        .arg(profile)
        .arg("--plugin")
        .arg(library())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What a GIMP that came to its end has said: errors and messages stand at the end, in order.
fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    said.into_owned()
}

/// A GIMP 3, with the bridge installed in a profile of its own.
pub struct Gimp3 {
    /// In which it speaks to its user, such as "de".
    pub language: &'static str,
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
            language: "en",
            root,
            folder: folder.to_owned(),
        };
        install(&gimp.folder.join("profile"));
        Some(gimp)
    }

    /// The shared folder, as GIMP knows it.
    pub fn inside(&self) -> &Path {
        match &self.root {
            Some(_) => Path::new(INSIDE),
            None => &self.folder,
        }
    }

    /// A command to be run where GIMP is, in the shared folder. In another Debian it has /dev and /proc, in mounts that end with it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.root {
            None => {
                let mut command = Command::new(program);
                command.current_dir(&self.folder);
                command
            }
            Some(root) => {
                let enter = r#"
                    mount --bind /dev "$1/dev" && mount -t proc proc "$1/proc" && mount --bind "$2" "$1/mnt" &&
                    root=$1 && shift 2 && exec chroot "$root" sh -c 'cd /mnt && exec "$@"' sh "$@""#;
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
            .env("LANGUAGE", self.language)
            .env("HOME", self.inside())
            .env("GIMP3_DIRECTORY", self.inside().join("profile"));
        command
    }

    /// Runs Python in GIMP without a window; what GIMP said.
    ///
    /// # Panics
    /// When it fails, with what GIMP said.
    pub fn run_python(&self, code: &str) -> String {
        self.run("python-fu-eval", code)
    }

    /// Runs Script-Fu in GIMP without a window.
    ///
    /// # Panics
    /// When it fails, with what GIMP said.
    pub fn run_scheme(&self, code: &str) {
        self.run("plug-in-script-fu-eval", code);
    }

    fn run(&self, interpreter: &str, code: &str) -> String {
        let output = self
            .command(COMMAND)
            .args(["--no-interface", "--no-data", "--no-fonts", "--quit"])
            .arg(format!("--batch-interpreter={interpreter}"))
            .args(["--batch", code])
            .output()
            .expect("GIMP runs");
        said(&output)
    }
}

/// A GIMP 2.10 of the machine, with the bridge compiled for it and installed in a profile of its own.
pub struct Gimp2 {
    /// In which it speaks to its user, such as "de".
    pub language: &'static str,
    folder: PathBuf,
}

impl Gimp2 {
    /// `None`, with a message, where there is none. It has its profile in `folder`.
    ///
    /// # Panics
    /// When the bridge cannot be installed, or GIMP is required and missing.
    pub fn find(folder: &Path) -> Option<Self> {
        let has = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        if !has("gimp-console-2.10", &["--version"]) || !has("pkg-config", &["--exists", "gimpui-2.0"]) {
            missing(
                "GIMP 2.10",
                "install it and its headers (on Debian 12: gimp, libgimp2.0-dev and pkgconf)",
            );
            return None;
        }
        let gimp = Self {
            language: "en",
            folder: folder.to_owned(),
        };
        install(&gimp.profile());
        Some(gimp)
    }

    fn profile(&self) -> PathBuf {
        self.folder.join("2.10")
    }

    /// A command to be run in the folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("LANGUAGE", self.language)
            .env("HOME", &self.folder)
            .env("GIMP2_DIRECTORY", self.profile());
        command
    }

    /// Runs scripts in Script-Fu, one after the other in one GIMP without a window; what GIMP said. A script that fails
    /// does not keep the others from being run.
    ///
    /// # Panics
    /// When GIMP does not come to its end.
    pub fn run_scheme(&self, scripts: &[String]) -> String {
        let mut command = self.command("gimp-console-2.10");
        command.args(["--no-interface", "--no-data", "--no-fonts"]);
        for script in scripts {
            command.args(["--batch", script]);
        }
        let output = command.args(["--batch", "(gimp-quit 1)"]).output().expect("GIMP runs");
        said(&output)
    }
}
