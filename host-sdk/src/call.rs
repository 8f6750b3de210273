//! What every call through the table has in common: an error to be filled, a status to be read, texts both ways.

use std::ffi::{CString, c_char};

use crate::abi;
use crate::error::{Error, Result};

/// Calls a function of the table with memory for its error. Returns the outcome, 0 or more.
pub(crate) fn call(function: impl FnOnce(*mut abi::Error) -> abi::Status) -> Result<abi::Status> {
    let mut error = abi::Error {
        struct_size: size_of::<abi::Error>() as u32,
        code: abi::OK,
        text: [0; abi::ERROR_TEXT_SIZE],
    };
    let status = function(&raw mut error);
    if status >= 0 {
        return Ok(status);
    }
    let text: Vec<u8> = error
        .text
        .iter()
        .map(|&byte| byte as u8)
        .take_while(|&byte| byte != 0)
        .collect();
    Err(Error::from_status(status, String::from_utf8_lossy(&text).into_owned()))
}

/// A text on its way to the plugin.
pub(crate) fn c_text(name: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Argument(format!("{name}: {text:?} contains a NUL character")))
}

/// Reads a text that a function writes into memory of the caller: buffer, capacity, bytes needed, error.
pub(crate) fn read_text(
    function: impl Fn(*mut c_char, usize, *mut usize, *mut abi::Error) -> abi::Status,
) -> Result<String> {
    // Large enough for most, so that a report that takes a second is not made twice.
    let mut buffer = vec![0u8; 16 * 1024];
    // A text can grow between two calls, but one that always does is a defect.
    for _ in 0..8 {
        let mut needed = 0;
        let outcome = call(|error| function(buffer.as_mut_ptr().cast(), buffer.len(), &raw mut needed, error));
        if needed > buffer.len() {
            buffer.resize(needed, 0);
            continue;
        }
        outcome?;
        let end = buffer.iter().position(|&byte| byte == 0).unwrap_or(buffer.len());
        buffer.truncate(end);
        return String::from_utf8(buffer)
            .map_err(|_| Error::Internal("the plugin wrote a text that is not UTF-8".to_owned()));
    }
    Err(Error::Internal(
        "the plugin asks for more memory each time it is given what it asked for".to_owned(),
    ))
}

/// The plugin's table for a named extension; `None` when it has none, and an error when that is shorter than ours.
///
/// # Safety
/// `T` is the extension's table in the contract, which begins with its own size.
pub(crate) unsafe fn extension<T>(plugin: &abi::Plugin, name: &str) -> Option<Result<&'static T>> {
    let c_name = match c_text("extension", name) {
        Ok(c_name) => c_name,
        Err(error) => return Some(Err(error)),
    };
    // SAFETY: the text is good for this call.
    let table = unsafe { (plugin.extension)(c_name.as_ptr()) }.cast::<T>();
    if table.is_null() {
        return None;
    }
    // SAFETY: every table begins with its size, and lives as long as the library.
    let found = unsafe { table.cast::<u32>().read() };
    if (found as usize) < size_of::<T>() {
        return Some(Err(Error::Internal(format!("its table {name} has only {found} bytes"))));
    }
    // SAFETY: it is long enough, and is what the caller says.
    Some(Ok(unsafe { &*table }))
}
