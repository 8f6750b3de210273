//! Job handles: opaque to the host, and never followed as pointers.
//!
//! A handle is a number in the guise of a pointer, looked up in one table of living jobs. A handle that is stale,
//! foreign or invented is therefore refused rather than followed, numbers are never used twice, and a job that is
//! destroyed while it renders on another thread lives until that render ends.

use std::collections::HashMap;
use std::ptr::without_provenance_mut;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use pentimento_host::abi;

use crate::job::Job;
use crate::{Error, Result};

#[derive(Default)]
struct Living {
    jobs: HashMap<usize, Arc<Job>>,
    issued: usize,
}

fn living() -> MutexGuard<'static, Living> {
    static LIVING: LazyLock<Mutex<Living>> = LazyLock::new(Mutex::default);
    // Nothing panics while it is held.
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands a job to the host.
pub(super) fn issue(job: Job) -> *mut abi::Job {
    let mut living = living();
    living.issued += 1;
    let number = living.issued;
    living.jobs.insert(number, Arc::new(job));
    without_provenance_mut(number)
}

/// The job that a handle stands for.
pub(super) fn find(handle: *const abi::Job) -> Result<Arc<Job>> {
    if handle.is_null() {
        return Err(Error::argument("job", "is NULL"));
    }
    let job = living().jobs.get(&handle.addr()).cloned();
    job.ok_or_else(|| Error::argument("job", "is not a job of this plugin, or was destroyed"))
}

/// Takes a job back from the host; an unknown handle is nobody's job.
pub(super) fn withdraw(handle: *const abi::Job) -> Option<Arc<Job>> {
    living().jobs.remove(&handle.addr())
}
