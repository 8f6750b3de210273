//! Loading and running plugins that are made for the purpose: small ones in C, of which most are wrong in one way.
#![cfg(feature = "load")]

mod support;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{fs, thread};

use pentimento_host::manifest::{Kind, Value};
use pentimento_host::{
    Callbacks, Error, Estimate, Flow, Format, Image, ImageMut, Job, Layout, Level, LoadError, Outcome, Plugin, Shape,
    Transfer, discover,
};
use support::{compile, root};

/// Compiles a fixture into a library.
fn library(folder: &Path, fixture: &str, flags: &[&str]) -> PathBuf {
    let library = folder.join(discover::library_file_name(fixture));
    let source = root().join(format!("tests/fixtures/{fixture}.c"));
    compile("c11", &[&["-shared"], flags].concat(), &source, &library);
    library
}

fn refused(fixture: &str) -> LoadError {
    let folder = tempfile::tempdir().unwrap();
    Plugin::load(library(folder.path(), fixture, &[])).unwrap_err()
}

/// The plugin that inverts pictures, with all extensions.
static INVERTER: LazyLock<Plugin> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    // A loaded library needs its file no more.
    let flags = ["-DWITH_DIAGNOSTICS", "-DWITH_ESTIMATE=sizeof(pentimento_estimation)"];
    Plugin::load(library(folder.path(), "inverter", &flags)).unwrap()
});

fn job() -> Job {
    INVERTER.job("invert").unwrap()
}

/// 3 pixels in each of 4 rows, gray, with gaps between rows.
const SHAPE: Shape = Shape {
    width: 3,
    height: 4,
    format: Format::U8,
    layout: Layout::Gray,
    transfer: Transfer::Srgb,
    row_stride: 5,
};
const CONTENT: [u8; 18] = [0, 1, 2, 9, 9, 10, 11, 12, 9, 9, 20, 21, 22, 9, 9, 30, 31, 32];

/// Renders `CONTENT` over sevens.
fn render(job: &mut Job, callbacks: &mut Callbacks) -> (Result<Outcome, Error>, [u8; 18]) {
    let mut output = [7; 18];
    let content = Image::new(&CONTENT, SHAPE).unwrap();
    let outcome = job.render(
        &content,
        &[],
        &mut ImageMut::new(&mut output, SHAPE).unwrap(),
        callbacks,
    );
    (outcome, output)
}

#[test]
fn each_way_not_to_be_a_plugin_has_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Plugin::load(folder.path().join("nothing.so")).unwrap_err();
    assert!(matches!(missing, LoadError::Missing(_)), "{missing:?}");
    assert!(missing.to_string().contains("nothing.so"), "{missing}");

    let text = folder.path().join("text.so");
    for content in ["", "\n", "A library is a place for books.\n"] {
        fs::write(&text, content).unwrap();
        let error = Plugin::load(&text).unwrap_err();
        assert!(matches!(error, LoadError::NotALibrary { .. }), "{error:?}");
    }
    let error = Plugin::load(folder.path()).unwrap_err();
    assert!(
        matches!(error, LoadError::NotALibrary { .. } | LoadError::Unreadable { .. }),
        "{error:?}"
    );

    assert!(matches!(refused("not_a_plugin"), LoadError::NotAPlugin(_)));
    assert!(matches!(refused("other_abi"), LoadError::OtherAbi(_)));
    assert!(matches!(refused("mislabelled_abi"), LoadError::OtherAbi(_)));
    assert!(matches!(
        refused("small_table"),
        LoadError::TableTooSmall { found: 8, .. }
    ));
    let error = refused("needy");
    assert!(
        matches!(&error, LoadError::Refused { reason, .. } if reason.contains("function_that_no_library_has")),
        "{error}"
    );
}

/// The system's loader would end the process with SIGBUS for most of these lengths.
#[test]
fn a_library_without_its_end_is_refused_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(library(folder.path(), "inverter", &[])).unwrap();
    let cut = folder.path().join("cut.so");
    for length in (0..whole.len()).step_by(97) {
        fs::write(&cut, &whole[..length]).unwrap();
        let error = Plugin::load(&cut).unwrap_err();
        assert!(
            matches!(error, LoadError::NotALibrary { .. }),
            "{length} bytes: {error:?}"
        );
    }
}

#[cfg(feature = "layout")]
#[test]
fn a_plugin_with_other_tables_of_the_same_sizes_is_refused() {
    let tests = std::env::current_exe().unwrap();
    let library = tests
        .parent()
        .unwrap()
        .with_file_name("examples")
        .join(discover::library_file_name("other_layout"));
    assert!(
        library.is_file(),
        "{} is missing; cargo test without --test builds it",
        library.display()
    );
    let error = Plugin::load(library).unwrap_err();
    let LoadError::OtherLayout { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        reason,
        "job_render > param_1 > styles > weight: type f64 expected, f32 found"
    );
}

#[test]
fn a_plugin_describes_itself() {
    assert_eq!(
        (INVERTER.id(), INVERTER.name(), INVERTER.version()),
        ("org.example.inverter".into(), "Inverter".into(), "1.2.3".into())
    );
    let filters = INVERTER.filters().unwrap();
    let [filter] = &filters[..] else { panic!("{filters:?}") };
    assert_eq!(
        (filter.id.as_str(), filter.style_min, filter.style_max),
        ("invert", 0, 2)
    );
    let gain = filter.parameter("gain").unwrap();
    assert_eq!(
        (gain.kind, gain.default.clone(), gain.hard.max, gain.soft.max),
        (Kind::Float, Value::Float(0.1), 4.0, 1.0)
    );
    assert_eq!((gain.unit.as_str(), gain.advanced), ("dB", false));
    let rows = filter.parameter("rows").unwrap();
    assert_eq!(
        (rows.kind, rows.advanced, rows.choices[1].id.as_str()),
        (Kind::Choice, true, "none")
    );
    assert_eq!(filter.parameter("note").unwrap().default, Value::Text(String::new()));
}

#[test]
fn diagnostics_are_an_extension() {
    assert_eq!(INVERTER.diagnostics(), Some(Ok("device = \"abacus\"\n".to_owned())));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        Plugin::load(library(folder.path(), "inverter", &[]))
            .unwrap()
            .diagnostics(),
        None
    );
}

#[test]
fn estimates_are_an_extension() {
    let mut job = job();
    job.set_number("gain", 0.5).unwrap();
    let estimate = Estimate {
        seconds: 15.5,
        bytes: 26,
    };
    assert_eq!(job.estimate((5, 3), &[(2, 3), (4, 5)]), Some(Ok(estimate)));
    let refused = Error::Argument("request.content.width: is 0".into());
    assert_eq!(job.estimate((0, 3), &[]), Some(Err(refused)));

    let with = |flags| {
        let folder = tempfile::tempdir().unwrap();
        let plugin = Plugin::load(library(folder.path(), "inverter", flags)).unwrap();
        plugin.job("invert").unwrap().estimate((5, 3), &[])
    };
    assert_eq!(with(&[]), None);
    match with(&["-DWITH_ESTIMATE=8"]) {
        Some(Err(Error::Internal(reason))) => assert!(reason.contains("estimate/1 has only 8 bytes"), "{reason}"),
        other => panic!("a table without its function: {other:?}"),
    }
}

#[test]
fn settings_are_checked_by_the_plugin_and_come_back_as_state() {
    let mut job = job();
    job.set_number("gain", 2.0).unwrap();
    assert_eq!(
        job.set_number("gain", f64::NAN),
        Err(Error::Argument("gain: outside 0 to 4".into()))
    );
    assert_eq!(
        job.set("gain", &Value::Float(5.0)),
        Err(Error::Argument("gain: outside 0 to 4".into()))
    );
    let error = job.set_text("note", "a\0b").unwrap_err();
    assert!(
        matches!(&error, Error::Argument(text) if text.starts_with("note: ")),
        "{error}"
    );
    job.set_state("grün").unwrap();
    assert_eq!(job.state().unwrap(), "grün");
    job.set_text("note", "long").unwrap();
    assert_eq!(job.state().unwrap(), "x".repeat(100_000));
    let error = INVERTER.job("blur").unwrap_err();
    assert_eq!(error, Error::Argument("filter: there is only invert".into()));
}

#[test]
fn a_render_reports_progress_and_log_lines() {
    let (lines, steps) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let mut callbacks = Callbacks::new()
        .on_log(|level, line| lines.borrow_mut().push((level, line.to_owned())))
        .on_progress(|progress| {
            assert_eq!(
                (progress.stage, progress.level_count, progress.step_count),
                ("inverting", 1, 4)
            );
            let preview = progress.preview.map(|image| image.row(1).to_vec());
            steps
                .borrow_mut()
                .push((progress.step, progress.loss, progress.seconds_left, preview));
            Flow::Continue
        });
    let content = Image::new(&CONTENT, SHAPE).unwrap();
    let wide = Image::new(
        &CONTENT,
        Shape {
            width: 5,
            height: 2,
            ..SHAPE
        },
    )
    .unwrap();
    let mut output = [7; 18];
    let mut upside_down = ImageMut::new(
        &mut output,
        Shape {
            row_stride: -5,
            ..SHAPE
        },
    )
    .unwrap();
    let styles = [(&content, 1.0), (&wide, 0.5)];
    assert_eq!(
        job().render(&content, &styles, &mut upside_down, &mut callbacks),
        Ok(Outcome::Finished)
    );
    drop(callbacks);
    assert_eq!(
        output,
        [
            225, 224, 223, 7, 7, 235, 234, 233, 7, 7, 245, 244, 243, 7, 7, 255, 254, 253
        ]
    );
    let lines = lines.into_inner();
    assert_eq!(lines[0], (Level::Info, "styles 2, width by weight 5.5".to_owned()));
    assert_eq!(
        lines[1],
        (Level::Warning, "f\u{fffd}r".to_owned()),
        "an unknown level, and no UTF-8"
    );
    let steps = steps.into_inner();
    assert_eq!(steps[0], (0, None, None, None));
    assert_eq!(steps[1], (1, Some(99.0), Some(0.5), Some(vec![10, 11, 12])));
    assert_eq!(steps.len(), 4);
}

#[test]
fn a_render_needs_no_callbacks() {
    let (outcome, output) = render(&mut job(), &mut Callbacks::new());
    assert_eq!((outcome, output[17]), (Ok(Outcome::Finished), 223));
}

#[test]
fn progress_stops_or_cancels() {
    let when =
        |flow: Flow| move |progress: &pentimento_host::Progress| if progress.step == 1 { flow } else { Flow::Continue };
    let (outcome, output) = render(&mut job(), &mut Callbacks::new().on_progress(when(Flow::Stop)));
    assert_eq!(outcome, Ok(Outcome::Stopped));
    assert_eq!(
        output[..13],
        [255, 254, 253, 7, 7, 245, 244, 243, 7, 7, 7, 7, 7],
        "the rows that were reported"
    );
    let (outcome, output) = render(&mut job(), &mut Callbacks::new().on_progress(when(Flow::Cancel)));
    assert_eq!((outcome, output), (Ok(Outcome::Cancelled), [7; 18]));
}

#[test]
fn another_thread_stops_or_cancels() {
    for (how, expected) in [(Flow::Stop, Outcome::Stopped), (Flow::Cancel, Outcome::Cancelled)] {
        let mut job = job();
        job.set_text("note", "wait").unwrap();
        let canceller = job.canceller();
        let (started, is_started) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let canceller = canceller.clone();
            scope.spawn(move || {
                is_started.recv().unwrap();
                match how {
                    Flow::Stop => canceller.stop(),
                    _ => canceller.cancel(),
                }
            });
            let mut callbacks = Callbacks::new().on_progress(|_| {
                // The render has begun once it reports; the other end is gone after the first time.
                let _ = started.send(());
                Flow::Continue
            });
            assert_eq!(render(&mut job, &mut callbacks).0, Ok(expected));
        });
        drop(job);
        canceller.cancel();
    }
}

#[test]
fn a_job_moves_between_threads() {
    let mut job = job();
    let output = thread::spawn(move || render(&mut job, &mut Callbacks::new()).1)
        .join()
        .unwrap();
    assert_eq!(output[0], 255);
}

#[test]
fn a_panic_cancels_the_render_and_goes_on_after_it() {
    let calls = RefCell::new(0);
    let mut from_progress = Callbacks::new().on_progress(|progress| {
        *calls.borrow_mut() += 1;
        if progress.step == 2 {
            panic!("enough")
        } else {
            Flow::Continue
        }
    });
    let mut job = job();
    let panic = catch_unwind(AssertUnwindSafe(|| render(&mut job, &mut from_progress))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"enough"));
    assert_eq!(*calls.borrow(), 3);

    let called = RefCell::new(false);
    let mut from_log = Callbacks::new().on_log(|_, _| panic!("no lines")).on_progress(|_| {
        *called.borrow_mut() = true;
        Flow::Continue
    });
    let panic = catch_unwind(AssertUnwindSafe(|| render(&mut job, &mut from_log))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"no lines"));
    assert!(!*called.borrow(), "no callback runs after one has panicked");

    assert_eq!(
        render(&mut job, &mut Callbacks::new()).0,
        Ok(Outcome::Finished),
        "the job is as good as before"
    );
}

#[test]
fn errors_carry_the_plugins_words() {
    let mut job = job();
    job.set_text("note", "device").unwrap();
    let (outcome, output) = render(&mut job, &mut Callbacks::new());
    assert_eq!(
        (outcome, output),
        (Err(Error::Device("device: the lamp went out".into())), [7; 18])
    );
    job.set_text("note", "unknown").unwrap();
    let (outcome, _) = render(&mut job, &mut Callbacks::new());
    assert_eq!(
        outcome,
        Err(Error::Unknown {
            status: -1234,
            text: "what?".into()
        })
    );
}
