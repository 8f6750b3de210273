//! How large everything in a style transfer is: what its settings and the sizes of its pictures tell before there are
//! pictures, and before memory is taken for any.

use candle_core::Device;

use super::margin::Margin;
use super::memory;
use super::schedule::{self, Level};
use crate::Result;
use crate::canvas::{self, Size};
use crate::compute::{Backend, Plan, Tiling};
use crate::network::Layer;
use crate::settings::{Edges, StyleTransfer};

/// Pixels of repeated border that the network sees around the picture.
const MARGIN: usize = 16;
/// What L-BFGS may remember: a pair of its history takes the memory of two pictures, and more than 50 pairs gain nothing.
const HISTORY_BYTES: usize = 128 << 20;

/// The pairs that L-BFGS remembers of a picture of so many samples.
pub fn history(samples: usize) -> usize {
    (HISTORY_BYTES / (2 * 4 * samples)).clamp(8, 50)
}

/// A render's sizes.
pub struct Extent<'a> {
    /// What was set.
    pub settings: &'a StyleTransfer,
    /// The content's own size.
    pub content: Size,
    /// The styles' own sizes.
    pub styles: Vec<Size>,
}

impl Extent<'_> {
    /// The content's size while it is painted, before it is padded to what the network needs.
    pub fn working(&self) -> Size {
        match self.settings.working_size {
            0 => self.content,
            longer => fit(self.content, longer),
        }
    }

    /// The sizes that the content is painted at, coarsest first.
    pub fn levels(&self) -> Vec<Level> {
        let Size { width, height } = padded(self.working());
        schedule::levels(height, width, self.settings.quality, self.settings.pyramid)
    }

    /// The size at which a style is looked at for a level.
    pub fn style(&self, style: Size, level: &Level) -> Size {
        fit(style, self.brush(level.height.max(level.width)))
    }

    /// What is put around a picture before the network sees it.
    pub fn margin(&self, height: usize, width: usize, device: &Device) -> Result<Margin> {
        Margin::new(self.margin_size(), height, width, device)
    }

    /// The network's task for pictures inside a margin.
    pub fn plan(&self, margin: &Margin, content_layers: &[(Layer, f64)]) -> Plan {
        let (height, width) = margin.padded_size();
        Plan {
            height,
            width,
            window: margin.window(),
            style_layers: self.settings.style_layers.iter().map(|&(layer, _)| layer).collect(),
            content_layers: content_layers.iter().map(|&(layer, _)| layer).collect(),
            pooling: self.settings.pooling,
            regions: None,
        }
    }

    /// The pixels that the network sees of a picture of this size.
    pub fn pixels_seen(&self, height: usize, width: usize) -> f64 {
        let around = 2 * self.margin_size();
        ((height + around) * (width + around)) as f64
    }

    /// The most bytes that a render takes whose finest level has this longer side: for its steps, or for looking at a
    /// style.
    pub fn bytes(&self, backend: &dyn Backend, longer: usize) -> Result<u64> {
        let needs = |picture: Size, longer: usize, content_layers: &[_]| -> Result<(u64, u64)> {
            let Size { width, height } = padded(fit(picture, longer));
            let margin = self.margin(height, width, &Device::Cpu)?;
            let network = backend.memory(&Tiling::whole(&self.plan(&margin, content_layers))?);
            Ok((network, memory::pictures(width, height, history(3 * width * height))))
        };
        let (network, pictures) = needs(self.content, longer, &self.settings.content_layers)?;
        let mut most = network;
        for &style in &self.styles {
            most = most.max(needs(style, self.brush(longer), &[])?.0);
        }
        Ok(most + pictures)
    }

    /// The longer side at which styles are looked at for a canvas with this longer side.
    fn brush(&self, longer: usize) -> usize {
        (longer as f64 * self.settings.brush_size).round().max(1.0) as usize
    }

    fn margin_size(&self) -> usize {
        match self.settings.edges {
            Edges::Replicate => MARGIN,
            Edges::Zero => 0,
        }
    }
}

fn fit(size: Size, longer: usize) -> Size {
    let (width, height) = canvas::fit(size.width, size.height, longer);
    Size { width, height }
}

/// The size that a picture has when it is padded to what the network needs.
fn padded(size: Size) -> Size {
    Size {
        width: size.width.max(Plan::SMALLEST),
        height: size.height.max(Plan::SMALLEST),
    }
}
