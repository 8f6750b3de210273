//! A card for tests that is none: the processor's backend, which fails, dawdles or errs as it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{Device, Tensor};

use super::cpu::CpuBackend;
use super::{Backend, ContentDistance, Statistics, StatisticsGradient, Tiling};
use crate::Result;
use crate::network::Network;

/// More memory than anything takes.
pub const PLENTY: u64 = 1 << 40;

/// Asked before each call, of its name.
type Before = Box<dyn FnMut(&str) -> Result<()> + Send>;

/// See the module's text.
pub struct FalseCard {
    network: CpuBackend,
    /// The bytes of its memory that are free.
    pub free: Arc<AtomicU64>,
    before: Before,
    /// What its gradients are multiplied by.
    pub factor: f64,
    /// Whether passes may end at the joint.
    pub defers: bool,
}

impl FalseCard {
    /// A card with plenty of memory.
    pub fn new(before: impl FnMut(&str) -> Result<()> + Send + 'static) -> Self {
        Self {
            network: CpuBackend::new(Network::embedded().unwrap(), 2).unwrap(),
            free: Arc::new(AtomicU64::new(PLENTY)),
            before: Box::new(before),
            factor: 1.0,
            defers: false,
        }
    }
}

impl Backend for FalseCard {
    fn device(&self) -> &Device {
        self.network.device()
    }

    fn description(&self) -> String {
        "a false card".into()
    }

    fn memory(&self, tiling: &Tiling) -> u64 {
        self.network.memory(tiling)
    }

    fn free_memory(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Relaxed))
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        (self.before)("prepare")?;
        self.network.prepare(tiling)
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        (self.before)("hold_content")?;
        self.network.hold_content(part, picture)
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        (self.before)("forward")?;
        self.network.forward(part, picture)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        (self.before)("backward")?;
        Ok((self.network.backward(gradient)? * self.factor)?)
    }
    fn can_defer(&self) -> bool {
        self.defers
    }

    fn forward_to_joint(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        (self.before)("forward_to_joint")?;
        self.network.forward_to_joint(part, picture)
    }

    fn deferred_change(&mut self) -> Result<Option<f64>> {
        self.network.deferred_change()
    }
}
