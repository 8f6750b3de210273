//! Work that is written down once and then given to a card again and again: a CUDA graph.
//!
//! To launch a kernel takes the processor some microseconds, and a step of the network has more than a hundred; on a small
//! picture that is longer than the card takes for them. A graph is one launch. It is captured: the stream writes down what it
//! is asked for instead of doing it, arguments and all. Drivers have that since CUDA 11.4.

use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::Card;
use crate::{Error, Result};

/// The functions that not every driver has; cudarc would panic at the first call.
const FUNCTIONS: [&str; 6] = [
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuGraphDestroy",
];

/// A graph that can be launched.
pub struct Graph {
    card: Arc<Card>,
    executable: sys::CUgraphExec,
}

// SAFETY: as a card's other handles, it may be used by any thread that has made the context current.
unsafe impl Send for Graph {}

/// A graph as it was captured.
struct Captured(sys::CUgraph);

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: it was captured once, and is destroyed once.
        let _ = unsafe { result::graph::destroy(self.0) };
    }
}

impl Graph {
    /// What `launch` asks the card for, without its being done. Nothing may be read from the card or written to it meanwhile.
    ///
    /// # Errors
    /// [`Error::Device`] where the driver has no graphs or does not take this one, and what `launch` fails with.
    pub fn capture(card: &Arc<Card>, launch: impl FnOnce() -> Result<()>) -> Result<Self> {
        if let Some(missing) = FUNCTIONS.iter().find(|name| !has_function(name)) {
            let number = card.number;
            return Err(Error::Device(format!(
                "device: cuda:{number}'s driver has no {missing}"
            )));
        }
        card.enter()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is the card's. The capture is ended below, whatever comes in between.
        card.checked(unsafe { result::stream::begin_capture(card.stream, mode) })?;
        let launched = launch();
        // SAFETY: as above.
        let captured = Captured(card.checked(unsafe { result::stream::end_capture(card.stream) })?);
        launched?;
        // SAFETY: the graph was captured, and its executable is destroyed once, when this is dropped.
        let made = unsafe { result::graph::instantiate(captured.0, sys::CUgraphInstantiate_flags(0)) };
        Ok(Self {
            card: card.clone(),
            executable: card.checked(made)?,
        })
    }

    /// Asks the card for all of it.
    ///
    /// # Errors
    /// When the card fails, or does not take it.
    pub fn launch(&self) -> Result<()> {
        self.card.enter()?;
        // SAFETY: the executable and the stream are the card's. The addresses in it are of memory that lives as long: whoever
        // prepares other memory drops its graphs before.
        self.card
            .checked(unsafe { result::graph::launch(self.executable, self.card.stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.card.enter().is_ok() {
            // It may be at work still.
            let _ = self.card.wait();
            // SAFETY: it was made once, and is destroyed once.
            let _ = unsafe { result::graph::exec_destroy(self.executable) };
        }
    }
}

fn has_function(name: &str) -> bool {
    // SAFETY: the library is loaded, as there is a card, and the function is looked up, not called.
    unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.as_bytes()).is_ok() }
}
