//! How a picture is cut into tiles, how many it takes to fit into memory, and what that costs.
//!
//! What is measured, the plan's window, is cut into *cores* that do not overlap. Each is seen in a *box* that is wider by
//! the *halo*, the reach of the highest measured layer: so every feature of a core, and every pixel that it depends on,
//! is what it is in the whole picture. Boxes end where the grids of all layers have a border, or with the picture: then
//! poolings meet the same pixels as they do in the whole.
//!
//! They begin on a still coarser grid ([`STEP`]), for the sake of rounding. A feature that is all but 0, or a maximum that
//! is all but shared, is decided by the last bit, and the gradient jumps with it: by a thousandth in the whole
//! picture's norm, where a photograph of half a megapixel was cut anywhere. On this grid, features are computed from the
//! same tiles of Winograd's algorithm as in the whole picture, and come out with the same bits, but for a few next to a
//! core's border in the highest layers: the gradient is then off by a millionth.

use std::ops::Range;

use crate::Result;
use crate::compute::{Backend, FORWARD, Plan, Window};

/// All layers' grids have a border here.
const GRID: usize = 16;
/// Boxes begin on multiples of this: of 6 outputs on the grid of conv2_2 and 4 on that of conv5_1.
const STEP: usize = 192;

/// How the content's features are held from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// As they are, where the network is.
    AsTheyAre,
    /// In half of the memory, each to about three digits.
    Halves,
    /// As they are, in main memory, from where each part's come to the card when it is looked at.
    Aside,
}

/// A plan, cut into parts that a backend looks at one by one.
#[derive(Clone, Debug)]
pub struct Tiling {
    whole: Plan,
    /// What each part sees of the whole picture.
    boxes: Vec<Window>,
    parts: Vec<Plan>,
    thrifty: bool,
    holding: Holding,
}

impl Tiling {
    /// A plan in one part, the picture as it is, and all the memory that makes it fast.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the plan cannot be carried out.
    pub fn whole(plan: &Plan) -> Result<Self> {
        Ok(Self {
            thrifty: false,
            ..Self::cut(plan, 1, 1)?
        })
    }

    /// The cheapest tiling of a plan that takes no more than `room` bytes with the content's features held like this; `None`
    /// where even the smallest tiles would take more.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the plan cannot be carried out.
    pub fn within(backend: &dyn Backend, plan: &Plan, holding: Holding, room: u64) -> Result<Option<Self>> {
        let whole = Self::whole(plan)?.held(holding);
        if backend.memory(&whole) <= room {
            return Ok(Some(whole));
        }
        let (most_rows, most_columns) = (Axis::rows(plan).most(), Axis::columns(plan).most());
        let mut cheapest: Option<Self> = None;
        for rows in 1..=most_rows {
            // The more columns, the less memory and the more work: the fewest that fit, found by halving.
            let (mut fewest, mut enough) = (1, most_columns + 1);
            while fewest < enough {
                let columns = fewest + (enough - fewest) / 2;
                let tiling = Self::cut(plan, rows, columns)?.held(holding);
                if backend.memory(&tiling) > room {
                    fewest = columns + 1;
                    continue;
                }
                enough = columns;
                if cheapest
                    .as_ref()
                    .is_none_or(|cheapest| tiling.pixels() < cheapest.pixels())
                {
                    cheapest = Some(tiling);
                }
            }
            if cheapest.as_ref().is_some_and(|cheapest| cheapest.parts.len() == 1) {
                break;
            }
        }
        Ok(cheapest)
    }

    /// A plan, cut into the smallest tiles that there can be.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the plan cannot be carried out.
    pub fn smallest(plan: &Plan) -> Result<Self> {
        Self::cut(plan, usize::MAX, usize::MAX)
    }

    /// A plan, cut into so many rows and columns of tiles, or as many as there is room for, and as little memory as they
    /// take.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the plan cannot be carried out.
    pub fn cut(plan: &Plan, rows: usize, columns: usize) -> Result<Self> {
        plan.check()?;
        if (
            rows.min(Axis::rows(plan).most()),
            columns.min(Axis::columns(plan).most()),
        ) == (1, 1)
        {
            return Ok(Self {
                whole: plan.clone(),
                boxes: vec![Window::whole(plan.height, plan.width)],
                parts: vec![plan.clone()],
                thrifty: true,
                holding: Holding::AsTheyAre,
            });
        }
        let (mut boxes, mut parts) = (Vec::new(), Vec::new());
        let columns = Axis::columns(plan).cut(columns);
        for (box_rows, core_rows) in Axis::rows(plan).cut(rows) {
            for (box_columns, core_columns) in &columns {
                let seen = window(&box_rows, box_columns);
                let core = window(&core_rows, core_columns);
                let regions = plan.regions.as_ref().map(|regions| {
                    let rows = regions.narrow(1, seen.top, seen.height)?;
                    rows.narrow(2, seen.left, seen.width)
                });
                parts.push(Plan {
                    height: seen.height,
                    width: seen.width,
                    window: Window {
                        top: core.top - seen.top,
                        left: core.left - seen.left,
                        ..core
                    },
                    regions: regions.transpose()?,
                    // What is held for each part would take more room, and so more of them.
                    defers: false,
                    ..plan.clone()
                });
                boxes.push(seen);
            }
        }
        Ok(Self {
            whole: Plan {
                defers: false,
                ..plan.clone()
            },
            boxes,
            parts,
            thrifty: true,
            holding: Holding::AsTheyAre,
        })
    }

    /// What is asked of the whole picture.
    pub fn plan(&self) -> &Plan {
        &self.whole
    }

    /// What is asked of each part; they differ in sizes, windows and regions' weights alone.
    pub fn parts(&self) -> &[Plan] {
        &self.parts
    }

    /// Whether memory is short: what can be made again when it is needed is not to be kept.
    pub fn is_thrifty(&self) -> bool {
        self.thrifty
    }

    /// The same, with the content's features held in another way.
    pub fn held(self, holding: Holding) -> Self {
        Self { holding, ..self }
    }

    /// How the content's features are held.
    pub fn holding(&self) -> Holding {
        self.holding
    }

    /// The bytes that the content's features take as they are, of all parts together.
    pub fn content_bytes(&self) -> usize {
        self.parts.iter().map(Plan::all_content_features).sum::<usize>() * size_of::<f32>()
    }

    /// What each part sees of the whole picture.
    pub(super) fn boxes(&self) -> &[Window] {
        &self.boxes
    }

    /// A plan that each part fits into.
    pub fn largest(&self) -> Plan {
        let height = self.boxes.iter().map(|seen| seen.height).max().unwrap_or(0);
        let width = self.boxes.iter().map(|seen| seen.width).max().unwrap_or(0);
        Plan {
            height,
            width,
            window: Window::whole(height, width),
            ..self.whole.clone()
        }
    }

    /// About how many times as long a step takes as that of the picture as it is: halos are seen more than once, and
    /// all tiles but one a second time.
    pub fn cost(&self) -> f64 {
        let whole = (self.whole.height * self.whole.width) as f64;
        let again = 1.0 - 1.0 / self.parts.len() as f64;
        self.pixels() as f64 / whole * (1.0 + FORWARD * again)
    }

    /// The pixels of all tiles.
    fn pixels(&self) -> usize {
        self.boxes.iter().map(|seen| seen.height * seen.width).sum()
    }
}

fn window(rows: &Range<usize>, columns: &Range<usize>) -> Window {
    Window {
        top: rows.start,
        left: columns.start,
        height: rows.len(),
        width: columns.len(),
    }
}

/// Rows or columns of a plan.
struct Axis {
    /// What is measured.
    window: Range<usize>,
    /// What that depends on.
    seen: Range<usize>,
    halo: usize,
}

impl Axis {
    fn rows(plan: &Plan) -> Self {
        Self::new(plan, plan.height, plan.window.top, plan.window.height)
    }

    fn columns(plan: &Plan) -> Self {
        Self::new(plan, plan.width, plan.window.left, plan.window.width)
    }

    fn new(plan: &Plan, whole: usize, start: usize, length: usize) -> Self {
        let highest = plan.style_layers.iter().chain(&plan.content_layers).max();
        let halo = highest.map_or(0, |layer| layer.reach()).next_multiple_of(GRID);
        let end = start + length;
        Self {
            window: start..end,
            seen: start.saturating_sub(halo) / STEP * STEP..whole.min(end.next_multiple_of(GRID) + halo),
            halo,
        }
    }

    /// The number of tiles that there is room for.
    fn most(&self) -> usize {
        // Where the last core may begin: it is to have a pixel on every layer's grid, and its box to be smaller for it.
        let last = (self.window.end - GRID).min((self.seen.end - 1).saturating_sub(self.halo));
        last.saturating_sub(self.seen.start + self.halo) / STEP + 1
    }

    /// So many boxes and their cores, or as many as there is room for. The boxes are of about one size: the first and
    /// the last have a halo on one side only, and larger cores.
    fn cut(&self, count: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let Self { window, seen, halo } = self;
        let count = count.clamp(1, self.most());
        // Where the core after so many begins.
        let border = |index: usize| match index {
            0 => window.start,
            _ if index == count => window.end,
            _ => seen.start + halo + self.most() * index / count * STEP,
        };
        let tile = |index: usize| {
            let core = border(index)..border(index + 1);
            let first = if index == 0 { seen.start } else { core.start - halo };
            let last = if index + 1 == count { seen.end } else { core.end + halo };
            (first..last, core)
        };
        (0..count).map(tile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu::tests::plan;
    use crate::compute::tiled::Margin;

    #[test]
    fn tiles_of_1024_pixels_cost_little_more_than_two_steps() {
        // The layers of the default settings, up to conv5_1, and their margin.
        let margin = Margin::new(16, 4000, 6000);
        let (height, width) = margin.padded_size();
        let plan = Plan {
            window: margin.window(),
            ..plan(height, width)
        };
        let tiling = |rows, columns| Tiling::cut(&plan, rows, columns).unwrap();
        let side = |fits: &dyn Fn(usize) -> usize| (1..).find(|&count| fits(count) <= 1024).unwrap();
        let rows = side(&|rows| tiling(rows, 1).largest().height);
        let columns = side(&|columns| tiling(1, columns).largest().width);
        let tiling = tiling(rows, columns);
        let cost = tiling.cost();
        assert!(cost <= 2.1, "{rows} x {columns} tiles cost {cost} steps");
    }
}
