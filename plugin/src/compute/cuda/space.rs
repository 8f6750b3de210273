//! The memory of a card that an optimiser's vectors live in.
//!
//! Memory that a vector leaves behind serves the next of its size, as asking the driver for some makes everything wait.
//! Kernels run one after the other, so nobody looks at it any more by the time that it is written again. Where memory is so
//! short that even the content's features are kept elsewhere, what nobody uses goes before more is taken: pictures are then
//! so large that the driver is hardly waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::driver::{Card, Memory};
use super::kernels::{Argument, Kernel};
use crate::{Error, Result};

/// Threads of a block, each of which takes an element at a time.
pub(super) const THREADS: usize = 256;
/// The most blocks of a sum: they keep a large card busy.
const BLOCKS: usize = 512;
/// The most sums that come back at once, a multiple of those that a kernel makes: no history is longer.
pub(super) const LIST: usize = 128;

/// Where vectors live on a card.
pub struct Space {
    pub(super) card: Arc<Card>,
    /// Memory that nobody uses at present.
    idle: Mutex<Vec<Memory>>,
    /// Whether that stays when memory of another size is taken.
    keeps_idle: AtomicBool,
    /// The sums of blocks, and after them those of a list, held from their kernel's start until they were read.
    partial: Mutex<Memory>,
}

impl Space {
    /// Room for vectors, none of which is taken yet.
    ///
    /// # Errors
    /// [`Error::Memory`] where the card is full.
    pub(super) fn new(card: &Arc<Card>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            card: card.clone(),
            idle: Mutex::default(),
            keeps_idle: AtomicBool::new(true),
            partial: Mutex::new(Memory::new(card, Self::bytes())?),
        }))
    }

    /// What it takes without any vectors.
    pub(super) fn bytes() -> usize {
        LIST * (BLOCKS + 1) * size_of::<f64>()
    }

    /// What nobody uses at present.
    pub(super) fn idle_bytes(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().map(Memory::bytes).sum()
    }

    /// Whether memory that nobody uses is to stay when memory of another size is taken.
    pub(super) fn keep_idle(&self, keep: bool) {
        self.keeps_idle.store(keep, Ordering::Relaxed);
    }

    /// Gives back what nobody uses.
    pub fn tidy(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Memory with anything in it, which is to be [kept](Self::keep) afterwards. Where the card is full, what is idle makes
    /// room.
    pub(super) fn take(&self, bytes: usize) -> Result<Memory> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = idle.iter().position(|memory| memory.bytes() == bytes) {
            return Ok(idle.swap_remove(index));
        }
        if !self.keeps_idle.load(Ordering::Relaxed) {
            idle.clear();
        }
        match Memory::new(&self.card, bytes) {
            Err(Error::Memory(_)) if !idle.is_empty() => {
                idle.clear();
                Memory::new(&self.card, bytes)
            }
            taken => taken,
        }
    }

    /// Keeps memory for others.
    pub(super) fn keep(&self, memory: Memory) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }

    /// Runs a kernel over so many elements, whose last argument is where the sums of its blocks go, and adds those in
    /// their order.
    pub(super) fn sum<const K: usize>(
        &self,
        kernel: Kernel,
        elements: usize,
        mut arguments: Vec<Argument>,
    ) -> Result<[f64; K]> {
        let blocks = blocks(elements);
        let partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        arguments.push(partial.address(0));
        self.card.launch(kernel, (blocks, 1), &mut arguments)?;
        let of_blocks: Vec<f64> = partial.read(0, K * blocks)?;
        let mut sums = [0.0; K];
        for (sum, of_blocks) in sums.iter_mut().zip(of_blocks.chunks_exact(blocks)) {
            *sum = of_blocks.iter().sum();
        }
        Ok(sums)
    }

    /// So many sums, [`LIST`] at most, of which `launch` has each block find its share: those of the k-th sum and of the ones
    /// after it go where its argument says for `k`. A card adds them up by itself, as there are too many to be copied.
    pub(super) fn list_of_sums(
        &self,
        count: usize,
        blocks: usize,
        launch: impl FnOnce(&dyn Fn(usize) -> Argument) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        launch(&|sum| partial.address(sum * blocks * size_of::<f64>()))?;
        let totals = LIST * BLOCKS * size_of::<f64>();
        let mut arguments = [partial.address(0), Argument::size(blocks), partial.address(totals)];
        self.card.launch(Kernel::DOTS_TOTAL, (count, 1), &mut arguments)?;
        partial.read(totals, count)
    }
}

/// The blocks that walk over so many elements.
pub(super) fn blocks(elements: usize) -> usize {
    elements.div_ceil(THREADS).clamp(1, BLOCKS)
}
