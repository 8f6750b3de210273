//! By which means a size is painted in the memory that there is: how many tiles, and how long a history.
//!
//! Tiles take time: halos and a second forward pass. A short history takes steps, a few more of them. What costs least
//! with both is taken.
//!
//! Where tiles do not pay by any of that, something else has to give, one after the other until they do: a single pair is
//! remembered, and the content's features are held in less of the memory that is short ([`Holding`]). 8192 x 8192 pixels take
//! 0.8 GB a picture or pair, and 2.1 GB for the features: under a ceiling of 8 GB, nothing would be left for tiles.

use super::memory::{self, Place};
use crate::Result;
use crate::canvas::Size;
use crate::compute::{Backend, Holding, Plan, Tiling};
use crate::optimise::Home;
use crate::settings::Optimiser;

/// Tiles that take more than this many untiled steps are too small to pay.
pub const WORTHWHILE: f64 = 2.5;
/// L-BFGS does with fewer pairs only where memory is so short that tiles would not [pay](WORTHWHILE) otherwise, ...
const FEW_PAIRS: usize = 2;
/// ... and never with fewer than these. (After 30 steps at 181 x 128 pixels, one pair is a step behind two, and two are one
/// behind eight; after 100 it may be before them.)
pub const FEWEST_PAIRS: usize = 1;
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
    /// The bytes that may be taken of main memory for what a card has no room for; `None` is any number.
    pub aside: Option<u64>,
}

impl Task<'_> {
    /// What is held beside the network, with a history of so many pairs.
    fn besides(&self, history: usize, holding: Holding) -> u64 {
        let place = Place::of(&self.home, holding);
        let painting = memory::painting(self.optimiser, self.size, history, place);
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
        let (few, least) = (longest.min(FEW_PAIRS), least_history(longest));
        let ways = match backend.sparing() {
            Holding::Aside => vec![(few, Holding::AsTheyAre), (least, Holding::Aside)],
            // What changes the result comes last.
            other => vec![(few, Holding::AsTheyAre), (least, Holding::AsTheyAre), (least, other)],
        };
        let mut best: Option<(f64, Self)> = None;
        for (shortest, holding) in ways {
            let Some((cost, means)) = Self::cheapest(backend, task, (shortest, longest), holding, room)? else {
                continue;
            };
            let pays = means.tiling.cost() <= WORTHWHILE;
            if pays || best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, means));
            }
            if pays {
                break;
            }
        }
        Ok(best.map(|(_, means)| means))
    }

    /// The best means with a history of so many pairs, and the content's features held like this, and about how many times
    /// as long a picture takes by them.
    fn cheapest(
        backend: &dyn Backend,
        task: &Task,
        (shortest, longest): (usize, usize),
        holding: Holding,
        room: u64,
    ) -> Result<Option<(f64, Self)>> {
        let mut best: Option<(f64, Self)> = None;
        for history in (shortest..=longest).rev() {
            let Some(room) = room.checked_sub(task.besides(history, holding)) else {
                continue;
            };
            let Some(tiling) = Tiling::within(backend, task.plan, holding, room)? else {
                continue;
            };
            if holding == Holding::Aside && task.aside.is_some_and(|aside| aside < tiling.content_bytes() as u64) {
                continue;
            }
            let cost = tiling.cost() * (1.0 + FORGETFULNESS / history.max(1) as f64);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, Self::with(backend, task, tiling, history)));
            }
            // With a shorter history it could not be better.
            if best.as_ref().is_some_and(|(_, best)| best.tiling.parts().len() == 1) {
                break;
            }
        }
        Ok(best)
    }

    /// The least bytes that a task takes, with a history if `longest` is not 0.
    ///
    /// # Errors
    /// A plan that cannot be carried out.
    pub fn least(backend: &dyn Backend, task: &Task, longest: usize) -> Result<u64> {
        let least = |holding| -> Result<u64> {
            let tiling = Tiling::smallest(task.plan)?.held(holding);
            Ok(Self::with(backend, task, tiling, least_history(longest)).bytes)
        };
        // A picture that cannot be cut has its content whole before it has it in halves.
        Ok(least(Holding::AsTheyAre)?.min(least(backend.sparing())?))
    }

    fn with(backend: &dyn Backend, task: &Task, tiling: Tiling, history: usize) -> Self {
        Self {
            bytes: backend.memory(&tiling) + task.besides(history, tiling.holding()),
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
