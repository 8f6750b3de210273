//! The course of a render as its host sees it, and the ways to end it early.

use std::thread;
use std::time::Duration;

use pentimento_host::{Callbacks, Canceller, Error, Flow, Outcome};
use pentimento_tests::render::{job, render_into};
use pentimento_tests::{Pixels, Settings, content, style};

/// A dozen reports over 64 pixels.
const QUICK: Settings = &[("quality", "0.1"), ("edges", "zero")];
/// What the output holds before a render.
const UNTOUCHED: u8 = 0xab;

/// What became of a render that was asked to end.
struct Ended {
    outcome: Outcome,
    output: Pixels,
    /// Reports after the request.
    later: usize,
}

/// Renders the content and calls `ask` at the report of this number, from 1; what it returns is the host's answer.
fn end(content: &Pixels, at: usize, ask: impl Fn(&Canceller) -> Flow) -> Ended {
    let style = style(64);
    let mut output = content.clone();
    output.bytes.fill(UNTOUCHED);
    let mut job = job(QUICK);
    let canceller = job.canceller();
    let mut reports = 0;
    let mut callbacks = Callbacks::new().on_progress(|_| {
        reports += 1;
        if reports == at { ask(&canceller) } else { Flow::Continue }
    });
    let outcome = render_into(&mut job, content, &[(&style, 1.0)], &mut output, &mut callbacks).unwrap();
    drop(callbacks);
    assert!(reports >= at, "the render was over after {reports} reports");
    Ended {
        outcome,
        output,
        later: reports - at,
    }
}

/// Another thread's call, made and over before the callback returns.
fn from_another_thread(canceller: &Canceller, call: fn(&Canceller)) -> Flow {
    thread::scope(|scope| scope.spawn(|| call(canceller)).join()).expect("the call returns");
    Flow::Continue
}

fn is_painted(ended: &Ended, content: &Pixels) -> bool {
    let untouched = ended
        .output
        .bytes
        .chunks_exact(64)
        .any(|bytes| bytes == [UNTOUCHED; 64]);
    !untouched && ended.output != *content
}

#[test]
fn stopping_keeps_the_picture_so_far() {
    let content = content(64);
    let by_answer = end(&content, 7, |_| Flow::Stop);
    let by_call = end(&content, 7, |canceller| from_another_thread(canceller, Canceller::stop));
    for ended in [&by_answer, &by_call] {
        assert_eq!(ended.outcome, Outcome::Stopped);
        assert!(ended.later <= 1, "{} reports after the request", ended.later);
        assert!(is_painted(ended, &content));
    }
    let later = end(&content, 11, |_| Flow::Stop);
    assert!(later.output != by_answer.output, "four more steps changed nothing");
}

#[test]
fn stopping_before_the_first_step_gives_the_start() {
    let content = content(64);
    for at in [1, 2] {
        let ended = end(&content, at, |_| Flow::Stop);
        assert_eq!((ended.outcome, ended.later), (Outcome::Stopped, 0));
        assert!(ended.output == content, "the canvas, which it starts from");
    }
}

#[test]
fn cancelling_leaves_the_output_untouched() {
    let content = content(64);
    for at in [1, 2, 3, 8] {
        let by_answer = end(&content, at, |_| Flow::Cancel);
        let by_call = end(&content, at, |canceller| {
            from_another_thread(canceller, Canceller::cancel)
        });
        for ended in [by_answer, by_call] {
            assert_eq!(ended.outcome, Outcome::Cancelled);
            assert!(ended.later <= 1, "{} reports after the request", ended.later);
            assert!(ended.output.bytes.iter().all(|&byte| byte == UNTOUCHED));
        }
    }
}

#[test]
fn a_job_that_was_ended_renders_again() {
    let (content, style) = (content(64), style(64));
    let mut job = job(QUICK);
    let mut paint = |flow| {
        let mut output = content.clone();
        let mut callbacks = Callbacks::new().on_progress(|_| flow);
        let outcome = render_into(&mut job, &content, &[(&style, 1.0)], &mut output, &mut callbacks);
        (outcome, output)
    };
    let (finished, first) = paint(Flow::Continue);
    assert_eq!(finished, Ok(Outcome::Finished));
    assert_eq!(paint(Flow::Cancel).0, Ok(Outcome::Cancelled));
    assert_eq!(paint(Flow::Stop).0, Ok(Outcome::Stopped));
    assert!(paint(Flow::Continue) == (Ok(Outcome::Finished), first));
}

#[test]
fn progress_rises_to_one_and_previews_have_the_contents_aspect() {
    // Long enough for two levels, and low, so that they cost little.
    let content = Pixels::rgb(
        192,
        24,
        (0..3 * 192 * 24).map(|index| (index * 31 % 251) as u8).collect(),
    );
    let style = style(64);
    let (mut fractions, mut places, mut previews, mut stages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut callbacks = Callbacks::new().on_progress(|progress| {
        fractions.push(progress.fraction);
        places.push((progress.level, progress.level_count));
        stages.push(progress.stage.to_owned());
        assert!(progress.step_count == 0 || progress.step < progress.step_count);
        assert!(progress.seconds_left.is_none_or(|seconds| seconds >= 0.0));
        previews.extend(progress.preview.map(|preview| preview.shape()));
        // A slow host, so that there is time for previews on a fast machine too.
        thread::sleep(Duration::from_millis(100));
        Flow::Continue
    });
    let mut output = content.clone();
    let settings = [("quality", "0.1"), ("edges", "zero")];
    let outcome = render_into(
        &mut job(&settings),
        &content,
        &[(&style, 1.0)],
        &mut output,
        &mut callbacks,
    );
    drop(callbacks);
    assert_eq!(outcome, Ok(Outcome::Finished));

    assert!(fractions.is_sorted() && fractions[0] > 0.0, "{fractions:?}");
    let last = fractions.last().copied().unwrap();
    assert!((last - 1.0).abs() < 1e-9, "it ended at {last}");
    assert!(
        places.is_sorted() && places[0] == (0, 2) && places.last() == Some(&(1, 2)),
        "{places:?}"
    );
    assert!(stages.iter().all(|stage| !stage.is_empty()));
    assert!(!previews.is_empty(), "no preview in {} reports", fractions.len());
    for shape in previews {
        let aspect = f64::from(shape.width) / f64::from(shape.height);
        // A side is rounded to whole pixels.
        let slack = 8.0 / f64::from(shape.height);
        assert!((aspect - 8.0).abs() <= slack, "{} x {}", shape.width, shape.height);
    }
}

#[test]
fn a_callback_that_panics_ends_the_render_and_not_the_plugin() {
    let (content, style) = (content(64), style(64));
    let mut output = content.clone();
    let mut painting = job(QUICK);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut callbacks = Callbacks::new().on_progress(|_| panic!("the host is out of order"));
        render_into(&mut painting, &content, &[(&style, 1.0)], &mut output, &mut callbacks)
    }));
    assert!(panic.is_err());
    assert!(output == content, "the output was written");
    let outcome = render_into(
        &mut painting,
        &content,
        &[(&style, 1.0)],
        &mut output,
        &mut Callbacks::new(),
    );
    assert_eq!(outcome, Ok(Outcome::Finished));
}

#[test]
fn a_request_that_makes_no_sense_leaves_the_output_untouched() {
    let (content, style) = (content(32), style(32));
    let nine = vec![(&style, 1.0); 9];
    let cases: [(&[(&Pixels, f64)], &str); 4] = [
        (&[], "style"),
        (&nine, "style"),
        (&[(&style, 1.0), (&style, f64::NAN)], "styles[1]"),
        (&[(&style, 0.0)], "styles[0]"),
    ];
    for (styles, named) in cases {
        let mut output = content.clone();
        output.bytes.fill(UNTOUCHED);
        match render_into(&mut job(QUICK), &content, styles, &mut output, &mut Callbacks::new()) {
            Err(Error::Argument(reason)) => assert!(reason.contains(named), "{reason}"),
            other => panic!("{} styles: {other:?}", styles.len()),
        }
        assert!(output.bytes.iter().all(|&byte| byte == UNTOUCHED));
    }
}
