//! A picture in which rounding decides: its tiles go back by what was decided of the whole.

use candle_core::{Device, Tensor};

use super::{POOLINGS, compare, cpu, reach, step};
use crate::Result;
use crate::compute::cpu::CpuBackend;
use crate::compute::cpu::decisions::Decisions;
use crate::compute::cpu::tests::plan;
use crate::compute::{Backend, ContentDistance, Plan, Statistics, StatisticsGradient, Tiling, Window};
use crate::network::Layer;

/// A backend that looks at tiles and goes back by what was decided of the whole picture.
struct Following {
    backend: CpuBackend,
    /// What was decided of the whole picture.
    whole: Vec<Decisions>,
    tiling: Tiling,
    /// The tile that was looked at last.
    part: usize,
    /// How many activations pass the gradient in the whole picture and not in a tile, or the other way round.
    differing: usize,
}

impl Following {
    /// Counts differences where a feature is seen by the tile's core, so that it is what it is in the whole picture.
    fn count(&mut self) {
        let (plan, seen) = (&self.tiling.parts()[self.part], self.tiling.boxes()[self.part]);
        let Window {
            top,
            left,
            height,
            width,
        } = plan.window;
        for ((layer, whole), part) in Layer::ALL.iter().zip(&self.whole).zip(self.backend.decisions()) {
            let (pools, reach) = (layer.pools(), reach(plan) - layer.reach());
            let span = |first: usize, length: usize, end: usize| {
                first.saturating_sub(reach) >> pools..((first + length + reach) >> pools).min(end)
            };
            let at = seen.at_depth(pools);
            for channel in 0..layer.outputs() {
                for row in span(top, height, part.height) {
                    for column in span(left, width, part.width) {
                        let here = (channel * part.height + row) * part.width + column;
                        let there = (channel * whole.height + at.top + row) * whole.width + at.left + column;
                        self.differing += usize::from(part.passes[here] != whole.passes[there]);
                    }
                }
            }
        }
    }
}

impl Backend for Following {
    fn device(&self) -> &Device {
        self.backend.device()
    }

    fn description(&self) -> String {
        self.backend.description()
    }

    fn memory(&self, tiling: &Tiling) -> u64 {
        self.backend.memory(tiling)
    }

    fn prepare(&mut self, tiling: &Tiling) -> Result<()> {
        self.backend.prepare(tiling)
    }

    fn hold_content(&mut self, part: usize, picture: &Tensor) -> Result<Vec<ContentDistance>> {
        self.backend.hold_content(part, picture)
    }

    fn forward(&mut self, part: usize, picture: &Tensor) -> Result<Statistics> {
        self.part = part;
        self.backend.forward(part, picture)
    }

    fn backward(&mut self, gradient: &StatisticsGradient) -> Result<Tensor> {
        self.count();
        self.backend.decide(&self.whole, &self.tiling.boxes()[self.part]);
        self.backend.backward(gradient)
    }
}

#[test]
fn tiles_that_decide_as_the_whole_have_its_gradient() {
    for pooling in POOLINGS {
        let plan = Plan {
            pooling,
            ..plan(371, 389)
        };
        let mut backend = cpu();
        let whole = step(&mut backend, &plan, 1, 1);
        let mut following = Following {
            whole: backend.decisions(),
            backend,
            tiling: Tiling::cut(&plan, 2, 2).unwrap(),
            part: 0,
            differing: 0,
        };
        let tiled = step(&mut following, &plan, 2, 2);
        let what = format!("{pooling:?}, {} activations decided otherwise", following.differing);
        compare(&tiled, &whole, &what);
        assert!(following.differing <= 8, "{what}");
    }
}
