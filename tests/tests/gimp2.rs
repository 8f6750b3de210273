//! The filter in a real GIMP 2.10: the scenes of `tests/gimp2/scenes.scm`, played in it without a window.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use image::{DynamicImage, RgbImage};
use pentimento_tests::hosts::Gimp2;
use pentimento_tests::pictures::write_damaged;
use pentimento_tests::{command_line, content, documented, farthest, library, repository, style};
use tempfile::TempDir;

/// The settings of the scenes.
const QUICK: &[&str] = &["quality=0.06"];
const SHORT: &[&str] = &["quality=0.02", "pyramid=false"];

/// GIMP, and the folder that it shares with the test.
struct Stage {
    gimp: Gimp2,
    folder: TempDir,
}

impl Stage {
    /// With the pictures of the scenes; `None` where there is no GIMP.
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let gimp = Gimp2::find(folder.path())?;
        content(64).write_png(&folder.path().join("content.png"));
        style(56).write_png(&folder.path().join("style.png"));
        let mut alpha = image::open(folder.path().join("content.png")).unwrap().into_rgba8();
        for (x, y, pixel) in alpha.enumerate_pixels_mut() {
            pixel.0[3] = (x * 7 + y * 13) as u8;
        }
        alpha.save(folder.path().join("alpha.png")).unwrap();
        Some(Self { gimp, folder })
    }

    /// Plays these scenes, each a script of its own; what GIMP said.
    fn play(&self, scenes: &[String]) -> String {
        let scenes_file = repository().join("tests/gimp2/scenes.scm");
        let folder = self.folder.path().display();
        // No script knows what another one defined.
        let script = |scene| {
            format!(
                "(define folder \"{folder}\") (load \"{}\") ({scene})",
                scenes_file.display()
            )
        };
        let scripts: Vec<_> = scenes.iter().map(script).collect();
        self.gimp.run_scheme(&scripts)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> DynamicImage {
        let path = self.path(&format!("{name}.png"));
        image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn rgb(&self, name: &str) -> RgbImage {
        self.read(name).into_rgb8()
    }

    fn told(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.txt"))).unwrap()
    }

    /// What the command-line host renders from these files.
    fn expected(&self, pictures: &[&str], options: &[&str]) -> DynamicImage {
        let pictures: Vec<_> = pictures.iter().map(|name| self.path(&format!("{name}.png"))).collect();
        command_line(&pictures, options, &self.path("expected.png"))
    }

    fn expected_with(&self, pictures: &[&str], settings: &[&str]) -> RgbImage {
        let options: Vec<_> = settings.iter().map(|setting| format!("--set={setting}")).collect();
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        self.expected(pictures, &options).into_rgb8()
    }
}

fn mean_difference(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let sum: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / one.len() as f64
}

fn scenes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("scene-{name}")).collect()
}

#[test]
fn its_source_compiles_without_a_warning() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let made = Command::new("make")
        .current_dir(repository().join("examples/gimp2"))
        .arg(format!("OUTPUT={}", stage.path("pentimento").display()))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn it_paints_what_the_command_line_paints() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let said = stage.play(&scenes(&[
        "layer",
        "settings",
        "two-styles",
        "gray",
        "gray-alpha",
        "alpha",
        "palette",
        "dot",
    ]));
    let pair: &[&str] = &["content", "style"];
    let quick = stage.expected_with(pair, QUICK);
    assert!(farthest(&quick, &stage.rgb("content")) > 50);
    assert!(farthest(&stage.rgb("layer"), &quick) <= 1, "{said}");

    let settings = [
        "style_strength=3",
        "pyramid=false",
        "pooling=average",
        "content_layers=conv3_1:1",
        "seed=7",
    ];
    let settings = [&settings[..], &["start=noise", "preset=draft"]].concat();
    assert!(farthest(&stage.rgb("settings"), &stage.expected_with(pair, &settings)) <= 1);

    let blend = ["--set=quality=0.06", "--weight=0.75", "--weight=0.25"];
    let blended = stage.expected(&["content", "style", "content"], &blend).into_rgb8();
    assert!(farthest(&stage.rgb("two-styles"), &blended) <= 1);

    let gray = stage.expected(&["gray-content", "gray-style"], &["--set=quality=0.06"]);
    assert!(matches!(stage.read("gray"), DynamicImage::ImageLuma8(_)));
    assert!(farthest(&stage.read("gray").into_luma8(), &gray.into_luma8()) <= 1);

    assert!(matches!(stage.read("gray-alpha"), DynamicImage::ImageLumaA8(_)));
    for (painted, content, style) in [
        ("alpha-painted", "alpha", "style"),
        ("gray-alpha", "gray-alpha-content", "gray-style"),
    ] {
        let expected = stage.expected(&[content, style], &["--set=quality=0.06"]).into_rgba8();
        let contents = stage.read(content).into_rgba8();
        let all = stage.read(painted).into_rgba8();
        for ((painted, expected), content) in all.pixels().zip(expected.pixels()).zip(contents.pixels()) {
            assert_eq!(painted.0[3], content.0[3]);
            assert!(painted.0[3] == 0 || farthest(&painted.0, &expected.0) <= 1);
        }
    }

    let palette = stage.expected_with(&["content", "palette-style"], QUICK);
    assert!(farthest(&stage.rgb("palette-painted"), &palette) <= 1);

    assert_ne!(stage.rgb("dot").get_pixel(0, 0).0, [10, 200, 90]);
}

#[test]
fn every_precision_and_profile_gives_the_same_picture() {
    let Some(stage) = Stage::new() else {
        return;
    };
    // What is rounded in another way is another content, and the picture is rounded: the first step of linear 8 bits
    // from black is 13 of sRGB's. A curve applied once too often would be off by tens on average.
    let precisions = [
        (100, 40),
        (150, 1),
        (200, 3),
        (250, 1),
        (300, 1),
        (350, 1),
        (500, 8),
        (550, 8),
        (600, 1),
        (650, 1),
        (700, 1),
        (750, 1),
    ];
    let mut played: Vec<_> = precisions
        .iter()
        .map(|(number, _)| format!("scene-precision {number}"))
        .collect();
    played.push("scene-profile".to_owned());
    for (name, profile) in [
        ("wide", moxcms::ColorProfile::new_adobe_rgb()),
        ("srgb", moxcms::ColorProfile::new_srgb()),
    ] {
        fs::write(stage.path(&format!("{name}.icc")), profile.encode().unwrap()).unwrap();
    }
    let said = stage.play(&played);
    let expected = stage.expected_with(&["content", "style"], SHORT);
    for (precision, tolerance) in precisions {
        let name = format!("precision-{precision}");
        assert_eq!(stage.told(&name), precision.to_string(), "{said}");
        let painted = stage.rgb(&name);
        assert!(
            farthest(&painted, &expected) <= tolerance,
            "{precision}: {}",
            farthest(&painted, &expected)
        );
        assert!(mean_difference(&painted, &expected) < 2.0, "{precision}");
    }

    let painted = stage.rgb("profile");
    // The numbers that GIMP held were others.
    assert!(mean_difference(&stage.rgb("profile-content"), &stage.rgb("content")) > 2.0);
    assert!(farthest(&painted, &expected) <= 40, "{}", farthest(&painted, &expected));
    assert!(mean_difference(&painted, &expected) < 2.0);
}

#[test]
fn it_paints_where_it_is_to() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let said = stage.play(&scenes(&[
        "selection",
        "feather",
        "offsets",
        "new-layer",
        "mask",
        "opacity",
    ]));
    let before = stage.rgb("content");
    let whole = stage.expected_with(&["content", "style"], QUICK);
    for (x, y, pixel) in stage.rgb("selection").enumerate_pixels() {
        if (10..30).contains(&x) && (5..17).contains(&y) {
            assert!(farthest(&pixel.0, &whole.get_pixel(x, y).0) <= 1, "{x}, {y}");
        } else {
            assert_eq!(pixel, before.get_pixel(x, y), "{x}, {y}");
        }
    }

    let (feathered, shares) = (stage.rgb("feather"), stage.read("feather-selection").into_luma8());
    let mut partly = 0;
    for (x, y, pixel) in feathered.enumerate_pixels() {
        let share = shares.get_pixel(x, y).0[0];
        for ((after, old), new) in pixel
            .0
            .iter()
            .zip(before.get_pixel(x, y).0)
            .zip(whole.get_pixel(x, y).0)
        {
            let range = old.min(new).saturating_sub(1)..=old.max(new).saturating_add(1);
            assert!(range.contains(after), "{x}, {y}");
            assert!(share > 0 || *after == old, "{x}, {y}");
        }
        partly += u32::from((1..255).contains(&share));
    }
    assert!(partly > 100);

    assert_eq!(stage.told("offsets"), "(-20 13)", "{said}");
    assert!(farthest(&stage.rgb("offsets"), &whole) <= 1);

    let name = "Neural Style Transfer: style.png";
    assert_eq!(
        stage.told("new-layer"),
        format!("(3 \"{name}\" \"style.png\" 50.0 (3 -4))")
    );
    assert_eq!(stage.rgb("new-layer-below"), before);
    assert!(farthest(&stage.rgb("new-layer"), &whole) <= 1);
    assert_eq!(stage.rgb("mask-below"), before);
    let mask = stage.read("mask").into_luma8();
    assert_eq!(mask.iter().map(|&sample| u32::from(sample)).sum::<u32>(), 255 * 20 * 12);

    // Mixed in linear light. Half of one step of 8 bits at the bright end, and one of the expected picture.
    let light = |sample: u8| {
        let encoded = f64::from(sample) / 255.0;
        if encoded <= 0.04045 {
            encoded / 12.92
        } else {
            ((encoded + 0.055) / 1.055).powf(2.4)
        }
    };
    for ((mixed, old), new) in stage.rgb("opacity").iter().zip(before.iter()).zip(whole.iter()) {
        let error = light(*mixed) - (light(*old) + light(*new)) / 2.0;
        assert!(error.abs() < 0.01, "{old} and {new} give {mixed}");
    }
}

#[test]
fn what_cannot_be_painted_is_refused_in_words_and_left_as_it_was() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let refusals: &[(&str, &[&str])] = &[
        ("palette", &["Image ▸ Mode ▸ RGB"]),
        ("group", &["Hills", "group"]),
        ("mask", &["mask"]),
        ("locked", &["locked"]),
        ("beside", &["selection"]),
        ("no-style", &["Choose a style"]),
        ("group-style", &["group", "style"]),
        ("file", &["wrong.png"]),
        ("setting", &["style_layers", "conv9_9"]),
        ("text", &["quality", "id=value"]),
        ("blend", &["blend", "120", "100"]),
        ("memory", &["memory"]),
        // Closes all other images.
        ("lone", &["no other layer"]),
    ];
    fs::write(stage.path("wrong.png"), "not a picture").unwrap();
    let play = |name: &str| [format!("refuse-{name}"), format!("after \"{name}\"")];
    let said = stage.play(&refusals.iter().flat_map(|(name, _)| play(name)).collect::<Vec<_>>());
    for (name, words) in refusals {
        let (_, rest) = said
            .split_once(&format!("refusal: {name}\n"))
            .unwrap_or_else(|| panic!("{name}: {said}"));
        let (error, _) = rest.split_once("refusal: ").unwrap_or((rest, ""));
        for word in *words {
            assert!(error.contains(word), "{name}: {error}");
        }
        let [before, after] = ["before", "after"].map(|when| stage.read(&format!("{name}-{when}")));
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn the_documented_script_repaints_a_folder() {
    let Some(stage) = Stage::new() else {
        return;
    };
    for folder in ["photographs", "repainted"] {
        fs::create_dir(stage.path(folder)).unwrap();
    }
    for (name, size) in [("a", 64), ("b", 48), ("c", 33)] {
        content(size).write_png(&stage.path(&format!("photographs/{name}.png")));
    }
    style(56).write_png(&stage.path("painting.png"));
    fs::write(stage.path("folder.scm"), documented("gimp.md", "lisp")).unwrap();
    let said = stage.gimp.run_scheme(&["(load \"folder.scm\")".to_owned()]);
    for name in ["a", "b", "c"] {
        let expected = stage.expected(&[&format!("photographs/{name}"), "painting"], &["--preset=draft"]);
        assert!(stage.path(&format!("repainted/{name}.png")).exists(), "{said}");
        let painted = stage.rgb(&format!("repainted/{name}"));
        assert!(farthest(&painted, &expected.into_rgb8()) <= 1, "{name}");
    }
}

#[test]
fn it_speaks_the_language_of_its_user() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    for (language, words) in [
        ("de", "Es gibt keine andere Ebene"),
        ("fr", "Il n’y a pas d’autre calque"),
    ] {
        stage.gimp.language = language;
        let said = stage.play(&["refuse-lone".to_owned()]);
        assert!(said.contains(words), "{said}");
    }
}

/// Here of a damaged picture; that a device failed and the processor took over is told in the same way.
#[test]
fn a_warning_of_the_plugin_is_a_message() {
    let Some(stage) = Stage::new() else {
        return;
    };
    write_damaged(&stage.path("damaged.tif"));
    let said = stage.play(&scenes(&["damaged"]));
    assert!(said.contains("were NaN or infinite and have been replaced"), "{said}");
    assert!(stage.path("damaged.png").exists(), "{said}");
}

#[test]
fn without_its_library_it_says_where_it_looked() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let folder = stage.path("2.10/plug-ins/pentimento");
    fs::remove_file(folder.join(library().file_name().unwrap())).unwrap();
    let said = stage.play(&scenes(&["layer"]));
    assert!(said.contains("library was not found"), "{said}");
    assert!(said.contains(&folder.display().to_string()), "{said}");
    assert!(said.contains("pentimento install gimp"), "{said}");
}
