//! How fast this machine paints: a few renders of small pictures, timed by their own reports of progress.
//!
//! A step takes a part that is the same for every picture (transformed weights, matrices of channels by channels,
//! threads that wait for each other) and a part that grows with its pixels: two sizes tell both. Small pictures do not
//! tell all, though:
//!
//! - L-BFGS reads its whole history at each step, and has hardly any after a few.
//! - The eigenvalue problems of the Wasserstein distance grow with the rank of the features' covariances. In the upper
//!   layers, where they are largest, that is bounded by the pixels of a small picture and by the channels of a large
//!   one. In between, their time was found to grow about as the side does.
//! - Memory is new for each picture that is looked at, and is cleared before it can be used.
//!
//! So these are measured by themselves. What was measured is kept as long as the process lives.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;

use super::{Render, Stage, pool};
use crate::canvas::{Light, Picture, resize};
use crate::compute::cpu::{NEW, take_new_memory};
use crate::compute::{Backend, FORWARD, Statistics, Tiled};
use crate::control::{Flow, Report};
use crate::filters::progress::Progress;
use crate::filters::schedule::Level;
use crate::objective::{Scaling, StyleLoss};
use crate::optimise::{History, Home, Identity, vector};
use crate::settings::{self, Start, StyleTransfer};
use crate::timing::quickest;
use crate::{Result, threads};

/// The sides of the pictures that are painted, in this order, until a step has taken [`ENOUGH`]: on a machine of many
/// cores, small pictures take the time of waiting for threads.
const SIDES: [usize; 4] = [48, 128, 320, 800];
/// Seconds of a step that say something about larger pictures.
const ENOUGH: f64 = 0.05;
/// The steps that are taken at each size. The first is always slow, since everything is used for the first time.
const STEPS: usize = 3;
/// The side of the picture whose objective is timed, and the side beyond which objectives take no longer.
const RANKED: usize = 128;
const FULLY_RANKED: f64 = 400.0;
/// Samples and pairs of the histories that are timed, the longer of which is too large to stay in a cache, as in a render.
const HISTORY_SAMPLES: usize = 3 * 512 * 512;
const HISTORY_PAIRS: [usize; 2] = [2, 18];
/// How much longer a step takes than making its direction does: then all pairs are read four times, and once when it is
/// remembered.
const REMEMBERING: f64 = 5.0 / 4.0;

/// Seconds of the parts of a render.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// A step, apart from what else is here: for any picture, ...
    pub step: f64,
    /// ... and for each pixel that the network sees.
    pub pixel: f64,
    /// What each level takes before it runs smoothly.
    pub level: f64,
    /// An evaluation's eigenvalue problems for a picture of [`RANKED`] pixels squared.
    pub eigen: f64,
    /// A step's reading of a pair of the history, per sample.
    pub pair: f64,
    /// A byte of new memory.
    pub byte: f64,
}

impl Speed {
    /// The speed of renders with these settings on this backend, measured unless it has been before.
    ///
    /// # Errors
    /// Failures of the device.
    pub fn of(settings: &StyleTransfer, backend: &mut dyn Backend) -> Result<Self> {
        // A lock is held, which nothing else on this thread may want.
        threads::apart(|| Self::known(what_matters(settings), backend))
    }

    fn known(settings: StyleTransfer, backend: &mut dyn Backend) -> Result<Self> {
        static KNOWN: Mutex<Vec<(StyleTransfer, Speed)>> = Mutex::new(Vec::new());
        // Held while measuring: two at once would see half of the machine each.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, speed)) = known.iter().find(|(known, _)| *known == settings) {
            return Ok(*speed);
        }
        let speed = Self::measure(&settings, backend)?;
        known.push((settings, speed));
        Ok(speed)
    }

    /// Seconds for looking at a picture of which the network sees so many pixels.
    pub fn look(&self, pixels: f64) -> f64 {
        FORWARD * (self.step + self.pixel * pixels)
    }

    /// Seconds that a level takes before it runs smoothly, in so much memory, at which so many pictures are looked at.
    pub fn begin(&self, bytes: u64, pictures: usize) -> f64 {
        self.level + self.byte * (bytes * pictures as u64) as f64
    }

    /// Seconds for the steps of a level at which the network sees so many pixels, `again` times as often as it would
    /// without tiles, and L-BFGS reads so many pairs in all.
    pub fn steps(&self, level: &Level, pixels: f64, again: f64, pairs: usize) -> f64 {
        let side = pixels.sqrt().min(FULLY_RANKED);
        let evaluation = self.step + self.pixel * pixels * again + self.eigen * side / RANKED as f64;
        let samples = 3 * level.width * level.height;
        level.steps as f64 * evaluation + self.pair * (pairs * samples) as f64
    }

    fn measure(settings: &StyleTransfer, backend: &mut dyn Backend) -> Result<Self> {
        let workers = pool(settings)?;
        let (targets, eigen) = match settings.loss {
            StyleLoss::Wasserstein => eigen(settings, &workers, backend)?,
            StyleLoss::Gram | StyleLoss::Covariance => (0.0, 0.0),
        };
        // Eigenvalues are left out of steps by the covariances' distance, which has none, and is as seldom deferred.
        let plain = StyleTransfer {
            loss: match settings.loss {
                StyleLoss::Wasserstein if !finds_roots(backend) => StyleLoss::Covariance,
                other => other,
            },
            ..settings.clone()
        };
        let (mut small, mut large) = (
            Taken::by(&plain, &workers, SIDES[0], backend)?,
            Taken::by(&plain, &workers, SIDES[1], backend)?,
        );
        for &side in &SIDES[2..] {
            if large.step >= ENOUGH {
                break;
            }
            small = std::mem::replace(&mut large, Taken::by(&plain, &workers, side, backend)?);
        }
        let pixel = ((large.step - small.step) / (large.pixels - small.pixels)).max(0.0);
        let mut speed = Self {
            step: (small.step - pixel * small.pixels).max(0.0),
            pixel,
            level: 0.0,
            eigen,
            pair: match settings.optimiser {
                settings::Optimiser::Lbfgs => {
                    let home = backend.home();
                    threads::within(&workers, || pair(&home))?
                }
                settings::Optimiser::Adam | settings::Optimiser::PlainAdam => 0.0,
            },
            byte: match backend.is_card() {
                true => 0.0,
                false => {
                    let take = || {
                        threads::within(&workers, take_new_memory);
                        Ok(())
                    };
                    quickest(2, take)? / NEW as f64
                }
            },
        };
        // What is left when all that has a name is taken off. The first picture brings what is brought once.
        let named = 2.0 * speed.look(large.pixels) + STEPS as f64 * large.step + speed.begin(large.bytes, 2);
        speed.level = targets + (large.all - named).max(0.0);
        Ok(speed)
    }
}

/// The settings with everything that has no bearing on the speed of a level at a fixed value.
fn what_matters(settings: &StyleTransfer) -> StyleTransfer {
    let equal = |layers: &[_]| layers.iter().map(|&(layer, _)| (layer, 1.0)).collect();
    StyleTransfer {
        preset: String::new(),
        style_strength: 1.0,
        brush_size: 1.0,
        smoothness: if settings.smoothness == 0.0 { 0.0 } else { 1.0 },
        quality: 1.0,
        start: Start::Canvas,
        seed: 0,
        scaling: Scaling::Balanced,
        style_layers: equal(&settings.style_layers),
        content_layers: equal(&settings.content_layers),
        alpha: 1.0,
        beta: 1.0,
        learning_rate: 0.01,
        pyramid: false,
        working_size: 0,
        memory_limit: 0.0,
        ..settings.clone()
    }
}

/// The seconds of a short render.
struct Taken {
    pixels: f64,
    bytes: u64,
    /// One step of its last ones.
    step: f64,
    all: f64,
}

impl Taken {
    fn by(settings: &StyleTransfer, workers: &ThreadPool, side: usize, backend: &mut dyn Backend) -> Result<Self> {
        let stopwatch = Stopwatch::default();
        let (content, style) = patterns(workers, side)?;
        let styles = [(style, 1.0)];
        let control = |report: &Report| stopwatch.report(report);
        let render = Render::new(content.size(), &styles, settings, &control)?;
        let begun = Instant::now();
        let mut course = render.begin(content)?;
        let planned = render.plan(&course, backend)?;
        let bytes = planned.iter().map(|(_, means)| means.bytes).max().unwrap_or(0);
        render.follow(&mut course, planned, backend)?;
        Ok(Self {
            bytes,
            pixels: render.extent.pixels_seen(side, side),
            step: stopwatch.quickest.get().unwrap_or(0.0),
            all: begun.elapsed().as_secs_f64(),
        })
    }
}

/// Times a render's steps, and ends it after a few.
#[derive(Default)]
struct Stopwatch {
    last: Cell<Option<Instant>>,
    quickest: Cell<Option<f64>>,
}

impl Stopwatch {
    fn report(&self, report: &Report) -> Flow {
        let now = Instant::now();
        let since = |last: Instant| (now - last).as_secs_f64();
        let is_step = report.step_count > 0;
        if let (true, Some(seconds)) = (is_step, self.last.get().map(since)) {
            let quickest = self.quickest.get().unwrap_or(f64::INFINITY).min(seconds);
            self.quickest.set(Some(quickest));
        }
        self.last.set(Some(now));
        match report.step + 1 {
            steps if is_step && steps >= STEPS => Flow::Stop,
            _ => Flow::Continue,
        }
    }
}

/// Whether a backend finds the roots of the Wasserstein distance by itself, as part of a step.
fn finds_roots(backend: &mut dyn Backend) -> bool {
    backend.resident().is_some()
}

/// Seconds of making targets for the Wasserstein distance, and of an evaluation of it at [`RANKED`] pixels squared, beside
/// the steps of a backend that leaves it to the processor.
fn eigen(settings: &StyleTransfer, workers: &ThreadPool, backend: &mut dyn Backend) -> Result<(f64, f64)> {
    let silent = |_: &Report| Flow::Continue;
    let (content, style) = patterns(workers, RANKED)?;
    let styles = [(style, 1.0)];
    let render = Render::new(content.size(), &styles, settings, &silent)?;
    let level = Level {
        height: RANKED,
        width: RANKED,
        steps: 1,
    };
    let mut progress = Progress::new(&silent, &[level], 1, |_| 1.0);
    let Stage::Done(moments) = render.look_at_styles(&mut Tiled::new(backend), &level, None, &mut progress)? else {
        return Ok((0.0, 0.0));
    };
    let objective = render.objective(&moments, &[])?;
    // The first is slow, since everything is used for the first time.
    let targets = quickest(1, || render.objective(&moments, &[]).map(drop))?;
    if finds_roots(backend) {
        return Ok((targets, 0.0));
    }
    let statistics = Statistics {
        moments,
        content: Vec::new(),
    };
    let evaluate = || objective.evaluate(&statistics).map(drop);
    let evaluation = quickest(2, || threads::within(&render.pool, evaluate))?;
    Ok((targets, evaluation))
}

/// Seconds for reading a pair of L-BFGS's history, per sample.
fn pair(home: &Home) -> Result<f64> {
    let ramp = |phase: usize| {
        let samples: Vec<f32> = (0..HISTORY_SAMPLES)
            .map(|index| ((index + phase) % 251) as f32)
            .collect();
        Tensor::from_vec(samples, HISTORY_SAMPLES, &Device::Cpu)
    };
    let [fewest, most] = HISTORY_PAIRS;
    let mut history = History::new(most);
    let (v, free) = (
        home.bring(&ramp(most)?)?,
        home.bring(&Tensor::ones(HISTORY_SAMPLES, DType::F32, &Device::Cpu)?)?,
    );
    let mut seconds = 0.0;
    for pairs in 1..=most {
        let step = ramp(pairs)?;
        // Along itself: the curvature is positive.
        let [s, y] = [home.bring(&step)?, home.bring(&(step * 2.0)?)?];
        history.push(vector::halved(&s)?, vector::halved(&y)?)?;
        if HISTORY_PAIRS.contains(&pairs) {
            let apply = || history.apply(&v, &free, &Identity).map(|image| drop(black_box(image)));
            // Of the longer, what the shorter takes is the same.
            seconds = quickest(2, apply)? - seconds;
        }
    }
    Ok(REMEMBERING * seconds.max(0.0) / ((most - fewest) * HISTORY_SAMPLES) as f64)
}

/// A content and a style.
fn patterns(workers: &ThreadPool, side: usize) -> Result<(Picture, Picture)> {
    threads::within(workers, || Ok((pattern(side, 0)?, pattern(side, 1)?)))
}

/// A square picture as full of large and small forms as others are: noise of ever smaller grain and ever less weight.
fn pattern(side: usize, seed: u64) -> Result<Picture> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut picture = Picture::new(side, side, vec![0.0; 3 * side * side])?;
    let mut weight = 0.5;
    for grain in (0..6).rev().map(|octave| 1 << octave) {
        let grid = side.div_ceil(grain);
        let noise = Picture::new(grid, grid, (0..3 * grid * grid).map(|_| random.random()).collect())?;
        let noise = resize(&noise, side, side, Light::Encoded)?;
        for (sample, noise) in picture.samples.iter_mut().zip(&noise.samples) {
            *sample += weight * noise;
        }
        weight *= 0.5;
    }
    Ok(picture)
}
