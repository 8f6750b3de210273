//! How much memory there is, and giving it back.

use sysinfo::System;

/// What the system says of its memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that the machine has, or that this process may use where a limit is set.
    pub total: u64,
    /// What can be had without driving others out.
    pub available: u64,
}

impl Memory {
    /// The memory as it is now; `None` where the system does not tell.
    pub fn now() -> Option<Self> {
        let mut system = System::new();
        system.refresh_memory();
        let machine = Self {
            total: system.total_memory(),
            available: system.available_memory(),
        };
        // A container may be allowed less than the machine has.
        let memory = system.cgroup_limits().map_or(machine, |limit| Self {
            total: limit.total_memory.min(machine.total),
            available: limit.free_memory.min(machine.available),
        });
        (memory.total > 0).then_some(memory)
    }
}

/// Hands to the system what the allocator keeps of memory that was freed.
///
/// Pictures and an optimiser's history are tensors, whose memory candle allocates; glibc keeps most of it, as much as
/// 250 MB after a render of 512 pixels. It is asked of the whole process, takes milliseconds and changes nothing that
/// is in use. Other allocators need no asking.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "no safe crate offers it")]
mod glibc {
    pub(super) fn trim() {
        unsafe extern "C" {
            fn malloc_trim(padding: usize) -> std::ffi::c_int;
        }
        // SAFETY: it is glibc's own, of this type, and may be called by any thread at any time.
        unsafe { malloc_trim(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_a_part_of_all() {
        if let Some(memory) = Memory::now() {
            assert!(memory.available <= memory.total, "{memory:?}");
            assert!(memory.total > 1 << 26, "{memory:?}");
        }
    }
}
