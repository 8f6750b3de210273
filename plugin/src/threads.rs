//! Threads of the plugin's own: as many as were asked for, of low priority, and apart from those of the host.
//!
//! An editor has to stay responsive while all of its cores paint, so whatever computes for long does it on threads that
//! yield to others.
//!
//! A thread of a rayon pool that waits for another pool takes up work of its own pool meanwhile. Where a host renders
//! from such a thread, that could be the next render, on top of this one, which would have to wait for it; or it could
//! want a lock that this one holds. So nothing waits on a host's thread but by sleeping: see [`apart`].

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

thread_local! {
    /// Whether this thread belongs to a pool that was made here.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// A pool of so many threads, 0 for one per processor core, with low priority and names that begin with `name`.
///
/// # Errors
/// [`Error::Device`] when they cannot be started.
pub fn pool(threads: usize, name: &'static str) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |index| format!("{name}-{index}"))
        .start_handler(|_| {
            OWN.set(true);
            lower_priority();
        })
        .build()
        .map_err(|error| Error::Device(format!("cannot start the processor's threads: {error}")))
}

/// Does work that waits for a pool's threads. A thread of the host's pool sleeps until it is done.
pub fn apart<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let is_the_hosts = rayon::current_thread_index().is_some() && !OWN.get();
    if is_the_hosts {
        thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
    } else {
        work()
    }
}

/// Does work in a pool, whose threads are then the ones that it is spread over.
pub fn within<R: Send>(pool: &ThreadPool, work: impl FnOnce() -> R + Send) -> R {
    apart(|| pool.install(work))
}

/// How much nicer than its process a thread is: as the command `nice` has it.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Lowers the priority of this thread. Where the system refuses, it paints all the same.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux, unlike elsewhere, niceness is a thread's own.
    let _ = rustix::process::nice(NICER);
}

/// Lowers the priority of this thread. Where the system refuses, it paints all the same.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {
    let _ = thread_priority::set_current_thread_priority(thread_priority::ThreadPriority::Min);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_are_nicer_than_their_process() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let own = niceness();
        let pool = pool(3, "test").unwrap();
        // 19 is as nice as it gets.
        assert_eq!(pool.broadcast(|_| niceness()), [(own + NICER).min(19); 3]);
        assert_eq!(niceness(), own);
    }

    #[test]
    fn work_in_a_pool_sees_its_threads() {
        let pool = pool(2, "test").unwrap();
        assert_eq!(within(&pool, rayon::current_num_threads), 2);
        // On its own threads too.
        assert_eq!(within(&pool, || apart(|| pool.broadcast(|_| ()).len())), 2);
    }

    #[test]
    fn a_hosts_thread_takes_up_nothing_else_while_it_waits() {
        let host = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let pool = pool(1, "test").unwrap();
        let busy = AtomicBool::new(false);
        let work = || {
            assert!(
                !busy.swap(true, Ordering::SeqCst),
                "one piece of work on top of another"
            );
            for _ in 0..100 {
                within(&pool, thread::yield_now);
            }
            busy.store(false, Ordering::SeqCst);
        };
        host.scope(|scope| (0..4).for_each(|_| scope.spawn(|_| work())));
    }

    #[test]
    fn a_panic_comes_back_to_the_hosts_thread() {
        let host = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let work = || host.install(|| apart(|| panic!("of the work")));
        let caught: thread::Result<()> = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"of the work"));
    }
}
