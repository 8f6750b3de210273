//! Backends of one network share its transformed weights.

use super::*;

/// A gradient, by a network's backend of some instructions, which lives as long as it is held.
fn gradient(network: &Arc<Network>, set: InstructionSet) -> (CpuBackend, Vec<f32>) {
    // So large that some weights are transformed with factors that are not powers of two.
    let plan = plan(24, 24);
    let mut backend = CpuBackend::with_instructions(network.clone(), 1, set).expect("threads");
    backend
        .prepare(&Tiling::whole(&plan).unwrap())
        .expect("the plan is good");
    let statistics = backend.forward(0, &tensor(&plan, &picture(&plan, 1))).expect("forward");
    let asked = statistics_gradient(&plan, &statistics);
    let gradient = values(&backend.backward(&asked).expect("backward"));
    (backend, gradient)
}

/// Not all sets round alike, so what comes out would depend on who else is there.
#[test]
fn backends_of_other_instructions_change_nothing() {
    let network = Arc::new(oracle::network(2));
    let sets = InstructionSet::tested();
    let alone: Vec<_> = sets.iter().map(|set| gradient(&network, *set).1).collect();
    let mut others = Vec::new();
    for (set, alone) in sets.iter().zip(alone) {
        let (backend, found) = gradient(&network, *set);
        assert!(found == alone, "{}", set.name());
        others.push(backend);
    }
}
