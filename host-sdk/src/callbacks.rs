//! What a plugin tells its host during a render, as Rust closures.
//!
//! Closures may panic; C frames must not be unwound through. So a panic is caught at the border, kept while the render
//! is cancelled, and set free again when the plugin has returned.

use std::any::Any;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi;
use crate::image::Image;

/// What the render should do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    #[default]
    Continue,
    /// End soon and keep the best picture so far.
    Stop,
    /// End soon and leave the output as it is.
    Cancel,
}

impl Flow {
    fn to_abi(self) -> i32 {
        match self {
            Self::Continue => abi::CONTINUE,
            Self::Stop => abi::STOP,
            Self::Cancel => abi::CANCEL,
        }
    }
}

/// How far a render has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The pyramid level at work, from 0 (the coarsest).
    pub level: u32,
    /// The number of pyramid levels.
    pub level_count: u32,
    /// The optimiser's step within the level, from 0.
    pub step: u32,
    /// The number of steps planned for the level.
    pub step_count: u32,
    /// The share of the work done, 0 to 1, never falling.
    pub fraction: f64,
    /// The objective at the last evaluation; `None` while there is none.
    pub loss: Option<f64>,
    /// Estimated seconds until the end; `None` while unknown.
    pub seconds_left: Option<f64>,
    /// What is being done, for people.
    pub stage: &'a str,
    /// Now and then the picture as it stands, of any size.
    pub preview: Option<Image<'a>>,
}

/// How important a line for the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who debug.
    Debug,
    /// For the curious.
    Info,
    /// Something was mended or replaced.
    Warning,
}

impl Level {
    /// A level that this ABI does not know is taken for the nearest that it does.
    fn from_abi(level: i32) -> Self {
        match level {
            ..=abi::LOG_DEBUG => Self::Debug,
            abi::LOG_INFO => Self::Info,
            abi::LOG_WARNING.. => Self::Warning,
        }
    }
}

type OnProgress<'a> = Box<dyn FnMut(&Progress) -> Flow + 'a>;
type OnLog<'a> = Box<dyn FnMut(Level, &str) + 'a>;

/// What a host wishes to be told during a render, on the thread that renders.
#[derive(Default)]
pub struct Callbacks<'a> {
    /// Called at least once for each evaluation of the network; what it returns is obeyed at once.
    pub progress: Option<OnProgress<'a>>,
    /// Called with each line for the log.
    pub log: Option<OnLog<'a>>,
}

impl<'a> Callbacks<'a> {
    /// No wishes.
    pub fn new() -> Self {
        Self::default()
    }

    /// These callbacks, with this one for progress.
    pub fn on_progress(mut self, progress: impl FnMut(&Progress) -> Flow + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// These callbacks, with this one for the log.
    pub fn on_log(mut self, log: impl FnMut(Level, &str) + 'a) -> Self {
        self.log = Some(Box::new(log));
        self
    }
}

/// What the ABI's `context` points to during a render.
pub(crate) struct Context<'c, 'a> {
    callbacks: &'c mut Callbacks<'a>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'c, 'a> Context<'c, 'a> {
    pub(crate) fn new(callbacks: &'c mut Callbacks<'a>) -> Self {
        Self { callbacks, panic: None }
    }

    /// The table for the plugin. It is good for as long as `self` stays where it is and is not touched otherwise.
    pub(crate) fn as_abi(&mut self) -> abi::Host {
        abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi: abi::ABI,
            context: (&raw mut *self).cast(),
            progress: Some(progress),
            log: Some(log),
            extension: None,
        }
    }

    /// The panic of a closure, if one panicked.
    pub(crate) fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        self.panic
    }

    /// Runs a closure unless one has panicked before; `None` when it panics or must not run.
    fn guard<T>(&mut self, call: impl FnOnce(&mut Callbacks<'a>) -> T) -> Option<T> {
        if self.panic.is_some() {
            return None;
        }
        // Whatever the closure left half done is not looked at again: the panic goes on as soon as the render is over.
        match catch_unwind(AssertUnwindSafe(|| call(self.callbacks))) {
            Ok(value) => Some(value),
            Err(panic) => {
                self.panic = Some(panic);
                None
            }
        }
    }
}

unsafe extern "C" fn progress(context: *mut c_void, progress: *const abi::Progress) -> i32 {
    // SAFETY: it is the context of `Context::as_abi`, given back on the thread that renders, during the render, where
    // nobody else touches it.
    let context = unsafe { &mut *context.cast::<Context>() };
    // SAFETY: the contract lends it for this call.
    let Some(progress) = (unsafe { progress.as_ref() }) else {
        return abi::CONTINUE;
    };
    let flow = context.guard(|callbacks| {
        let Some(call) = &mut callbacks.progress else {
            return Flow::Continue;
        };
        // SAFETY: the contract lends the text for this call.
        let stage = unsafe { text(progress.stage) };
        call(&Progress {
            level: progress.level,
            level_count: progress.level_count,
            step: progress.step,
            step_count: progress.step_count,
            fraction: progress.fraction,
            loss: Some(progress.loss).filter(|loss| !loss.is_nan()),
            seconds_left: Some(progress.seconds_left).filter(|seconds| !seconds.is_nan()),
            stage: &stage,
            // SAFETY: the contract lends the picture for this call.
            preview: unsafe { Image::from_abi(progress.preview) },
        })
    });
    flow.unwrap_or(Flow::Cancel).to_abi()
}

unsafe extern "C" fn log(context: *mut c_void, level: i32, message: *const c_char) {
    // SAFETY: as in `progress`.
    let context = unsafe { &mut *context.cast::<Context>() };
    context.guard(|callbacks| {
        let Some(call) = &mut callbacks.log else { return };
        // SAFETY: the contract lends the text for this call.
        let message = unsafe { text(message) };
        call(Level::from_abi(level), &message);
    });
}

/// A plugin's text; "" for NULL. What is not UTF-8 is replaced.
///
/// # Safety
/// `text` must be NULL or end with NUL, and stay as it is for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> std::borrow::Cow<'a, str> {
    if text.is_null() {
        return "".into();
    }
    // SAFETY: the caller's word.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}
