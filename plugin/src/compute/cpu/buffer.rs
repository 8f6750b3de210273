//! Large pieces of memory, each from the system and back to it.
//!
//! An allocator may keep what it is given back: glibc's, once it has seen a block of a size freed, takes the next of that
//! size from a heap that shrinks only at its end. A render frees the memory of one level as it takes that of the next,
//! finer one, so it would end up with half as much again as it uses, and an editor would have that until it is closed.
//! So what is large is mapped: it comes as zeros, costs nothing until it is written, and is gone when it is dropped.
//!
//! AddressSanitizer guards the blocks of a heap, but no mappings. Where a build is for it (`--cfg sanitized`), each
//! buffer is such a block, and ends where its last element does.

#[cfg(sanitized)]
mod guarded;
#[cfg(not(sanitized))]
mod mapped;

use std::hint::black_box;

use bytemuck::Pod;
use rayon::prelude::*;

#[cfg(sanitized)]
pub use self::guarded::Buffer;
#[cfg(not(sanitized))]
pub use self::mapped::Buffer;

/// The bytes that [`take_new_memory`] takes.
pub const NEW: usize = 64 << 20;
/// How many of them one thread writes to at a time: a large page.
const AT_A_TIME: usize = 2 << 20;
/// The bytes of a small page.
const PAGE: usize = 4096;

/// Takes new memory, [`NEW`] bytes of it, which are cleared when they are first written to, and gives it back.
pub fn take_new_memory() {
    let mut buffer = Buffer::<u8>::zeros(NEW);
    let pieces = buffer.par_chunks_mut(AT_A_TIME);
    pieces.for_each(|piece| piece.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1));
    black_box(&buffer);
}

impl<T: Pod> Buffer<T> {
    /// So many zeros.
    ///
    /// # Panics
    /// Where the system refuses so much memory. (A panic ends a render; a failed allocation would end the host.)
    pub fn zeros(length: usize) -> Self {
        let mut buffer = Self::EMPTY;
        buffer.fit(length);
        buffer
    }

    /// A copy of slices, one after the other, that have `length` elements in all.
    ///
    /// # Panics
    /// As [`Buffer::zeros`] does, and where there are more elements.
    pub fn concatenated<'a>(length: usize, slices: impl IntoIterator<Item = &'a [T]>) -> Self {
        let mut buffer = Self::zeros(length);
        let mut rest = &mut buffer[..];
        for slice in slices {
            let (place, after) = rest.split_at_mut(slice.len());
            place.copy_from_slice(slice);
            rest = after;
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Lanes;
    use super::*;

    #[test]
    fn it_is_a_slice_of_zeros_that_keeps_what_is_written() {
        let mut buffer = Buffer::<Lanes>::zeros(1000);
        assert!(buffer.iter().all(|lanes| *lanes == Lanes::ZERO));
        buffer[999] = Lanes::splat(2.0);
        buffer.fit(1000);
        assert_eq!(buffer[999], Lanes::splat(2.0));
        buffer.fit(100_000);
        assert!(buffer.len() == 100_000 && buffer[99_999] == Lanes::ZERO);
    }

    #[cfg(not(sanitized))]
    #[test]
    fn a_shorter_one_keeps_its_memory() {
        let mut buffer = Buffer::<u32>::concatenated(1000, [&[7; 1000][..]]);
        let start = buffer.as_ptr();
        buffer.fit(10);
        assert_eq!(buffer[..], [7; 10]);
        buffer.fit(1000);
        assert_eq!((buffer.as_ptr(), buffer[999]), (start, 7));
    }

    #[test]
    fn an_empty_one_is_an_empty_slice() {
        assert_eq!(Buffer::<u16>::EMPTY.len(), 0);
        assert_eq!(Buffer::<Lanes>::zeros(0).iter().count(), 0);
    }

    #[test]
    fn slices_follow_one_another() {
        let parts: [&[u32]; 3] = [&[1, 2], &[], &[3]];
        assert_eq!(Buffer::concatenated(4, parts)[..], [1, 2, 3, 0]);
    }
}
