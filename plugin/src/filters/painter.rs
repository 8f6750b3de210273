//! What paints a level: an optimiser, and what it takes along to the next finer one.

use crate::Result;
use crate::canvas::Size;
use crate::optimise::{Adam, AdamOptions, Home, Lbfgs, LbfgsOptions, Optimiser, PictureMetric, Resampler, Vector};
use crate::settings::{self, StyleTransfer};

/// An optimiser, as the settings have it.
pub enum Painter {
    /// Its curvature is carried from level to level.
    Lbfgs(Lbfgs),
    /// It starts afresh at each level.
    Adam(Adam),
}

impl Painter {
    /// Starts from a picture `[1, 3, H, W]` that was not painted yet. L-BFGS remembers `history` pairs.
    pub fn new(settings: &StyleTransfer, start: &Vector, history: usize) -> Result<Self> {
        let learning_rate = settings.learning_rate;
        Ok(match settings.optimiser {
            settings::Optimiser::Lbfgs => {
                let options = LbfgsOptions {
                    history,
                    ..LbfgsOptions::default()
                };
                Self::Lbfgs(Lbfgs::with_metric(
                    start,
                    options,
                    Box::new(PictureMetric::unpainted()),
                )?)
            }
            settings::Optimiser::Adam => {
                let options = AdamOptions {
                    learning_rate,
                    ..AdamOptions::default()
                };
                Self::Adam(Adam::new(start, options)?)
            }
            settings::Optimiser::PlainAdam => Self::Adam(Adam::new(start, AdamOptions::plain(learning_rate))?),
        })
    }

    /// Lets go of what [`Self::refined`] with so many pairs in its history does not look at.
    pub fn rest(&mut self, pairs: usize) {
        match self {
            Self::Lbfgs(optimiser) => optimiser.rest(pairs),
            Self::Adam(_) => {}
        }
    }

    /// Goes on at a finer level, or elsewhere.
    pub fn refined(self, settings: &StyleTransfer, size: Size, history: usize, home: &Home) -> Result<Self> {
        let resampler = Resampler::to_size(self.picture(), size, home)?;
        match self {
            Self::Lbfgs(optimiser) => {
                let metric = Box::new(PictureMetric::painted());
                Ok(Self::Lbfgs(optimiser.resized(history, metric, &resampler)?))
            }
            Self::Adam(optimiser) => {
                let picture = optimiser.picture().clone();
                drop(optimiser);
                Self::new(settings, &resampler.apply(picture)?, history)
            }
        }
    }

    /// Goes on elsewhere.
    pub fn moved(self, settings: &StyleTransfer, home: &Home) -> Result<Self> {
        let (_, _, height, width) = self.picture().shape().dims4()?;
        let pairs = match &self {
            Self::Lbfgs(optimiser) => optimiser.pairs(),
            Self::Adam(_) => 0,
        };
        self.refined(settings, Size { width, height }, pairs, home)
    }

    /// The optimiser itself.
    pub fn optimiser(&mut self) -> &mut dyn Optimiser {
        match self {
            Self::Lbfgs(optimiser) => optimiser,
            Self::Adam(optimiser) => optimiser,
        }
    }

    /// What should be shown or saved now.
    pub fn picture(&self) -> &Vector {
        match self {
            Self::Lbfgs(optimiser) => optimiser.picture(),
            Self::Adam(optimiser) => optimiser.picture(),
        }
    }
}
