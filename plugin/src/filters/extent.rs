//! How large everything in a style transfer is: what its settings and the sizes of its pictures tell before there are
//! pictures, and before memory is taken for any.

use candle_core::Device;

use super::margin::Margin;
use super::means::{FEWEST_PAIRS, Means};
use super::memory;
use super::schedule::{self, Level};
use crate::canvas::{self, Size};
use crate::compute::{Backend, Plan, Tiling};
use crate::network::Layer;
use crate::settings::{Edges, Optimiser, StyleTransfer};
use crate::{Error, Result};

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
    fn plan(&self, margin: &Margin, content_layers: &[(Layer, f64)]) -> Plan {
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

    /// The bytes of its pictures as they were read.
    pub fn read(&self) -> u64 {
        let sizes = self.styles.iter().chain([&self.content]);
        sizes.map(|size| size.bytes_read()).fold(0, u64::saturating_add)
    }

    /// The bytes that a render may take beside its pictures as they were read; `None` is any number.
    pub fn room(&self, backend: &dyn Backend) -> Option<u64> {
        memory::room(self.settings.memory_limit, self.read(), backend.device().is_cuda())
    }

    /// By which means a level is painted.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for it.
    fn means(&self, backend: &dyn Backend, level: &Level, room: Option<u64>) -> Result<Means> {
        let plan = self.content_plan(level.height, level.width)?;
        let mut longest = self.history(level.height, level.width);
        let mut looking = 0;
        for &style in &self.styles {
            looking = looking.max(self.least_look(backend, padded(self.style(style, level)))?);
        }
        while let Some(means) = Means::within(backend, &plan, longest, room)? {
            if means.style_room.is_none_or(|room| looking <= room) {
                return Ok(means);
            }
            if means.history <= FEWEST_PAIRS {
                break;
            }
            longest = means.history - 1;
        }
        Err(no_room(level.height, level.width))
    }

    /// The sizes that the content is painted at, coarsest first, and by which means.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for one of them.
    pub fn planned(&self, backend: &dyn Backend, room: Option<u64>) -> Result<Vec<(Level, Means)>> {
        let levels = self.levels().into_iter();
        let planned = levels.map(|level| Ok((level, self.means(backend, &level, room)?)));
        planned.collect()
    }

    /// How a style of this size, padded to what the network needs, is looked at.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for it.
    pub fn look(&self, backend: &dyn Backend, style: Size, room: Option<u64>) -> Result<Tiling> {
        let plan = self.style_plan(style)?;
        let Some(room) = room else {
            return Tiling::whole(&plan);
        };
        let tiling = Tiling::within(backend, &plan, room.saturating_sub(memory::looking(&plan)))?;
        tiling.ok_or_else(|| no_room(style.height, style.width))
    }

    /// The least bytes that it takes to look at a style of this size.
    fn least_look(&self, backend: &dyn Backend, style: Size) -> Result<u64> {
        let plan = self.style_plan(style)?;
        Ok(memory::looking(&plan) + Tiling::smallest(&plan)?.bytes(backend))
    }

    /// The least bytes that a render takes whose finest level has this longer side: for its steps, or for looking at a
    /// style.
    pub fn least(&self, backend: &dyn Backend, longer: usize) -> Result<u64> {
        let Size { width, height } = padded(fit(self.content, longer));
        let plan = self.content_plan(height, width)?;
        let history = self.history(height, width);
        let mut most = Means::least(backend, &plan, history)?;
        let resting = memory::resting(&plan, history.min(FEWEST_PAIRS));
        for &style in &self.styles {
            let style = padded(fit(style, self.brush(longer)));
            most = most.max(resting + self.least_look(backend, style)?);
        }
        Ok(most)
    }

    /// The most bytes that a render of these levels takes beside its pictures as they were read.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for them.
    pub fn bytes(&self, backend: &dyn Backend, levels: &[(Level, Means)]) -> Result<u64> {
        let mut most = 0;
        for (level, means) in levels {
            let plan = means.tiling.plan();
            let resting = memory::resting(plan, means.history);
            for &style in &self.styles {
                let style = padded(self.style(style, level));
                let tiling = self.look(backend, style, means.style_room)?;
                let looking = memory::looking(tiling.plan()) + tiling.bytes(backend);
                most = most.max(resting + looking);
            }
            most = most.max(means.bytes);
        }
        Ok(most)
    }

    fn content_plan(&self, height: usize, width: usize) -> Result<Plan> {
        let margin = self.margin(height, width, &Device::Cpu)?;
        Ok(self.plan(&margin, &self.settings.content_layers))
    }

    fn style_plan(&self, style: Size) -> Result<Plan> {
        let margin = self.margin(style.height, style.width, &Device::Cpu)?;
        Ok(self.plan(&margin, &[]))
    }

    /// The pairs that L-BFGS remembers of a picture of this size where there is room for them; 0 for other optimisers.
    fn history(&self, height: usize, width: usize) -> usize {
        match self.settings.optimiser {
            Optimiser::Lbfgs => history(3 * height * width),
            Optimiser::Adam | Optimiser::PlainAdam => 0,
        }
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

fn no_room(height: usize, width: usize) -> Error {
    Error::Memory(format!("painting {width} x {height} pixels: there is no room for it"))
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
