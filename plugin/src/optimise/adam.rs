//! Adam (Kingma and Ba 2015) by candle-nn: projected onto the box after every step, with averaged iterates, or plain.
//!
//! [`AdamOptions::plain`] is Adam as the programs run it that the article tells of: pixels go where they like, the last
//! iterate is the picture, and only what becomes of it is brought into gamut. It is there to reproduce them.
//!
//! The moments and the step itself are candle-nn's, or a card's ([`super::moments`]). Gradients are divided by the root
//! mean square of the first one, so that Adam's epsilon means the same for every scaling of the loss.
//!
//! candle-nn keeps the moments to itself, so they cannot be carried to another grid: a finer level starts its own.

use super::average::Average;
use super::moments::Moments;
use super::plateau::Plateau;
use super::{Ending, Optimiser, Problem, Step, Vector, vector};
use crate::Result;

/// The settings of [`Adam`].
#[derive(Clone, Copy, Debug)]
pub struct AdamOptions {
    /// About how far a pixel moves at a step, 0 to 1 being its range.
    pub learning_rate: f64,
    /// The decay of the first moment.
    pub beta1: f64,
    /// The decay of the second moment.
    pub beta2: f64,
    /// What is shown.
    pub shown: Shown,
    /// Whether pixels are kept within 0 and 1 at every step.
    pub projected: bool,
    /// Converged when the lowest loss fell by less than this, relative to itself, ...
    pub tolerance: f64,
    /// ... over this many steps.
    pub window: usize,
}

/// Which picture an [`Adam`] shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// The average of the iterates, with this decay, 0 or more and below 1.
    Average(f64),
    /// The iterate with the lowest loss.
    Best,
    /// The last iterate.
    Last,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self {
            learning_rate: 0.02,
            beta1: 0.9,
            beta2: 0.99,
            shown: Shown::Average(0.99),
            projected: true,
            tolerance: 1e-5,
            window: 100,
        }
    }
}

impl AdamOptions {
    /// Adam as it stands in the paper and in PyTorch, which ends when its steps do.
    pub fn plain(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            beta2: 0.999,
            shown: Shown::Last,
            projected: false,
            tolerance: f64::NEG_INFINITY,
            ..Self::default()
        }
    }

    fn average(&self) -> Option<Average> {
        match self.shown {
            Shown::Average(decay) => Some(Average::new(decay)),
            Shown::Best | Shown::Last => None,
        }
    }
}

/// Evaluations in a row that may fail: not be finite, or lie far above the start.
const FAILURES: usize = 6;
/// How many times the loss of the start a loss may rise above it.
const EXPLOSION: f64 = 10.0;

/// The optimiser. See the module's text.
pub struct Adam {
    options: AdamOptions,
    moments: Moments,
    x: Vector,
    /// 1 over the root mean square of the first gradient.
    unit: Option<f64>,
    /// The loss of the first evaluation that was finite.
    first_loss: Option<f64>,
    average: Option<Average>,
    best: (Vector, f64),
    plateau: Plateau,
    evaluations: usize,
    failures: usize,
    ended: Option<Ending>,
}

impl Adam {
    /// Starts from a picture, f32 of any shape, which is projected onto the box.
    ///
    /// # Errors
    /// When the picture is empty, not f32 or not finite.
    pub fn new(start: &Vector, options: AdamOptions) -> Result<Self> {
        let x = vector::admit_start(start)?;
        Ok(Self {
            moments: Moments::new(&x, &options, options.learning_rate)?,
            best: (x.clone(), f64::INFINITY),
            x,
            unit: None,
            first_loss: None,
            average: options.average(),
            plateau: Plateau::new(options.window, options.tolerance),
            evaluations: 0,
            failures: 0,
            ended: None,
            options,
        })
    }

    /// Goes against the gradient, and back into the box where that is wanted.
    fn descend(&mut self, gradient: Vector, rms: f64) -> Result<()> {
        let unit = *self.unit.get_or_insert(if rms > 0.0 { 1.0 / rms } else { 1.0 });
        self.x = self.moments.step(&self.x, unit, gradient)?;
        if let Some(average) = &mut self.average {
            average.update(&self.x)?;
        }
        Ok(())
    }

    /// Goes back to the best picture with half the learning rate and no momentum.
    fn fall_back(&mut self) -> Result<()> {
        self.failures += 1;
        if self.failures >= FAILURES {
            self.ended = Some(Ending::Diverged);
            return Ok(());
        }
        self.x = self.best.0.clone();
        self.moments = Moments::new(&self.x, &self.options, 0.5 * self.moments.learning_rate())?;
        self.average = self.options.average();
        Ok(())
    }
}

impl Optimiser for Adam {
    fn step(&mut self, problem: &mut dyn Problem) -> Result<Step> {
        let report = |this: &Self, loss, accepted| Step {
            loss,
            accepted,
            evaluations: this.evaluations,
            ended: this.ended,
        };
        if self.ended.is_some() {
            return Ok(report(self, self.best.1, false));
        }
        let evaluation = problem.evaluate(&self.x)?;
        let gradient = vector::admit("gradient", &evaluation.gradient, &self.x)?;
        self.evaluations += 1;
        let loss = evaluation.loss;
        let rms = vector::norm(&gradient)? / (gradient.elem_count() as f64).sqrt();
        let exploded = self
            .first_loss
            .is_some_and(|first| loss > first + EXPLOSION * first.abs());
        if !loss.is_finite() || !rms.is_finite() || exploded {
            self.fall_back()?;
            return Ok(report(self, loss, false));
        }
        self.failures = 0;
        self.first_loss.get_or_insert(loss);
        if loss < self.best.1 {
            self.best = (self.x.clone(), loss);
        }
        if self.plateau.reached(self.best.1) {
            self.ended = Some(Ending::Converged);
        } else {
            self.descend(gradient, rms)?;
        }
        Ok(report(self, loss, true))
    }

    fn picture(&self) -> &Vector {
        match (&self.average, self.ended) {
            (_, Some(Ending::Diverged)) => &self.best.0,
            (Some(average), _) => average.mean().unwrap_or(&self.x),
            (None, _) if self.options.shown == Shown::Last => &self.x,
            (None, _) => &self.best.0,
        }
    }

    fn best(&self) -> (&Vector, f64) {
        (&self.best.0, self.best.1)
    }
}
