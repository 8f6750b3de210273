//! A judge of renders, which has no part in them: how near a picture is to the content and to the style.
//!
//! To the content, in the features of conv4_2 relative to their energy, and to the style, in the Gram matrices of five
//! layers relative to where the content stood. Both are measured by the plain backend.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use pentimento_plugin::canvas::Picture;
use pentimento_plugin::compute::candle::CandleBackend;
use pentimento_plugin::compute::{Backend, Plan, Pooling, Statistics, Tiling, Window};
use pentimento_plugin::network::{Layer, Network};

use crate::Pixels;

/// Figures by their names: "content", and a layer's name for its style.
pub type Figures = BTreeMap<String, f64>;

/// Measures pictures with the plain backend, at the article's layers.
pub struct Judge {
    backend: CandleBackend,
    style_layers: Vec<Layer>,
    content_layer: Layer,
}

impl Default for Judge {
    /// One that knows the built-in network.
    fn default() -> Self {
        let layer = |name: &str| name.parse().unwrap();
        Self {
            backend: CandleBackend::new(Network::embedded().unwrap(), Device::Cpu, 0).unwrap(),
            style_layers: ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
                .map(layer)
                .to_vec(),
            content_layer: layer("conv4_2"),
        }
    }
}

impl Judge {
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

    /// What the picture painted of a content, which is of the same size, and a style comes to.
    pub fn figures(&mut self, content: &Pixels, style: &Pixels, painted: &Pixels) -> Figures {
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
