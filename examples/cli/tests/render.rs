//! Renders from the command line, with a small plugin in C in the place of the real one: what is tested is the host.
#![cfg(unix)] // The plugin is compiled by `cc` with its usual flags, and Ctrl-C is sent by `kill`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageEncoder, ImageReader, Rgb, RgbImage, Rgba};

/// The plugin, compiled once, into Cargo's folder for the files of tests.
static PLUGIN: LazyLock<PathBuf> = LazyLock::new(|| {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("negative{}", std::env::consts::DLL_SUFFIX));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(compiler)
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O1",
            "-fPIC",
            "-shared",
            "-I",
        ])
        .arg(crate_folder.join("../../host-sdk/include"))
        .arg(crate_folder.join("tests/fixtures/negative.c"))
        .arg("-o")
        .arg(&library)
        .status()
        .expect("these tests need a C compiler; set CC");
    assert!(status.success());
    library
});

/// A folder with pictures in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        RgbImage::from_pixel(8, 8, Rgb([20, 80, 160]))
            .save(place.path("style.png"))
            .unwrap();
        RgbImage::from_pixel(40, 20, Rgb([200, 100, 50]))
            .save(place.path("content.png"))
            .unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pentimento"));
        command
            .args(arguments)
            .arg("--plugin")
            .arg(&*PLUGIN)
            .current_dir(self.0.path());
        command
    }

    /// Renders `content` to `output` with more arguments.
    fn render(&self, content: &str, output: &str, more: &[&str]) -> Output {
        let arguments = [&["render", content, "style.png", "-o", output], more].concat();
        self.command(&arguments).output().unwrap()
    }

    /// What a render that succeeds says.
    fn renders(&self, content: &str, output: &str, more: &[&str]) -> String {
        let output = self.render(content, output, more);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{text}");
        text
    }
}

#[test]
fn a_picture_goes_through_the_plugin() {
    let place = Place::new();
    let said = place.renders("content.png", "out.png", &["--preset", "draft"]);
    let result = image::open(place.path("out.png")).unwrap();
    assert_eq!(result, RgbImage::from_pixel(40, 20, Rgb([55, 155, 205])).into());
    assert!(!said.contains("about 80 s"), "nobody asked for an estimate: {said}");
    assert!(said.contains("warning: one sample was mended"), "{said}");
    assert!(
        said.contains("0 % exposing, level 1/1, step 1/4, loss 5.000e-1"),
        "{said}"
    );
    assert!(said.contains("out.png (40 x 20)") && !said.contains("weighs"), "{said}");

    assert_eq!(
        place.renders("content.png", "out.png", &["--quiet"]),
        "pentimento: warning: one sample was mended\n"
    );
    let said = place.renders("content.png", "out.png", &["-v", "--weight", "2.5"]);
    assert!(said.contains("content 40x20, first of 1 styles weighs 2.5"), "{said}");
    let seconds = said.lines().map(|line| {
        let (seconds, _) = line.strip_prefix("pentimento: ")?.split_once(" s: ")?;
        seconds.trim().parse::<f64>().ok()
    });
    assert!(
        seconds
            .collect::<Option<Vec<_>>>()
            .is_some_and(|seconds| seconds.is_sorted()),
        "{said}"
    );
}

#[test]
fn an_estimate_is_printed_and_nothing_is_rendered() {
    let place = Place::new();
    for (more, printed) in [
        (&[][..], "about 80 s, 0.6 GB\n"),
        (&["--json"], "{\"bytes\":640000000,\"seconds\":80.0}\n"),
        (&["--size", "400", "-o", "out.png"], "about 2 h, 0.6 GB\n"),
    ] {
        let arguments = [&["render", "content.png", "style.png", "--estimate"], more].concat();
        let output = place.command(&arguments).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
        assert!(!place.path("out.png").exists());
    }
}

#[test]
fn the_content_is_scaled_and_the_styles_are_counted() {
    let place = Place::new();
    let more = ["--size", "10", "-v", "--weight", "3", "--weight", "1"];
    let arguments = [
        &["render", "content.png", "style.png", "style.png", "-o", "out.webp"],
        &more[..],
    ]
    .concat();
    let output = place.command(&arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("content 10x5, first of 2 styles weighs 3"), "{said}");
    assert_eq!(
        image::open(place.path("out.webp")).unwrap().to_rgb8(),
        RgbImage::from_pixel(10, 5, Rgb([55, 155, 205]))
    );
}

/// The negative is made of what the plugin sees, sRGB; the file that comes back is in the content's profile.
#[test]
fn depth_alpha_and_profile_come_through() {
    let place = Place::new();
    let icc = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    // A gray has the same samples in every RGB profile of this curve, and so has its negative; a profile's numbers are
    // rounded to 16 bits, and so are they.
    let pixels: Vec<u16> = (0..64 * 4)
        .map(|index| (index / 4 * 1000 + index % 4 / 3 * 77) as u16)
        .collect();
    let bytes: Vec<u8> = pixels.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    let mut encoder = image::codecs::png::PngEncoder::new(fs::File::create(place.path("wide.png")).unwrap());
    encoder.set_icc_profile(icc.clone()).unwrap();
    encoder
        .write_image(&bytes, 8, 8, image::ExtendedColorType::Rgba16)
        .unwrap();

    place.renders("wide.png", "out.png", &[]);
    let mut decoder = ImageReader::open(place.path("out.png"))
        .unwrap()
        .into_decoder()
        .unwrap();
    assert_eq!(decoder.icc_profile().unwrap(), Some(icc));
    let DynamicImage::ImageRgba16(result) = DynamicImage::from_decoder(decoder).unwrap() else {
        panic!("not 16-bit RGBA");
    };
    let before: ImageBuffer<Rgba<u16>, _> = ImageBuffer::from_raw(8, 8, pixels).unwrap();
    for (before, after) in before.pixels().zip(result.pixels()) {
        assert_eq!(before[3], after[3]);
        for channel in 0..3 {
            assert!(
                (65535 - before[channel]).abs_diff(after[channel]) <= 32,
                "{before:?} {after:?}"
            );
        }
    }
}

#[test]
fn gray_stays_gray_unless_colour_is_asked_for() {
    let place = Place::new();
    image::GrayImage::from_pixel(4, 4, image::Luma([100]))
        .save(place.path("gray.png"))
        .unwrap();
    let said = place.renders("gray.png", "out.png", &[]);
    assert!(said.contains("--colour"), "{said}");
    assert_eq!(
        image::open(place.path("out.png")).unwrap().color(),
        image::ColorType::L8
    );
    place.renders("gray.png", "out.png", &["--color"]);
    assert_eq!(
        image::open(place.path("out.png")).unwrap(),
        RgbImage::from_pixel(4, 4, Rgb([155; 3])).into()
    );
}

#[test]
fn what_the_plugin_refuses_is_told_and_nothing_is_written() {
    let place = Place::new();
    for (more, code, words) in [
        (
            ["--set", "colour=red"],
            2,
            "there is no setting \"colour\"; known settings are mode, preset",
        ),
        (
            ["--preset", "finest"],
            2,
            "preset: there is only draft; see pentimento describe",
        ),
        (
            ["--filter", "dream"],
            2,
            "there is no filter \"dream\"; known filters are style-transfer",
        ),
        (
            ["--set", "mode=fail"],
            5,
            "needs 3 GiB, 1 GiB is free; choose a smaller --size or working_size",
        ),
    ] {
        let output = place.render("content.png", "out.png", &more);
        assert_eq!(output.status.code(), Some(code), "{more:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("pentimento: {words}\n"));
        assert!(!place.path("out.png").exists());
    }
}

mod interrupts {
    use std::io::{BufRead, BufReader};

    use super::*;

    /// Starts a render, sends Ctrl-C when each of these words shows up, and returns the exit code and what was said.
    fn interrupt(place: &Place, mode: &str, words: &[&str]) -> (Option<i32>, String) {
        let arguments = ["render", "content.png", "style.png", "-o", "out.png", "--set", mode];
        let mut child = place.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = words.iter().peekable();
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if words.next_if(|word| line.contains(**word)).is_some() {
                let pid = child.id().to_string();
                assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            }
            said += &(line + "\n");
        }
        (child.wait().unwrap().code(), said)
    }

    #[test]
    fn once_writes_the_picture_so_far() {
        let place = Place::new();
        let (code, said) = interrupt(&place, "mode=wait", &["exposing"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("stopping") && said.contains("stopped early; wrote"),
            "{said}"
        );
        assert_eq!(
            image::open(place.path("out.png")).unwrap().to_rgb8().get_pixel(3, 3),
            &Rgb([55, 155, 205])
        );
    }

    #[test]
    fn twice_leaves_everything_as_it_was() {
        let place = Place::new();
        fs::write(place.path("out.png"), "something older").unwrap();
        let (code, said) = interrupt(&place, "mode=stubborn", &["exposing", "stopping"]);
        assert_eq!(code, Some(130), "{said}");
        assert!(said.ends_with("pentimento: cancelled; nothing was written\n"), "{said}");
        assert_eq!(fs::read(place.path("out.png")).unwrap(), b"something older");
        assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 3);
    }
}

#[test]
fn doctor_tells_what_it_found_and_fails_when_something_is_wrong() {
    let place = Place::new();
    let output = place.command(&["doctor"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for words in [
        "plugin found",
        "Negative 1.0.0 (org.example.negative)",
        "darkroom",
        "2.1 GB",
        "in place",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let output = place
        .command(&["doctor"])
        .env("NEGATIVE_IS_UNSOUND", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("the lamp is broken;"), "{error}");
}

#[test]
fn a_library_without_a_manifest_describes_itself() {
    let place = Place::new();
    let output = place.command(&["describe"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("Negative 1.0.0 (org.example.negative)\n") && text.contains("    mode "),
        "{text}"
    );
    let output = place.command(&["describe", "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["library"], &json["filters"][0]["style_max"]),
        (&"negative".into(), &2.into())
    );
}
