//! The extension "pentimento.presets/1": what presets make of the other parameters.

use std::ffi::c_char;

use pentimento_host::abi;

use super::guard::answer;
use super::pointer::{self, Out};
use super::{describe, handle};

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
        answer(error, || {
            let filter = describe::find(filter)?;
            let needed = Out::new(needed, "needed")?;
            let id = filter.preset_parameter.as_deref().unwrap_or_default();
            pointer::write_text(id, buffer, capacity, &needed);
            Ok(abi::OK)
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
        answer(error, || {
            let job = handle::find(job)?;
            let id = pointer::text(id, "id")?;
            let needed = Out::new(needed, "needed")?;
            pointer::write_text(&job.settings().value(id)?, buffer, capacity, &needed);
            Ok(abi::OK)
        })
    }
}
