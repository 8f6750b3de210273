//! The extension "pentimento.presets/1": what presets make of the other parameters.

use std::ffi::c_char;

use pentimento_host::abi;

use super::guard::answer_text;
use super::{describe, handle, pointer};

pub(super) static TABLE: abi::Presets = abi::Presets {
    struct_size: size_of::<abi::Presets>() as u32,
    reserved: 0,
    parameter,
    value,
};

unsafe extern "C" fn parameter(
    filter: *const c_char,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer_text(buffer, capacity, needed, error, || {
            Ok(describe::find(filter)?.preset_parameter.clone().unwrap_or_default())
        })
    }
}

unsafe extern "C" fn value(
    job: *const abi::Job,
    id: *const c_char,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer_text(buffer, capacity, needed, error, || {
            handle::find(job)?.settings().value(pointer::text(id, "id")?)
        })
    }
}
