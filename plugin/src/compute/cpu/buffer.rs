//! Large pieces of memory, each from the system and back to it.
//!
//! An allocator may keep what it is given back: glibc's, once it has seen a block of a size freed, takes the next of that
//! size from a heap that shrinks only at its end. A render frees the memory of one level as it takes that of the next,
//! finer one, so it would end up with half as much again as it uses, and an editor would have that until it is closed.
//! So what is large is mapped: it comes as zeros, costs nothing until it is written, and is gone when it is dropped.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

/// A slice in memory of its own, aligned to a page.
pub struct Buffer<T> {
    /// None while it is empty.
    map: Option<MmapMut>,
    /// Elements in use; there may be room for more.
    length: usize,
    elements: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// No elements, and no memory.
    pub const EMPTY: Self = Self {
        map: None,
        length: 0,
        elements: PhantomData,
    };

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

    /// Gives it a length; what it holds then is anything. Memory is taken only where there was less.
    ///
    /// # Panics
    /// As [`Buffer::zeros`] does.
    pub fn fit(&mut self, length: usize) {
        let bytes = length.checked_mul(size_of::<T>()).expect("a length in bytes");
        if self.map.as_ref().map_or(0, |map| map.len()) < bytes {
            // The old memory goes before the new comes.
            *self = Self::EMPTY;
            let map = MmapMut::map_anon(bytes);
            let map = map.unwrap_or_else(|error| panic!("no memory for {} MB: {error}", bytes / 1_000_000));
            // Larger pages, where the kernel has them to give: steps were found to take a tenth less time.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            self.map = Some(map);
        }
        self.length = length;
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.map {
            Some(map) => bytemuck::cast_slice(&map[..self.length * size_of::<T>()]),
            None => &[],
        }
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.map {
            Some(map) => bytemuck::cast_slice_mut(&mut map[..self.length * size_of::<T>()]),
            None => &mut [],
        }
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
        let start = buffer.as_ptr();
        buffer.fit(10);
        assert_eq!(buffer.len(), 10);
        buffer.fit(1000);
        assert_eq!((buffer.as_ptr(), buffer[999]), (start, Lanes::splat(2.0)));
        buffer.fit(100_000);
        assert!(buffer.len() == 100_000 && buffer[99_999] == Lanes::ZERO);
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
