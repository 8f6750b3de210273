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
    /// Since when, and from which share of the work on, its pace is measured.
    since: (Instant, f64),
    done: f64,
    /// The work up to each level and, last, all of it.
    until: Vec<f64>,
    level: usize,
    /// The share of the work that was reported.
    fraction: f64,
}

impl<'a> Progress<'a> {
    /// For these levels, each of which looks at `pictures` pictures (content and styles) before it begins; `pixels`
    /// tells what the network sees at a level.
    pub fn new(control: &'a dyn Control, levels: &[Level], pictures: usize, pixels: impl Fn(&Level) -> f64) -> Self {
        let evaluations = |level: &Level| level.steps as f64 + FORWARD * pictures as f64;
        let mut until = vec![0.0];
        let works = levels.iter().map(|level| evaluations(level) * pixels(level));
        until.extend(works.scan(0.0, |sum, work| {
            *sum += work;
            Some(*sum)
        }));
        Self {
            control,
            since: (Instant::now(), 0.0),
            done: 0.0,
            until,
            level: 0,
            fraction: 0.0,
        }
    }

    /// Turns to a level of which so much work is done already, beside looking at its pictures.
    pub fn enter(&mut self, level: usize, done: f64) {
        self.level = level;
        self.done = self.until[level] + done;
    }

    /// Somebody else goes on, at a pace of their own.
    pub fn pass_on(&mut self) {
        self.since = (Instant::now(), self.fraction);
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
        &mut self,
        stage: &str,
        step: usize,
        step_count: usize,
        loss: Option<f64>,
        preview: Option<&Picture>,
    ) -> Flow {
        let levels = self.until.len() - 1;
        // What is done again was reported before.
        self.fraction = (self.done / self.until[levels]).clamp(self.fraction, 1.0);
        let (begun, from) = self.since;
        let (fraction, elapsed) = (self.fraction, begun.elapsed().as_secs_f64());
        self.control.report(&Report {
            stage,
            level: self.level,
            level_count: levels,
            step,
            step_count,
            fraction,
            loss: loss.filter(|loss| loss.is_finite()),
            seconds_left: (fraction > from).then(|| elapsed * (1.0 - fraction) / (fraction - from)),
            preview,
        })
    }
}
