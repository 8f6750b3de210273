//! A render's way through its levels. It is left wherever a device fails, and can be taken up there on another.

use std::borrow::Cow;

use candle_core::{Device, Tensor};

use super::{Render, Stage, padded, to_tensor};
use crate::canvas::{self, Light, Origin, Picture, Size};
use crate::compute::{Backend, Moments, Tiled};
use crate::control::{Flow, LogLevel, Outcome};
use crate::filters::Rendered;
use crate::filters::deferral::Deferral;
use crate::filters::means::Means;
use crate::filters::memory;
use crate::filters::painter::Painter;
use crate::filters::painting::Painting;
use crate::filters::progress::Progress;
use crate::filters::schedule::Level;
use crate::memory::give_back;
use crate::optimise::Home;
use crate::{Error, Result, threads};

/// The factor of the total variation at smoothness 1.
const SMOOTHNESS_UNIT: f64 = 4.0;

/// Steps after which a picture that is painted on a card is fetched from there. A transfer takes some milliseconds, and a
/// step at least as many, so every step would be an eighth slower and more; if the card fails, up to so many are taken
/// again.
const KEPT_EVERY: usize = 8;

/// A picture that is painted on a card, as it was when it was last fetched from there.
struct Kept {
    /// In main memory.
    picture: Tensor,
    /// The level and the steps of it that it had taken by then.
    level: usize,
    steps: usize,
}

/// How far a render has come.
pub struct Course<'a> {
    /// The content as it is painted, with as many pixels as the network needs, until nobody looks at it any more.
    working: Option<Picture>,
    /// Its size.
    whole: Size,
    /// Where the canvas begins in it.
    origin: Origin,
    /// The level under way, from 0.
    level: usize,
    /// The steps of it that are done.
    steps: usize,
    /// What paints: of the size of the level under way or of the one before. None before the first.
    painter: Option<Painter>,
    /// What is left of that should its card fail. None before, and where no card paints.
    kept: Option<Kept>,
    progress: Progress<'a>,
}

impl Course<'_> {
    /// Whether there is a picture to end with.
    pub fn is_painted(&self) -> bool {
        self.painter.is_some() && (self.level > 0 || self.steps > 0)
    }

    /// The level under way.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Another backend goes on, or the same one by other means. What paints on a card is fetched from there, with all that
    /// it remembers if the card still serves, and as it was last kept if not.
    pub fn pass_on(&mut self, render: &Render) -> Result<()> {
        let Render { settings, pool, .. } = render;
        self.progress.pass_on();
        let home = Home::Device(Device::Cpu);
        let fetched = match self.painter.take() {
            Some(painter) if painter.picture().is_on_card() => {
                threads::within(pool, || painter.moved(settings, &home)).ok()
            }
            other => other,
        };
        self.painter = match (fetched, &self.kept) {
            (Some(painter), _) => Some(painter),
            (None, Some(kept)) => {
                self.steps = if kept.level == self.level { kept.steps } else { 0 };
                let picture = home.bring(&kept.picture)?;
                Some(threads::within(pool, || Painter::new(settings, &picture, 0))?)
            }
            (None, None) => {
                self.steps = 0;
                None
            }
        };
        Ok(())
    }

    fn working(&self) -> Result<&Picture> {
        let gone = || Error::Internal("the content is gone already".into());
        self.working.as_ref().ok_or_else(gone)
    }
}

impl<'a> Render<'a> {
    /// Nothing is painted yet.
    pub fn begin(&self, content: Picture) -> Result<Course<'a>> {
        let content = self.resized(Cow::Owned(content), self.extent.working(), Light::Linear)?;
        let (working, origin) = padded(content)?;
        let work = |level: &Level| self.extent.work(level);
        Ok(Course {
            whole: working.size(),
            working: Some(working.into_owned()),
            origin,
            level: 0,
            steps: 0,
            painter: None,
            kept: None,
            progress: Progress::new(self.control, &self.extent.levels(), 1 + self.styles.len(), work),
        })
    }

    /// By which means a backend paints all levels, in the memory that there is now.
    ///
    /// # Errors
    /// [`Error::Memory`] where there is none.
    pub fn plan(&self, course: &Course, backend: &dyn Backend) -> Result<Vec<(Level, Means)>> {
        let room = self.extent.room(backend);
        if let Some(room) = room.network {
            memory::check((course.whole.width, course.whole.height), room, |longer| {
                self.extent.least(backend, longer)
            })?;
        }
        self.extent.planned(backend, room)
    }

    /// Paints what is left of the way by such means, and says whether it came to the end. After an error the way can be
    /// followed on another backend, or on this one by other means.
    pub fn follow(&self, course: &mut Course, planned: Vec<(Level, Means)>, backend: &mut dyn Backend) -> Result<Flow> {
        if let Some((_, finest)) = planned.last() {
            self.tell_of_means(finest);
        }
        let mut network = Tiled::new(backend);
        for (level, means) in planned.into_iter().skip(course.level) {
            let flow = self.paint_level(course, &mut network, &level, means)?;
            if flow != Flow::Continue {
                return Ok(flow);
            }
            (course.level, course.steps) = (course.level + 1, 0);
        }
        Ok(Flow::Continue)
    }

    /// Paints what is left of a level.
    fn paint_level(&self, course: &mut Course, network: &mut Tiled, level: &Level, means: Means) -> Result<Flow> {
        let work = self.extent.work(level);
        course.progress.enter(course.level, course.steps as f64 * work);
        let Size { width, height } = level.size();
        let message = format!("level {}: {width} x {height}", course.level + 1);
        self.control.log(LogLevel::Info, &message);
        if let Some(painter) = &mut course.painter {
            // The picture is still the coarser one: there is the more room for looking at styles.
            painter.rest(means.history);
        }
        let targets = match self.look_at_styles(network, level, means.style_room, &mut course.progress)? {
            Stage::Done(targets) => targets,
            Stage::Interrupted(interruption) => return Ok(interruption),
        };
        // From here on the network's memory is that of this level, none of which is in use until it sees the content.
        network.prepare(means.tiling, self.extent.margin(level.size()))?;
        let painter = match course.painter.take() {
            Some(painter) if course.level > 0 || course.steps > 0 => {
                let home = network.home();
                let refine = || painter.refined(self.settings, level.size(), means.history, &home);
                threads::within(&self.pool, refine)?
            }
            _ => self.painter(course, level, means.history, &network.home())?,
        };
        // The coarser level's history is gone.
        network.home().tidy();
        give_back();
        // Should the card fail, another backend asks.
        let content = self.content_at(course, level.size(), network.backend().is_card())?;
        course.painter = Some(painter);
        self.paint(network, content, course, level, targets)
    }

    /// The content at a level's size. The last level takes it away if nobody else `may_ask` for it: when its features are
    /// held, they do.
    fn content_at(&self, course: &mut Course, size: Size, may_ask: bool) -> Result<Picture> {
        if size == course.whole
            && !may_ask
            && let Some(working) = course.working.take()
        {
            return Ok(working);
        }
        let working = Cow::Borrowed(course.working()?);
        Ok(self.resized(working, size, Light::Linear)?.into_owned())
    }

    /// What paints the first level, before its first step.
    fn painter(&self, course: &Course, level: &Level, history: usize, home: &Home) -> Result<Painter> {
        let content = self.resized(Cow::Borrowed(course.working()?), level.size(), Light::Linear)?;
        let start = to_tensor(self.start(content)?, &Device::Cpu)?;
        let start = home.bring(&start)?;
        threads::within(&self.pool, || Painter::new(self.settings, &start, history))
    }

    /// Takes the steps of a level that are left, for which network and painter are ready.
    fn paint(
        &self,
        network: &mut Tiled,
        content: Picture,
        course: &mut Course,
        level: &Level,
        targets: Vec<Vec<Moments>>,
    ) -> Result<Flow> {
        let work = self.extent.work(level);
        let Size { width, height } = level.size();
        let Course {
            progress,
            painter: Some(painter),
            steps,
            kept,
            level: number,
            ..
        } = course
        else {
            return Err(Error::Internal("nothing to paint with".into()));
        };
        let energies = network.hold_content(&content.into_tensor(network.device())?)?;
        let flow = progress.looked("looking at the canvas", work);
        if flow != Flow::Continue {
            return Ok(flow);
        }

        let smoothness = SMOOTHNESS_UNIT * self.settings.smoothness;
        let objective = self.objective(&targets, &energies)?;
        network.take_losses(|amounts| objective.losses(amounts))?;
        let mut painting = Painting {
            network,
            objective,
            smoothness,
            deferral: Deferral::default(),
        };
        self.control.log(
            LogLevel::Debug,
            &format!(
                "level {}: everything is looked at, {} steps follow",
                *number + 1,
                level.steps - *steps
            ),
        );
        let pool = &self.pool;
        let mut keep = |painter: &Painter, steps: usize| {
            if painter.picture().is_on_card() {
                *kept = Some(Kept {
                    picture: painter.picture().to_tensor()?,
                    level: *number,
                    steps,
                });
            }
            Ok::<_, Error>(())
        };
        for step in *steps..level.steps {
            // The optimiser's vectors are spread over the threads of the pool that it runs in.
            let taken = threads::within(pool, || painter.optimiser().step(&mut painting))?;
            *steps = step + 1;
            if let Some(ending) = taken.ended {
                let message = format!("{width} x {height}, step {}: {ending}", step + 1);
                self.control.log(LogLevel::Info, &message);
                progress.skipped(level.steps - step - 1, work);
            }
            let preview = || Picture::from_tensor(&painter.picture().to_tensor()?);
            let loss = painting.deferral.true_loss(taken.loss);
            let flow = progress.stepped(step, level.steps, work, loss, preview)?;
            let is_last = flow != Flow::Continue || taken.ended.is_some() || *steps == level.steps;
            if is_last || *steps % KEPT_EVERY == 0 {
                keep(painter, *steps)?;
            }
            if flow != Flow::Continue {
                return Ok(flow);
            }
            if taken.ended.is_some() {
                break;
            }
        }
        Ok(Flow::Continue)
    }

    /// What a render comes to that was followed so far.
    pub fn end(&self, course: Course, flow: Flow) -> Result<Rendered> {
        let outcome = match flow {
            Flow::Cancel => return Ok(Rendered::Cancelled),
            Flow::Stop => Outcome::Stopped,
            Flow::Continue => Outcome::Finished,
        };
        let is_painted = course.is_painted();
        let Course {
            whole,
            origin,
            painter,
            kept,
            working,
            ..
        } = course;
        let on_card = painter.as_ref().is_some_and(|painter| painter.picture().is_on_card());
        let painted = match (painter, working) {
            // Before the first step, nothing is better than the content.
            (_, Some(content)) if !is_painted => content,
            (Some(_), _) if on_card && let Some(kept) = kept => Picture::from_tensor(&kept.picture)?,
            (Some(painter), _) => {
                let painted = painter.picture().to_tensor()?;
                // Its history may be larger than all that is still to come.
                drop(painter);
                Picture::from_tensor(&painted)?
            }
            (None, _) => return Err(Error::Internal("nothing was painted".into())),
        };
        let whole = self.resized(Cow::Owned(painted), whole, Light::Encoded)?;
        let Size { width, height } = self.extent.working();
        let picture = if (whole.width, whole.height) == (width, height) {
            whole
        } else {
            Cow::Owned(canvas::crop(&whole, origin, width, height)?)
        };
        let picture = self.resized(picture, self.extent.content, Light::Encoded)?;
        Ok(Rendered::Picture(picture.into_owned(), outcome))
    }
}
