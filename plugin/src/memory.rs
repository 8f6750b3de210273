//! How much memory there is.

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
