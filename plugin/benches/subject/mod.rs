//! What the benches of the network run: the article's objective on noise, as a step of an optimiser would.

use std::sync::Arc;

use candle_core::Tensor;
use pentimento_plugin::compute::{Backend, Plan, Pooling, Tiling, Window};
use pentimento_plugin::network::{Convolution, Layer, Network, Normalisation};
use pentimento_plugin::objective::{ContentTerm, Objective, Scaling, StyleLoss, StyleTarget, StyleTerm};
use pentimento_plugin::settings::{Settings, StyleTransfer, manifest};
use pentimento_plugin::{Error, Result};

/// A picture, and what is wanted of it.
pub struct Subject {
    pub picture: Tensor,
    pub objective: Objective,
}

impl Subject {
    /// Square pictures of noise, `size` pixels wide, of which the backend holds one's content.
    pub fn new(backend: &mut dyn Backend, size: usize) -> Result<Self> {
        let article = article()?;
        let device = backend.device().clone();
        let picture = || Tensor::rand(0f32, 1f32, (1, 3, size, size), &device);
        backend.prepare(&tiling(size)?)?;
        let targets = backend.forward(0, &picture()?)?.moments;
        let energies = backend.hold_content(0, &picture()?)?;
        let content = energies.iter().map(|energy| ContentTerm {
            weight: 1.0,
            energy: energy.mean_square,
        });
        let style = article.style_layers.iter().zip(&targets);
        let style = style.map(|(&(layer, weight), moments)| {
            Ok(StyleTerm {
                layer,
                weight,
                targets: vec![StyleTarget::new(&moments[0], StyleLoss::Gram)?],
            })
        });
        Ok(Self {
            objective: Objective {
                alpha: 1.0,
                beta: 30.0,
                scaling: Scaling::Chw,
                content: content.collect(),
                style: style.collect::<Result<_>>()?,
            },
            picture: picture()?,
        })
    }
}

/// The settings of the article, whose layers are measured.
fn article() -> Result<StyleTransfer> {
    let filter = manifest().filter("style-transfer");
    let mut settings = Settings::new(filter.ok_or_else(|| Error::Internal("there is no style transfer".into()))?);
    settings.set_text("preset", "article")?;
    settings.resolve()
}

/// How it is looked at: as it is.
pub fn tiling(size: usize) -> Result<Tiling> {
    let article = article()?;
    let names = |layers: &[(Layer, f64)]| layers.iter().map(|&(layer, _)| layer).collect();
    Tiling::whole(&Plan {
        height: size,
        width: size,
        window: Window::whole(size, size),
        style_layers: names(&article.style_layers),
        content_layers: names(&article.content_layers),
        pooling: Pooling::Max,
        regions: None,
        defers: false,
    })
}

/// Weights of a size that lets noise through: the time does not depend on them.
pub fn network() -> Arc<Network> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let convolutions = Layer::ALL.into_iter().map(|layer| {
        let scale = (6.0 / (9 * layer.inputs()) as f32).sqrt();
        let weights = layer.outputs() * layer.inputs() * 9;
        Convolution {
            weight: (0..weights).map(|_| random() * scale).collect(),
            bias: vec![0.1; layer.outputs()],
        }
    });
    Arc::new(Network {
        convolutions: convolutions.collect(),
        normalisation: Normalisation::CAFFE,
        origin: "noise".into(),
    })
}
