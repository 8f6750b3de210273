//! Coarse to fine: which sizes a picture is painted at, and for how many steps.
//!
//! The network sees strokes of a fixed number of pixels, so large forms are painted while the picture is small and
//! details when it has grown (Gatys et al. 2017, section 6). Sizes grow by the square root of 2, so that a step at a
//! level costs half of one at the next.
//!
//! The last level takes half as many steps again as each before it. More of them where they are cheap do not pay: what is
//! still to be gained at a size, its own steps bring. `docs/performance.md` has other schedules beside this one.

use crate::canvas::Size;
use crate::compute::Plan;

/// One size of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The optimiser's steps.
    pub steps: usize,
}

impl Level {
    /// Its width and height.
    pub fn size(&self) -> Size {
        Size {
            width: self.width,
            height: self.height,
        }
    }
}

/// The longer side of the coarsest level is at least this.
const COARSEST: f64 = 128.0;
/// The shorter side of every level but the only one is at least this.
const SHORTEST: f64 = Plan::SMALLEST as f64;
/// Steps of each coarser level, of the last one after them, and of a single one, at quality 1.
const COARSER_STEPS: f64 = 16.0;
const LAST_STEPS: f64 = 24.0;
const SINGLE_STEPS: f64 = 100.0;

/// The levels for a picture of `height` x `width`, coarsest first; the last is the picture's own size.
pub fn levels(height: usize, width: usize, quality: f64, pyramid: bool) -> Vec<Level> {
    let (longer, shorter) = (height.max(width) as f64, height.min(width) as f64);
    let halvings = if pyramid {
        // A strip ends where the network would see nothing any more, however long it still is.
        let octaves = (longer / COARSEST).log2().min((shorter / SHORTEST).log2());
        (2.0 * octaves + 1e-9).floor().max(0.0) as usize
    } else {
        0
    };
    let steps = |halvings_left: usize| match (halvings, halvings_left) {
        (0, _) => SINGLE_STEPS,
        (_, 0) => LAST_STEPS,
        _ => COARSER_STEPS,
    };
    (0..=halvings)
        .map(|index| {
            let scale = 0.5f64.powf((halvings - index) as f64 / 2.0);
            let side = |length: usize| ((length as f64 * scale).round() as usize).max(1);
            Level {
                height: side(height),
                width: side(width),
                steps: (steps(halvings - index) * quality).round().max(1.0) as usize,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_grow_to_the_canvas_and_the_last_takes_the_most_steps() {
        let levels = levels(400, 600, 1.0, true);
        assert_eq!(levels.last().map(|level| (level.height, level.width)), Some((400, 600)));
        assert!(levels[0].width >= 128 && levels[0].width < 182);
        for pair in levels.windows(2) {
            let growth = (pair[1].width * pair[1].height) as f64 / (pair[0].width * pair[0].height) as f64;
            assert!((1.9..2.1).contains(&growth), "{levels:?}");
        }
        assert_eq!(
            levels.iter().map(|level| level.steps).collect::<Vec<_>>(),
            [16, 16, 16, 16, 24]
        );
    }

    #[test]
    fn strips_stay_wide_enough_for_the_network() {
        for (height, width) in [(16, 190), (23, 4000), (64, 1024), (2000, 40)] {
            let levels = levels(height, width, 1.0, true);
            let least = levels.iter().map(|level| level.height.min(level.width)).min();
            assert!(least >= Some(Plan::SMALLEST), "{height} x {width}: {levels:?}");
        }
        assert_eq!(levels(16, 4000, 1.0, true).len(), 1);
        assert_eq!(levels(32, 4000, 1.0, true).len(), 3);
    }

    #[test]
    fn small_canvases_and_no_pyramid_have_one_level() {
        assert_eq!(levels(100, 90, 1.0, true).len(), 1);
        assert_eq!(levels(1000, 900, 1.0, false).len(), 1);
        assert_eq!(
            levels(1, 1, 0.001, true),
            [Level {
                height: 1,
                width: 1,
                steps: 1
            }]
        );
    }
}
