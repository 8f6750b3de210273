//! Whole renders through the library: what decides the picture, and which canvases there can be.

use std::thread;

use pentimento_host::Layout;
use pentimento_tests::{Pixels, Settings, content, render, style};

/// Ten steps over 64 pixels.
const QUICK: Settings = &[("quality", "0.1"), ("edges", "zero")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [QUICK, more].concat()
}

#[test]
fn the_same_inputs_give_the_same_bytes_whatever_the_number_of_threads() {
    let (content, style) = (content(64), style(64));
    let painted = |threads| render(&content, &[(&style, 1.0)], &[("quality", "0.05"), ("threads", threads)]);
    let once = painted("1");
    assert_ne!(once, content);
    for threads in ["1", "2", "3", "0"] {
        assert!(painted(threads) == once, "threads={threads}");
    }
}

#[test]
fn a_noise_start_hangs_on_the_seed() {
    let (content, style) = (content(64), style(64));
    let painted = |seed| render(&content, &[(&style, 1.0)], &with(&[("start", "noise"), ("seed", seed)]));
    let (first, second) = (painted("1"), painted("2"));
    assert!(first != second, "another seed, the same picture");
    assert!(first == painted("1"), "the same seed, another picture");
}

#[test]
fn jobs_at_once_do_not_disturb_each_other() {
    let (content, style) = (content(64), style(64));
    let paint = |settings: Settings| render(&content, &[(&style, 1.0)], settings);
    let settings = [
        with(&[("loss", "gram")]),
        with(&[("start", "style"), ("pooling", "average")]),
    ];
    let alone = [paint(&settings[0]), paint(&settings[1])];
    let together = thread::scope(|scope| {
        let jobs = settings.each_ref().map(|settings| scope.spawn(|| paint(settings)));
        jobs.map(|job| job.join().expect("the render succeeds"))
    });
    assert!(together == alone);
}

#[test]
fn several_styles_are_blended_by_their_weights() {
    let (content, painting) = (content(64), style(64));
    let stripes = Pixels::rgb(
        64,
        64,
        (0..64 * 64u32)
            .flat_map(|index| {
                if index / 4 % 2 == 0 {
                    [250, 30, 20]
                } else {
                    [10, 40, 200]
                }
            })
            .collect(),
    );
    let blend = |styles: &[(&Pixels, f64)]| render(&content, styles, QUICK);
    let pictures = [
        blend(&[(&painting, 1.0)]),
        blend(&[(&stripes, 1.0)]),
        blend(&[(&painting, 1.0), (&stripes, 1.0)]),
        blend(&[(&painting, 1.0), (&stripes, 3.0)]),
    ];
    for (index, picture) in pictures.iter().enumerate() {
        assert!(!pictures[..index].contains(picture), "{index}");
    }
    assert!(
        blend(&[(&painting, 2.0), (&stripes, 6.0)]) == pictures[3],
        "only the shares count"
    );
}

#[test]
fn canvases_of_any_size_are_painted() {
    let style = style(40);
    for (width, height) in [(1, 1), (1, 40), (40, 1), (15, 15), (16, 16), (17, 33), (190, 3)] {
        let bytes = (0..3 * width * height).map(|index| (index * 37 % 256) as u8).collect();
        let content = Pixels::rgb(width, height, bytes);
        for edges in ["reflect", "zero"] {
            let settings = [("quality", "0.04"), ("edges", edges)];
            let painted = render(&content, &[(&style, 1.0)], &settings);
            assert_eq!(painted.shape, content.shape);
            // A single pixel may come out as it went in.
            assert!(painted != content || width * height == 1, "{width} x {height}, {edges}");
        }
    }
}

#[test]
fn styles_of_any_size_are_taken() {
    let content = content(32);
    for (width, height) in [(1, 1), (1, 50), (300, 2)] {
        let bytes = (0..3 * width * height).map(|index| (index * 53 % 256) as u8).collect();
        let style = Pixels::rgb(width, height, bytes);
        assert_ne!(render(&content, &[(&style, 1.0)], QUICK), content, "{width} x {height}");
    }
}

#[test]
fn alpha_stays_bit_for_bit() {
    let (opaque, style) = (content(48), style(48));
    let alphas = [0, 1, 2, 100, 127, 128, 200, 254, 255u8];
    let alpha = |index: usize| alphas[index * 7 % alphas.len()];
    let pixels = opaque.bytes.chunks_exact(3).enumerate();
    let bytes: Vec<u8> = pixels
        .flat_map(|(index, pixel)| [pixel[0], pixel[1], pixel[2], alpha(index)])
        .collect();
    let content = Pixels::new(opaque.shape.width, opaque.shape.height, Layout::Rgba, bytes);
    let painted = render(&content, &[(&style, 1.0)], QUICK);
    assert_ne!(painted, content);
    for (index, pixel) in painted.bytes.chunks_exact(4).enumerate() {
        assert_eq!(pixel[3], alpha(index), "pixel {index}");
    }
}

#[test]
fn a_smaller_working_size_keeps_the_canvas_size() {
    let (content, style) = (content(64), style(64));
    let painted = render(&content, &[(&style, 1.0)], &with(&[("working_size", "32")]));
    assert_eq!(painted.shape, content.shape);
    assert_ne!(painted, render(&content, &[(&style, 1.0)], QUICK));
}
