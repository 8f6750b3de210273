//! Threads of the backend's own, and how work is shared among them.
//!
//! A [`Task`] is cut into pieces whose results do not depend on who computes them; threads take the next piece from a
//! counter until none is left. Each thread owns a scratch buffer that grows to what the largest task needs in the first
//! step and stays.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::buffer::Buffer;
use super::instructions::{InstructionSet, Instructions, Kernel};
use super::lanes::Lanes;
use crate::{Result, threads};

/// Work in independent pieces.
pub trait Task: Sync {
    /// The scratch that one piece needs.
    fn scratch<I: Instructions>(&self) -> usize;

    /// Computes one piece. Must be `#[inline(always)]` (see [`Kernel::run`]). The scratch holds what earlier pieces left.
    fn run<I: Instructions>(&self, piece: usize, scratch: &mut [Lanes]);
}

/// The threads.
pub struct Workers {
    pool: rayon::ThreadPool,
    instructions: InstructionSet,
    scratch: Vec<Mutex<Buffer<Lanes>>>,
    shared: Mutex<Buffer<Lanes>>,
}

impl Workers {
    /// So many threads, 0 for one per processor core.
    pub fn new(threads: usize, instructions: InstructionSet) -> Result<Self> {
        let pool = threads::pool(threads, "pentimento-cpu")?;
        let scratch = (0..pool.current_num_threads())
            .map(|_| Mutex::new(Buffer::EMPTY))
            .collect();
        Ok(Self {
            pool,
            instructions,
            scratch,
            shared: Mutex::new(Buffer::EMPTY),
        })
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.scratch.len()
    }

    /// Memory for what one task makes and another reads. It holds what earlier ones left.
    pub fn shared(&self) -> MutexGuard<'_, Buffer<Lanes>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instructions that tasks run with.
    pub fn instructions(&self) -> InstructionSet {
        self.instructions
    }

    /// Does work of many tasks on one of the threads. From there a task begins and ends without anyone else's waiting.
    pub fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        threads::within(&self.pool, work)
    }

    /// Computes the pieces `0 .. pieces` of a task, and returns when all are done.
    pub fn run<T: Task>(&self, pieces: usize, task: &T) {
        let next = AtomicUsize::new(0);
        let share = |context: rayon::BroadcastContext| {
            let mut scratch = self.scratch[context.index()]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.instructions.run(Share {
                task,
                pieces,
                next: &next,
                scratch: &mut scratch,
            });
        };
        threads::apart(|| self.pool.broadcast(share));
    }
}

/// One thread's share of a task.
struct Share<'a, T> {
    task: &'a T,
    pieces: usize,
    next: &'a AtomicUsize,
    scratch: &'a mut Buffer<Lanes>,
}

impl<T: Task> Kernel for Share<'_, T> {
    #[inline(always)]
    fn run<I: Instructions>(self) {
        self.scratch.fit(self.task.scratch::<I>());
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.pieces {
                return;
            }
            self.task.run::<I>(piece, self.scratch);
        }
    }
}
