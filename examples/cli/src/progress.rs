//! What is shown on the standard error while a render runs: a bar on a terminal, lines anywhere else.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pentimento_host::{Level, Progress};

/// The bar's resolution.
const BAR_STEPS: u64 = 1000;
/// How much must be done, or how long it must take, for another line where there is no bar.
const LINE_SHARE: f64 = 0.05;
const LINE_PAUSE: Duration = Duration::from_secs(30);

/// What the user wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// Progress and what came of it, too.
    Normal,
    /// What the plugin tells, too.
    Info,
    /// What the plugin tells those who debug it, too.
    Debug,
}

/// Shows notes, log lines and progress.
pub struct Reporter {
    verbosity: Verbosity,
    /// Since when lines tell the seconds, for who wants to know where time goes.
    begun: Option<Instant>,
    bar: Option<ProgressBar>,
    last_line: Cell<Option<(f64, Instant)>>,
}

impl Reporter {
    /// Shows as much as `verbosity` says; the bar comes with the first progress, and only on a terminal.
    pub fn new(verbosity: Verbosity) -> Self {
        let bar = (verbosity > Verbosity::Quiet && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {wide_msg}")
                .expect("the template is well formed");
            ProgressBar::with_draw_target(Some(BAR_STEPS), ProgressDrawTarget::stderr()).with_style(style)
        });
        Self {
            verbosity,
            begun: (verbosity >= Verbosity::Info).then(Instant::now),
            bar,
            last_line: Cell::new(None),
        }
    }

    /// Shows a line, unless the user wants quiet.
    pub fn note(&self, line: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.speaker()(line);
        }
    }

    /// Shows a line of the plugin's log, if it is of interest.
    pub fn log(&self, level: Level, line: &str) {
        let (word, needed) = match level {
            Level::Warning => ("warning: ", Verbosity::Quiet),
            Level::Info => ("", Verbosity::Info),
            Level::Debug => ("debug: ", Verbosity::Debug),
        };
        if self.verbosity >= needed {
            self.speaker()(&format!("{word}{line}"));
        }
    }

    /// Something that shows lines from other threads without breaking the bar.
    pub fn speaker(&self) -> impl Fn(&str) + Send + 'static {
        let (bar, begun) = (self.bar.clone(), self.begun);
        move |line: &str| {
            let show = || match begun {
                Some(begun) => eprintln!("pentimento: {:6.2} s: {line}", begun.elapsed().as_secs_f64()),
                None => eprintln!("pentimento: {line}"),
            };
            match &bar {
                Some(bar) => bar.suspend(show),
                None => show(),
            }
        }
    }

    /// Shows how far the render has come.
    pub fn progress(&self, progress: &Progress) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(summary(progress));
                bar.set_position((progress.fraction * BAR_STEPS as f64) as u64);
            }
            None if self.verbosity > Verbosity::Quiet => self.progress_line(progress),
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn progress_line(&self, progress: &Progress) {
        let is_due = self
            .last_line
            .get()
            .is_none_or(|(fraction, time)| progress.fraction - fraction >= LINE_SHARE || time.elapsed() >= LINE_PAUSE);
        if is_due {
            self.last_line.set(Some((progress.fraction, Instant::now())));
            self.speaker()(&format!("{:3.0} % {}", progress.fraction * 100.0, summary(progress)));
        }
    }
}

/// A render's state in a line: `painting, level 2/5, step 7/40, loss 1.234e-1, 0:42 left`.
fn summary(progress: &Progress) -> String {
    let mut parts = vec![progress.stage.to_owned()];
    if progress.level_count > 0 {
        parts.push(format!("level {}/{}", progress.level + 1, progress.level_count));
    }
    if progress.step_count > 0 {
        parts.push(format!(
            "step {}/{}",
            (progress.step + 1).min(progress.step_count),
            progress.step_count
        ));
    }
    parts.extend(progress.loss.map(|loss| format!("loss {loss:.3e}")));
    parts.extend(progress.seconds_left.map(|seconds| format!("{} left", clock(seconds))));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// Seconds as `m:ss`, or `h:mm:ss`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known() {
        let progress = Progress {
            level: 1,
            level_count: 5,
            step: 6,
            step_count: 40,
            fraction: 0.25,
            loss: Some(0.123_44),
            seconds_left: Some(41.6),
            stage: "painting",
            preview: None,
        };
        assert_eq!(
            summary(&progress),
            "painting, level 2/5, step 7/40, loss 1.234e-1, 0:42 left"
        );
        let preparing = Progress {
            level_count: 0,
            step_count: 0,
            loss: None,
            seconds_left: None,
            stage: "preparing",
            ..progress
        };
        assert_eq!(summary(&preparing), "preparing");
    }

    #[test]
    fn times_are_read_like_a_clock() {
        assert_eq!(
            [0.4, 61.0, 3599.6, 7384.0].map(clock),
            ["0:00", "1:01", "1:00:00", "2:03:04"]
        );
    }
}
