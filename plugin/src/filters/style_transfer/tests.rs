//! What a render reports of its course, and what its tests share.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::*;
use crate::compute::Backend;
use crate::compute::false_card::FalseCard;
use crate::control::{Outcome, Report};
use crate::settings::{Settings, manifest};

/// Level, step, share of the work done, and loss.
pub type Reported = (usize, usize, f64, Option<f64>);

/// What a render said.
#[derive(Default)]
pub struct Listener {
    /// Of each step or look.
    pub reports: RefCell<Vec<Reported>>,
    /// What it warned of.
    pub warnings: RefCell<Vec<String>>,
    /// What else it told.
    pub information: RefCell<Vec<String>>,
    /// How many reports there were before the first warning.
    pub before: RefCell<Option<usize>>,
}

impl Control for Listener {
    fn report(&self, report: &Report) -> Flow {
        let reported = (report.level, report.step, report.fraction, report.loss);
        self.reports.borrow_mut().push(reported);
        Flow::Continue
    }

    fn wants_preview(&self) -> bool {
        false
    }

    fn log(&self, level: LogLevel, message: &str) {
        if level != LogLevel::Warning {
            self.information.borrow_mut().push(message.into());
            return;
        }
        self.before.borrow_mut().get_or_insert(self.reports.borrow().len());
        self.warnings.borrow_mut().push(message.into());
    }
}

/// A picture with forms of all sizes, another one for each seed.
pub fn picture(width: usize, height: usize, seed: usize) -> Picture {
    let samples = (0..3 * width * height).map(|index| (index * seed % 101) as f32 / 100.0);
    Picture::new(width, height, samples.collect()).unwrap()
}

/// The default settings, with these values.
pub fn settings(set: &[(&str, &str)]) -> StyleTransfer {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in set {
        settings.set_text(id, value).unwrap();
    }
    settings.resolve().unwrap()
}

#[test]
fn an_optimiser_that_ends_early_ends_with_all_done() {
    let settings = settings(&[("smoothness", "0"), ("style_strength", "0")]);
    // Where the content is all that matters, it leaves nothing to be done.
    let content = picture(32, 32, 37);
    // The share of the work done, the step and the steps planned of each report.
    let course = RefCell::new(Vec::new());
    let listener = |report: &Report| {
        course
            .borrow_mut()
            .push((report.fraction, report.step, report.step_count));
        Flow::Continue
    };
    let styles = [(content.clone(), 1.0)];
    let rendered = render(content, &styles, &settings, &listener).unwrap();
    assert!(matches!(rendered, Rendered::Picture(_, Outcome::Finished)));

    let course = course.into_inner();
    assert!(course.is_sorted_by(|one, next| one.0 <= next.0), "{course:?}");
    let &(fraction, step, step_count) = course.last().unwrap();
    assert!(step + 1 < step_count, "it took all of its {step_count} steps");
    assert!((fraction - 1.0).abs() < 1e-9, "it ended at {fraction}");
}

#[test]
fn a_host_may_render_in_a_pool_of_its_own() {
    let settings = settings(&[("quality", "0.05")]);
    let (content, styles) = (picture(32, 32, 37), [(picture(32, 32, 53), 1.0)]);
    let paint = || render(content.clone(), &styles, &settings, &|_: &Report| Flow::Continue).unwrap();
    let size = content.size();
    let foresee = || estimate(size, &[size], &settings).unwrap();

    let Rendered::Picture(outside, _) = paint() else {
        panic!("nobody cancelled");
    };
    let host = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    host.scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|_| assert!(matches!(paint(), Rendered::Picture(inside, _) if inside == outside)));
            scope.spawn(|_| assert!(foresee().seconds > 0.0));
        }
    });
}

#[test]
fn stopped_before_the_first_step_it_is_the_canvas() {
    let settings = settings(&[]);
    // Of two levels, so that a coarser picture would be seen.
    let content = picture(192, 40, 37);
    let styles = [(content.clone(), 1.0)];
    for looks in 1..=2 {
        let left = RefCell::new(looks);
        let listener = |_: &Report| {
            *left.borrow_mut() -= 1;
            if *left.borrow() == 0 {
                Flow::Stop
            } else {
                Flow::Continue
            }
        };
        let rendered = render(content.clone(), &styles, &settings, &listener).unwrap();
        let Rendered::Picture(picture, Outcome::Stopped) = rendered else {
            panic!("{rendered:?}");
        };
        assert_eq!(picture, content, "after {looks} looks");
    }
}

/// The loss at the end of 40 steps with these settings, on a content of this seed, how many of them went no higher than
/// the joint, and how many all the way.
fn painted(set: &[(&str, &str)], seed: usize, defers: bool) -> (f64, usize, usize) {
    let common = [
        ("threads", "2"),
        ("pyramid", "false"),
        ("quality", "0.4"),
        ("smoothness", "0"),
    ];
    let settings = settings(&[&common, set].concat());
    let counts = [const { AtomicUsize::new(0) }; 2].map(Arc::new);
    let [to_joint, whole] = counts.clone();
    let mut backend = FalseCard::new(move |name| {
        match name {
            "forward_to_joint" => to_joint.fetch_add(1, Ordering::Relaxed),
            "forward" => whole.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        Ok(())
    });
    backend.defers = defers;
    let listener = Listener::default();
    let (content, styles) = (picture(80, 64, seed), [(picture(64, 80, 53), 1.0)]);
    let render = Render::new(content.size(), &styles, &settings, &listener).unwrap();
    let mut course = render.begin(content).unwrap();
    let planned = render.plan(&course, &backend as &dyn Backend).unwrap();
    render.follow(&mut course, planned, &mut backend).unwrap();
    let loss = listener
        .reports
        .borrow()
        .iter()
        .filter_map(|report| report.3)
        .next_back();
    let [to_joint, whole] = counts.map(|count| count.load(Ordering::Relaxed));
    // One was the style's.
    (loss.unwrap(), to_joint, whole - 1)
}

#[test]
fn a_highest_layer_that_says_little_is_passed_seldom_and_nothing_is_lost() {
    let article = [("loss", "gram"), ("scaling", "chw"), ("beta", "30"), ("edges", "zero")];
    // Of one content, the loss ends some percent higher or lower, as sums happen to be rounded.
    let seeds = [29, 37, 47, 59];
    let mut ratio = 1.0;
    for seed in seeds {
        let (loss, spared, whole) = painted(&article, seed, true);
        let (undeferred, none, all) = painted(&article, seed, false);
        assert_eq!((spared + whole, none, all), (40, 0, 40));
        assert!(whole < 15, "{whole} went all the way");
        ratio *= (loss / undeferred).powf(1.0 / seeds.len() as f64);
    }
    assert!(
        (ratio - 1.0).abs() < 0.02,
        "{ratio} times the loss with every step through the whole network"
    );
}

#[test]
fn a_highest_layer_that_says_much_is_passed_at_every_step() {
    // Relative to the style, it does.
    let balanced = [("loss", "gram"), ("scaling", "balanced")];
    let (loss, spared, whole) = painted(&balanced, 37, true);
    assert_eq!((spared, whole), (0, 40));
    let (undeferred, ..) = painted(&balanced, 37, false);
    assert!((loss / undeferred - 1.0).abs() < 0.01, "{loss} for {undeferred}");
    // By default there is nothing to be found out, and no loss is moved.
    assert_eq!(painted(&[], 37, true), painted(&[], 37, false));
    let (_, spared, _) = painted(
        &[("optimiser", "plain-adam"), ("loss", "gram"), ("scaling", "chw")],
        37,
        true,
    );
    assert_eq!(spared, 0, "Adam is that of the article");
}

/// What a render says that has room for the smallest tiles alone and measures this layer, until it looks at the canvas;
/// and by which means it would have painted.
fn told_of_tiles(layer: &str) -> (Listener, Means) {
    let settings = settings(&[
        ("threads", "1"),
        ("pyramid", "false"),
        ("style_layers", &format!("{layer}:1")),
        ("content_layers", ""),
    ]);
    let (content, styles) = (picture(640, 640, 37), [(picture(20, 20, 53), 1.0)]);
    let listener = Listener::default();
    let render = Render::new(content.size(), &styles, &settings, &listener).unwrap();
    let mut course = render.begin(content).unwrap();
    let mut card = FalseCard::new(|name| match name {
        "hold_content" => Err(Error::Internal("this is far enough".into())),
        _ => Ok(()),
    });
    let least = render.extent.least(&card, 640).unwrap();
    card.free = Arc::new(AtomicU64::new(least / 9 * 10 + 100));
    let planned = render.plan(&course, &card).unwrap();
    let means = planned[0].1.clone();
    let error = render.follow(&mut course, planned, &mut card).unwrap_err();
    assert_eq!(error.to_string(), "this is far enough");
    drop(render);
    (listener, means)
}

#[test]
fn tiles_that_are_too_small_to_pay_are_warned_of_before_anything_is_done() {
    let (listener, means) = told_of_tiles("conv5_1");
    let (tiles, cost) = (means.tiling.parts().len(), means.tiling.cost());
    assert!(tiles > 1 && cost > WORTHWHILE, "{tiles} tiles, {cost}");
    assert_eq!(
        *listener.warnings.borrow(),
        [format!(
            "memory is short: in {tiles} tiles each step takes {cost:.1} times as long, and 1 step is remembered; a \
             higher memory_limit or a lower working_size would save time"
        )]
    );
    // The style was looked at, but not before that.
    assert_eq!(
        (*listener.before.borrow(), listener.reports.borrow().len()),
        (Some(0), 1)
    );

    // Those that pay are no more than told of.
    let (listener, means) = told_of_tiles("conv1_2");
    let (tiles, cost) = (means.tiling.parts().len(), means.tiling.cost());
    assert!(tiles > 1 && cost <= WORTHWHILE, "{tiles} tiles, {cost}");
    assert_eq!(*listener.warnings.borrow(), [""; 0]);
    let expected =
        format!("memory is short: in {tiles} tiles each step takes {cost:.1} times as long, and 1 step is remembered");
    assert_eq!(*listener.information.borrow(), [&expected, "level 1: 640 x 640"]);
}

#[test]
fn where_nothing_else_helps_the_content_is_held_in_halves_and_that_is_said() {
    // The content's features are most of what is held, and the picture can be cut.
    let settings = settings(&[
        ("threads", "2"),
        ("pyramid", "false"),
        ("quality", "0.05"),
        ("style_layers", "conv1_1:1"),
        ("content_layers", "conv1_2:1"),
    ]);
    // As long as the content, a style is looked at in no more memory.
    let (content, styles) = (picture(1600, 40, 37), [(picture(200, 5, 53), 1.0)]);
    let card = |free: u64| {
        let card = FalseCard::new(|_| Ok(()));
        card.free.store(free, std::sync::atomic::Ordering::Relaxed);
        card
    };
    let plan = |free: u64| {
        let listener = Listener::default();
        let render = Render::new(content.size(), &styles, &settings, &listener).unwrap();
        let course = render.begin(content.clone()).unwrap();
        let planned = render.plan(&course, &card(free) as &dyn Backend);
        planned.ok().map(|mut planned| planned.remove(0).1)
    };
    let paint = |free: u64| {
        let listener = Listener::default();
        let render = Render::new(content.size(), &styles, &settings, &listener).unwrap();
        let (mut course, mut card) = (render.begin(content.clone()).unwrap(), card(free));
        let planned = render.plan(&course, &card as &dyn Backend).unwrap();
        render.follow(&mut course, planned, &mut card).unwrap();
        let losses: Vec<f64> = listener.reports.borrow().iter().filter_map(|report| report.3).collect();
        let said = [listener.warnings.take(), listener.information.take()].concat();
        (losses, said.join("\n"))
    };
    let plenty = 1 << 40;
    let whole = plan(plenty).unwrap();
    assert_eq!(
        (whole.tiling.parts().len(), whole.tiling.holding()),
        (1, Holding::AsTheyAre)
    );
    let (exact, said) = paint(plenty);
    assert!(!said.contains("digits"), "{said}");
    // The least that does, to a hundredth.
    let less = (1..100).rev().map(|share| whole.bytes / 90 * share);
    let least = less.map_while(|free| Some((free, plan(free)?))).last();
    let (free, Means { tiling, .. }) = least.unwrap();
    assert_eq!(tiling.holding(), Holding::Halves);
    let (halves, said) = paint(free);
    let expected = format!("memory is short: in {} tiles each step takes ", tiling.parts().len());
    let rest = ", and 1 step is remembered; what is asked of the content is exact to three digits";
    assert!(said.contains(&expected) && said.contains(rest), "{said}");
    // Until what is remembered makes a difference, it sees the same.
    for (halves, exact) in halves.iter().zip(&exact).take(3) {
        assert!((halves / exact - 1.0).abs() < 1e-5, "{halves} for {exact}");
    }
    assert!(halves[halves.len() - 1] < 0.5 * halves[0], "{halves:?}");
}
