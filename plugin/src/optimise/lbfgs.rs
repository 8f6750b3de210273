//! Projected L-BFGS: a quasi-Newton method for the box `0 <= x <= 1`.
//!
//! At each iterate the pixels that sit on a bound and would be pushed out are held; the two-loop recursion makes a
//! direction for the others (Bertsekas 1982; Kim, Sra and Dhillon 2010), and the trial points are projections of
//! `x + t d` onto the box. `t = 1` comes first and nearly always serves, so an iteration costs little more than one
//! evaluation.
//!
//! Along the steps taken in style transfer the curvature has always turned out positive, so a pair without it is
//! refused rather than damped (Powell 1978), and the full step is never too short to be worth lengthening.
//!
//! The first direction is the gradient's, of a length that moves the pixels by a small, visible amount; from the first
//! pair on, the curvature gives the scale. Whatever is wrong with a direction (an ascent, a search that fails), the
//! remedy is the same: forget the history and go along the projected gradient again.

use super::history::{History, Identity, Metric, Point};
use super::line_search::{self, Trial, Verdict};
use super::plateau::Plateau;
use super::{Ending, Optimiser, Problem, Resampler, Step, Vector, vector};
use crate::Result;

/// The settings of [`Lbfgs`].
#[derive(Clone, Copy, Debug)]
pub struct LbfgsOptions {
    /// Pairs remembered, each of which costs the memory of a picture, and at each step the time to read it twice. 0 is
    /// projected steepest descent. In style transfer 8 do about as well as 20 for the first 30 steps, and need some 4 %
    /// more of them over 50.
    pub history: usize,
    /// The root mean square over all samples of the first step, before it is bent into the box.
    pub first_change: f64,
    /// The number of accepted losses, the last included, of whose largest a trial must be lower. 1 is a search that
    /// falls at every step; more spares refusals in curved valleys, and nothing where there are none.
    pub memory: usize,
    /// Converged when the loss fell by less than this, relative to itself, ...
    pub tolerance: f64,
    /// ... over this many accepted steps.
    pub window: usize,
}

impl Default for LbfgsOptions {
    fn default() -> Self {
        Self {
            history: 10,
            first_change: 6.0 / 255.0,
            memory: 1,
            tolerance: 1e-5,
            window: 10,
        }
    }
}

/// Trials along one direction before it is given up.
const TRIALS: usize = 8;
/// Evaluations in a row that may fail to be finite.
const FAILURES: usize = 6;
/// Halvings of a step whose bent path promises no descent, none of which costs an evaluation.
const HALVINGS: usize = 12;
/// How much longer the next step along the gradient is when the last one met no positive curvature.
const GROWTH: f64 = 4.0;
/// The longest step along the gradient, as a root mean square.
const LONGEST: f64 = 0.25;

/// A search along one direction, which is made anew for each trial: there are few, and a picture is large.
#[derive(Clone, Copy)]
struct Search {
    length: f64,
    trials: usize,
    /// Along the gradient alone, without the history.
    steepest: bool,
}

/// A point to evaluate.
struct Candidate {
    x: Vector,
    promised: f64,
}

/// The optimiser. See the module's text.
pub struct Lbfgs {
    options: LbfgsOptions,
    metric: Box<dyn Metric>,
    history: History,
    x: Vector,
    loss: f64,
    /// At `x`; `None` before the first evaluation.
    gradient: Option<Vector>,
    /// Under way since a trial was refused.
    search: Option<Search>,
    /// Root mean square of the next step along the gradient.
    change: f64,
    /// The losses that a trial is compared with.
    recent: Vec<f64>,
    plateau: Plateau,
    best: (Vector, f64),
    evaluations: usize,
    failures: usize,
    ended: Option<Ending>,
}

impl Lbfgs {
    /// Starts from a picture, f32 of any shape, which is projected onto the box.
    ///
    /// # Errors
    /// When the picture is empty, not f32 or not finite.
    pub fn new(start: &Vector, options: LbfgsOptions) -> Result<Self> {
        Self::with_metric(start, options, Box::new(Identity))
    }

    /// As [`Lbfgs::new`], with a metric to start each direction from.
    pub fn with_metric(start: &Vector, options: LbfgsOptions, metric: Box<dyn Metric>) -> Result<Self> {
        let x = vector::admit_start(start)?;
        Ok(Self {
            history: History::new(options.history),
            best: (x.clone(), f64::INFINITY),
            x,
            loss: f64::INFINITY,
            gradient: None,
            search: None,
            change: options.first_change,
            recent: Vec::new(),
            plateau: Plateau::new(options.window, options.tolerance),
            evaluations: 0,
            failures: 0,
            ended: None,
            metric,
            options,
        })
    }

    /// Lets go of what [`Self::resized`] with so many pairs does not look at. The picture stays.
    pub fn rest(&mut self, pairs: usize) {
        self.history.shorten(pairs);
        self.x = self.best.0.clone();
        self.gradient = None;
        self.search = None;
    }

    /// The optimiser on another grid, its curvature carried along: `resampler` takes the best picture there, and every
    /// pair of the history. A pair that lost its positive curvature on the way is dropped, and so are the oldest beyond
    /// `history`. Counts of evaluations and losses start anew, since the new grid's loss is another function.
    ///
    /// From 96 to 128 pixels this is worth two or three evaluations over a fresh start on the larger grid.
    pub fn resized(mut self, history: usize, metric: Box<dyn Metric>, resampler: &Resampler) -> Result<Self> {
        let options = LbfgsOptions {
            history,
            ..self.options
        };
        self.rest(history);
        let mut resized = Self::with_metric(&resampler.apply(self.best.0.clone())?, options, metric)?;
        drop((self.x, self.best));
        resized.history = self.history.resized(history, resampler)?;
        resized.change = self.change;
        Ok(resized)
    }

    /// The number of pairs in the history.
    pub fn pairs(&self) -> usize {
        self.history.len()
    }

    fn report(&self, loss: f64, accepted: bool) -> Step {
        Step {
            loss,
            accepted,
            evaluations: self.evaluations,
            ended: self.ended,
        }
    }

    fn end(&mut self, ending: Ending) {
        self.ended = Some(ending);
        self.search = None;
    }

    /// Evaluates the picture to start from.
    fn begin(&mut self, problem: &mut dyn Problem) -> Result<Step> {
        let evaluation = problem.evaluate(&self.x)?;
        let gradient = vector::admit("gradient", &evaluation.gradient, &self.x)?;
        self.evaluations += 1;
        let finite = evaluation.loss.is_finite() && vector::norm(&gradient)?.is_finite();
        if finite {
            self.failures = 0;
            let start = Point {
                x: self.x.clone(),
                gradient,
            };
            self.arrive(&start, evaluation.loss)?;
        } else {
            self.fail();
        }
        Ok(self.report(evaluation.loss, finite))
    }

    /// Makes a point the iterate.
    fn arrive(&mut self, point: &Point, loss: f64) -> Result<()> {
        self.metric.learn(&point.gradient)?;
        if loss < self.best.1 {
            self.best = (point.x.clone(), loss);
        }
        if self.recent.len() == self.options.memory.max(1) {
            self.recent.remove(0);
        }
        self.recent.push(loss);
        if self.plateau.reached(loss) {
            self.end(Ending::Converged);
        }
        self.x = point.x.clone();
        self.loss = loss;
        self.gradient = Some(point.gradient.clone());
        self.search = None;
        Ok(())
    }

    /// Counts an evaluation that was not finite.
    fn fail(&mut self) {
        self.failures += 1;
        if self.failures >= FAILURES {
            self.end(Ending::Diverged);
        }
    }

    /// A direction of ascent from the iterate, which is to be gone against, and whether it is the gradient's.
    fn direction(&self, gradient: &Vector) -> Result<(Vector, bool)> {
        let free = vector::free_pixels(&self.x, gradient)?;
        if let Some((ascent, along)) = self.history.apply(gradient, &free, &*self.metric)?
            // Also false for a NaN.
            && along > 0.0
        {
            return Ok((ascent, false));
        }
        Ok((self.steepest(&free, gradient)?, true))
    }

    /// The direction of the gradient on the free pixels, as the metric sees it.
    fn steepest(&self, free: &Vector, gradient: &Vector) -> Result<Vector> {
        let image = self.metric.apply(vector::product(free, gradient)?)?;
        let image = vector::admit("metric's image", &image, gradient)?;
        let rms = (vector::weighted_dot(free, &image, &image)? / image.elem_count() as f64).sqrt();
        let factor = if rms > 0.0 { self.change / rms } else { 0.0 };
        Ok(vector::scale_masked_then_dot(image, factor, free, gradient)?.0)
    }

    /// The next point to evaluate at a length against a direction, shortened until its path promises a descent, with that
    /// length; `None` if none does.
    fn candidate(&self, direction: &Vector, mut length: f64, gradient: &Vector) -> Result<Option<(Candidate, f64)>> {
        for _ in 0..HALVINGS {
            let (x, promised) = vector::descend(&self.x, length, direction, gradient)?;
            if promised < 0.0 {
                return Ok(Some((Candidate { x, promised }, length)));
            }
            length *= 0.5;
        }
        Ok(None)
    }

    /// The next point to evaluate, and the search that it belongs to; `None` when no pixel can be moved downhill.
    fn plan(&mut self, gradient: &Vector) -> Result<Option<(Search, Candidate)>> {
        loop {
            let (direction, steepest) = self.direction(gradient)?;
            let (length, trials) = self
                .search
                .take()
                .map_or((1.0, 0), |search| (search.length, search.trials));
            if let Some((candidate, length)) = self.candidate(&direction, length, gradient)? {
                let search = Search {
                    length,
                    trials,
                    steepest,
                };
                return Ok(Some((search, candidate)));
            }
            if steepest {
                return Ok(None);
            }
            self.history.clear();
        }
    }

    /// Shortens the search, or gives it up.
    fn refuse(&mut self, mut search: Search, share: f64) {
        search.trials += 1;
        search.length *= share;
        if search.trials < TRIALS {
            self.search = Some(search);
        } else if search.steepest {
            self.end(Ending::Stalled);
        } else {
            self.history.clear();
        }
    }
}

impl Optimiser for Lbfgs {
    fn step(&mut self, problem: &mut dyn Problem) -> Result<Step> {
        if self.ended.is_some() {
            return Ok(self.report(self.loss, false));
        }
        let Some(gradient) = self.gradient.clone() else {
            return self.begin(problem);
        };
        let Some((search, candidate)) = self.plan(&gradient)? else {
            self.end(Ending::Converged);
            return Ok(self.report(self.loss, false));
        };
        let Candidate { x, promised } = candidate;
        let answer = problem.evaluate(&x).and_then(|evaluation| {
            let gradient = vector::admit("gradient", &evaluation.gradient, &x)?;
            Ok((evaluation.loss, gradient))
        });
        let (loss, next_gradient) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.search = Some(search);
                return Err(error);
            }
        };
        self.evaluations += 1;
        let change = vector::change([&self.x, &x], [&gradient, &next_gradient])?;
        let slope = change.slope;
        let reference = self.recent.iter().copied().fold(self.loss, f64::max);
        let trial = Trial { loss, promised, slope };
        match line_search::judge(self.loss, reference, &trial) {
            Verdict::Accept => {
                self.failures = 0;
                let rms = (change.step / x.elem_count() as f64).sqrt();
                let from = Point {
                    x: self.x.clone(),
                    gradient,
                };
                let to = Point {
                    x,
                    gradient: next_gradient,
                };
                // Nobody but the history holds the point that was left, unless it is the best.
                self.arrive(&to, loss)?;
                let curved = self.history.learn(from, &to, &change)?;
                self.change = if curved { rms } else { (GROWTH * rms).min(LONGEST) };
                Ok(self.report(loss, true))
            }
            Verdict::Shorten(share) => {
                self.refuse(search, share);
                if loss.is_finite() && slope.is_finite() {
                    self.failures = 0;
                } else {
                    self.fail();
                }
                Ok(self.report(loss, false))
            }
        }
    }

    fn picture(&self) -> &Vector {
        &self.best.0
    }

    fn best(&self) -> (&Vector, f64) {
        (&self.best.0, self.best.1)
    }
}
