//! One render to be: its settings, the render itself, and ways to end it early from elsewhere.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi;
use crate::call::{c_text, call, extension, read_text};
use crate::callbacks::{Callbacks, Context};
use crate::error::{Error, Result};
use crate::image::{Image, ImageMut};
use crate::manifest::Value;

/// How a render ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did all of its work.
    Finished,
    /// It was stopped; the output holds the best picture so far.
    Stopped,
    /// It was cancelled; the output was not touched.
    Cancelled,
}

/// What a render would take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// From call to return on a machine that has little else to do, should all planned steps be needed.
    pub seconds: f64,
    /// The most bytes of memory at any time, beside the pictures that are lent.
    pub bytes: u64,
}

/// A filter with its settings. It may be moved between threads, and renders on the thread that asks.
pub struct Job {
    table: &'static abi::Plugin,
    handle: *mut abi::Job,
    shared: Shared,
}

/// What a job and its cancellers hold in common: the handle, until it is destroyed.
type Shared = Arc<Mutex<Option<Address>>>;

struct Address(*mut abi::Job);

// SAFETY: the handle is only passed to functions of the table, which the contract allows from any thread (render,
// cancel) or from one thread at a time (the rest, for which a `&mut Job` or the one `&Job` vouches: Job is not Sync).
unsafe impl Send for Job {}
// SAFETY: through a shared address nothing but `job_cancel` is called, which any thread may do.
unsafe impl Send for Address {}

impl Job {
    pub(crate) fn new(table: &'static abi::Plugin, filter: &str) -> Result<Self> {
        let filter = c_text("filter", filter)?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the text and both pointers are good for this call.
        call(|error| unsafe { (table.job_create)(filter.as_ptr(), &raw mut handle, error) })?;
        if handle.is_null() {
            return Err(Error::Internal("the plugin made a job that is NULL".to_owned()));
        }
        let shared = Arc::new(Mutex::new(Some(Address(handle))));
        Ok(Self { table, handle, shared })
    }

    /// Sets a parameter of kind FLOAT, INTEGER or BOOL (1 or 0).
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown parameter, or a value that it cannot have.
    pub fn set_number(&mut self, id: &str, value: f64) -> Result<()> {
        let id = c_text("id", id)?;
        // SAFETY: the job is alive and ours alone, and the text is good for this call.
        call(|error| unsafe { (self.table.job_set_number)(self.handle, id.as_ptr(), value, error) })?;
        Ok(())
    }

    /// Sets a parameter of any kind from its text form, such as "0.5", "true" or a choice's id.
    ///
    /// # Errors
    /// As [`Job::set_number`].
    pub fn set_text(&mut self, id: &str, value: &str) -> Result<()> {
        let value = c_text(id, value)?;
        let id = c_text("id", id)?;
        // SAFETY: the job is alive and ours alone, and the texts are good for this call.
        call(|error| unsafe { (self.table.job_set_text)(self.handle, id.as_ptr(), value.as_ptr(), error) })?;
        Ok(())
    }

    /// Sets a parameter to a value of its kind.
    ///
    /// # Errors
    /// As [`Job::set_number`].
    pub fn set(&mut self, id: &str, value: &Value) -> Result<()> {
        // The text form says all that there is to a value, and whether it is whole.
        self.set_text(id, &value.to_string())
    }

    /// The settings that were made, as text for [`Job::set_state`], now or in a year.
    ///
    /// # Errors
    /// When the plugin fails.
    pub fn state(&self) -> Result<String> {
        read_text(|buffer, capacity, needed, error| {
            // SAFETY: the job is alive and, since it is not shared between threads, ours alone; the buffer has that
            // capacity.
            unsafe { (self.table.job_state)(self.handle, buffer, capacity, needed, error) }
        })
    }

    /// Replaces all settings by those in a text from [`Job::state`]; all or none.
    ///
    /// # Errors
    /// [`Error::Argument`] when the text is not one, or names what the filter does not have.
    pub fn set_state(&mut self, state: &str) -> Result<()> {
        let state = c_text("state", state)?;
        // SAFETY: the job is alive and ours alone, and the text is good for this call.
        call(|error| unsafe { (self.table.job_set_state)(self.handle, state.as_ptr(), error) })?;
        Ok(())
    }

    /// What a render with these settings would take, of a content and styles of these sizes (width and height). `None`
    /// when the plugin does not tell. The first call for a device, number of threads or method measures its speed, which
    /// takes up to a second and tells the truth while nothing else is being rendered; later calls answer at once.
    ///
    /// # Errors
    /// Whatever the plugin refuses or fails at, [`Error::Argument`] for sizes that make no picture among it.
    pub fn estimate(&self, content: (u32, u32), styles: &[(u32, u32)]) -> Option<Result<Estimate>> {
        // SAFETY: the contract says that this is the extension's table.
        let table = match unsafe { extension::<abi::Estimation>(self.table, abi::ESTIMATE_EXTENSION) }? {
            Ok(table) => table,
            Err(error) => return Some(Err(error)),
        };
        let size = |&(width, height): &(u32, u32)| abi::Size { width, height };
        let styles: Vec<_> = styles.iter().map(size).collect();
        let Ok(style_count) = u32::try_from(styles.len()) else {
            return Some(Err(Error::Argument("styles: too many".to_owned())));
        };
        let request = abi::EstimateRequest {
            struct_size: size_of::<abi::EstimateRequest>() as u32,
            style_count,
            content: size(&content),
            styles: styles.as_ptr(),
        };
        let mut out = abi::Estimate {
            struct_size: size_of::<abi::Estimate>() as u32,
            reserved: 0,
            seconds: f64::NAN,
            bytes: 0,
        };
        // SAFETY: the job is alive, and all pointers are good for this call.
        let outcome = call(|error| unsafe { (table.estimate)(self.handle, &raw const request, &raw mut out, error) });
        Some(outcome.map(|_| Estimate {
            seconds: out.seconds,
            bytes: out.bytes,
        }))
    }

    /// Renders `content` in the manner of `styles`, each with its share above 0 in the blend, into `output`, which has
    /// the content's width and height and any format. Returns when it is done; takes seconds to minutes.
    ///
    /// # Errors
    /// Whatever the plugin refuses or fails at; the output is then untouched.
    ///
    /// # Panics
    /// When a callback panics: the render is cancelled first.
    pub fn render(
        &mut self,
        content: &Image,
        styles: &[(&Image, f64)],
        output: &mut ImageMut,
        callbacks: &mut Callbacks,
    ) -> Result<Outcome> {
        let style_count = u32::try_from(styles.len()).map_err(|_| Error::Argument("styles: too many".to_owned()))?;
        let content = content.to_abi();
        let images: Vec<_> = styles.iter().map(|(image, _)| image.to_abi()).collect();
        let style = |(image, (_, weight)): (&abi::Image, &(&Image, f64))| abi::Style {
            struct_size: size_of::<abi::Style>() as u32,
            reserved: 0,
            image,
            weight: *weight,
        };
        let styles: Vec<_> = images.iter().zip(styles).map(style).collect();
        let mut output = output.as_abi();
        let mut context = Context::new(callbacks);
        let host = context.as_abi();
        let request = abi::RenderRequest {
            struct_size: size_of::<abi::RenderRequest>() as u32,
            style_count,
            content: &raw const content,
            styles: styles.as_ptr(),
            output: &raw mut output,
            host: &raw const host,
        };
        // SAFETY: the job is alive and renders once at a time, since this borrow is exclusive; everything in the
        // request outlives the call, and the images lie inside memory of the sizes that they tell.
        let outcome = call(|error| unsafe { (self.table.job_render)(self.handle, &raw const request, error) });
        if let Some(panic) = context.into_panic() {
            resume_unwind(panic);
        }
        match outcome? {
            abi::OK => Ok(Outcome::Finished),
            abi::STOPPED => Ok(Outcome::Stopped),
            abi::CANCELLED => Ok(Outcome::Cancelled),
            status => Err(Error::Unknown {
                status,
                text: "an outcome of a later ABI".to_owned(),
            }),
        }
    }

    /// A way to end this job's renders from another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            table: self.table,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Whoever cancels does so under the lock, so nobody is inside the job when it goes, or comes after.
        let address = self.shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Address(handle)) = address {
            // SAFETY: it is alive, is not being rendered (that would borrow `self`), and nobody will use it again.
            unsafe { (self.table.job_destroy)(handle) };
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

/// Ends the renders of a job early, from any thread. Once the job is gone it does nothing.
#[derive(Clone)]
pub struct Canceller {
    table: &'static abi::Plugin,
    shared: Shared,
}

impl Canceller {
    /// Ends the render in progress within one evaluation of the network, and keeps the best picture so far.
    pub fn stop(&self) {
        self.end(abi::STOP);
    }

    /// Ends the render in progress within one evaluation of the network, and leaves the output as it is.
    pub fn cancel(&self) {
        self.end(abi::CANCEL);
    }

    fn end(&self, how: i32) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Address(handle)) = *shared {
            // SAFETY: the job is alive while the lock is held, and any thread may call this. Its status can only tell
            // of a bad argument, and neither is one.
            unsafe { (self.table.job_cancel)(handle, how) };
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}
