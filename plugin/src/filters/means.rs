//! By which means a size is painted in the memory that there is: how many tiles, and how long a history.
//!
//! Tiles take time: halos and a second forward pass. A short history takes steps, a few more of them. What costs least
//! with both is taken.

use super::memory;
use crate::Result;
use crate::compute::{Backend, Plan, Tiling};

/// Tiles that take more than this many untiled steps are too small to pay.
pub const WORTHWHILE: f64 = 2.5;
/// L-BFGS with fewer pairs is hardly better than none.
pub const FEWEST_PAIRS: usize = 2;
/// How many more steps, about, a history of so many pairs takes: this share, divided by them.
const FORGETFULNESS: f64 = 0.3;

/// How a picture of one size is looked at and painted.
#[derive(Clone, Debug)]
pub struct Means {
    /// How the network looks at it.
    pub tiling: Tiling,
    /// The pairs that L-BFGS remembers.
    pub history: usize,
    /// The most bytes that it takes.
    pub bytes: u64,
    /// What is left of the room, if that is bounded, for looking at styles while the optimiser rests.
    pub style_room: Option<u64>,
}

impl Means {
    /// The best means for a plan and a history of up to `longest` pairs (0 is without one) that take no more than `room`
    /// bytes; `None` where there are none. Without `room`, memory is no object.
    ///
    /// # Errors
    /// A plan that cannot be carried out.
    pub fn within(backend: &dyn Backend, plan: &Plan, longest: usize, room: Option<u64>) -> Result<Option<Self>> {
        let Some(whole_room) = room else {
            return Ok(Some(Self::with(backend, Tiling::whole(plan)?, longest, None)));
        };
        let mut best: Option<(f64, Self)> = None;
        for history in (longest.min(FEWEST_PAIRS)..=longest).rev() {
            let Some(room) = whole_room.checked_sub(memory::pictures(plan, history)) else {
                continue;
            };
            let Some(tiling) = Tiling::within(backend, plan, room)? else {
                continue;
            };
            let cost = tiling.cost() * (1.0 + FORGETFULNESS / history.max(1) as f64);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, Self::with(backend, tiling, history, Some(whole_room))));
            }
            if best.as_ref().is_some_and(|(_, best)| best.tiling.parts().len() == 1) {
                break;
            }
        }
        Ok(best.map(|(_, means)| means))
    }

    /// The least bytes that a plan can be painted in, with a history if `longest` is not 0.
    ///
    /// # Errors
    /// A plan that cannot be carried out.
    pub fn least(backend: &dyn Backend, plan: &Plan, longest: usize) -> Result<u64> {
        let tiling = Tiling::smallest(plan)?;
        Ok(Self::with(backend, tiling, longest.min(FEWEST_PAIRS), None).bytes)
    }

    fn with(backend: &dyn Backend, tiling: Tiling, history: usize, room: Option<u64>) -> Self {
        let resting = memory::resting(tiling.plan(), history);
        Self {
            style_room: room.map(|room| room.saturating_sub(resting)),
            bytes: tiling.bytes(backend) + memory::pictures(tiling.plan(), history),
            tiling,
            history,
        }
    }
}
