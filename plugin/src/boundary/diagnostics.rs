//! The extension "pentimento.diagnostics/1": what the plugin would run on, as TOML.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use pentimento_host::abi;

use super::guard::answer_text;
use crate::diagnostics;

pub(super) static TABLE: abi::Diagnostics = abi::Diagnostics {
    struct_size: size_of::<abi::Diagnostics>() as u32,
    reserved: 0,
    report,
};

/// The report that a host knows the size of and has yet to fetch. Another would have another size, and be measured anew.
static WAITING: Mutex<Option<String>> = Mutex::new(None);

unsafe extern "C" fn report(
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer_text(buffer, capacity, needed, error, || {
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            let text = match waiting.take() {
                Some(text) => text,
                None => diagnostics::report()?,
            };
            if buffer.is_null() || capacity <= text.len() {
                *waiting = Some(text.clone());
            }
            Ok(text)
        })
    }
}
