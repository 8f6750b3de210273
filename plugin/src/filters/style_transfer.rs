//! Style transfer: repaints a picture in the manner of others (Gatys, Ecker and Bethge 2015).
//!
//! Nothing is learned. A network that was trained to tell objects apart sees the picture; some of its features say
//! what is where (the content), and statistics of its features over the whole picture say how it is painted (the
//! style). The pixels are then moved, step by step, until the picture has the content of the one and the statistics of
//! the other.
//!
//! Departures from the article, which the preset "article" takes back:
//!
//! - The picture is painted small first and then ever larger (Gatys et al. 2017; [`super::schedule`]).
//! - The style loss is the Wasserstein distance, layer by layer relative to the style ([`crate::objective::style`]).
//! - Pictures are reflected outward ([`crate::compute::Margin`]).
//! - L-BFGS, which keeps the pixels in gamut at every step, in place of plain Adam ([`crate::optimise`]).

mod course;
mod estimate;
mod fallback;
mod speed;
#[cfg(test)]
pub mod tests;

use std::borrow::Cow;

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::Rendered;
use super::extent::Extent;
use super::means::{Means, WORTHWHILE};
use super::progress::Progress;
use super::schedule::Level;
use crate::canvas::{self, Light, Origin, Picture, Size};
use crate::compute::{self, Holding, Moments, Plan, Tiled};
use crate::control::{Control, Flow, LogLevel};
use crate::memory::give_back;
use crate::network::Layer;
use crate::objective::{self, ContentTerm, Objective, StyleTarget, StyleTerm};
use crate::settings::{self, Start, StyleTransfer};
use crate::{Error, Result, threads};

pub use estimate::estimate;

/// Repaints `content` in the manner of `styles`, each with its share (above 0).
///
/// # Errors
/// Settings that this machine cannot follow, and failures of the device. Interruptions are outcomes, not errors.
pub fn render(
    content: Picture,
    styles: &[(Picture, f64)],
    settings: &StyleTransfer,
    control: &dyn Control,
) -> Result<Rendered> {
    let opened = compute::open(settings.device, settings.precision, &settings.model, settings.threads)?;
    for note in &opened.notes {
        control.log(LogLevel::Warning, note);
    }
    control.log(
        LogLevel::Info,
        &format!("computing on {}", opened.backend.description()),
    );
    let render = Render::new(content.size(), styles, settings, control)?;
    let mut course = render.begin(content)?;
    let processor = |error: &Error| {
        compute::distrust(opened.device, error);
        let opened = compute::open(
            settings::Device::Cpu,
            settings.precision,
            &settings.model,
            settings.threads,
        )?;
        Ok(opened.backend)
    };
    let flow = fallback::follow(&render, &mut course, opened.backend, processor)?;
    let rendered = render.end(course, flow);
    give_back();
    rendered
}

/// What a render works on, beside the content.
struct Render<'a> {
    styles: &'a [(Picture, f64)],
    settings: &'a StyleTransfer,
    control: &'a dyn Control,
    extent: Extent<'a>,
    /// What computes beside the backend.
    pool: ThreadPool,
}

/// The threads of what computes beside the backend.
fn pool(settings: &StyleTransfer) -> Result<ThreadPool> {
    threads::pool(settings.threads, "pentimento-filter")
}

/// Whether to go on, and how it ends when not.
enum Stage<T> {
    Done(T),
    Interrupted(Flow),
}

impl<'a> Render<'a> {
    fn new(
        content: Size,
        styles: &'a [(Picture, f64)],
        settings: &'a StyleTransfer,
        control: &'a dyn Control,
    ) -> Result<Self> {
        let extent = Extent {
            settings,
            content,
            styles: styles.iter().map(|(style, _)| style.size()).collect(),
        };
        Ok(Self {
            styles,
            settings,
            control,
            extent,
            pool: pool(settings)?,
        })
    }

    /// Says before a render what it will be like, where memory is short.
    fn tell_of_means(&self, finest: &Means) {
        let (tiles, cost) = (finest.tiling.parts().len(), finest.tiling.cost());
        if tiles == 1 {
            return;
        }
        let mut message = format!("memory is short: in {tiles} tiles each step takes {cost:.1} times as long");
        if self.settings.optimiser == settings::Optimiser::Lbfgs {
            let plural = if finest.history == 1 { " is" } else { "s are" };
            message += &format!(", and {} step{plural} remembered", finest.history);
        }
        match finest.tiling.holding() {
            Holding::AsTheyAre => {}
            Holding::Halves => message += "; what is asked of the content is exact to three digits",
            Holding::Aside => message += "; what is asked of the content comes from main memory",
        }
        if cost > WORTHWHILE {
            let advice = "a higher memory_limit or a lower working_size would save time";
            self.control.log(LogLevel::Warning, &format!("{message}; {advice}"));
        } else {
            self.control.log(LogLevel::Info, &message);
        }
    }

    /// The moments that the styles have at a level's size, blended.
    fn look_at_styles(
        &self,
        network: &mut Tiled,
        level: &Level,
        room: Option<u64>,
        progress: &mut Progress,
    ) -> Result<Stage<Vec<Vec<Moments>>>> {
        let device = network.device().clone();
        let mut statistics = Vec::with_capacity(self.styles.len());
        for (style, share) in self.styles {
            let size = self.extent.style(style.size(), level);
            let seen = self.extent.style_seen(style.size(), level);
            // What the network holds of the picture before goes before there is another.
            let tiling = self.extent.look(network.backend(), seen, room)?;
            network.prepare(tiling, self.extent.margin(seen))?;
            let (style, _) = padded(self.resized(Cow::Borrowed(style), size, Light::Linear)?)?;
            statistics.push((network.forward(&to_tensor(style, &device)?)?, *share));
            let flow = progress.looked("looking at the style", self.extent.work(level));
            if flow != Flow::Continue {
                return Ok(Stage::Interrupted(flow));
            }
        }
        Ok(Stage::Done(objective::blend(&statistics)?))
    }

    /// The picture at another size; at its own it is the same one.
    fn resized<'p>(&self, picture: Cow<'p, Picture>, size: Size, light: Light) -> Result<Cow<'p, Picture>> {
        if picture.size() == size {
            return Ok(picture);
        }
        let resize = || canvas::resize(&picture, size.width, size.height, light);
        Ok(Cow::Owned(threads::within(&self.pool, resize)?))
    }

    fn objective(&self, targets: &[Vec<Moments>], energies: &[f64]) -> Result<Objective> {
        let settings = self.settings;
        // The Wasserstein distance's targets are eigenvalue problems.
        let term = |(&(layer, weight), regions): (&(Layer, f64), &Vec<Moments>)| {
            let targets = regions.iter().map(|moments| StyleTarget::new(moments, settings.loss));
            let targets = targets.collect::<Result<_>>()?;
            Ok(StyleTerm { layer, weight, targets })
        };
        let layers = settings.style_layers.par_iter().zip(targets);
        let style = threads::within(&self.pool, || layers.map(term).collect::<Result<_>>())?;
        let content = settings.content_layers.iter().zip(energies);
        Ok(Objective {
            alpha: settings.alpha,
            beta: settings.beta * settings.style_strength,
            scaling: settings.scaling,
            content: content
                .map(|(&(_, weight), &energy)| ContentTerm { weight, energy })
                .collect(),
            style,
        })
    }

    /// The picture to start from, of the coarsest level's size.
    fn start<'p>(&self, content: Cow<'p, Picture>) -> Result<Cow<'p, Picture>> {
        let size = content.size();
        match self.settings.start {
            Start::Canvas => Ok(content),
            Start::Style => {
                let style = self.resized(Cow::Borrowed(&self.styles[0].0), size, Light::Linear)?;
                Ok(Cow::Owned(style.into_owned()))
            }
            Start::Noise => {
                let mut random = ChaCha8Rng::seed_from_u64(self.settings.seed);
                let samples = (0..3 * size.width * size.height).map(|_| random.random());
                Ok(Cow::Owned(Picture::new(size.width, size.height, samples.collect())?))
            }
        }
    }
}

/// The picture as a tensor on a device, without a copy of what nobody else holds.
fn to_tensor(picture: Cow<'_, Picture>, device: &Device) -> Result<Tensor> {
    match picture {
        Cow::Borrowed(picture) => picture.to_tensor(device),
        Cow::Owned(picture) => picture.into_tensor(device),
    }
}

/// The picture with as many pixels as the network needs, and where its own begin; mostly it has enough.
fn padded(picture: Cow<'_, Picture>) -> Result<(Cow<'_, Picture>, Origin)> {
    if picture.width.min(picture.height) >= Plan::SMALLEST {
        return Ok((picture, Origin::default()));
    }
    let (padded, origin) = canvas::pad_to(&picture, Plan::SMALLEST)?;
    Ok((Cow::Owned(padded), origin))
}
