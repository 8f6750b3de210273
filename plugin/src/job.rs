//! One render: settings, canvases and control, around a filter.
//!
//! A [`Job`] holds what was set and may be rendered again and again. A render reads all of its inputs into pictures of
//! its own, lets the filter paint, and writes the result in one go at the very end; whatever goes wrong before that, an
//! error, a cancellation or a panic, the output is as it was.
//!
//! Three parties may want to end a render: the host through its progress callback, the host through another thread,
//! and whoever destroys the job. All of them move the one [`Phase`], which only goes forward: rendering, stopping,
//! cancelling.

mod phase;
mod watch;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pentimento_host::manifest::Filter;
use serde::de::DeserializeOwned;

use crate::canvas::{Canvas, Picture, Raster, RasterMut, Size};
use crate::control::{Control, Flow, LogLevel, Outcome};
use crate::filters::{Estimate, Rendered, style_transfer};
use crate::memory::Memory;
use crate::settings::Settings;
use crate::{Error, Result};

use phase::Phase;
use watch::Watch;

/// The images that a render reads.
pub struct Inputs<'a> {
    /// The layer to repaint.
    pub content: Raster<'a>,
    /// The styles and their shares in the blend, each finite and above 0.
    pub styles: Vec<(Raster<'a>, f64)>,
}

/// The sizes of the images that a render would read.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// The layer to repaint.
    pub content: Size,
    /// The styles.
    pub styles: Vec<Size>,
}

type Render = dyn Fn(Picture, &[(Picture, f64)], &Settings, &dyn Control) -> Result<Rendered> + Send + Sync;

type Foresee = dyn Fn(&Sizes, &Settings) -> Result<Estimate> + Send + Sync;

/// A filter's work, behind the one face that jobs know.
pub struct Program {
    check: fn(&Settings) -> Result<()>,
    render: Box<Render>,
    estimate: Box<Foresee>,
}

impl Program {
    /// The program of one of the manifest's filters.
    ///
    /// # Errors
    /// [`Error::Internal`] when this build has none of that id.
    pub fn of(filter: &Filter) -> Result<Self> {
        match filter.id.as_str() {
            "style-transfer" => Ok(Self::new(style_transfer::render, style_transfer::estimate)),
            id => Err(Error::Internal(format!(
                "filter {id} is described, but was not built in"
            ))),
        }
    }

    /// A filter that takes the content, the styles with their shares (which add up to 1), its typed settings, and
    /// whom to report to; and what tells, from the sizes of content and styles and the same settings, what that takes.
    pub fn new<S: DeserializeOwned + 'static>(
        render: impl Fn(Picture, &[(Picture, f64)], &S, &dyn Control) -> Result<Rendered> + Send + Sync + 'static,
        estimate: impl Fn(Size, &[Size], &S) -> Result<Estimate> + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: |settings| settings.resolve::<S>().map(drop),
            render: Box::new(move |content, styles, settings, control| {
                render(content, styles, &settings.resolve()?, control)
            }),
            estimate: Box::new(move |sizes, settings| estimate(sizes.content, &sizes.styles, &settings.resolve()?)),
        }
    }
}

/// A filter, its settings, and a way to end its render.
pub struct Job {
    program: Program,
    settings: Mutex<Settings>,
    filter: &'static Filter,
    phase: Phase,
}

impl Job {
    /// A job that runs a program as the given filter, with every parameter at its default.
    pub fn new(filter: &'static Filter, program: Program) -> Self {
        Self {
            program,
            settings: Mutex::new(Settings::new(filter)),
            filter,
            phase: Phase::default(),
        }
    }

    /// The filter.
    pub fn filter(&self) -> &'static Filter {
        self.filter
    }

    /// A copy of the settings.
    pub fn settings(&self) -> Settings {
        self.lock().clone()
    }

    /// Changes the settings; all of what `change` does, or nothing when it fails or when what comes out does not make
    /// sense to the filter.
    ///
    /// # Errors
    /// Those of `change`; [`Error::Argument`] naming the parameter; [`Error::State`] during a render.
    pub fn change(&self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
        if self.phase.is_rendering() {
            return Err(Error::State(
                "job: is being rendered; its settings can be changed afterwards".into(),
            ));
        }
        let mut settings = self.lock();
        let mut changed = settings.clone();
        change(&mut changed)?;
        (self.program.check)(&changed)?;
        *settings = changed;
        Ok(())
    }

    /// Ends the render in progress within one evaluation of the network; without one it does nothing.
    pub fn end(&self, how: Flow) {
        self.phase.end(how);
    }

    /// What a render with these settings would take.
    ///
    /// # Errors
    /// The filter's own.
    pub fn estimate(&self, sizes: &Sizes) -> Result<Estimate> {
        (self.program.estimate)(sizes, &self.settings())
    }

    /// Renders. `output` is called at most once, when none of the inputs is looked at any more, and what it returns is
    /// of the content's size; it receives the picture with the content's alpha. Unless the outcome is
    /// [`Outcome::Finished`] or [`Outcome::Stopped`], nothing is written.
    ///
    /// # Errors
    /// [`Error::State`] when the job is being rendered already; [`Error::Memory`] when the pictures do not fit; the
    /// filter's own.
    pub fn render<'o>(
        &self,
        inputs: Inputs,
        output: impl FnOnce() -> RasterMut<'o>,
        host: &dyn Control,
    ) -> Result<Outcome> {
        let _rendering = self.phase.begin()?;
        let settings = self.settings();
        inputs.check_memory()?;

        let watch = Watch::new(&self.phase, host);
        let Canvas { picture, frame, .. } = read(&inputs.content, "content", host)?;
        let shares = shares(&inputs.styles);
        let styles = inputs.styles.iter().zip(shares).enumerate();
        let styles = styles.map(|(index, ((raster, _), share))| {
            let canvas = read(raster, &format!("styles[{index}]"), host)?;
            Ok((canvas.picture, share))
        });
        let styles = styles.collect::<Result<Vec<_>>>()?;
        drop(inputs);

        match (self.program.render)(picture, &styles, &settings, &watch)? {
            Rendered::Picture(_, Outcome::Cancelled) | Rendered::Cancelled => Ok(Outcome::Cancelled),
            // Someone may have thought better of it since the last report.
            Rendered::Picture(..) if self.phase.flow() == Flow::Cancel => Ok(Outcome::Cancelled),
            Rendered::Picture(picture, outcome) => {
                frame.write(&picture, &mut output())?;
                Ok(outcome)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        // They are replaced whole, so that a panic leaves none half changed.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inputs<'_> {
    /// Refuses what cannot be read into memory, before the attempt ends the process.
    fn check_memory(&self) -> Result<()> {
        let size = |raster: &Raster| Size {
            width: raster.layout().width(),
            height: raster.layout().height(),
        };
        let sizes = Sizes {
            content: size(&self.content),
            styles: self.styles.iter().map(|(style, _)| size(style)).collect(),
        };
        let needed = sizes.bytes();
        match Memory::now() {
            Some(memory) if needed > memory.available => {
                let megabytes = |bytes: u64| bytes >> 20;
                Err(Error::Memory(format!(
                    "content and styles take {} MB to read, but only {} MB of memory are available: use smaller \
                     pictures or close other programs",
                    megabytes(needed),
                    megabytes(memory.available)
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Sizes {
    /// What reading them takes, and the result in the end.
    fn bytes(&self) -> u64 {
        let read = self.styles.iter().chain([&self.content]);
        let result = self.content.pixels().saturating_mul(12);
        read.map(|size| size.bytes_read()).fold(result, u64::saturating_add)
    }
}

fn read(raster: &Raster, name: &str, host: &dyn Control) -> Result<Canvas> {
    let canvas = Canvas::read(raster)?;
    if canvas.scrubbed > 0 {
        let message = format!(
            "{name}: {} samples were NaN or infinite and have been replaced",
            canvas.scrubbed
        );
        host.log(LogLevel::Warning, &message);
    }
    Ok(canvas)
}

/// The styles' weights, divided by their sum.
fn shares(styles: &[(Raster, f64)]) -> Vec<f64> {
    // Scaled by the largest first, so that no sum overflows.
    let largest = styles.iter().map(|&(_, weight)| weight).fold(0.0, f64::max);
    let sum: f64 = styles.iter().map(|&(_, weight)| weight / largest).sum();
    styles.iter().map(|&(_, weight)| weight / largest / sum).collect()
}
