//! The network's weights, in the forms in which the kernels read them.
//!
//! Transformed weights take four times the memory of the weights as they come, and again for the other direction: 0.4
//! GB, more than a small picture needs for everything else. To transform them at each use costs a few percent of a step
//! at 512 pixels, but a good half at 128. So as many layers' as fit beside the plan's other memory are kept, and shared
//! with every other backend that runs the same network; the rest pass through one buffer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::first::FirstLayer;
use super::instructions::InstructionSet;
use super::lanes::{Grid, Lanes, WIDTH};
use super::outline::Outline;
use super::weights::{Direction, Kernels, Weights};
use super::winograd::Variant;
use super::workers::Workers;
use crate::network::{Convolution, Layer, Network};

/// A network, ready to be run.
pub struct Model {
    /// conv1_1.
    pub first: FirstLayer,
    /// `[layer][C/16]`.
    pub biases: Vec<Vec<Lanes>>,
    /// The weights of the other layers.
    pub weights: TransformedWeights,
}

impl Model {
    /// Packs what is small.
    pub fn new(workers: &Workers, network: &Arc<Network>) -> Self {
        let biases = |convolution: &Convolution| convolution.bias.chunks_exact(WIDTH).map(Lanes::load).collect();
        Self {
            first: FirstLayer::new(workers, &network.convolutions[0], network.normalisation),
            biases: network.convolutions.iter().map(biases).collect(),
            weights: TransformedWeights {
                network: network.clone(),
                shared: Shared::of(network),
                choose: Variant::choose,
                variants: [Variant::F4; Layer::ALL.len()],
                kept: HashMap::new(),
                passing: Weights::empty(),
            },
        }
    }
}

/// What distinguishes the transformed weights of one network.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    /// Some fuse a product and a sum where others round twice.
    set: InstructionSet,
    layer: Layer,
    variant: Variant,
    direction: Direction,
}

/// The transformed weights that a backend uses.
pub struct TransformedWeights {
    network: Arc<Network>,
    shared: Arc<Shared>,
    /// [`Variant::choose`], unless a test puts another in its place.
    pub choose: fn(InstructionSet, Grid, usize, usize) -> Variant,
    /// `[layer]`.
    variants: [Variant; Layer::ALL.len()],
    /// Those that are kept, from their first use on.
    kept: HashMap<Key, Option<Arc<Weights>>>,
    /// Of all others, the last.
    passing: Weights,
}

impl TransformedWeights {
    /// Chooses variants for a picture's layers, and keeps as many of them as `room` bytes hold. The
    /// picture's parts go by the same: so their features come out as the whole picture's do, to the bit.
    pub fn plan(&mut self, set: InstructionSet, layers: &[Outline], mut room: usize) {
        let mut kept = HashMap::new();
        // The topmost are the largest, and cost the most for the fewest pixels.
        for &Outline { layer, grid, .. } in layers.iter().skip(1).rev() {
            let variant = (self.choose)(set, grid, layer.inputs(), layer.outputs());
            self.variants[layer.index()] = variant;
            let bytes = Weights::bytes(variant, layer.inputs(), layer.outputs());
            for direction in [Direction::Forward, Direction::Backward] {
                if room >= bytes {
                    room -= bytes;
                    let key = Key {
                        set,
                        layer,
                        variant,
                        direction,
                    };
                    kept.insert(key, self.kept.remove(&key).flatten());
                }
            }
        }
        self.kept = kept;
        self.passing = Weights::empty();
    }

    /// How a layer other than the first is convolved.
    pub fn variant(&self, layer: Layer) -> Variant {
        self.variants[layer.index()]
    }

    /// The weights of a layer other than the first, for one direction.
    pub fn get(&mut self, workers: &Workers, layer: Layer, direction: Direction) -> &Weights {
        let variant = self.variants[layer.index()];
        let kernels = Kernels {
            values: &self.network.convolutions[layer.index()].weight,
            outputs: layer.outputs(),
            inputs: layer.inputs(),
            direction,
        };
        let key = Key {
            set: workers.instructions(),
            layer,
            variant,
            direction,
        };
        match self.kept.get_mut(&key) {
            Some(kept) => kept.get_or_insert_with(|| self.shared.get(workers, key, kernels)),
            None => {
                self.passing.transform(workers, variant, kernels);
                &self.passing
            }
        }
    }
}

/// The transformed weights of one network that any backend keeps.
#[derive(Default)]
struct Shared {
    weights: Mutex<HashMap<Key, Weak<Weights>>>,
}

impl Shared {
    /// What all backends of this network share.
    fn of(network: &Arc<Network>) -> Arc<Self> {
        static NETWORKS: Mutex<Vec<(Weak<Network>, Weak<Shared>)>> = Mutex::new(Vec::new());
        let mut networks = NETWORKS.lock().unwrap_or_else(PoisonError::into_inner);
        networks.retain(|(network, shared)| network.strong_count() > 0 && shared.strong_count() > 0);
        let known = networks
            .iter()
            .find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(network)));
        if let Some(shared) = known.and_then(|(_, shared)| shared.upgrade()) {
            return shared;
        }
        let shared = Arc::new(Self::default());
        networks.push((Arc::downgrade(network), Arc::downgrade(&shared)));
        shared
    }

    /// The weights that somebody keeps already, or new ones.
    fn get(&self, workers: &Workers, key: Key, kernels: Kernels) -> Arc<Weights> {
        let lock = || self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weights) = lock().get(&key).and_then(Weak::upgrade) {
            return weights;
        }
        let mut made = Weights::empty();
        made.transform(workers, key.variant, kernels);
        let mut weights = lock();
        // Another backend may have made the same meanwhile.
        weights.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let made = Arc::new(made);
            weights.insert(key, Arc::downgrade(&made));
            made
        })
    }
}
