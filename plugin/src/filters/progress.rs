//! How far a render has come, in shares of its work that pass evenly in time.
//!
//! The unit of work is an evaluation of the network by pixel: a step at a coarse level is a small part of one at a fine
//! level. Passes without a gradient count half. What happens once, such as looking at a large picture for the first time,
//! says nothing about the time that is left, so the pace is measured from the first report on.

use std::time::Instant;

use super::schedule::Level;
use crate::Result;
use crate::canvas::Picture;
use crate::compute::FORWARD;
use crate::control::{Control, Flow, Report};

/// Counts work and reports it.
pub struct Progress<'a> {
    control: &'a dyn Control,
    /// Since when, and from which share of the work on, its pace is measured; none before the first report.
    since: Option<(Instant, f64)>,
    done: f64,
    /// The work up to each level and, last, all of it.
    until: Vec<f64>,
    level: usize,
    /// The share of the work that was reported.
    fraction: f64,
}

impl<'a> Progress<'a> {
    /// For these levels, each of which looks at `pictures` pictures (content and styles) before it begins; `work`
    /// tells what an evaluation is at a level.
    pub fn new(control: &'a dyn Control, levels: &[Level], pictures: usize, work: impl Fn(&Level) -> f64) -> Self {
        let evaluations = |level: &Level| level.steps as f64 + FORWARD * pictures as f64;
        let mut until = vec![0.0];
        let works = levels.iter().map(|level| evaluations(level) * work(level));
        until.extend(works.scan(0.0, |sum, work| {
            *sum += work;
            Some(*sum)
        }));
        Self {
            control,
            since: None,
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
        self.since = None;
    }

    /// Reports a forward pass, of which an evaluation would be so much work.
    pub fn looked(&mut self, stage: &str, work: f64) -> Flow {
        self.done += FORWARD * work;
        self.report(stage, 0, 0, None, None)
    }

    /// Reports an optimiser's step of so much work; `preview` is asked for a picture when one is wanted.
    pub fn stepped(
        &mut self,
        step: usize,
        step_count: usize,
        work: f64,
        loss: f64,
        preview: impl FnOnce() -> Result<Picture>,
    ) -> Result<Flow> {
        self.done += work;
        let preview = self.control.wants_preview().then(preview).transpose()?;
        Ok(self.report("painting", step, step_count, Some(loss), preview.as_ref()))
    }

    /// Counts steps that were planned but are not needed as done, before the last one is reported.
    pub fn skipped(&mut self, steps: usize, work: f64) {
        self.done += steps as f64 * work;
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
        let fraction = self.fraction;
        let (begun, from) = *self.since.get_or_insert_with(|| (Instant::now(), fraction));
        let elapsed = begun.elapsed().as_secs_f64();
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_pace_is_that_since_the_first_report_or_since_somebody_else_goes_on() {
        let told = Cell::new(None);
        let control = |report: &Report| {
            told.set(Some((report.fraction, report.seconds_left)));
            Flow::Continue
        };
        let level = Level {
            height: 128,
            width: 128,
            steps: 9,
        };
        let mut progress = Progress::new(&control, &[level], 2, |_| 100.0);
        for _ in 0..2 {
            let begun = Instant::now();
            progress.looked("looking", 100.0);
            let (first, seconds) = told.take().unwrap();
            assert_eq!(seconds, None);
            for step in 0..3 {
                let picture = || Err(crate::Error::Internal("nobody wants one".into()));
                progress.stepped(step, 9, 100.0, 1.0, picture).unwrap();
                let (fraction, seconds) = told.take().unwrap();
                let most = begun.elapsed().as_secs_f64() * (1.0 - fraction) / (fraction - first);
                assert!(seconds.is_some_and(|seconds| seconds > 0.0 && seconds <= most));
            }
            progress.pass_on();
        }
    }
}
