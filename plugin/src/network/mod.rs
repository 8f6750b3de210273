//! VGG-19 (Simonyan and Zisserman 2014) up to conv5_1: what its layers are, and where their weights come from.
//!
//! Only 3 x 3 convolutions of stride 1 and padding 1, ReLU, and 2 x 2 pooling of stride 2 (sizes halve, rounding down)
//! occur. The network is frozen; what is optimised is the picture that goes in.

mod embedded;
mod layer;
mod model_file;

use std::path::Path;
use std::sync::Arc;

pub use layer::Layer;

use crate::Result;

/// One convolution's parameters.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// `[out, in, 3, 3]`, row by row: correlation weights as in every deep learning library.
    pub weight: Vec<f32>,
    /// `[out]`.
    pub bias: Vec<f32>,
}

/// The input space that a set of weights was trained on: `value = (picture * 255 - mean) / deviation`, per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// For each channel of the network, which channel of the picture it takes (0 red, 1 green, 2 blue).
    pub channels: [usize; 3],
    /// The mean of each channel of the network, in 0 to 255.
    pub mean: [f32; 3],
    /// What each channel of the network is divided by, in 0 to 255.
    pub deviation: [f32; 3],
}

impl Normalisation {
    /// The original Caffe weights: blue, green, red; 0 to 255; the mean subtracted.
    pub const CAFFE: Self = Self {
        channels: [2, 1, 0],
        mean: [103.939, 116.779, 123.68],
        deviation: [1.0, 1.0, 1.0],
    };
    /// torchvision's and timm's weights: red, green, blue; mean and standard deviation of ImageNet.
    pub const IMAGENET: Self = Self {
        channels: [0, 1, 2],
        mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
        deviation: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
    };
}

/// A frozen VGG-19.
#[derive(Clone, Debug)]
pub struct Network {
    /// One for each [`Layer`], in the order of [`Layer::ALL`].
    pub convolutions: Vec<Convolution>,
    /// The input space of these weights.
    pub normalisation: Normalisation,
    /// Where the weights came from, for people.
    pub origin: String,
}

impl Network {
    /// The network that is compiled into the library. It is expanded at the first call (52 MB) and shared from then on.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if the library is damaged.
    pub fn embedded() -> Result<Arc<Self>> {
        embedded::network()
    }

    /// Reads weights from a safetensors file: in the quantised form of the built-in network, or floating-point tensors
    /// (32 or 16 bits) under torchvision's and timm's names, `features.0.weight` to `features.28.bias`.
    ///
    /// The input space of the latter is what the file's metadata say under `input` (`caffe` or `imagenet`). Without
    /// that, weights that begin as the original ones do are Caffe's, and all others torchvision's.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model), naming the file, what was expected and what was found: a file that cannot
    /// be read, is truncated or is not safetensors; a tensor that is missing, of another shape or type, or holds a
    /// value that is not finite; a checksum that does not match.
    pub fn load(path: &Path) -> Result<Self> {
        model_file::load(path)
    }
}
