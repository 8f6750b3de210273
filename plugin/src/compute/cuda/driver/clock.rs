//! How long kernels take, by the card's own clock: events in the stream, one before and one after each kernel.
//!
//! The processor's clock would measure its own launches. Events cost the card a microsecond or two each, so that what is
//! timed in this way adds up to a little more than a step takes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cudarc::driver::{result, sys};

use super::Card;
use crate::Result;
use crate::compute::cuda::kernels::{Argument, Kernel};

/// A kernel that ran, and how long it took.
#[derive(Clone)]
pub struct Timed {
    pub kernel: Kernel,
    /// Across and down.
    pub grid: (usize, usize),
    pub arguments: Vec<Argument>,
    pub seconds: f64,
}

/// Kernels that are being timed; none unless it was started.
#[derive(Default)]
pub(super) struct Clock(Mutex<Option<Vec<Pending>>>);

/// A kernel that may not be done yet.
struct Pending {
    timed: Timed,
    begun: Event,
    ended: Event,
}

/// A point in the stream.
pub(super) struct Event(sys::CUevent);

// SAFETY: an event may be used by any thread that has made the context current.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was created once and is destroyed once.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}

impl Card {
    /// Times all kernels from now on.
    pub fn start_clock(&self) {
        *self.pending() = Some(Vec::new());
    }

    /// Whether kernels are being timed.
    pub fn is_timed(&self) -> bool {
        self.pending().is_some()
    }

    /// What has been launched since the clock was started, when all of it is done; the clock is stopped.
    ///
    /// # Errors
    /// When the card fails.
    pub fn stop_clock(&self) -> Result<Vec<Timed>> {
        let pending = self.pending().take().unwrap_or_default();
        self.enter()?;
        self.wait()?;
        let timed = pending.into_iter().map(|Pending { timed, begun, ended }| {
            // SAFETY: both were recorded, and the stream has come to both.
            let milliseconds = self.checked(unsafe { result::event::elapsed(begun.0, ended.0) })?;
            Ok(Timed {
                seconds: f64::from(milliseconds) / 1e3,
                ..timed
            })
        });
        timed.collect()
    }

    /// Gives back what was to be timed, and times nothing any more.
    pub(super) fn forget_clock(&self) {
        self.pending().take();
    }

    /// What the stream has come to.
    pub(super) fn record(&self) -> Result<Event> {
        self.enter()?;
        let event = Event(self.checked(result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT))?);
        // SAFETY: event and stream are the card's.
        self.checked(unsafe { result::event::record(event.0, self.stream) })?;
        Ok(event)
    }

    /// Takes down a kernel that was launched after an event.
    pub(super) fn note(
        &self,
        begun: Event,
        kernel: Kernel,
        grid: (usize, usize),
        arguments: &[Argument],
    ) -> Result<()> {
        let ended = self.record()?;
        let timed = Timed {
            kernel,
            grid,
            arguments: arguments.to_vec(),
            seconds: 0.0,
        };
        if let Some(pending) = &mut *self.pending() {
            pending.push(Pending { timed, begun, ended });
        }
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Option<Vec<Pending>>> {
        self.clock.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
