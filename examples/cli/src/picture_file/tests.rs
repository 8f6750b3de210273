use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::{jpeg, png, tiff, webp};
use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader};
use moxcms::{ColorProfile, ToneReprCurve};

use super::*;
use crate::error::Kind;

/// Samples from 0 to 1 in an order without a pattern, the same every time.
fn noise(count: usize) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

fn noise_8(count: usize) -> Vec<u8> {
    noise(count)
        .into_iter()
        .map(|sample| (sample * 255.0).round() as u8)
        .collect()
}

fn noise_16(count: usize) -> Vec<u16> {
    noise(count)
        .into_iter()
        .map(|sample| (sample * 65535.0).round() as u16)
        .collect()
}

fn bytes_16(samples: &[u16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
}

/// Writes a file with the `image` crate alone.
fn save(path: &Path, bytes: &[u8], (width, height): (u32, u32), kind: ExtendedColorType, icc: Option<&[u8]>) {
    fn finish(
        mut encoder: impl ImageEncoder,
        bytes: &[u8],
        size: (u32, u32),
        kind: ExtendedColorType,
        icc: Option<&[u8]>,
    ) {
        if let Some(icc) = icc {
            encoder.set_icc_profile(icc.to_vec()).unwrap();
        }
        encoder.write_image(bytes, size.0, size.1, kind).unwrap();
    }
    let (file, size) = (fs::File::create(path).unwrap(), (width, height));
    match path.extension().unwrap().to_str().unwrap() {
        "png" => finish(png::PngEncoder::new(file), bytes, size, kind, icc),
        "jpg" => finish(jpeg::JpegEncoder::new_with_quality(file, 100), bytes, size, kind, icc),
        "tif" => finish(tiff::TiffEncoder::new(file), bytes, size, kind, icc),
        "webp" => finish(webp::WebPEncoder::new_lossless(file), bytes, size, kind, icc),
        other => panic!("{other}"),
    }
}

/// What the `image` crate alone reads: kind, samples, profile.
fn load(path: &Path) -> (ExtendedColorType, Vec<u8>, Option<Vec<u8>>) {
    fn finish(mut decoder: impl ImageDecoder) -> (ExtendedColorType, Vec<u8>, Option<Vec<u8>>) {
        let icc = decoder.icc_profile().unwrap();
        let mut bytes = vec![0; decoder.total_bytes() as usize];
        let kind = decoder.color_type().into();
        decoder.read_image(&mut bytes).unwrap();
        (kind, bytes, icc)
    }
    let reader = ImageReader::open(path).unwrap();
    match reader.format() {
        Some(ImageFormat::Tiff) => finish(tiff::TiffDecoder::new(reader.into_inner()).unwrap()),
        _ => finish(reader.into_decoder().unwrap()),
    }
}

/// Reads a file and writes it as if its pixels had been rendered.
fn copy(from: &Path, to: &Path) -> Vec<String> {
    let content = read(from, "content").unwrap();
    let target = Target::new(to).unwrap();
    let plan = Plan::new(&target, &content, false).unwrap();
    assert_eq!(plan.rendered, content.picture.channels);
    target.write(&content.picture, &plan).unwrap();
    content.notes.into_iter().chain(plan.notes).collect()
}

fn differences(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn lossless_formats_keep_every_kind_of_sample() {
    use ExtendedColorType::*;
    let folder = Folder::new();
    let size = (37, 23);
    let pixels = 37 * 23;
    for (extension, kinds) in [
        ("png", &[L8, La8, Rgb8, Rgba8, L16, La16, Rgb16, Rgba16][..]),
        ("tif", &[L8, Rgb8, Rgba8, L16, Rgb16, Rgba16, Rgb32F, Rgba32F]),
        ("webp", &[Rgb8, Rgba8]),
    ] {
        for kind in kinds {
            let count = pixels * usize::from(kind.channel_count());
            let bytes = match kind.bits_per_pixel() / u16::from(kind.channel_count()) {
                8 => noise_8(count),
                16 => bytes_16(&noise_16(count)),
                _ => noise(count)
                    .into_iter()
                    .flat_map(|sample| (sample as f32).to_ne_bytes())
                    .collect(),
            };
            let (from, to) = (
                folder.file(&format!("in.{extension}")),
                folder.file(&format!("out.{extension}")),
            );
            save(&from, &bytes, size, *kind, None);
            copy(&from, &to);
            let (stored, samples, icc) = load(&to);
            assert_eq!((stored, icc), (*kind, None), "{extension}");
            assert!(samples == bytes, "{extension} {kind:?}");
        }
    }
}

#[test]
fn a_format_that_holds_less_says_so() {
    let folder = Folder::new();
    let from = folder.file("in.png");
    save(
        &from,
        &bytes_16(&[65535, 0, 0, 65535, 0, 0, 0, 0]),
        (2, 1),
        ExtendedColorType::Rgba16,
        None,
    );
    let notes = copy(&from, &folder.file("out.jpg"));
    assert_eq!(
        notes,
        [
            "JPEG has no transparency; the result is laid over white",
            "JPEG stores 8 bits per sample, fewer than the content",
        ]
    );
    // A pixel of its own beside one of white: far apart enough to tell which is which through JPEG's transform.
    let (kind, samples, _) = load(&folder.file("out.jpg"));
    assert_eq!(kind, ExtendedColorType::Rgb8);
    assert!(samples[0] > 200 && samples[1] < 60 && samples[2] < 60, "{samples:?}");
    assert!(samples[3..].iter().all(|sample| *sample > 200), "{samples:?}");

    let notes = copy(&from, &folder.file("out.webp"));
    assert_eq!(notes, ["WebP stores 8 bits per sample, fewer than the content"]);
    assert_eq!(load(&folder.file("out.webp")).1, [255, 0, 0, 255, 0, 0, 0, 0]);
}

#[test]
fn jpeg_is_close() {
    let folder = Folder::new();
    let (width, height) = (64, 48);
    let ramp: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [(x * 4) as u8, (y * 5) as u8, ((x + y) * 2) as u8]))
        .collect();
    save(
        &folder.file("in.png"),
        &ramp,
        (width, height),
        ExtendedColorType::Rgb8,
        None,
    );
    copy(&folder.file("in.png"), &folder.file("out.jpg"));
    let (_, samples, _) = load(&folder.file("out.jpg"));
    assert!(differences(&samples, &ramp) <= 8, "{}", differences(&samples, &ramp));
}

#[test]
fn profiles_go_round_and_are_kept() {
    let folder = Folder::new();
    let size = (41, 29);
    let colours = noise_8(size.0 as usize * size.1 as usize * 3);
    for profile in [
        ColorProfile::new_display_p3(),
        ColorProfile::new_adobe_rgb(),
        ColorProfile::new_srgb(),
    ] {
        let icc = profile.encode().unwrap();
        for extension in ["png", "tif", "webp"] {
            let (from, to) = (
                folder.file(&format!("in.{extension}")),
                folder.file(&format!("out.{extension}")),
            );
            save(&from, &colours, size, ExtendedColorType::Rgb8, Some(&icc));
            assert_eq!(copy(&from, &to), [""; 0]);
            let (_, samples, kept) = load(&to);
            assert_eq!(kept.as_deref(), Some(&icc[..]), "{extension}");
            assert_eq!(differences(&samples, &colours), 0, "{extension}");
        }
        save(
            &folder.file("in.png"),
            &colours,
            size,
            ExtendedColorType::Rgb8,
            Some(&icc),
        );
        copy(&folder.file("in.png"), &folder.file("out.jpg"));
        assert_eq!(load(&folder.file("out.jpg")).2.as_deref(), Some(&icc[..]));
    }
}

#[test]
fn profiles_go_round_in_16_bits() {
    let folder = Folder::new();
    let (from, to) = (folder.file("in.png"), folder.file("out.tif"));
    let colours = noise_16(64 * 64 * 4);
    for profile in [ColorProfile::new_display_p3(), ColorProfile::new_adobe_rgb()] {
        save(
            &from,
            &bytes_16(&colours),
            (64, 64),
            ExtendedColorType::Rgba16,
            Some(&profile.encode().unwrap()),
        );
        copy(&from, &to);
        let (kind, samples, _) = load(&to);
        assert_eq!(kind, ExtendedColorType::Rgba16);
        let samples = samples
            .chunks_exact(2)
            .map(|sample| u16::from_ne_bytes([sample[0], sample[1]]));
        for (index, (before, after)) in colours.iter().zip(samples).enumerate() {
            // In a saturated colour the rounding of the bright channels' floats, 3e-8 of their light, reaches the dark
            // one through the matrix, and 3e-8 of light is some 20 of 65535 next to black.
            let allowed = match index % 4 {
                3 => 0,
                _ if *before > 650 => 1,
                _ => 32,
            };
            assert!(before.abs_diff(after) <= allowed, "{before} became {after}");
        }
    }
}

/// The colours that the plugin sees are those of sRGB: known values of Display P3 and Adobe RGB.
#[test]
fn profiles_mean_what_they_say() {
    let folder = Folder::new();
    let path = folder.file("in.png");
    // sRGB's (200, 100, 50) computed by hand from the primaries of each space.
    for (profile, bytes) in [
        (ColorProfile::new_display_p3(), [187, 105, 61]),
        (ColorProfile::new_adobe_rgb(), [176, 100, 57]),
    ] {
        save(
            &path,
            &bytes,
            (1, 1),
            ExtendedColorType::Rgb8,
            Some(&profile.encode().unwrap()),
        );
        let samples = read(&path, "content").unwrap().picture.samples;
        for (sample, expected) in samples.iter().zip([200.0, 100.0, 50.0]) {
            assert!((sample * 255.0 - expected).abs() < 1.5, "{samples:?}");
        }
    }
}

/// A profile of sRGB, which each program rounds in another way, changes nothing.
#[test]
fn a_profile_of_srgb_leaves_samples_as_they_are() {
    let folder = Folder::new();
    let (colour, gray) = (folder.file("colour.png"), folder.file("gray.png"));
    let bytes: Vec<u8> = (0..=255).collect();
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    save(
        &colour,
        &noise_8(16 * 16 * 3),
        (16, 16),
        ExtendedColorType::Rgb8,
        Some(&srgb),
    );
    let mut curve_only = ColorProfile::new_gray_with_gamma(2.2);
    curve_only.gray_trc = ColorProfile::new_srgb().red_trc;
    let curve_only = curve_only.encode().unwrap();
    save(&gray, &bytes, (16, 16), ExtendedColorType::L8, Some(&curve_only));
    for (path, bytes) in [(colour, noise_8(16 * 16 * 3)), (gray, bytes)] {
        let expected: Vec<_> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        assert_eq!(read(&path, "content").unwrap().picture.samples, expected, "{path:?}");
    }
}

#[test]
fn gray_pictures_keep_gray_profiles_where_they_fit() {
    let folder = Folder::new();
    let icc = ColorProfile::new_gray_with_gamma(1.8).encode().unwrap();
    let gray: Vec<u8> = (0..=255).collect();
    save(
        &folder.file("in.png"),
        &gray,
        (16, 16),
        ExtendedColorType::L8,
        Some(&icc),
    );
    let content = read(&folder.file("in.png"), "content").unwrap();
    // 128 at gamma 1.8 is brighter than 128 in sRGB.
    let expected = 1.055 * (128.0_f32 / 255.0).powf(1.8 / 2.4) - 0.055;
    assert!(
        (content.picture.samples[128] - expected).abs() < 1e-3,
        "{}",
        content.picture.samples[128]
    );

    let stays_gray = "the content is gray, so the result is gray; --colour paints in the styles' colours";
    for extension in ["png", "tif"] {
        let to = folder.file(&format!("out.{extension}"));
        assert_eq!(copy(&folder.file("in.png"), &to), [stays_gray]);
        let (kind, samples, kept) = load(&to);
        assert_eq!(kind, ExtendedColorType::L8);
        assert_eq!(kept.as_deref(), Some(&icc[..]));
        assert_eq!(differences(&samples, &gray), 0);
    }
    // WebP holds no gray, so the profile would not fit: its pixels are sRGB.
    let to = folder.file("out.webp");
    assert_eq!(copy(&folder.file("in.png"), &to).len(), 2);
    let (kind, samples, kept) = load(&to);
    assert_eq!((kind, kept), (ExtendedColorType::Rgb8, None));
    assert_eq!(samples[128 * 3], (expected * 255.0).round() as u8);

    // In colour the gray profile does not fit either, and the render has three channels.
    let target = Target::new(&folder.file("out.png")).unwrap();
    let plan = Plan::new(&target, &content, true).unwrap();
    assert_eq!((plan.rendered, plan.notes.len()), (Channels::Rgb, 1));
}

#[test]
fn a_gray_picture_in_an_rgb_profile_becomes_rgb() {
    let folder = Folder::new();
    let icc = ColorProfile::new_adobe_rgb().encode().unwrap();
    let gray: Vec<u8> = (0..=255).collect();
    save(
        &folder.file("in.tif"),
        &gray,
        (16, 16),
        ExtendedColorType::L8,
        Some(&icc),
    );
    assert_eq!(copy(&folder.file("in.tif"), &folder.file("out.tif")), [""; 0]);
    let (kind, samples, kept) = load(&folder.file("out.tif"));
    assert_eq!((kind, kept.as_deref()), (ExtendedColorType::Rgb8, Some(&icc[..])));
    let expected: Vec<u8> = gray.iter().flat_map(|sample| [*sample; 3]).collect();
    assert!(differences(&samples, &expected) <= 1);
}

#[test]
fn tabulated_curves_go_round() {
    let folder = Folder::new();
    let table = (0..1024)
        .map(|index| ((f64::from(index) / 1023.0).powf(2.2) * 65535.0).round() as u16)
        .collect();
    let curve = Some(ToneReprCurve::Lut(table));
    let mut profile = ColorProfile::new_adobe_rgb();
    profile.red_trc = curve.clone();
    profile.green_trc = curve.clone();
    profile.blue_trc = curve;
    let icc = profile.encode().unwrap();
    let colours = noise_8(64 * 64 * 3);
    save(
        &folder.file("in.png"),
        &colours,
        (64, 64),
        ExtendedColorType::Rgb8,
        Some(&icc),
    );
    assert_eq!(copy(&folder.file("in.png"), &folder.file("out.png")), [""; 0]);
    let (_, samples, kept) = load(&folder.file("out.png"));
    assert_eq!(kept.as_deref(), Some(&icc[..]));
    assert!(
        differences(&samples, &colours) <= 1,
        "{}",
        differences(&samples, &colours)
    );
}

#[test]
fn a_profile_that_does_not_fit_is_reported_and_left_out() {
    let folder = Folder::new();
    let gray = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    for (icc, reason) in [
        (&gray[..], "for gray pictures"),
        (b"no profile at all", "cannot be read"),
    ] {
        save(
            &folder.file("in.tif"),
            &[10, 20, 30],
            (1, 1),
            ExtendedColorType::Rgb8,
            Some(icc),
        );
        let notes = copy(&folder.file("in.tif"), &folder.file("out.tif"));
        assert!(
            notes.len() == 1 && notes[0].contains(reason) && notes[0].contains("as sRGB"),
            "{notes:?}"
        );
        assert_eq!(
            load(&folder.file("out.tif")),
            (ExtendedColorType::Rgb8, vec![10, 20, 30], None)
        );
    }
}

/// The part of EXIF that says how a camera was held.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

/// A TIFF of 2 x 1 pixels in 8-bit gray, black and white, with an Orientation tag.
fn turned_tiff(orientation: u16) -> Vec<u8> {
    let entries: [(u16, u16, u32); 9] = [
        (256, 3, 2),
        (257, 3, 1),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (274, 3, orientation.into()),
        (278, 3, 1),
        (279, 4, 2),
    ];
    let mut file = b"II\x2a\0\x0c\0\0\0\0\xff\0\0".to_vec();
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn pictures_are_turned_upright() {
    let folder = Folder::new();
    // Black and white side by side; where black is after turning: in the first place, or in the second.
    for (orientation, size, black_first) in [
        (1, (2, 1), true),
        (2, (2, 1), false),
        (3, (2, 1), false),
        (4, (2, 1), true),
        (5, (1, 2), true),
        (6, (1, 2), true),
        (7, (1, 2), false),
        (8, (1, 2), false),
    ] {
        let (png, jpg, tif) = (folder.file("in.png"), folder.file("in.jpg"), folder.file("in.tif"));
        let mut encoder = png::PngEncoder::new(fs::File::create(&png).unwrap());
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&[0, 255], 2, 1, ExtendedColorType::L8).unwrap();
        let mut encoder = jpeg::JpegEncoder::new_with_quality(fs::File::create(&jpg).unwrap(), 100);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&[0, 255], 2, 1, ExtendedColorType::L8).unwrap();
        fs::write(&tif, turned_tiff(orientation.into())).unwrap();

        for path in [png, jpg, tif] {
            let picture = read(&path, "content").unwrap().picture;
            assert_eq!((picture.width, picture.height), size, "{path:?} {orientation}");
            assert_eq!(
                picture.samples[0] < picture.samples[1],
                black_first,
                "{path:?} {orientation}"
            );
        }
    }
}

#[test]
fn scaling_is_done_in_linear_light_and_without_hidden_colours() {
    let checks: Vec<f32> = (0..64 * 64)
        .map(|index| ((index / 64 + index % 64) % 2) as f32)
        .collect();
    let picture = Picture {
        width: 64,
        height: 64,
        channels: Channels::Gray,
        samples: checks,
    };
    let small = picture.resized(8);
    assert_eq!((small.width, small.height), (8, 8));
    for sample in &small.samples[9..55] {
        // Half of the light, which is 188 of 255.
        assert!((sample * 255.0 - 188.0).abs() < 4.0, "{sample}");
    }

    // Opaque red beside transparent green: no green may show.
    let samples = (0..32 * 4).flat_map(|index| {
        if index % 2 == 0 {
            [1.0, 0.0, 0.0, 1.0]
        } else {
            [0.0, 1.0, 0.0, 0.0]
        }
    });
    let small = Picture {
        width: 32,
        height: 4,
        channels: Channels::Rgba,
        samples: samples.collect(),
    }
    .resized(8);
    assert_eq!((small.width, small.height), (8, 1));
    for pixel in small.samples.chunks_exact(4) {
        assert!(
            pixel[0] > 0.99 && pixel[1] < 0.01 && (pixel[3] - 0.5).abs() < 0.05,
            "{pixel:?}"
        );
    }

    let tall = Picture::new(3, 1000, Channels::Rgb).resized(10);
    assert_eq!((tall.width, tall.height), (1, 10));
    let same = Picture {
        samples: noise(5 * 4).into_iter().map(|sample| sample as f32).collect(),
        ..Picture::new(5, 4, Channels::Gray)
    };
    assert_eq!(same.clone().resized(5), same);
}

#[test]
fn unreadable_files_are_named() {
    let folder = Folder::new();
    let reason = |name: &str| {
        let error = read(&folder.file(name), "style").err().unwrap();
        assert_eq!(error.exit_code(), Kind::File as u8);
        let text = error.to_string();
        assert!(text.contains("the style") && text.contains(name), "{text}");
        text
    };
    reason("absent.png");
    fs::write(folder.file("words.png"), "not a picture").unwrap();
    reason("words.png");
    save(
        &folder.file("whole.png"),
        &noise_8(100 * 100),
        (100, 100),
        ExtendedColorType::L8,
        None,
    );
    let bytes = fs::read(folder.file("whole.png")).unwrap();
    fs::write(folder.file("cut.png"), &bytes[..bytes.len() / 2]).unwrap();
    reason("cut.png");
    // A PNG header that claims 2^31 - 1 pixels a side: refused without allocating them.
    let mut huge = bytes;
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    fs::write(folder.file("huge.png"), &huge).unwrap();
    reason("huge.png");
}

#[test]
fn unusable_targets_are_refused_before_the_render() {
    let folder = Folder::new();
    fs::create_dir(folder.file("folder.png")).unwrap();
    for (name, reason) in [
        ("out.bmp", "cannot tell the format"),
        ("out", "cannot tell the format"),
        ("folder.png", "is a folder"),
        ("absent/out.png", "does not exist"),
    ] {
        let error = Target::new(&folder.file(name)).unwrap_err();
        assert_eq!(error.exit_code(), Kind::File as u8);
        assert!(error.to_string().contains(reason), "{error}");
    }
    let content = |width, height| PictureFile {
        picture: Picture::new(width, height, Channels::Rgb),
        depth: Depth::Eight,
        profile: None,
        notes: Vec::new(),
    };
    for (name, width) in [("out.jpg", 65536), ("out.webp", 16384)] {
        let error = Plan::new(&Target::new(&folder.file(name)).unwrap(), &content(width, 1), false)
            .err()
            .unwrap();
        assert!(error.to_string().contains("cannot hold"), "{error}");
        let target = Target::new(&folder.file(name)).unwrap();
        let largest = content(width - 1, 1);
        target
            .write(&largest.picture, &Plan::new(&target, &largest, false).unwrap())
            .unwrap();
        assert_eq!(read(target.path(), "content").unwrap().picture.width, width - 1);
    }
}

#[test]
fn a_file_appears_whole_and_leaves_nothing_beside_it() {
    let folder = Folder::new();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(folder.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let target = Target::new(&folder.file("out.png")).unwrap();
    assert_eq!(names().len(), 0);
    fs::write(folder.file("out.png"), "something older").unwrap();
    let gray = Profile::parse(ColorProfile::new_gray_with_gamma(2.2).encode().unwrap()).unwrap();
    let content = PictureFile {
        picture: Picture::new(3, 2, Channels::Gray),
        depth: Depth::Eight,
        profile: Some(gray),
        notes: Vec::new(),
    };
    let plan = Plan::new(&target, &content, false).unwrap();
    // Pixels that do not fit the planned profile make writing fail after all checks; the old file must stay.
    let misfit = Picture::new(3, 2, Channels::Rgb);
    assert_eq!(target.write(&misfit, &plan).unwrap_err().exit_code(), Kind::File as u8);
    assert_eq!(fs::read(folder.file("out.png")).unwrap(), b"something older");
    target.write(&content.picture, &plan).unwrap();
    assert_eq!(load(&folder.file("out.png")).1, [0; 6]);
    assert_eq!(names(), ["out.png"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::write(folder.file("plain"), "").unwrap();
        let fresh = Target::new(&folder.file("fresh.png")).unwrap();
        fresh.write(&content.picture, &plan).unwrap();
        assert_eq!(mode(&folder.file("fresh.png")), mode(&folder.file("plain")));
    }
}
