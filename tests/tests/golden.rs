//! Whether a render still is as good as it was: figures of a judge, not bytes.
//!
//! Other instructions and other orders of summation give other bytes, and after some steps visibly other pixels, of a
//! picture that is as good. So what is committed (`golden/figures.json`) is how near the picture came: to the content,
//! in the features of conv4_2 relative to their energy, and to the style, in the Gram matrices of five layers relative
//! to where the content stood. Both are measured by the plain backend, which has no part in the render.
//!
//! When a change is meant to change the picture, `UPDATE_GOLDEN=1 cargo test --release -p pentimento-tests --test
//! golden` writes the figures anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use candle_core::{Device, Tensor};
use pentimento_plugin::canvas::Picture;
use pentimento_plugin::compute::candle::CandleBackend;
use pentimento_plugin::compute::{Backend, Plan, Pooling, Statistics, Tiling, Window};
use pentimento_plugin::network::{Layer, Network};
use pentimento_tests::{Pixels, Settings, content, render, repository, style};

const SIZE: u32 = 96;
/// How far a figure may be from the committed one, as a share of that.
const TOLERANCE: f64 = 0.1;
const RENDERS: [(&str, Settings); 2] = [
    ("standard", &[("quality", "0.2")]),
    ("article", &[("preset", "article"), ("quality", "0.2")]),
];

/// Figures by their names: "content", and a layer's name for its style.
type Figures = BTreeMap<String, f64>;

/// Measures pictures with the plain backend.
struct Judge {
    backend: CandleBackend,
    style_layers: Vec<Layer>,
    content_layer: Layer,
}

impl Judge {
    fn new() -> Self {
        let layer = |name: &str| name.parse().unwrap();
        Self {
            backend: CandleBackend::new(Network::embedded().unwrap(), Device::Cpu, 0).unwrap(),
            style_layers: ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
                .map(layer)
                .to_vec(),
            content_layer: layer("conv4_2"),
        }
    }

    /// Makes ready for pictures of this one's size, and holds it as the content.
    fn hold(&mut self, picture: &Tensor) -> f64 {
        let (_, _, height, width) = picture.dims4().unwrap();
        let plan = Plan {
            height,
            width,
            window: Window::whole(height, width),
            style_layers: self.style_layers.clone(),
            content_layers: vec![self.content_layer],
            pooling: Pooling::Max,
            regions: None,
            defers: false,
        };
        self.backend.prepare(&Tiling::whole(&plan).unwrap()).unwrap();
        self.backend.hold_content(0, picture).unwrap()[0].mean_square
    }

    fn figures(&mut self, content: &Pixels, style: &Pixels, painted: &Pixels) -> Figures {
        let [content, style, painted] = [content, style, painted].map(tensor);
        self.hold(&style);
        let style = self.backend.forward(0, &style).unwrap();
        let energy = self.hold(&content);
        let before = self.backend.forward(0, &content).unwrap();
        let after = self.backend.forward(0, &painted).unwrap();

        let content = ("content".to_owned(), after.content[0].mean_square / energy);
        let styles = self.style_layers.iter().enumerate().map(|(index, layer)| {
            let distance = |picture: &Statistics| gram_distance(picture, &style, index);
            (layer.to_string(), distance(&after) / distance(&before))
        });
        styles.chain([content]).collect()
    }
}

/// The squared Frobenius distance of two pictures' Gram matrices at one of the judge's layers.
fn gram_distance(a: &Statistics, b: &Statistics, layer: usize) -> f64 {
    let [a, b] = [a, b].map(|statistics| &statistics.moments[layer][0].second);
    let squares = (a - b).and_then(|difference| difference.sqr()).unwrap();
    f64::from(squares.sum_all().unwrap().to_scalar::<f32>().unwrap())
}

fn tensor(pixels: &Pixels) -> Tensor {
    let planes = (0..3).flat_map(|plane| pixels.bytes.iter().skip(plane).step_by(3));
    let samples = planes.map(|&byte| f32::from(byte) / 255.0).collect();
    let (width, height) = (pixels.shape.width as usize, pixels.shape.height as usize);
    let picture = Picture::new(width, height, samples).unwrap();
    picture.to_tensor(&Device::Cpu).unwrap()
}

fn file() -> PathBuf {
    repository().join("tests/golden/figures.json")
}

#[test]
fn renders_are_as_good_as_they_were() {
    let (content, style) = (content(SIZE), style(SIZE));
    let mut judge = Judge::new();
    let measured: BTreeMap<String, Figures> = RENDERS
        .into_iter()
        .map(|(name, settings)| {
            let painted = render(&content, &[(&style, 1.0)], settings);
            (name.to_owned(), judge.figures(&content, &style, &painted))
        })
        .collect();
    // Whatever was committed: the picture still shows the content, and is nearer to the style than the content was.
    for (name, figures) in &measured {
        for (what, figure) in figures {
            assert!(*figure > 0.0 && *figure < 1.0, "{name}, {what}: {figure}");
        }
    }

    if env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&measured).unwrap() + "\n";
        fs::write(file(), text).unwrap();
        return;
    }
    let text = fs::read_to_string(file()).unwrap_or_else(|error| panic!("{}: {error}", file().display()));
    let golden: BTreeMap<String, Figures> = serde_json::from_str(&text).unwrap();
    let mut apart = Vec::new();
    for (name, expected) in &golden {
        for (what, expected) in expected {
            let found = measured[name][what];
            if (found / expected - 1.0).abs() > TOLERANCE {
                apart.push(format!("{name}, {what}: {found:.4}, was {expected:.4}"));
            }
        }
    }
    assert_eq!(golden.len(), RENDERS.len(), "another set of renders; see UPDATE_GOLDEN");
    assert!(apart.is_empty(), "other figures than committed:\n{}", apart.join("\n"));
}

#[test]
fn the_judge_tells_content_and_style_apart() {
    let (content, style) = (content(SIZE), style(SIZE));
    let mut judge = Judge::new();
    let untouched = judge.figures(&content, &style, &content);
    for (what, figure) in untouched {
        let expected = if what == "content" { 0.0 } else { 1.0 };
        assert!(
            (figure - expected).abs() < 1e-6,
            "{what} of the content itself: {figure}"
        );
    }
    let (width, height) = (content.shape.width, content.shape.height);
    let painting = image::RgbImage::from_raw(style.shape.width, style.shape.height, style.bytes.clone()).unwrap();
    let painting = image::imageops::resize(&painting, width, height, image::imageops::FilterType::Triangle);
    let replaced = judge.figures(&content, &style, &Pixels::rgb(width, height, painting.into_raw()));
    for (what, figure) in replaced {
        let is_right = if what == "content" { figure > 0.5 } else { figure < 0.2 };
        assert!(is_right, "{what} of the style in the content's place: {figure}");
    }
}
