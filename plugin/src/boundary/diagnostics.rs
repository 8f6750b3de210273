//! The extension "pentimento.diagnostics/1": what the plugin would run on, as TOML.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use pentimento_host::abi;
use serde::Serialize;

use super::guard::answer;
use super::pointer::{self, Out};
use crate::memory::Memory;
use crate::network::Network;
use crate::settings::manifest;
use crate::{Error, Result};

pub(super) static TABLE: abi::Diagnostics = abi::Diagnostics {
    struct_size: size_of::<abi::Diagnostics>() as u32,
    reserved: 0,
    report,
};

/// What a report says. What cannot be known is left out.
#[derive(Serialize)]
struct Report<'a> {
    /// The plugin's version.
    version: &'a str,
    /// Where the network's weights came from.
    model: &'a str,
    /// The processor threads that it may use.
    threads: Option<usize>,
    /// Memory in bytes.
    memory_total: Option<u64>,
    memory_available: Option<u64>,
}

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
        answer(error, || {
            let needed = Out::new(needed, "needed")?;
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            let text = match waiting.take() {
                Some(text) => text,
                None => text()?,
            };
            pointer::write_text(&text, buffer, capacity, &needed);
            if buffer.is_null() || capacity <= text.len() {
                *waiting = Some(text);
            }
            Ok(abi::OK)
        })
    }
}

fn text() -> Result<String> {
    let network = Network::embedded()?;
    let memory = Memory::now();
    let report = Report {
        version: &manifest().version,
        model: &network.origin,
        threads: available_parallelism().ok().map(usize::from),
        memory_total: memory.map(|memory| memory.total),
        memory_available: memory.map(|memory| memory.available),
    };
    toml::to_string(&report).map_err(|error| Error::Internal(error.to_string()))
}
