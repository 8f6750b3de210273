//! The control that a filter sees: the host's, kept to what hosts are promised.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::phase::Phase;
use crate::control::{Control, Flow, LogLevel, Report};

/// How long a host waits for the first preview; a quick render shows none.
const FIRST_PREVIEW: Duration = Duration::from_millis(500);
/// The least time between two previews.
const PREVIEW_INTERVAL: Duration = Duration::from_millis(250);

/// Passes reports on to the host, with a fraction that never falls and previews at a bounded rate, and brings back
/// what the host or another thread wants.
pub(super) struct Watch<'a> {
    phase: &'a Phase,
    host: &'a dyn Control,
    fraction: Cell<f64>,
    next_preview: Cell<Instant>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(phase: &'a Phase, host: &'a dyn Control) -> Self {
        Self {
            phase,
            host,
            fraction: Cell::new(0.0),
            next_preview: Cell::new(Instant::now() + FIRST_PREVIEW),
        }
    }
}

impl Control for Watch<'_> {
    fn report(&self, report: &Report) -> Flow {
        // The maximum of NaN and a number is the number.
        self.fraction.set(report.fraction.max(self.fraction.get()).min(1.0));
        let preview = report.preview.filter(|_| self.wants_preview());
        if preview.is_some() {
            self.next_preview.set(Instant::now() + PREVIEW_INTERVAL);
        }
        self.phase.end(self.host.report(&Report {
            fraction: self.fraction.get(),
            preview,
            ..*report
        }));
        self.phase.flow()
    }

    fn wants_preview(&self) -> bool {
        self.host.wants_preview() && Instant::now() >= self.next_preview.get()
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.host.log(level, message);
    }
}
