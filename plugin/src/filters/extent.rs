//! How large everything in a style transfer is: what its settings and the sizes of its pictures tell before there are
//! pictures, and before memory is taken for any.

#[cfg(test)]
pub mod tests;

use super::means::{FEWEST_PAIRS, Means, Task, least_history};
use super::memory;
use super::schedule::{self, Level};
use crate::canvas::{self, Size};
use crate::compute::{Backend, Holding, Margin, Plan, Tiling};
use crate::memory::Memory;
use crate::network::Layer;
use crate::objective::StyleLoss;
use crate::optimise::History;
use crate::settings::{Edges, Optimiser, StyleTransfer};
use crate::{Error, Result};

/// Reflected pixels that the network sees around the picture.
const MARGIN: usize = 16;
/// The pixels that take as long as what an evaluation does whatever their number, about: on two cores of an AMD EPYC one takes
/// 80 ms where the network sees 160 x 160 of them, and would take 61 by its pace at 544 x 544.
const EVALUATION: f64 = 10_000.0;
/// What L-BFGS may remember: more than 100 pairs gain nothing.
const HISTORY_BYTES: u64 = 256 << 20;

/// The pairs that L-BFGS remembers of a picture of so many samples.
pub fn history(samples: usize) -> usize {
    (HISTORY_BYTES / History::bytes(1, samples)).clamp(8, 100) as usize
}

/// The bytes that a render may take; `None` is any number. A card's memory is its own: what lies in main memory does not
/// count against it, nor the other way round.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Where the network is: in main memory beside the pictures as they were read, or on a card.
    pub network: Option<u64>,
    /// In main memory beside those pictures, where the network is on a card; `None`, too, where it is not.
    pub beside: Option<u64>,
}

/// A render's sizes.
pub struct Extent<'a> {
    /// What was set.
    pub settings: &'a StyleTransfer,
    /// The content's own size.
    pub content: Size,
    /// The styles' own sizes.
    pub styles: Vec<Size>,
}

impl Extent<'_> {
    /// The content's size while it is painted, before it is padded to what the network needs.
    pub fn working(&self) -> Size {
        match self.settings.working_size {
            0 => self.content,
            longer => fit(self.content, longer),
        }
    }

    /// The sizes that the content is painted at, coarsest first.
    pub fn levels(&self) -> Vec<Level> {
        self.levels_to(padded(self.working()))
    }

    /// The levels of a picture that is painted at this size.
    fn levels_to(&self, Size { width, height }: Size) -> Vec<Level> {
        schedule::levels(height, width, self.settings.quality, self.settings.pyramid)
    }

    /// The size at which a style is looked at for a level.
    pub fn style(&self, style: Size, level: &Level) -> Size {
        fit(style, self.brush(level.height.max(level.width)))
    }

    /// That size, padded to what the network needs.
    pub fn style_seen(&self, style: Size, level: &Level) -> Size {
        padded(self.style(style, level))
    }

    /// What is put around a picture before the network sees it.
    pub fn margin(&self, size: Size) -> Margin {
        Margin::new(self.margin_size(), size.height, size.width)
    }

    /// The network's task for pictures inside a margin.
    fn plan(&self, margin: &Margin, content_layers: &[(Layer, f64)], defers: bool) -> Plan {
        let (height, width) = margin.padded_size();
        Plan {
            height,
            width,
            window: margin.window(),
            style_layers: self.settings.style_layers.iter().map(|&(layer, _)| layer).collect(),
            content_layers: content_layers.iter().map(|&(layer, _)| layer).collect(),
            pooling: self.settings.pooling,
            regions: None,
            defers,
        }
    }

    /// The pixels that the network sees of a picture of this size.
    pub fn pixels_seen(&self, height: usize, width: usize) -> f64 {
        let around = 2 * self.margin_size();
        ((height + around) * (width + around)) as f64
    }

    /// What an evaluation of the network is at a level, in pixels: those that it sees, and what takes its time whatever
    /// their number.
    pub fn work(&self, level: &Level) -> f64 {
        self.pixels_seen(level.height, level.width) + EVALUATION
    }

    /// The bytes of its pictures as they were read.
    pub fn read(&self) -> u64 {
        let sizes = self.styles.iter().chain([&self.content]);
        sizes.map(|size| size.bytes_read()).fold(0, u64::saturating_add)
    }

    /// What there is now. The limit is that of each memory by itself.
    pub fn room(&self, backend: &dyn Backend) -> Room {
        self.room_of(backend, Memory::now().map(|memory| memory.available))
    }

    /// The same where so many bytes of main memory are available.
    fn room_of(&self, backend: &dyn Backend, available: Option<u64>) -> Room {
        let limit = self.settings.memory_limit;
        let main = memory::room(limit, self.read(), available);
        match backend.has_own_memory() {
            true => Room {
                network: memory::room_on_card(limit, backend.free_memory()),
                beside: main,
            },
            false => Room {
                network: main,
                beside: None,
            },
        }
    }

    /// By which means a level is painted, after others or as the first.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for it.
    fn means(&self, backend: &dyn Backend, level: &Level, before: &[(Level, Means)], room: Room) -> Result<Means> {
        let size = level.size();
        let aside = match room.beside {
            Some(beside) => {
                let left = beside.checked_sub(self.beside_card(level));
                Some(left.ok_or_else(|| no_room(level.height, level.width))?)
            }
            None => None,
        };
        let room = room.network;
        let plan = self.content_plan(backend, size);
        let is_last = size == padded(self.working());
        let task = Task {
            aside,
            ..self.task(backend, &plan, size, is_last)
        };
        // A step makes one pair at most.
        let steps = before.iter().map(|(before, _)| before.steps).sum::<usize>() + level.steps;
        let mut longest = self.history(size).min(steps);
        let mut looking = 0;
        for &style in &self.styles {
            looking = looking.max(self.least_look(backend, self.style_seen(style, level))?);
        }
        while let Some(means) = Means::within(backend, &task, longest, room)? {
            let resting = self.resting_before(size, before.last(), &means);
            let style_room = room.map(|room| room.saturating_sub(resting));
            if style_room.is_none_or(|room| looking <= room) {
                return Ok(Means { style_room, ..means });
            }
            if means.history <= FEWEST_PAIRS {
                break;
            }
            longest = means.history - 1;
        }
        Err(no_room(level.height, level.width))
    }

    /// The most bytes that lie in main memory beside what was read while a card paints a level, or looks at the styles for it.
    fn beside_card(&self, level: &Level) -> u64 {
        let styles = self.styles.iter();
        let looking = styles.map(|&style| memory::looking(self.style_seen(style, level)));
        memory::beside_card(level.size(), self.content).max(looking.max().unwrap_or(0))
    }

    /// The sizes that the content is painted at, coarsest first, and by which means.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for one of them.
    pub fn planned(&self, backend: &dyn Backend, room: Room) -> Result<Vec<(Level, Means)>> {
        let mut planned = Vec::new();
        for level in self.levels() {
            let means = self.means(backend, &level, &planned, room)?;
            planned.push((level, means));
        }
        Ok(planned)
    }

    /// How a style of this size, padded to what the network needs, is looked at.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for it.
    pub fn look(&self, backend: &dyn Backend, style: Size, room: Option<u64>) -> Result<Tiling> {
        let plan = self.style_plan(style);
        let Some(room) = room else {
            return Tiling::whole(&plan);
        };
        let room = room.saturating_sub(looking(backend, style));
        // A style is not looked at as a content.
        let tiling = Tiling::within(backend, &plan, Holding::AsTheyAre, room)?;
        tiling.ok_or_else(|| no_room(style.height, style.width))
    }

    /// The least bytes that it takes to look at a style of this size.
    fn least_look(&self, backend: &dyn Backend, style: Size) -> Result<u64> {
        let smallest = Tiling::smallest(&self.style_plan(style))?;
        Ok(looking(backend, style) + backend.memory(&smallest))
    }

    /// The least bytes that a render takes whose finest level has this longer side: for its steps, or for looking at a
    /// style.
    pub fn least(&self, backend: &dyn Backend, longer: usize) -> Result<u64> {
        let size = padded(fit(self.content, longer));
        let plan = self.content_plan(backend, size);
        let history = self.history(size);
        let mut most = Means::least(backend, &self.task(backend, &plan, size, true), history)?;
        let resting = match self.levels_to(size)[..] {
            [.., before, _] => self.resting(before.size(), least_history(history)),
            _ => self.resting(size, 0),
        };
        for &style in &self.styles {
            let style = padded(fit(style, self.brush(longer)));
            most = most.max(resting + self.least_look(backend, style)?);
        }
        Ok(most)
    }

    /// The most bytes that a render of these levels takes beside its pictures as they were read.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for them.
    pub fn bytes(&self, backend: &dyn Backend, levels: &[(Level, Means)]) -> Result<u64> {
        let mut most = 0;
        let mut before: Option<&(Level, Means)> = None;
        for planned in levels {
            let (level, means) = planned;
            let resting = self.resting_before(level.size(), before.replace(planned), means);
            for &style in &self.styles {
                let style = self.style_seen(style, level);
                let tiling = self.look(backend, style, means.style_room)?;
                most = most.max(resting + looking(backend, style) + backend.memory(&tiling));
            }
            most = most.max(means.bytes);
        }
        Ok(most)
    }

    /// A level as it is painted. At the last, the content is not looked at any more once its features are held, but where a
    /// card may fail; and after it comes what brings the picture to the content's size.
    fn task<'p>(&self, backend: &dyn Backend, plan: &'p Plan, size: Size, is_last: bool) -> Task<'p> {
        Task {
            plan,
            size,
            optimiser: self.settings.optimiser,
            home: backend.home(),
            finishing: match is_last && size != self.content && !backend.has_own_memory() {
                true => memory::finishing(size, self.content),
                false => 0,
            },
            released: match is_last && !backend.is_card() {
                true => self.content.pixels() * memory::PIXEL,
                false => 0,
            },
            aside: None,
        }
    }

    /// What rests while the styles are looked at for a level: the optimiser of the level before or, at the first, the start.
    fn resting_before(&self, size: Size, before: Option<&(Level, Means)>, means: &Means) -> u64 {
        match before {
            Some((level, before)) => self.resting(level.size(), before.history.min(means.history)),
            None => self.resting(size, 0),
        }
    }

    fn resting(&self, size: Size, pairs: usize) -> u64 {
        memory::resting(self.settings.optimiser, size, pairs)
    }

    /// A canvas of this size. Adam's steps are those of the article, each through the whole network. So are all steps towards
    /// a Wasserstein distance: it is relative to the style, so that the highest layer says as much as the others, and nothing
    /// is ever spared, but the loss that L-BFGS compares would be moved, and lead elsewhere.
    fn content_plan(&self, backend: &dyn Backend, size: Size) -> Plan {
        let says_little = self.settings.loss == StyleLoss::Gram;
        let defers = backend.can_defer() && self.settings.optimiser == Optimiser::Lbfgs && says_little;
        self.plan(&self.margin(size), &self.settings.content_layers, defers)
    }

    fn style_plan(&self, style: Size) -> Plan {
        self.plan(&self.margin(style), &[], false)
    }

    /// The pairs that L-BFGS remembers of a picture of this size where there is room for them; 0 for other optimisers.
    fn history(&self, size: Size) -> usize {
        match self.settings.optimiser {
            Optimiser::Lbfgs => history(3 * size.height * size.width),
            Optimiser::Adam | Optimiser::PlainAdam => 0,
        }
    }

    /// The longer side at which styles are looked at for a canvas with this longer side.
    fn brush(&self, longer: usize) -> usize {
        (longer as f64 * self.settings.brush_size).round().max(1.0) as usize
    }

    fn margin_size(&self) -> usize {
        match self.settings.edges {
            Edges::Reflect => MARGIN,
            Edges::Zero => 0,
        }
    }
}

/// What looking at a picture of this size takes where the network is, beside it.
fn looking(backend: &dyn Backend, size: Size) -> u64 {
    match backend.home().is_card() {
        true => 0,
        false => memory::looking(size),
    }
}

fn no_room(height: usize, width: usize) -> Error {
    Error::Memory(format!("painting {width} x {height} pixels: there is no room for it"))
}

fn fit(size: Size, longer: usize) -> Size {
    let (width, height) = canvas::fit(size.width, size.height, longer);
    Size { width, height }
}

/// The size that a picture has when it is padded to what the network needs.
fn padded(size: Size) -> Size {
    Size {
        width: size.width.max(Plan::SMALLEST),
        height: size.height.max(Plan::SMALLEST),
    }
}
