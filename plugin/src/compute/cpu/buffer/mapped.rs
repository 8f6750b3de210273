//! A mapping of its own, which grows where it must and never shrinks.

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
