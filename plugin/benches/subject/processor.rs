//! The processor with an instruction set of one's choice.

use std::sync::Arc;

use pentimento_plugin::compute::cpu::{CpuBackend, InstructionSet};
use pentimento_plugin::network::Network;
use pentimento_plugin::{Error, Result};

/// The processor, with the fastest of its instruction sets or the named one.
pub fn processor(network: Arc<Network>, instructions: Option<&str>) -> Result<CpuBackend> {
    let Some(name) = instructions else {
        return CpuBackend::new(network, 0);
    };
    let sets = InstructionSet::available();
    let Some(set) = sets.iter().find(|set| set.name().eq_ignore_ascii_case(name)) else {
        let names: Vec<_> = sets.iter().map(|set| set.name()).collect();
        let reason = format!("this processor has {}", names.join(", "));
        return Err(Error::argument("--instructions", reason));
    };
    CpuBackend::with_instructions(network, 0, *set)
}
