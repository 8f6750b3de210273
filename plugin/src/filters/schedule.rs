//! Coarse to fine: which sizes a picture is painted at, and for how many steps.
//!
//! The network sees strokes of a fixed number of pixels, so large forms are painted while the picture is small and
//! details when it has grown (Gatys et al. 2017, section 6). Every pyramid but that of a strip begins at the same size, so
//! that a picture's forms are as large in it whatever its size, and grows evenly from there, by some 8/5: a step at a
//! level costs two fifths of one at the next. Levels that lie closer cost more, and leave a loss that is 1 % lower at most.
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

/// The longer side of the coarsest level.
const COARSEST: f64 = 128.0;
/// The shorter side of every level but the only one is at least this.
const SHORTEST: f64 = Plan::SMALLEST as f64;
/// Levels to an octave, about: a whole number of them leads from the coarsest to the picture.
const LEVELS_PER_OCTAVE: f64 = 1.5;
/// Steps of each coarser level, of the last one after them, and of a single one, at quality 1.
const COARSER_STEPS: f64 = 16.0;
const LAST_STEPS: f64 = 24.0;
const SINGLE_STEPS: f64 = 100.0;

/// The levels for a picture of `height` x `width`, coarsest first; the last is the picture's own size.
pub fn levels(height: usize, width: usize, quality: f64, pyramid: bool) -> Vec<Level> {
    let (longer, shorter) = (height.max(width) as f64, height.min(width) as f64);
    // A strip begins where the network sees anything of it, however long it is there.
    let octaves = (longer / COARSEST).log2().min((shorter / SHORTEST).log2());
    let coarser = match pyramid {
        true => (LEVELS_PER_OCTAVE * octaves).round().max(0.0) as usize,
        false => 0,
    };
    let at = |octaves_left: f64, steps: f64| {
        let scale = (-octaves_left).exp2();
        let side = |length: usize| ((length as f64 * scale).round() as usize).max(1);
        Level {
            height: side(height),
            width: side(width),
            steps: (steps * quality).round().max(1.0) as usize,
        }
    };
    let steps = if coarser == 0 { SINGLE_STEPS } else { LAST_STEPS };
    (1..=coarser)
        .rev()
        .map(|left| at(octaves * left as f64 / coarser as f64, COARSER_STEPS))
        .chain([at(0.0, steps)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_grow_evenly_from_the_coarsest_to_the_canvas_and_the_last_takes_the_most_steps() {
        for (longer, count) in [(162, 2), (256, 3), (512, 4), (600, 4), (1024, 6), (4000, 8)] {
            let levels = levels(longer * 2 / 3, longer, 1.0, true);
            assert_eq!(levels.len(), count, "{levels:?}");
            assert_eq!(levels[0].width, 128);
            assert_eq!(
                levels.last(),
                Some(&Level {
                    height: longer * 2 / 3,
                    width: longer,
                    steps: 24
                })
            );
            let growth = (longer as f64 / 128.0).powf(1.0 / (count - 1) as f64);
            assert!((1.25..1.8).contains(&growth), "{levels:?}");
            for pair in levels.windows(2) {
                assert_eq!(pair[0].steps, 16);
                assert!((pair[1].width as f64 - growth * pair[0].width as f64).abs() <= 0.5 + 0.5 * growth);
                assert!((pair[1].height as f64 - growth * pair[0].height as f64).abs() <= 0.5 + 0.5 * growth);
            }
        }
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
        assert_eq!(levels(32, 4000, 1.0, true)[0].height, Plan::SMALLEST);
    }

    #[test]
    fn small_canvases_and_no_pyramid_have_one_level() {
        assert_eq!(levels(160, 90, 1.0, true).len(), 1);
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
