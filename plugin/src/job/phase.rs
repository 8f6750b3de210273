//! Whether a job is being rendered, and whether that is to end.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::control::Flow;
use crate::{Error, Result};

const IDLE: u8 = 0;
const RENDERING: u8 = 1;
const STOPPING: u8 = 2;
const CANCELLING: u8 = 3;

/// Shared by the threads that render a job and that end it. During a render it only moves forward.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU8);

/// The time of one render; its end makes the job idle, even by a panic.
pub(super) struct Rendering<'a>(&'a Phase);

impl Phase {
    /// Begins a render.
    ///
    /// # Errors
    /// [`Error::State`] during another.
    pub(super) fn begin(&self) -> Result<Rendering<'_>> {
        // What travels between the threads is the phase alone; settings have a lock of their own.
        self.0
            .compare_exchange(IDLE, RENDERING, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| Rendering(self))
            .map_err(|_| Error::State("job: is being rendered already; make another job to render at once".into()))
    }

    pub(super) fn is_rendering(&self) -> bool {
        self.0.load(Ordering::Acquire) != IDLE
    }

    /// Asks for the end of the render in progress, if there is one.
    pub(super) fn end(&self, how: Flow) {
        let wanted = match how {
            Flow::Continue => return,
            Flow::Stop => STOPPING,
            Flow::Cancel => CANCELLING,
        };
        // An idle job stays idle: an update that returns None changes nothing, and is no failure.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |phase| {
            (phase != IDLE && phase < wanted).then_some(wanted)
        });
    }

    /// What the render is to do next.
    pub(super) fn flow(&self) -> Flow {
        match self.0.load(Ordering::Acquire) {
            STOPPING => Flow::Stop,
            CANCELLING => Flow::Cancel,
            _ => Flow::Continue,
        }
    }
}

impl Drop for Rendering<'_> {
    fn drop(&mut self) {
        self.0.0.store(IDLE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_render_is_ended_harder_but_never_softer() {
        let phase = Phase::default();
        phase.end(Flow::Cancel);
        assert!(!phase.is_rendering(), "there was nothing to end");

        let rendering = phase.begin().unwrap();
        assert!(matches!(phase.begin(), Err(Error::State(_))));
        assert_eq!(phase.flow(), Flow::Continue, "an earlier wish is forgotten");
        for (how, flow) in [
            (Flow::Stop, Flow::Stop),
            (Flow::Continue, Flow::Stop),
            (Flow::Cancel, Flow::Cancel),
            (Flow::Stop, Flow::Cancel),
        ] {
            phase.end(how);
            assert_eq!(phase.flow(), flow);
        }
        drop(rendering);
        assert!(!phase.is_rendering());
        assert!(phase.begin().is_ok());
    }
}
