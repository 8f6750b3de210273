//! Pictures of any size in bounded memory: tile by tile, with the statistics and the gradient of the whole.
//!
//! The network sees a bounded neighbourhood of each pixel, and statistics are sums over pixels. So the features of a
//! part of the picture come out right where the network sees a halo around it ([`tiling`]), and what the tiles' statistics
//! sum to is what the whole picture's would have been. The derivatives of a loss with respect to those sums are needed
//! before any gradient can be taken, so there are two passes:
//!
//! 1. forward over all tiles; their statistics are added up, and the loss is asked for its derivatives;
//! 2. forward over each tile again, as its features were not kept, and backward with the derivatives of its own
//!    statistics. Each gives a gradient to the pixels of its halo, too: where tiles overlap, gradients add.
//!
//! With `W` the weight of the pixels behind a moment and `t` a tile, `M = sum_t W_t M_t / W`, so the derivative with
//! respect to `M_t` is `W_t / W` of that with respect to `M`; likewise for content distances and their elements.
//!
//! Nothing is approximated. What differs from the whole picture's own passes is rounding: the gradient is the whole's to
//! 1e-5. There is one exception, which a ceiling alone can force. Both passes want the content's features of every tile,
//! 32 bytes for each pixel of the picture at conv4_2, whatever the size of the tiles. Where those would leave too little
//! room for tiles, the processor holds them in halves ([`Holding`]), and what the content says is good to three digits
//! only; the style's part is as it was. A card holds them in main memory instead, as they are.
//!
//! Pictures come as they are; what the network sees around them ([`margin`]) is added as boxes are cut out.

mod margin;
#[cfg(test)]
mod tests;
mod tiling;

use candle_core::{Device, Tensor};

pub use self::margin::Margin;
pub use self::tiling::{Holding, Tiling};
use super::{
    Amounts, Backend, ContentDistance, Losses, Moments, MomentsGradient, Resident, Statistics, StatisticsGradient,
    Window,
};
use crate::optimise::{Home, Vector};
use crate::{Error, Result};

/// A backend that looks at pictures in tiles.
pub struct Tiled<'a> {
    backend: &'a mut dyn Backend,
    prepared: Option<(Tiling, Margin)>,
}

impl<'a> Tiled<'a> {
    /// Not prepared for any picture yet.
    pub fn new(backend: &'a mut dyn Backend) -> Self {
        Self {
            backend,
            prepared: None,
        }
    }

    /// Where pictures and statistics live.
    pub fn device(&self) -> &Device {
        self.backend.device()
    }

    /// What looks at the tiles.
    pub fn backend(&self) -> &dyn Backend {
        self.backend
    }

    /// Where an optimiser's vectors best live.
    pub fn home(&self) -> Home {
        self.backend.home()
    }

    /// Makes ready for pictures that are cut like this when they have this margin. What was held before goes, and until
    /// a picture is looked at, no other memory is written.
    ///
    /// # Errors
    /// [`Error::Internal`] where the tiling is of another size, and the backend's own.
    pub fn prepare(&mut self, tiling: Tiling, margin: Margin) -> Result<()> {
        self.prepared = None;
        let plan = tiling.plan();
        if margin.padded_size() != (plan.height, plan.width) {
            return Err(Error::Internal(format!("{margin:?} is not that of {plan:?}")));
        }
        self.backend.prepare(&tiling)?;
        self.prepared = Some((tiling, margin));
        Ok(())
    }

    /// Keeps the features of this picture as those that content distances are measured from. Returns the energy
    /// `mean P^2` of each content layer's features over the window.
    pub fn hold_content(&mut self, picture: &Tensor) -> Result<Vec<f64>> {
        let (backend, tiling, margin) = self.prepared()?;
        let mut sum = Sum::default();
        for (part, seen) in tiling.boxes().iter().enumerate() {
            sum.add_content(&backend.hold_content(part, &margin.cut_out(picture, *seen)?)?);
        }
        Ok(sum.content().into_iter().map(|energy| energy.mean_square).collect())
    }

    /// The statistics of a picture.
    pub fn forward(&mut self, picture: &Tensor) -> Result<Statistics> {
        Ok(self.forward_tiles(&picture.clone().into())?.1)
    }

    /// The statistics of a picture, and what those of each tile weigh; the latter only where there are several.
    fn forward_tiles(&mut self, picture: &Vector) -> Result<(Vec<Shares>, Statistics)> {
        let (backend, tiling, margin) = self.prepared()?;
        if let [seen] = tiling.boxes()[..] {
            return Ok((Vec::new(), look(backend, 0, picture, seen, margin)?));
        }
        let (mut sum, mut weights) = (Sum::default(), Vec::new());
        for (part, seen) in tiling.boxes().iter().enumerate() {
            let statistics = look(backend, part, picture, *seen, margin)?;
            sum.add(&statistics)?;
            weights.push(Shares::weights(&statistics));
        }
        let device = backend.device().clone();
        Ok((weights, sum.statistics(&device)?))
    }

    /// Whether passes may end at the joint of its plan.
    pub fn defers(&self) -> bool {
        let plan = self.prepared.as_ref().map(|(tiling, _)| tiling.plan());
        plan.is_some_and(|plan| plan.joint().is_some())
    }

    /// What `ask` makes of a picture's statistics, and the gradient `[1, 3, H, W]` of that whose derivatives with respect
    /// to the statistics it gives. The gradient is where the picture is. Where the plan has a joint, `ask` also
    /// learns what the backend says of the [change](Backend::deferred_change) above it.
    pub fn evaluate<T>(
        &mut self,
        picture: &Vector,
        ask: impl FnOnce(&Statistics, Option<f64>) -> Result<(T, StatisticsGradient)>,
    ) -> Result<(T, Vector)> {
        let (weights, statistics) = self.forward_tiles(picture)?;
        let change = match self.defers() {
            true => self.backend.deferred_change()?,
            false => None,
        };
        let (answer, gradient) = ask(&statistics, change)?;
        let whole = Shares::weights(&statistics);
        Ok((answer, self.backward_tiles(picture, &gradient, &weights, &whole)?))
    }

    /// Has the backend find losses by itself from now on, if it can: on its card, of pictures in one tile. `make` is
    /// told what their statistics are means over.
    ///
    /// # Errors
    /// The backend's own.
    pub fn take_losses(&mut self, make: impl FnOnce(&Amounts) -> Option<Losses>) -> Result<()> {
        let (backend, tiling, _) = self.prepared()?;
        if tiling.parts().len() > 1 {
            return Ok(());
        }
        let Some(resident) = backend.resident() else {
            return Ok(());
        };
        match make(&resident.amounts(0)?) {
            Some(losses) => resident.take_losses(0, &losses),
            None => Ok(()),
        }
    }

    /// The total of the losses that the backend took, and its gradient; `None` where it took none or cannot tell.
    ///
    /// # Errors
    /// The backend's own.
    pub fn evaluate_losses(&mut self, picture: &Vector) -> Result<Option<(f64, Vector)>> {
        let (backend, tiling, margin) = self.prepared()?;
        let [seen] = tiling.boxes()[..] else { return Ok(None) };
        let taken = backend.resident().filter(|resident| resident.has_losses(0));
        let Some(resident) = taken.filter(|_| picture.is_on_card()) else {
            return Ok(None);
        };
        let sum = picture.zeros_like()?;
        let total = resident.evaluate_box(0, picture, margin.show(seen), &sum)?;
        Ok(total.map(|total| (total, sum)))
    }

    /// As [`Self::evaluate`], no higher than the joint, with what was held there when it was last passed. So there is a
    /// change above it.
    ///
    /// # Errors
    /// Where the plan has no joint or it was not passed yet.
    pub fn evaluate_to_joint<T>(
        &mut self,
        picture: &Vector,
        ask: impl FnOnce(&Statistics, f64) -> Result<(T, StatisticsGradient)>,
    ) -> Result<(T, Vector)> {
        let (backend, tiling, margin) = self.prepared()?;
        // Plans in several tiles have no joint.
        let seen = tiling.boxes()[0];
        // By way of main memory where it is on a card, none of which defers anything by itself.
        let seen = margin.cut_out(&picture.to_tensor()?, seen)?;
        let statistics = backend.forward_to_joint(0, &seen)?;
        let change = backend.deferred_change()?;
        let change = change.ok_or_else(|| Error::Internal("nothing is held at the joint".into()))?;
        let (answer, gradient) = ask(&statistics, change)?;
        let whole = Shares::weights(&statistics);
        Ok((answer, self.backward_tiles(picture, &gradient, &[], &whole)?))
    }

    /// The gradient of a picture whose last tile was the last to be looked at. The tiles weigh so much of the whole.
    fn backward_tiles(
        &mut self,
        picture: &Vector,
        gradient: &StatisticsGradient,
        weights: &[Shares],
        whole: &Shares,
    ) -> Result<Vector> {
        let (backend, tiling, margin) = self.prepared()?;
        if tiling.parts().len() == 1 && margin.is_empty() && !picture.is_on_card() {
            return Ok(backend.backward(gradient)?.into());
        }
        let mut sum = GradientSum::new(picture, margin)?;
        for (part, seen) in tiling.boxes().iter().enumerate().rev() {
            if part + 1 < tiling.parts().len() {
                look(backend, part, picture, *seen, margin)?;
            }
            match weights.get(part) {
                Some(weights) => sum.add(backend, &weights.of(whole).scale(gradient)?, *seen, margin)?,
                None => sum.add(backend, gradient, *seen, margin)?,
            }
        }
        sum.gradient(backend, margin)
    }

    fn prepared(&mut self) -> Result<(&mut dyn Backend, &Tiling, &Margin)> {
        match &self.prepared {
            Some((tiling, margin)) => Ok((self.backend, tiling, margin)),
            None => Err(Error::Internal("no picture was prepared for".into())),
        }
    }
}

/// The statistics of a box of a picture.
fn look(backend: &mut dyn Backend, part: usize, picture: &Vector, seen: Window, margin: &Margin) -> Result<Statistics> {
    match picture {
        Vector::Tensor(picture) => backend.forward(part, &margin.cut_out(picture, seen)?),
        #[cfg(not(feature = "cuda"))]
        Vector::OnCard(_) => resident(backend)?.forward_box(part, picture, margin.show(seen)),
    }
}

fn resident(backend: &mut dyn Backend) -> Result<&mut dyn Resident> {
    let not_there = || Error::Internal("a picture on a card that the backend does not compute on".into());
    backend.resident().ok_or_else(not_there)
}

/// The gradients of tiles, added up where the picture is.
enum GradientSum {
    /// In main memory: `[3][H][W]`.
    Here(Vec<f32>),
    /// On the card.
    There(Vector),
}

impl GradientSum {
    /// Zeros, of a picture's size.
    fn new(picture: &Vector, margin: &Margin) -> Result<Self> {
        if picture.is_on_card() {
            return Ok(Self::There(picture.zeros_like()?));
        }
        let Window { height, width, .. } = margin.window();
        Ok(Self::Here(vec![0f32; 3 * height * width]))
    }

    /// Goes back from the box that was looked at last.
    fn add(
        &mut self,
        backend: &mut dyn Backend,
        gradient: &StatisticsGradient,
        seen: Window,
        margin: &Margin,
    ) -> Result<()> {
        match self {
            Self::Here(sum) => backend.backward_lent(gradient, &mut |gradient| margin.fold(gradient, seen, sum)),
            Self::There(sum) => resident(backend)?.backward_box(gradient, margin.show(seen), sum),
        }
    }

    fn gradient(self, backend: &dyn Backend, margin: &Margin) -> Result<Vector> {
        match self {
            Self::Here(sum) => {
                let Window { height, width, .. } = margin.window();
                let gradient = Tensor::from_vec(sum, (1, 3, height, width), &Device::Cpu)?;
                Ok(gradient.to_device(backend.device())?.into())
            }
            Self::There(sum) => Ok(sum),
        }
    }
}

/// The statistics of tiles, added up in f64.
#[derive(Default)]
struct Sum {
    /// `[style layer][region]`.
    moments: Vec<Vec<MomentsSum>>,
    /// `[content layer]`: squares and elements.
    content: Vec<(f64, f64)>,
}

/// `sum w F F^T`, `sum w F` and `sum w`.
struct MomentsSum {
    second: Vec<f64>,
    mean: Vec<f64>,
    weight: f64,
}

impl MomentsSum {
    fn new(moments: &Moments) -> Self {
        Self {
            second: vec![0.0; moments.second.elem_count()],
            mean: vec![0.0; moments.mean.elem_count()],
            weight: 0.0,
        }
    }

    fn add(&mut self, moments: &Moments) -> Result<()> {
        let sums = [(&mut self.second, &moments.second), (&mut self.mean, &moments.mean)];
        for (sums, means) in sums {
            let means = means.flatten_all()?.to_vec1::<f32>()?;
            for (sum, mean) in sums.iter_mut().zip(means) {
                *sum += moments.weight * f64::from(mean);
            }
        }
        self.weight += moments.weight;
        Ok(())
    }

    fn moments(&self, device: &Device) -> Result<Moments> {
        let scale = if self.weight > 0.0 { self.weight.recip() } else { 0.0 };
        let means = |sums: &[f64]| sums.iter().map(|sum| (sum * scale) as f32).collect();
        let channels = self.mean.len();
        Ok(Moments {
            second: Tensor::from_vec(means(&self.second), (channels, channels), device)?,
            mean: Tensor::from_vec::<_, f32>(means(&self.mean), channels, device)?,
            weight: self.weight,
        })
    }
}

impl Sum {
    fn add(&mut self, statistics: &Statistics) -> Result<()> {
        if self.moments.is_empty() {
            let regions = statistics.moments.iter();
            let sums = regions.map(|regions| regions.iter().map(MomentsSum::new).collect());
            self.moments = sums.collect();
        }
        let moments = statistics.moments.iter().flatten();
        for (sum, moments) in self.moments.iter_mut().flatten().zip(moments) {
            sum.add(moments)?;
        }
        self.add_content(&statistics.content);
        Ok(())
    }

    fn add_content(&mut self, distances: &[ContentDistance]) {
        self.content.resize(distances.len(), (0.0, 0.0));
        for ((squares, elements), distance) in self.content.iter_mut().zip(distances) {
            *squares += distance.mean_square * distance.elements;
            *elements += distance.elements;
        }
    }

    fn content(&self) -> Vec<ContentDistance> {
        let distance = |&(squares, elements): &(f64, f64)| ContentDistance {
            mean_square: squares / elements.max(1.0),
            elements,
        };
        self.content.iter().map(distance).collect()
    }

    fn statistics(&self, device: &Device) -> Result<Statistics> {
        let layer = |regions: &Vec<MomentsSum>| regions.iter().map(|sum| sum.moments(device)).collect();
        Ok(Statistics {
            moments: self.moments.iter().map(layer).collect::<Result<_>>()?,
            content: self.content(),
        })
    }
}

/// What statistics weigh, in pixels and elements, or in shares of the whole.
struct Shares {
    /// `[style layer][region]`.
    moments: Vec<Vec<f64>>,
    /// `[content layer]`.
    content: Vec<f64>,
}

impl Shares {
    fn weights(statistics: &Statistics) -> Self {
        let regions = statistics.moments.iter();
        Self {
            moments: regions
                .map(|regions| regions.iter().map(|moments| moments.weight).collect())
                .collect(),
            content: statistics.content.iter().map(|distance| distance.elements).collect(),
        }
    }

    /// These weights as shares of the whole's.
    fn of(&self, whole: &Self) -> Self {
        let share = |(part, whole): (&f64, &f64)| if *whole > 0.0 { part / whole } else { 0.0 };
        let regions = self.moments.iter().zip(&whole.moments);
        Self {
            moments: regions
                .map(|(part, whole)| part.iter().zip(whole).map(share).collect())
                .collect(),
            content: self.content.iter().zip(&whole.content).map(share).collect(),
        }
    }

    /// The derivatives with respect to a tile's statistics from those with respect to the whole's.
    fn scale(&self, gradient: &StatisticsGradient) -> Result<StatisticsGradient> {
        let region = |(gradient, share): (&MomentsGradient, &f64)| {
            Ok(MomentsGradient {
                second: (&gradient.second * *share)?,
                mean: (&gradient.mean * *share)?,
            })
        };
        let layers = gradient.moments.iter().zip(&self.moments);
        let content = gradient.content.iter().zip(&self.content);
        Ok(StatisticsGradient {
            moments: layers
                .map(|(gradients, shares)| gradients.iter().zip(shares).map(region).collect())
                .collect::<Result<_>>()?,
            content: content.map(|(gradient, share)| gradient * share).collect(),
        })
    }
}
