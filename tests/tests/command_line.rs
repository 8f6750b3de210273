//! The program and the plugin together, as they are installed: in one folder, with the manifest.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pentimento_host::discover::{DEFAULT_LIBRARY, PATH_VARIABLE, library_file_name};
use pentimento_host::manifest::{self, Manifest};
use pentimento_tests::{command, library, repository};
use tempfile::TempDir;

/// A folder with everything that a user gets, and nothing else that could be found.
struct Installation(TempDir);

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = |from: &Path, name: &str| {
            fs::copy(from, folder.path().join(name)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        };
        copy(command(), &format!("pentimento{EXE_SUFFIX}"));
        copy(&library(), &library_file_name(DEFAULT_LIBRARY));
        copy(&repository().join(manifest::FILE_NAME), manifest::FILE_NAME);
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program, which has to find its plugin by itself; returns what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{said}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let home = self.path("home");
        Command::new(self.path(&format!("pentimento{EXE_SUFFIX}")))
            .args(arguments)
            .current_dir(self.0.path())
            // Plugins of the user who runs the tests are not to be found.
            .env_remove(PATH_VARIABLE)
            .envs([("HOME", &home), ("XDG_DATA_HOME", &home), ("APPDATA", &home)])
            .output()
            .unwrap()
    }
}

fn sample(name: &str) -> String {
    let path = repository().join("examples/pictures").join(name);
    path.to_str().expect("the repository's path is text").to_owned()
}

#[test]
fn render_paints_a_picture_of_the_contents_size() {
    let installation = Installation::new();
    let (content, style) = (sample("chelsea.png"), sample("painting.png"));
    let arguments = [
        "render",
        &content,
        &style,
        "--output",
        "out.png",
        "--size",
        "64",
        "--set",
        "quality=0.05",
    ];
    installation.run(&arguments);
    let painted = image::open(installation.path("out.png")).unwrap().into_rgb8();
    let original = image::open(&content).unwrap();
    let height = (64.0 * f64::from(original.height()) / f64::from(original.width())).round() as u32;
    assert_eq!(painted.dimensions(), (64, height));
    let scaled = original.thumbnail_exact(64, height).into_rgb8();
    assert_ne!(painted, scaled);
    assert!(
        painted.pixels().any(|pixel| pixel != painted.get_pixel(0, 0)),
        "one colour"
    );
}

#[test]
fn describe_lists_every_parameter() {
    let described: serde_json::Value = serde_json::from_str(&Installation::new().run(&["describe", "--json"])).unwrap();
    let manifest = fs::read_to_string(repository().join(manifest::FILE_NAME)).unwrap();
    let manifest = Manifest::parse(&manifest).unwrap();
    for (filter, described) in manifest.filters.iter().zip(described["filters"].as_array().unwrap()) {
        let ids = |list: &serde_json::Value| -> Vec<String> {
            let entries = list.as_array().unwrap().iter();
            entries.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
        };
        let expected: Vec<_> = filter.parameters.iter().map(|parameter| parameter.id.clone()).collect();
        assert_eq!(ids(&described["parameters"]), expected);
    }
}

#[test]
fn doctor_finds_everything_in_place() {
    let installation = Installation::new();
    let report = installation.run(&["doctor"]);
    let library = library_file_name(DEFAULT_LIBRARY);
    assert!(report.contains(&library), "{report}");
    assert!(report.contains("Everything is in place."), "{report}");
}

#[test]
fn a_setting_that_the_plugin_refuses_is_named_and_nothing_is_written() {
    let installation = Installation::new();
    let (content, style) = (sample("chelsea.png"), sample("painting.png"));
    let output = installation.output(&[
        "render",
        &content,
        &style,
        "-o",
        "out.png",
        "--set",
        "style_layers=conv9_9:1",
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("style_layers") && said.contains("conv9_9"), "{said}");
    assert!(!installation.path("out.png").exists());
}
