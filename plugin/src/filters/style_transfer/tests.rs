//! What a render reports of its course.

use std::cell::RefCell;

use super::*;
use crate::control::{Outcome, Report};
use crate::settings::{Settings, manifest};

#[test]
fn an_optimiser_that_ends_early_ends_with_all_done() {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    for (id, value) in [("smoothness", "0"), ("style_strength", "0")] {
        settings.set_text(id, value).unwrap();
    }
    // Where the content is all that matters, it leaves nothing to be done.
    let samples = (0..3 * 32 * 32).map(|index| (index * 37 % 101) as f32 / 100.0);
    let content = Picture::new(32, 32, samples.collect()).unwrap();
    // The share of the work done, the step and the steps planned of each report.
    let course = RefCell::new(Vec::new());
    let listener = |report: &Report| {
        course
            .borrow_mut()
            .push((report.fraction, report.step, report.step_count));
        Flow::Continue
    };
    let styles = [(content.clone(), 1.0)];
    let rendered = render(content, &styles, &settings.resolve().unwrap(), &listener).unwrap();
    assert!(matches!(rendered, Rendered::Picture(_, Outcome::Finished)));

    let course = course.into_inner();
    assert!(course.is_sorted_by(|one, next| one.0 <= next.0), "{course:?}");
    let &(fraction, step, step_count) = course.last().unwrap();
    assert!(step + 1 < step_count, "it took all of its {step_count} steps");
    assert!((fraction - 1.0).abs() < 1e-9, "it ended at {fraction}");
}

#[test]
fn a_host_may_render_in_a_pool_of_its_own() {
    let mut settings = Settings::new(manifest().filter("style-transfer").unwrap());
    settings.set_text("quality", "0.05").unwrap();
    let settings = settings.resolve().unwrap();
    let picture = |seed: usize| {
        let samples = (0..3 * 32 * 32).map(|index| (index * seed % 101) as f32 / 100.0);
        Picture::new(32, 32, samples.collect()).unwrap()
    };
    let (content, styles) = (picture(37), [(picture(53), 1.0)]);
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
    let settings = Settings::new(manifest().filter("style-transfer").unwrap());
    let settings = settings.resolve().unwrap();
    // Of two levels, so that a coarser picture would be seen.
    let samples = (0..3 * 192 * 40).map(|index| (index * 37 % 101) as f32 / 100.0);
    let content = Picture::new(192, 40, samples.collect()).unwrap();
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
