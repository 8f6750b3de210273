//! How far a render has come, in shares of its work that pass evenly in time.
//!
//! The unit of work is one evaluation of the network times the pixels that it sees: a step at a coarse level is a
//! small part of one at a fine level. Passes without a gradient count half.

use std::time::Instant;

use super::schedule::Level;
use crate::Result;
use crate::canvas::Picture;
use crate::compute::FORWARD;
use crate::control::{Control, Flow, Report};

/// Counts work and reports it.
pub struct Progress<'a> {
    control: &'a dyn Control,
    begun: Instant,
    done: f64,
    total: f64,
    level: usize,
    level_count: usize,
}

impl<'a> Progress<'a> {
    /// For these levels, each of which looks at `pictures` pictures (content and styles) before it begins; `pixels`
    /// tells what the network sees at a level.
    pub fn new(control: &'a dyn Control, levels: &[Level], pictures: usize, pixels: impl Fn(&Level) -> f64) -> Self {
        let evaluations = |level: &Level| level.steps as f64 + FORWARD * pictures as f64;
        let total = levels.iter().map(|level| evaluations(level) * pixels(level)).sum();
        Self {
            control,
            begun: Instant::now(),
            done: 0.0,
            total,
            level: 0,
            level_count: levels.len(),
        }
    }

    /// Turns to a level.
    pub fn begin_level(&mut self, level: usize) {
        self.level = level;
    }

    /// Reports a forward pass over `pixels` pixels.
    pub fn looked(&mut self, stage: &str, pixels: f64) -> Flow {
        self.done += FORWARD * pixels;
        self.report(stage, 0, 0, None, None)
    }

    /// Reports an optimiser's step over `pixels` pixels; `preview` is asked for a picture when one is wanted.
    pub fn stepped(
        &mut self,
        step: usize,
        step_count: usize,
        pixels: f64,
        loss: f64,
        preview: impl FnOnce() -> Result<Picture>,
    ) -> Result<Flow> {
        self.done += pixels;
        let preview = self.control.wants_preview().then(preview).transpose()?;
        Ok(self.report("painting", step, step_count, Some(loss), preview.as_ref()))
    }

    /// Counts steps that were planned but are not needed as done, before the last one is reported.
    pub fn skipped(&mut self, steps: usize, pixels: f64) {
        self.done += steps as f64 * pixels;
    }

    fn report(
        &self,
        stage: &str,
        step: usize,
        step_count: usize,
        loss: Option<f64>,
        preview: Option<&Picture>,
    ) -> Flow {
        let fraction = (self.done / self.total).clamp(0.0, 1.0);
        let elapsed = self.begun.elapsed().as_secs_f64();
        self.control.report(&Report {
            stage,
            level: self.level,
            level_count: self.level_count,
            step,
            step_count,
            fraction,
            loss: loss.filter(|loss| loss.is_finite()),
            seconds_left: (fraction > 0.0).then(|| elapsed * (1.0 - fraction) / fraction),
            preview,
        })
    }
}
