//! By which means a size is painted in the memory that there is: how many tiles, and how long a history.
//!
//! Tiles take time: halos and a second forward pass. A short history takes steps, a few more of them. What costs least
//! with both is taken.

use super::memory;
use crate::Result;
use crate::canvas::Size;
use crate::compute::{Backend, Plan, Tiling};
use crate::optimise::Home;
use crate::settings::Optimiser;

/// Tiles that take more than this many untiled steps are too small to pay.
pub const WORTHWHILE: f64 = 2.5;
/// L-BFGS with fewer pairs is hardly better than none.
pub const FEWEST_PAIRS: usize = 2;
/// How many more steps, about, a history of so many pairs takes: this share, divided by them.
const FORGETFULNESS: f64 = 0.3;

/// What is painted, and by whom.
pub struct Task<'a> {
    /// What the network sees.
    pub plan: &'a Plan,
    /// The size of the picture, without what the network sees around it.
    pub size: Size,
    /// Who moves the pixels.
    pub optimiser: Optimiser,
    /// Where the pixels are moved.
    pub home: Home,
    /// What comes after the last step takes beside the network, 0 where another level comes.
    pub finishing: u64,
    /// The bytes of what was read that are free by then, as nobody looks at it any more.
    pub released: u64,
}

impl Task<'_> {
    /// What is held beside the network, with a history of so many pairs.
    fn besides(&self, history: usize) -> u64 {
        let painting = memory::painting(self.optimiser, self.size, history, &self.home);
        painting.max(self.finishing).saturating_sub(self.released)
    }
}

/// How a picture of one size is looked at and painted.
#[derive(Clone, Debug)]
pub struct Means {
    /// How the network looks at it.
    pub tiling: Tiling,
    /// The pairs that L-BFGS remembers.
    pub history: usize,
    /// The most bytes that its steps take, and what comes after them.
    pub bytes: u64,
    /// What is left of the room, if that is bounded, for looking at styles while the optimiser rests.
    pub style_room: Option<u64>,
}

impl Means {
    /// The best means for a task and a history of up to `longest` pairs (0 is without one) that take no more than `room`
    /// bytes; `None` where there are none. Without `room`, memory is no object.
    ///
    /// # Errors
    /// A plan that cannot be carried out.
    pub fn within(backend: &dyn Backend, task: &Task, longest: usize, room: Option<u64>) -> Result<Option<Self>> {
        let Some(room) = room else {
            let tiling = Tiling::whole(task.plan)?;
            return Ok(Some(Self::with(backend, task, tiling, longest)));
        };
        let mut best: Option<(f64, Self)> = None;
        for history in (least_history(longest)..=longest).rev() {
            let Some(room) = room.checked_sub(task.besides(history)) else {
                continue;
            };
            let Some(tiling) = Tiling::within(backend, task.plan, room)? else {
                continue;
            };
            let cost = tiling.cost() * (1.0 + FORGETFULNESS / history.max(1) as f64);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, Self::with(backend, task, tiling, history)));
            }
            // With a shorter history it could not be better.
            if best.as_ref().is_some_and(|(_, best)| best.tiling.parts().len() == 1) {
                break;
            }
        }
        Ok(best.map(|(_, means)| means))
    }

    /// The least bytes that a task takes, with a history if `longest` is not 0.
    ///
    /// # Errors
    /// A plan that cannot be carried out.
    pub fn least(backend: &dyn Backend, task: &Task, longest: usize) -> Result<u64> {
        let tiling = Tiling::smallest(task.plan)?;
        Ok(Self::with(backend, task, tiling, least_history(longest)).bytes)
    }

    fn with(backend: &dyn Backend, task: &Task, tiling: Tiling, history: usize) -> Self {
        Self {
            bytes: backend.memory(&tiling) + task.besides(history),
            tiling,
            history,
            style_room: None,
        }
    }
}

/// The fewest pairs that L-BFGS can do with, where it could have up to `longest`.
pub fn least_history(longest: usize) -> usize {
    longest.min(FEWEST_PAIRS)
}
