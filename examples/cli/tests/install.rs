//! `pentimento install`: what it puts where, and that nothing of it stays behind.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A home, and a plugin to install whose library is not one: install copies it and does not load it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(profiles: &[&str]) -> Self {
        let home = Self(tempfile::Builder::new().prefix("Zoë's home ").tempdir().unwrap());
        for profile in profiles {
            fs::create_dir_all(home.path(profile)).unwrap();
        }
        fs::create_dir(home.path("plugin")).unwrap();
        fs::write(home.path("plugin/libpentimento_plugin.so"), "a library").unwrap();
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifest.toml");
        fs::copy(manifest, home.path("plugin/manifest.toml")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the installer in this home and without any GIMP in `PATH`; its output, and its exit code.
    fn run(&self, arguments: &[&str]) -> (String, i32) {
        self.command(&[&["install", "gimp"], arguments].concat())
    }

    fn command(&self, arguments: &[&str]) -> (String, i32) {
        let output = Command::cargo_bin("pentimento")
            .unwrap()
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", self.path("bin"))
            .env("PENTIMENTO_PLUGIN_PATH", self.path("plugin"))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8(said).unwrap(), output.status.code().unwrap())
    }

    /// All files and folders in it, by path from it.
    fn contents(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                found.insert(path.strip_prefix(self.0.path()).unwrap().to_owned());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }
}

const PROFILE: &str = ".config/GIMP/3.0";
const INSTALLED: &str = ".config/GIMP/3.0/plug-ins/pentimento";

#[test]
fn it_installs_what_gimp_needs_and_takes_all_of_it_away() {
    let home = Home::new(&[PROFILE, ".config/GIMP/3.0/plug-ins"]);
    let before = home.contents();
    let (said, code) = home.run(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Filters ▸ Artistic ▸ Neural Style Transfer"), "{said}");
    let installed = home.path(INSTALLED);
    for name in ["libpentimento_plugin.so", "manifest.toml"] {
        let source = fs::read(home.path("plugin").join(name)).unwrap();
        assert_eq!(fs::read(installed.join(name)).unwrap(), source);
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bridge = fs::read_dir(examples.join("gimp3"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let modules = bridge.filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    for module in modules.chain([examples.join("python-host/library.py")]) {
        let copy = installed.join(module.file_name().unwrap());
        assert_eq!(fs::read(&copy).unwrap(), fs::read(module).unwrap());
        assert!(said.contains(&copy.display().to_string()), "{said}");
    }
    let mode = |name: &str| fs::metadata(installed.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("pentimento.py"), 0o755);
    assert_eq!(mode("manifest.toml"), 0o644);

    // Python keeps what it made of the modules.
    fs::create_dir(installed.join("__pycache__")).unwrap();
    fs::write(installed.join("__pycache__/library.cpython-313.pyc"), "").unwrap();
    let (said, code) = home.run(&["--uninstall"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(home.contents(), before);
    let (said, code) = home.run(&["--uninstall"]);
    assert_eq!((code, said.contains("is not installed")), (0, true), "{said}");
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let home = Home::new(&[PROFILE]);
    let before = home.contents();
    let (would, code) = home.run(&["--dry-run"]);
    assert_eq!(code, 0, "{would}");
    assert_eq!(home.contents(), before);
    let (said, _) = home.run(&[]);
    let lines = |text: &str, verb: &str| text.lines().filter(|line| line.contains(verb)).count();
    assert_eq!(lines(&would, "would write"), lines(&said, "wrote"));

    let before = home.contents();
    let (would, code) = home.run(&["--uninstall", "--dry-run"]);
    assert_eq!(code, 0, "{would}");
    assert_eq!(home.contents(), before);
    let (said, _) = home.run(&["--uninstall"]);
    assert_eq!(lines(&would, "would remove"), lines(&said, "removed"));
}

#[test]
fn an_upgrade_removes_what_the_old_version_had_more() {
    let home = Home::new(&[PROFILE]);
    home.run(&[]);
    let installed = home.path(INSTALLED);
    fs::write(installed.join("old.py"), "").unwrap();
    let list = fs::read_to_string(installed.join("installed.txt")).unwrap();
    fs::write(installed.join("installed.txt"), list + "old.py\n../../gimprc\n").unwrap();
    fs::write(home.path(".config/GIMP/3.0/gimprc"), "").unwrap();
    let (said, code) = home.run(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(!installed.join("old.py").exists());
    // A list that names other folders' files is not obeyed.
    assert!(home.path(".config/GIMP/3.0/gimprc").exists());
}

#[test]
fn files_of_others_are_left() {
    let home = Home::new(&[PROFILE]);
    home.run(&[]);
    let note = home.path(INSTALLED).join("note to myself.txt");
    fs::write(&note, "").unwrap();
    let (said, code) = home.run(&["--uninstall"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("not ours"), "{said}");
    let left: Vec<_> = fs::read_dir(home.path(INSTALLED))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [note]);
}

#[test]
fn all_profiles_are_found_and_one_that_fails_does_not_keep_the_others() {
    let flatpak = ".var/app/org.gimp.GIMP/config/GIMP/3.0";
    let home = Home::new(&[
        PROFILE,
        flatpak,
        ".config/GIMP/2.10",
        ".config/GIMP/2.8",
        ".config/GIMP/themes",
    ]);
    // There is no compiler in its PATH.
    let (said, code) = home.run(&[]);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("needs GIMP 2.10's headers") && said.contains("libgimp2.0-dev"),
        "{said}"
    );
    assert!(!home.path(".config/GIMP/2.10/plug-ins").exists());
    assert!(!said.contains("2.8"), "{said}");
    for profile in [PROFILE, flatpak] {
        assert!(
            home.path(profile).join("plug-ins/pentimento/pentimento.py").exists(),
            "{said}"
        );
    }
}

#[test]
fn what_would_not_run_in_a_sandbox_is_not_put_there() {
    let home = Home::new(&[".var/app/org.gimp.GIMP/config/GIMP/2.10"]);
    let before = home.contents();
    let (said, code) = home.run(&[]);
    assert_eq!((code, said.contains("sandbox")), (4, true), "{said}");
    assert_eq!(home.contents(), before);
}

#[test]
fn a_gimp_that_was_never_started_is_known_by_its_program() {
    let home = Home::new(&["bin"]);
    fs::write(home.path("bin/gimp-3.2"), "").unwrap();
    let (said, code) = home.run(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        home.path(".config/GIMP/3.2/plug-ins/pentimento/pentimento.py").exists(),
        "{said}"
    );
}

#[test]
fn a_named_profile_is_the_only_one() {
    let home = Home::new(&[PROFILE, "portable"]);
    let (said, code) = home.run(&["--profile", "portable"]);
    assert_eq!(code, 0, "{said}");
    assert!(home.path("portable/plug-ins/pentimento/pentimento.py").exists());
    assert!(!home.path(INSTALLED).exists());
    let (said, code) = home.run(&["--profile", "nowhere"]);
    assert_eq!((code, said.contains("--profile nowhere")), (2, true), "{said}");
}

#[test]
fn doctor_tells_what_gimp_would_find() {
    let home = Home::new(&[PROFILE]);
    let doctor = || home.command(&["doctor"]).0;
    // It looks for editors although the plugin of this home is none.
    assert!(doctor().contains("the filter is not installed"), "{}", doctor());
    home.run(&[]);
    assert!(doctor().contains("up to date"), "{}", doctor());
    fs::write(home.path(INSTALLED).join("canvas.py"), "old").unwrap();
    assert!(
        doctor().contains("canvas.py is missing or of another version"),
        "{}",
        doctor()
    );
}

#[test]
fn without_a_gimp_or_a_plugin_it_says_so() {
    let (said, code) = Home::new(&[]).run(&[]);
    assert_eq!((code, said.contains("no GIMP was found")), (3, true), "{said}");
    let home = Home::new(&[PROFILE]);
    fs::remove_dir_all(home.path("plugin")).unwrap();
    let before = home.contents();
    let (said, code) = home.run(&["--plugin", "plugin"]);
    assert_eq!((code, said.contains("no Pentimento plugin found")), (4, true), "{said}");
    assert_eq!(home.contents(), before);
}
