//! What the command refuses, and how it says so: one line, and an exit code that tells whose fault it is.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;
use image::{Rgb, RgbImage};

/// A folder with a content and a style picture, and no plugin anywhere.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, colour) in [("content.png", [200, 100, 50]), ("style.jpg", [20, 80, 160])] {
            RgbImage::from_pixel(24, 16, Rgb(colour))
                .save(place.path(name))
                .unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::cargo_bin("pentimento")
            .unwrap()
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("PENTIMENTO_PLUGIN_PATH")
            .output()
            .unwrap()
    }

    /// Runs the command, which must fail with this code and one line that holds all of `words`.
    fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let output = self.run(arguments);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {line}");
        assert!(
            line.starts_with("pentimento: ") && line.lines().count() == 1,
            "{arguments:?}: {line}"
        );
        for word in words {
            assert!(line.contains(word), "{arguments:?}: {line}");
        }
        assert!(!self.path("out.png").exists(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let place = Place::new();
    place.fails(&[], 2, &[]);
    place.fails(&["paint"], 2, &["paint", "--help"]);
    place.fails(&["render", "content.png", "style.jpg"], 2, &["--output"]);
    place.fails(&["render", "content.png", "-o", "out.png"], 2, &["STYLE"]);
    let render = ["render", "content.png", "style.jpg", "-o", "out.png"];
    let with = |more: &[&'static str]| [&render[..], more].concat();
    place.fails(&with(&["--set", "quality"]), 2, &["ID=VALUE"]);
    place.fails(&with(&["--size", "0"]), 2, &["--size"]);
    place.fails(&with(&["--weight", "-1"]), 2, &["above 0"]);
    place.fails(&with(&["--weight", "1", "--weight", "2"]), 2, &["2 times for 1 styles"]);
    place.fails(&with(&["--quiet", "--verbose"]), 2, &["--verbose"]);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let place = Place::new();
    place.fails(
        &["render", "absent.png", "style.jpg", "-o", "out.png"],
        3,
        &["content", "absent.png"],
    );
    place.fails(
        &["render", "content.png", "absent.jpg", "-o", "out.png"],
        3,
        &["style", "absent.jpg"],
    );
    fs::write(place.path("words.png"), "words").unwrap();
    place.fails(
        &["render", "content.png", "words.png", "-o", "out.png"],
        3,
        &["words.png"],
    );
    place.fails(
        &["render", "content.png", "style.jpg", "-o", "out.bmp"],
        3,
        &["out.bmp", ".webp"],
    );
    place.fails(
        &["render", "content.png", "style.jpg", "-o", "absent/out.png"],
        3,
        &["absent", "does not exist"],
    );
}

#[test]
fn without_a_plugin_it_says_where_it_looked() {
    let place = Place::new();
    let nowhere = place.path("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    place.fails(
        &[
            "render",
            "content.png",
            "style.jpg",
            "-o",
            "out.png",
            "--plugin",
            nowhere,
        ],
        4,
        &[nowhere, "PENTIMENTO_PLUGIN_PATH"],
    );
    place.fails(&["describe", "--plugin", nowhere], 4, &[nowhere]);
    place.fails(
        &["doctor", "--plugin", nowhere],
        4,
        &["no plugin", "PENTIMENTO_PLUGIN_PATH"],
    );
    // Something that is there, but no plugin.
    place.fails(
        &["doctor", "--plugin", "content.png"],
        4,
        &["content.png", "not a library"],
    );
    let render = [
        "render",
        "content.png",
        "style.jpg",
        "-o",
        "out.png",
        "--plugin",
        "content.png",
    ];
    place.fails(&render, 4, &["content.png", "not a library"]);
}

#[test]
fn the_manifest_is_enough_to_describe() {
    let place = Place::new();
    let folder = place.path("plugin");
    fs::create_dir(&folder).unwrap();
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifest.toml"),
        folder.join("manifest.toml"),
    )
    .unwrap();
    // No library at all: nothing may be loaded.
    let library = format!(
        "{}pentimento_plugin{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    fs::write(folder.join(library), "").unwrap();

    let output = place.run(&["describe", "--plugin", "plugin"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("style_strength") && text.contains("Presets (--preset ID)"),
        "{text}"
    );

    let output = place.run(&["describe", "--json", "--plugin", "plugin"]);
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["filters"][0]["id"], "style-transfer");
    let parameters = json["filters"][0]["parameters"].as_array().unwrap();
    let seed = parameters.iter().find(|parameter| parameter["id"] == "seed").unwrap();
    assert_eq!(
        (&seed["kind"], &seed["default"], &seed["hard"]["min"]),
        (&"integer".into(), &0.into(), &0.0.into())
    );
}

#[test]
fn help_version_and_completions_go_to_the_standard_output() {
    let place = Place::new();
    for (arguments, word) in [
        (&["--help"][..], "Exit codes:"),
        (&["render", "--help"], "130  cancelled"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "_pentimento"),
        (&["completions", "zsh"], "#compdef pentimento"),
        (&["completions", "fish"], "complete -c pentimento"),
    ] {
        let output = place.run(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(
            String::from_utf8(output.stdout).unwrap().contains(word),
            "{arguments:?}"
        );
    }
}
