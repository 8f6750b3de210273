//! Main memory that is copied to and from a card.
//!
//! Page-locked, the card reads and writes it by itself at the bus's full rate, and a copy to the card need not be waited
//! for; otherwise the driver copies everything once more. Where it gives none, other memory does, only slower.

use std::ptr::NonNull;
use std::sync::Arc;

use cudarc::driver::result;

use super::{Card, Memory};
use crate::Result;

/// A piece of main memory.
pub struct HostMemory {
    card: Arc<Card>,
    room: Room,
    bytes: usize,
    /// Whether a copy from it may be under way.
    is_lent: bool,
}

enum Room {
    /// The driver's.
    Locked(NonNull<u8>),
    /// Of numbers that may be read as any others.
    Pageable(Vec<u64>),
}

// SAFETY: the memory is this value's own, and the driver lets any thread free it.
unsafe impl Send for HostMemory {}

impl HostMemory {
    /// So many bytes, all of them 0.
    ///
    /// # Errors
    /// When the card fails.
    pub fn new(card: &Arc<Card>, bytes: usize) -> Result<Self> {
        card.enter()?;
        // SAFETY: the memory is freed once, when this is dropped, and is written before it is read.
        let locked = unsafe { result::malloc_host(bytes.max(1), 0) };
        let locked = locked.ok().and_then(|start| NonNull::new(start.cast::<u8>()));
        let room = match locked {
            Some(start) => {
                // SAFETY: there are as many bytes.
                unsafe { start.write_bytes(0, bytes) };
                Room::Locked(start)
            }
            None => Room::Pageable(vec![0; bytes.div_ceil(size_of::<u64>())]),
        };
        Ok(Self {
            card: card.clone(),
            room,
            bytes,
            is_lent: false,
        })
    }

    /// Whether it is page-locked.
    pub fn is_locked(&self) -> bool {
        matches!(self.room, Room::Locked(_))
    }

    /// What is in it; aligned for any number.
    pub fn bytes(&self) -> &[u8] {
        match &self.room {
            // SAFETY: there are as many bytes, all of them written; copies to it are waited for by `read_block`.
            Room::Locked(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.bytes) },
            Room::Pageable(numbers) => &bytemuck::cast_slice(numbers)[..self.bytes],
        }
    }

    /// What is in it, to be changed: copies from it are waited for.
    ///
    /// # Errors
    /// When the card fails.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        self.wait()?;
        Ok(match &mut self.room {
            // SAFETY: there are as many bytes, all of them written, and no copy is under way.
            Room::Locked(start) => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.bytes) },
            Room::Pageable(numbers) => &mut bytemuck::cast_slice_mut(numbers)[..self.bytes],
        })
    }

    fn wait(&mut self) -> Result<()> {
        if self.is_lent {
            self.card.enter()?;
            self.card.wait()?;
            self.is_lent = false;
        }
        Ok(())
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // A card that fails here copies nothing any more.
        let _ = self.wait();
        if let (Room::Locked(start), Ok(())) = (&self.room, self.card.enter()) {
            // SAFETY: it was allocated once and is freed once.
            let _ = unsafe { result::free_host(start.as_ptr().cast()) };
        }
    }
}

impl Memory {
    /// Copies what is in main memory to a place, without waiting for it.
    ///
    /// # Errors
    /// When the card fails.
    pub fn write_block(&self, offset: usize, from: &mut HostMemory) -> Result<()> {
        let to = self.at(offset, from.bytes)?;
        self.card.enter()?;
        from.is_lent = true;
        // SAFETY: the room is this memory's own, and what is read is neither changed nor freed before the copy is done.
        let copied = unsafe { result::memcpy_htod_async(to, from.bytes(), self.card.stream) };
        self.card.checked(copied)
    }

    /// Fills main memory from a place, when all that was asked for before is done.
    ///
    /// # Errors
    /// When the card fails, or a kernel has.
    pub fn read_block(&self, offset: usize, to: &mut HostMemory) -> Result<()> {
        let from = self.at(offset, to.bytes)?;
        self.card.enter()?;
        let bytes = to.bytes_mut()?;
        // SAFETY: the room is this memory's own, and the stream is waited for while the bytes are held.
        let copied = unsafe { result::memcpy_dtoh_async(bytes, from, self.card.stream) };
        let waited = self.card.wait();
        self.card.checked(copied)?;
        waited
    }
}
