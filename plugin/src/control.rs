//! How a render talks to whoever asked for it: progress and log lines upward, "stop" and "cancel" downward.

use crate::canvas::Picture;

/// What the render should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End now with the best picture so far.
    Stop,
    /// End now with nothing.
    Cancel,
}

/// How a render ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did all of its work.
    Finished,
    /// It was stopped; the picture is the best so far.
    Stopped,
    /// It was cancelled; there is no picture.
    Cancelled,
}

/// How far a render has come.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What is being done, for people.
    pub stage: &'a str,
    /// The pyramid level, from 0 (the coarsest).
    pub level: usize,
    /// The number of levels.
    pub level_count: usize,
    /// The optimiser's step within the level.
    pub step: usize,
    /// The number of steps planned for the level.
    pub step_count: usize,
    /// The share of the work done, 0 to 1, never falling.
    pub fraction: f64,
    /// The objective at the last evaluation.
    pub loss: Option<f64>,
    /// Estimated seconds until the end.
    pub seconds_left: Option<f64>,
    /// The picture as it stands, now and then.
    pub preview: Option<&'a Picture>,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// For those who debug.
    Debug,
    /// For the curious.
    Info,
    /// Something was mended or replaced.
    Warning,
}

/// The other end of a render.
pub trait Control {
    /// Called after every evaluation of the network; what it returns is obeyed at once.
    fn report(&self, report: &Report) -> Flow;
    /// Whether the next report may carry a preview; it bounds how often one is made.
    fn wants_preview(&self) -> bool;
    /// Receives a line for the log.
    fn log(&self, level: LogLevel, message: &str);
}

/// A function that only follows how far a render has come: it gets no previews and no log.
impl<F: Fn(&Report) -> Flow> Control for F {
    fn report(&self, report: &Report) -> Flow {
        self(report)
    }

    fn wants_preview(&self) -> bool {
        false
    }

    fn log(&self, _: LogLevel, _: &str) {}
}
