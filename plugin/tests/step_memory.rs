//! What a step allocates, and how much memory it touches for the first time, in a process of its own: all that is
//! counted is the step's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Sub;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};
use pentimento_plugin::Result;
use pentimento_plugin::compute::cpu::CpuBackend;
use pentimento_plugin::compute::{Margin, Plan, Pooling, Tiled, Tiling, Window};
use pentimento_plugin::network::Network;
use pentimento_plugin::objective::{ContentTerm, Objective, Scaling, StyleLoss, StyleTarget, StyleTerm};
use pentimento_plugin::optimise::{Evaluation, Lbfgs, LbfgsOptions, Optimiser, Problem, Vector};

/// The system's allocator, which counts the bytes that are asked for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(start, layout) }
    }
}

/// What the process has used, or something in it.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// Bytes that were allocated.
    bytes: usize,
    /// Pages that were touched for the first time, where the system counts them.
    pages: Option<usize>,
}

impl Used {
    fn now() -> Self {
        // The tenth number, the eighth behind the name, which may have spaces in it.
        let stat = std::fs::read_to_string("/proc/self/stat").ok();
        let pages = stat.map(|stat| {
            let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
            let faults = fields.split_whitespace().nth(7);
            faults.and_then(|faults| faults.parse().ok()).expect("faults")
        });
        Self {
            bytes: ALLOCATED.load(Ordering::Relaxed),
            pages,
        }
    }
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            bytes: self.bytes - before.bytes,
            pages: self.pages.zip(before.pages).map(|(now, before)| now - before),
        }
    }
}

const SIDE: usize = 256;
const PICTURE: usize = 3 * SIDE * SIDE * size_of::<f32>();
/// The margin of pictures that have one.
const BORDER: usize = 16;
/// What is small: lists of layers, sums of chunks, the text in which the system tells of pages.
const SMALL: usize = 64 << 10;
const PAGE: usize = 4096;

fn plan(margin: usize) -> Plan {
    let layers = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let side = SIDE + 2 * margin;
    Plan {
        height: side,
        width: side,
        window: Window {
            top: margin,
            left: margin,
            ..Window::whole(SIDE, SIDE)
        },
        style_layers: layers(&["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
        content_layers: layers(&["conv4_2"]),
        pooling: Pooling::Max,
        regions: None,
        defers: false,
    }
}

fn picture(period: usize) -> Tensor {
    let samples = (0..3 * SIDE * SIDE).map(|index| (index * index / 97 % period) as f32 / period as f32);
    let samples: Vec<f32> = samples.collect();
    Tensor::from_vec(samples, (1, 3, SIDE, SIDE), &Device::Cpu).unwrap()
}

/// The article's objective, and what each evaluation of it used.
struct Painting<'a> {
    network: Tiled<'a>,
    objective: Objective,
    by_network: Used,
    by_objective: Used,
}

impl<'a> Painting<'a> {
    fn new(backend: &'a mut CpuBackend, margin: usize) -> Self {
        let mut network = Tiled::new(backend);
        let tiling = Tiling::whole(&plan(margin)).unwrap();
        network.prepare(tiling, Margin::new(margin, SIDE, SIDE)).unwrap();
        let style = network.forward(&picture(83)).unwrap();
        let style = plan(margin).style_layers.into_iter().zip(&style.moments);
        let style = style.map(|(layer, moments)| StyleTerm {
            layer,
            weight: 1.0,
            targets: vec![StyleTarget::new(&moments[0], StyleLoss::Gram).unwrap()],
        });
        let content = network.hold_content(&picture(251)).unwrap();
        let content = content.iter().map(|&energy| ContentTerm { weight: 1.0, energy });
        Self {
            objective: Objective {
                alpha: 1.0,
                beta: 30.0,
                scaling: Scaling::Balanced,
                content: content.collect(),
                style: style.collect(),
            },
            network,
            by_network: Used::default(),
            by_objective: Used::default(),
        }
    }
}

impl Problem for Painting<'_> {
    fn evaluate(&mut self, picture: &Vector) -> Result<Evaluation> {
        let objective = &self.objective;
        let start = Used::now();
        let (asked, gradient) = self.network.evaluate(picture, |statistics, _| {
            let up = Used::now();
            let valued = objective.evaluate(statistics)?;
            Ok(((valued.total, up, Used::now()), valued.gradient))
        })?;
        let (loss, up, down) = asked;
        self.by_objective = down - up;
        let whole = Used::now() - start;
        self.by_network = whole - self.by_objective;
        Ok(Evaluation { loss, gradient })
    }
}

/// Takes steps, and holds what each used against what it may allocate. Nothing else is to be touched for the first time.
fn check(margin: usize, pictures: f64) {
    let mut backend = CpuBackend::new(Network::embedded().unwrap(), 2).unwrap();
    let mut painting = Painting::new(&mut backend, margin);
    let options = LbfgsOptions {
        history: 2,
        ..LbfgsOptions::default()
    };
    let mut optimiser = Lbfgs::new(&picture(251).into(), options).unwrap();
    let channels = plan(margin).style_layers.into_iter().map(|layer| layer.outputs());
    let moments = channels.map(|channels| (channels + 1) * channels).sum::<usize>() * size_of::<f32>();
    for step in 1..=8 {
        let start = Used::now();
        optimiser.step(&mut painting).unwrap();
        let whole = Used::now() - start;
        let (network, objective) = (painting.by_network, painting.by_objective);
        let by_optimiser = whole - network - objective;
        let handed_over = moments + (pictures * PICTURE as f64) as usize;
        let parts = [
            ("network", network, handed_over),
            ("objective", objective, moments),
            // The point, a direction and on its way there another, and the halves of a pair and of a mask.
            ("optimiser", by_optimiser, 9 * PICTURE / 2),
        ];
        for (name, used, due) in parts {
            let what = format!("margin {margin}, step {step}, {name}: {used:?}, {due} bytes are due");
            println!("{what}");
            if step < 3 {
                continue;
            }
            assert!(used.bytes <= due + SMALL, "{what}");
            if let Some(pages) = used.pages {
                assert!(pages <= (due + SMALL) / PAGE, "{what}");
            }
        }
    }
}

/// One test, because a process has one count.
#[test]
fn steps_allocate_what_they_hand_over_and_touch_no_other_memory_for_the_first_time() {
    if Used::now().pages.is_none() {
        println!("skipped: this system does not tell how many pages a process touched for the first time");
    }
    // The gradient.
    check(0, 1.0);
    // And the picture with its margin, whose rows are made before its columns.
    let padded = (SIDE + 2 * BORDER) as f64 / SIDE as f64;
    check(BORDER, 1.0 + padded + padded * padded);
}
