//! What is minimised: a weighted sum of losses over a picture's statistics and over its pixels.
//!
//! `alpha * content + beta * style + smoothness`, after Gatys, Ecker and Bethge (2015). The content loss compares the
//! picture's features with the content's; the style loss compares moments of the features with those of the style
//! ([`style`]); smoothness is a total variation of the pixels ([`variation`]). How the losses of different layers and
//! sizes are made comparable is the [`Scaling`].
//!
//! The losses are functions of a few small matrices, so simple that each distance gives its derivatives along with its
//! value, in plain loops on the host: on a gradient tape, each operation on such a matrix would wake candle's threads,
//! which wait for work by spinning, for no more work than one thread does at once. The network behind the matrices is
//! the backend's affair.

pub mod style;
#[cfg(test)]
mod tests;
pub mod variation;
mod wasserstein;

use std::cmp::Reverse;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::compute::{
    Amounts, ContentLoss, Losses, Moments, MomentsGradient, MomentsLoss, Statistics, StatisticsGradient,
};
use crate::network::Layer;
use crate::{Error, Result, samples};

use style::Begun;
pub use style::{StyleLoss, StyleTarget};

/// How losses of different layers and picture sizes are made comparable. `F` are a layer's features, `P` those of the
/// content, `C` channels, `N` pixels; `G` and `A` are the moments of picture and style, each per pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Every loss relative to the energy of what it is measured from, so that one weight means the same for every
    /// network, layer and size: `mean (F - P)^2 / mean P^2` and `sum (G - A)^2 / sum A^2`.
    #[default]
    Balanced,
    /// Gatys et al. 2015: `1/2 sum (F - P)^2` and `sum (G - A)^2 / (4 C^2)`.
    Gatys,
    /// The article's own program: `mean (F - P)^2` and `mean (G - A)^2 N / C`.
    Article,
    /// `mean (F - P)^2` and `mean (G - A)^2`.
    Hw,
    /// `mean (F - P)^2` and `mean (G - A)^2 / C^2`.
    Chw,
}

/// The content loss of one layer.
#[derive(Clone, Copy, Debug)]
pub struct ContentTerm {
    /// Its share in the content loss.
    pub weight: f64,
    /// `mean P^2`, as [`crate::compute::Backend::hold_content`] returned it.
    pub energy: f64,
}

/// The style loss of one layer.
#[derive(Clone, Debug)]
pub struct StyleTerm {
    /// Where the features are taken.
    pub layer: Layer,
    /// Its share in the style loss.
    pub weight: f64,
    /// What to come near to, one for each region.
    pub targets: Vec<StyleTarget>,
}

/// The weighted sum of all losses that are functions of [`Statistics`].
#[derive(Clone, Debug)]
pub struct Objective {
    /// The factor of the content loss.
    pub alpha: f64,
    /// The factor of the style loss.
    pub beta: f64,
    /// How layers are made comparable.
    pub scaling: Scaling,
    /// `[content layer]`, in the order of the plan.
    pub content: Vec<ContentTerm>,
    /// `[style layer]`, in the order of the plan.
    pub style: Vec<StyleTerm>,
}

/// The value of an objective and its derivatives.
#[derive(Clone, Debug)]
pub struct Valued {
    /// The content loss, before alpha.
    pub content: f64,
    /// The style loss of each layer with its weight, before beta.
    pub style: Vec<f64>,
    /// `alpha * content + beta * sum style`.
    pub total: f64,
    /// The derivatives of the total.
    pub gradient: StatisticsGradient,
}

impl Objective {
    /// The loss of a picture with these statistics, and its derivatives with respect to them.
    pub fn evaluate(&self, statistics: &Statistics) -> Result<Valued> {
        let (content, content_gradient) = self.evaluate_content(statistics);
        let layers = self.style.par_iter().zip(&statistics.moments);
        let mut begun = layers
            .clone()
            .map(|(term, regions)| begin(term, regions))
            .collect::<Result<Vec<_>>>()?;
        solve(begun.iter_mut().flatten().collect())?;
        let layers = layers
            .zip(begun)
            .map(|((term, regions), begun)| self.end(term, regions, begun));
        let (style, moments): (Vec<f64>, Vec<_>) = layers.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let total = self.alpha * content + self.beta * style.iter().sum::<f64>();
        Ok(Valued {
            content,
            style,
            total,
            gradient: StatisticsGradient {
                moments,
                content: content_gradient,
            },
        })
    }

    fn evaluate_content(&self, statistics: &Statistics) -> (f64, Vec<f64>) {
        let mut total = 0.0;
        let mut gradient = Vec::with_capacity(self.content.len());
        for (term, distance) in self.content.iter().zip(&statistics.content) {
            let factor = self.content_factor(term, distance.elements);
            total += factor * distance.mean_square;
            gradient.push(self.alpha * factor);
        }
        (total, gradient)
    }

    /// What a content distance, a mean of so many elements, is multiplied by.
    fn content_factor(&self, term: &ContentTerm, elements: f64) -> f64 {
        term.weight
            * match self.scaling {
                Scaling::Balanced => 1.0 / term.energy.max(f64::MIN_POSITIVE),
                Scaling::Gatys => 0.5 * elements,
                Scaling::Article | Scaling::Hw | Scaling::Chw => 1.0,
            }
    }

    /// The same total for a backend that finds losses by itself, of statistics that are means over so much; `None` where one
    /// of them is of a kind that backends leave to this module.
    pub fn losses(&self, amounts: &Amounts) -> Option<Losses> {
        let style = self.style.iter().zip(&amounts.weights).map(|(term, weights)| {
            let regions = term.targets.iter().zip(weights).map(|(target, &weight)| {
                Some(MomentsLoss {
                    distance: target.distance()?,
                    slope: self.beta * term.weight * self.factor(term.layer, target, weight),
                })
            });
            regions.collect::<Option<_>>()
        });
        let content = self.content.iter().zip(&amounts.elements);
        let content = content.map(|(term, &elements)| ContentLoss {
            elements,
            slope: self.alpha * self.content_factor(term, elements),
        });
        Some(Losses {
            style: style.collect::<Option<_>>()?,
            content: content.collect(),
        })
    }

    /// One layer's loss over all regions with its weight, and the derivatives of its part in the total.
    fn end(&self, term: &StyleTerm, regions: &[Moments], begun: Vec<Begun>) -> Result<(f64, Vec<MomentsGradient>)> {
        let mut loss = 0.0;
        let mut gradients = Vec::with_capacity(regions.len());
        for ((target, moments), begun) in term.targets.iter().zip(regions).zip(begun) {
            let distance = begun.end()?;
            let factor = term.weight * self.factor(term.layer, target, moments.weight);
            let scaled = |mut derivative: Vec<f32>, like: &Tensor| {
                let slope = (self.beta * factor) as f32;
                derivative.iter_mut().for_each(|value| *value *= slope);
                Tensor::from_vec(derivative, like.shape(), like.device())
            };
            loss += factor * distance.value;
            gradients.push(MomentsGradient {
                second: scaled(distance.second, &moments.second)?,
                mean: scaled(distance.mean, &moments.mean)?,
            });
        }
        Ok((loss, gradients))
    }

    /// What a layer's distance, a sum over channels, is multiplied by.
    fn factor(&self, layer: Layer, target: &StyleTarget, pixels: f64) -> f64 {
        let channels = layer.outputs() as f64;
        match self.scaling {
            Scaling::Balanced => 1.0 / target.energy().max(f64::MIN_POSITIVE),
            Scaling::Gatys => 0.25 / channels.powi(2),
            Scaling::Article => pixels / channels.powi(3),
            Scaling::Hw => 1.0 / channels.powi(2),
            Scaling::Chw => 1.0 / channels.powi(4),
        }
    }
}

/// Begins with one layer's distances, one for each region.
fn begin(term: &StyleTerm, regions: &[Moments]) -> Result<Vec<Begun>> {
    let regions = term.targets.iter().zip(regions);
    regions.map(|(target, moments)| target.begin(moments)).collect()
}

/// Solves what distances have to be solved, each on one thread, the largest first so that none is left for the end.
///
/// Nothing else goes on meanwhile: a thread that waited for others' strips of a product would take up one of these, and
/// what needs the product would wait for it.
fn solve(mut begun: Vec<&mut Begun>) -> Result<()> {
    begun.sort_by_key(|begun| Reverse(begun.size()));
    let mut outcomes: Vec<_> = begun.iter().map(|_| Ok(())).collect();
    rayon::scope_fifo(|scope| {
        for (begun, outcome) in begun.into_iter().zip(&mut outcomes) {
            scope.spawn_fifo(|_| *outcome = begun.solve());
        }
    });
    outcomes.into_iter().collect()
}

/// Blends the statistics of several styles by their weights (which need not sum to 1).
///
/// # Errors
/// When there is no style.
pub fn blend(styles: &[(Statistics, f64)]) -> Result<Vec<Vec<Moments>>> {
    let sum: f64 = styles.iter().map(|(_, weight)| weight).sum();
    let (first, _) = styles
        .first()
        .ok_or_else(|| Error::argument("styles", "there is none"))?;
    let layers = 0..first.moments.len();
    layers
        .map(|layer| {
            let regions = 0..first.moments[layer].len();
            regions
                .map(|region| blend_moments(styles, layer, region, sum))
                .collect()
        })
        .collect()
}

fn blend_moments(styles: &[(Statistics, f64)], layer: usize, region: usize, sum: f64) -> Result<Moments> {
    let shares = styles
        .iter()
        .map(|(statistics, weight)| (&statistics.moments[layer][region], weight / sum));
    // Candle would add large matrices on threads of its own: see above.
    let blended = |of: fn(&Moments) -> &Tensor| {
        let like = of(&styles[0].0.moments[layer][region]);
        let mut blended = vec![0f32; like.elem_count()];
        for (moments, share) in shares.clone() {
            let add = |values: &[f32]| {
                let pairs = blended.iter_mut().zip(values);
                pairs.for_each(|(sum, value)| *sum += share as f32 * value);
            };
            samples::lend(of(moments), add)?;
        }
        Ok::<_, Error>(Tensor::from_vec(blended, like.shape(), like.device())?)
    };
    Ok(Moments {
        second: blended(|moments| &moments.second)?,
        mean: blended(|moments| &moments.mean)?,
        weight: shares.clone().map(|(moments, share)| share * moments.weight).sum(),
    })
}
