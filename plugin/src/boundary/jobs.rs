//! The life of a job: made, set, kept as text, ended.

use std::ffi::c_char;

use pentimento_host::abi;

use super::guard::{answer, answer_text, catch};
use super::pointer::{self, Out};
use super::{describe, handle};
use crate::control::Flow;
use crate::job::{Job, Program};
use crate::settings::Settings;
use crate::{Error, Result};

pub(super) unsafe extern "C" fn job_create(
    filter: *const c_char,
    out: *mut *mut abi::Job,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer(error, || {
            let filter = describe::find(filter)?;
            let out = Out::new(out, "out")?;
            out.write(handle::issue(Job::new(filter, Program::of(filter)?)));
            Ok(abi::OK)
        })
    }
}

pub(super) unsafe extern "C" fn job_destroy(job: *mut abi::Job) {
    // There is nobody to tell of a failure.
    let _ = catch(|| {
        if let Some(job) = handle::withdraw(job) {
            // A host that destroys a job while it renders no longer wants its picture.
            job.end(Flow::Cancel);
        }
    });
}

pub(super) unsafe extern "C" fn job_set_number(
    job: *mut abi::Job,
    id: *const c_char,
    value: f64,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        change(job, error, |settings| {
            settings.set_number(pointer::text(id, "id")?, value)
        })
    }
}

pub(super) unsafe extern "C" fn job_set_text(
    job: *mut abi::Job,
    id: *const c_char,
    value: *const c_char,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        change(job, error, |settings| {
            settings.set_text(pointer::text(id, "id")?, pointer::text(value, "value")?)
        })
    }
}

pub(super) unsafe extern "C" fn job_set_state(
    job: *mut abi::Job,
    state: *const c_char,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        change(job, error, |settings| {
            *settings = Settings::from_state(settings.filter(), pointer::text(state, "state")?)?;
            Ok(())
        })
    }
}

/// Changes a job's settings and answers for it.
///
/// # Safety
/// As [`answer`].
unsafe fn change(
    job: *mut abi::Job,
    error: *mut abi::Error,
    change: impl FnOnce(&mut Settings) -> Result<()>,
) -> abi::Status {
    // SAFETY: the caller's promise is the same.
    unsafe {
        answer(error, || {
            handle::find(job)?.change(change)?;
            Ok(abi::OK)
        })
    }
}

pub(super) unsafe extern "C" fn job_state(
    job: *const abi::Job,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer_text(buffer, capacity, needed, error, || {
            handle::find(job)?.settings().state()
        })
    }
}

pub(super) unsafe extern "C" fn job_cancel(job: *const abi::Job, how: i32) -> abi::Status {
    let end = || {
        let how = match how {
            abi::STOP => Flow::Stop,
            abi::CANCEL => Flow::Cancel,
            _ => {
                return Err(Error::argument(
                    "how",
                    format!("is {how}, must be 1 (stop) or 2 (cancel)"),
                ));
            }
        };
        handle::find(job)?.end(how);
        Ok(abi::OK)
    };
    // SAFETY: NULL is a place for no error.
    unsafe { answer(std::ptr::null_mut(), end) }
}
