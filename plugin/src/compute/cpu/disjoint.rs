//! A buffer that several threads write at once, each its own places.
//!
//! The pieces of a task write rectangles of a feature map, in every block of channels: places that no slice can
//! describe. So the exclusive borrow of the whole is given up for a pointer, and the promise that the compiler cannot
//! check is made where a place is written.

use std::marker::PhantomData;

/// An exclusively borrowed slice whose elements may be written from several threads.
#[derive(Clone, Copy)]
pub struct Disjoint<'a, T> {
    start: *mut T,
    length: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a borrowed slice of `T`; sharing it lets threads write elements, which moves values of `T` between
// them. That no element is used by two threads is what the callers of `write` and `slice` promise.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T: Copy> Disjoint<'a, T> {
    /// Shares a slice for as long as it is borrowed.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
            borrow: PhantomData,
        }
    }

    /// One element.
    ///
    /// # Safety
    /// No other thread writes this element while the slice is borrowed.
    #[inline(always)]
    pub unsafe fn read(&self, index: usize) -> T {
        assert!(index < self.length);
        // SAFETY: the index is inside the borrowed slice, and the caller promises that nobody else writes it.
        unsafe { self.start.add(index).read() }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// No other thread reads or writes this element while the slice is borrowed.
    #[inline(always)]
    pub unsafe fn write(&self, index: usize, value: T) {
        assert!(index < self.length);
        // SAFETY: the index is inside the borrowed slice, and the caller promises that nobody else uses it.
        unsafe { self.start.add(index).write(value) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Some elements, to read and write.
    ///
    /// # Safety
    /// Nobody else, this thread included, reads or writes these elements while the returned slice lives.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the caller promises that the parts do not overlap")]
    pub unsafe fn slice(&self, first: usize, length: usize) -> &mut [T] {
        assert!(first <= self.length && length <= self.length - first);
        // SAFETY: the range is inside the borrowed slice, and the caller promises that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), length) }
    }
}
