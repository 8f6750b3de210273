//! Pointers from the host: checked once, here, so that nothing behind has to.
//!
//! What can be checked is checked: NULL, alignment, the size that a table says it has, UTF-8. That a pointer leads to
//! live memory cannot be; that remains the caller's promise, and the safety condition of every function here.

use std::ffi::{CStr, c_char};

use pentimento_host::abi;

use crate::{Error, Result};

/// A table of the contract that begins with its own size.
///
/// # Safety
/// The type is `repr(C)`, its first field is `struct_size: u32`, and its other fields are integers, floats, raw
/// pointers and optional function pointers, so that any bytes make a value.
pub(super) unsafe trait Table: Copy {}

macro_rules! tables {
    ($($table:ident),*) => {
        // SAFETY: as declared in the contract, whose assertions hold `struct_size` at offset 0.
        $(unsafe impl Table for abi::$table {})*
    };
}

tables!(
    Error,
    Image,
    Style,
    Host,
    RenderRequest,
    Filter,
    Parameter,
    EstimateRequest,
    Estimate
);

/// A place of the host's to write one value to.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Checks a pointer that a value is to be written to.
    ///
    /// # Safety
    /// A pointer that is neither NULL nor misaligned leads to writable memory for a `T`, which lives as long as the
    /// result does.
    pub(super) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        check(pointer, name)?;
        Ok(Self(pointer))
    }

    /// Checks a pointer to a table that is to be written, and the size that it says it has.
    ///
    /// # Safety
    /// As for [`Out::new`]; its `struct_size` may be read, and tells how much of it may be written.
    pub(super) unsafe fn table(pointer: *mut T, name: &str) -> Result<Self>
    where
        T: Table,
    {
        // SAFETY: the caller's promise is the same.
        unsafe { check_table(pointer, name)? };
        Ok(Self(pointer))
    }

    /// Writes the value.
    pub(super) fn write(&self, value: T) {
        // SAFETY: the constructor's caller promised so.
        unsafe { self.0.write(value) }
    }
}

/// A copy of a table of the host's.
///
/// # Safety
/// A pointer that is neither NULL nor misaligned leads to as many bytes as its `struct_size` says, or to four.
pub(super) unsafe fn read<T: Table>(pointer: *const T, name: &str) -> Result<T> {
    // SAFETY: the caller's promise is the same; after the check there are enough bytes, and any make a `T`.
    unsafe {
        check_table(pointer, name)?;
        Ok(pointer.read())
    }
}

/// A text of the host's.
///
/// # Safety
/// A pointer that is not NULL leads to bytes ended by NUL, which live and stay as they are for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    check(pointer, name)?;
    // SAFETY: it is not NULL, and the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str()
        .map_err(|error| Error::argument(name, format!("not UTF-8: {error}")))
}

/// Writes a text, ended by NUL, into a buffer of the host's if it fits there, and in any case what it needs to `needed`.
///
/// # Safety
/// A `buffer` that is not NULL leads to `capacity` writable bytes.
pub(super) unsafe fn write_text(text: &str, buffer: *mut c_char, capacity: usize, needed: &Out<usize>) {
    let bytes = text.as_bytes();
    needed.write(bytes.len() + 1);
    if !buffer.is_null() && bytes.len() < capacity {
        // SAFETY: the buffer has room for the text and one more byte, and a text of ours is no part of it.
        unsafe {
            buffer.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len());
            buffer.add(bytes.len()).write(0);
        }
    }
}

/// Refuses NULL and pointers that the machine could not follow.
pub(super) fn check<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::argument(name, "is NULL"));
    }
    if !pointer.is_aligned() {
        let alignment = align_of::<T>();
        return Err(Error::argument(name, format!("is not aligned to {alignment} bytes")));
    }
    Ok(())
}

/// Refuses tables that are shorter than ours.
///
/// # Safety
/// As for [`read`].
unsafe fn check_table<T: Table>(pointer: *const T, name: &str) -> Result<()> {
    check(pointer, name)?;
    // SAFETY: it is not NULL and aligned, and begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() };
    let ours = size_of::<T>();
    if (size as usize) < ours {
        let name = format!("{name}.struct_size");
        return Err(Error::argument(
            name,
            format!("is {size}, but the table has {ours} bytes"),
        ));
    }
    Ok(())
}
