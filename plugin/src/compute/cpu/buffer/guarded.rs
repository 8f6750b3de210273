//! A block of the heap, made anew for each length, so that whatever goes beyond the last element is seen.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

/// A slice in memory of its own.
pub struct Buffer<T>(Vec<T>);

impl<T: Pod> Buffer<T> {
    /// No elements, and no memory.
    pub const EMPTY: Self = Self(Vec::new());

    /// Gives it a length; what it holds then is anything.
    pub fn fit(&mut self, length: usize) {
        if self.len() != length {
            // The old memory goes before the new comes.
            *self = Self::EMPTY;
            self.0 = vec![T::zeroed(); length];
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
