//! Renders that go well, and those whose filter does not.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::slice;
use std::sync::{Arc, Barrier};
use std::thread;

use pentimento_host::abi;

use super::fixture::{Handle, Listener, STEPS, Scene, blend, table};
use crate::canvas::Picture;
use crate::control::{Control, Outcome, Report};
use crate::filters::Rendered;
use crate::settings::StyleTransfer;
use crate::{Error, Result};

/// What a render makes of a fresh scene.
fn rendered(job: &Handle) -> Vec<u8> {
    let mut scene = Scene::new();
    assert_eq!(scene.render(job), (abi::OK, String::new()));
    scene.output_pixels.bytes
}

#[test]
fn settings_reach_the_filter_and_alpha_stays() {
    let job = Handle::new(blend);
    let strong = rendered(&job);
    assert_eq!(job.set_number("style_strength", 0.0).0, abi::OK);
    let untouched = rendered(&job);

    let mut scene = Scene::new();
    // SAFETY: the scene keeps the content's 12 x 7 RGBA bytes.
    let content = unsafe {
        slice::from_raw_parts(
            scene.request().content.as_ref().unwrap().pixels.cast::<u8>(),
            12 * 7 * 4,
        )
    };
    let seen = strong.chunks(4).find(|pixel| pixel[3] > 0).unwrap();
    for ((content, untouched), strong) in content.chunks(4).zip(untouched.chunks(4)).zip(strong.chunks(4)) {
        assert_eq!((strong[3], untouched[3]), (content[3], content[3]));
        assert!(content[3] < 16 || content == untouched, "{content:?} {untouched:?}");
        assert!(content[3] == 0 || strong[..3] == seen[..3], "{strong:?} {seen:?}");
    }
}

#[test]
fn styles_weigh_in_by_their_shares() {
    let job = Handle::new(
        |content: Picture, styles: &[(Picture, f64)], _: &StyleTransfer, _: &dyn Control| {
            let shares: Vec<_> = styles.iter().map(|(_, share)| *share).collect();
            assert!(
                (shares[0] - 0.75).abs() < 1e-15 && (shares[1] - 0.25).abs() < 1e-15,
                "{shares:?}"
            );
            Ok(Rendered::Picture(content, Outcome::Finished))
        },
    );
    for scale in [1.0, 1e-300, 4e307] {
        let mut scene = Scene::new();
        scene.styles[0].weight = 3.0 * scale;
        scene.styles[1].weight = scale;
        assert_eq!(scene.render(&job), (abi::OK, String::new()));
    }
}

#[test]
fn the_output_may_be_the_content() {
    let expected = rendered(&Handle::new(blend));
    let mut scene = Scene::new();
    scene.output.pixels = scene.content.pixels;
    let untouched = scene.output_pixels.bytes.clone();
    assert_eq!(scene.render(&Handle::new(blend)).0, abi::OK);
    // SAFETY: the scene keeps the content's 12 x 7 RGBA bytes, which are no longer in use.
    let content = unsafe { slice::from_raw_parts(scene.content.pixels.cast::<u8>(), expected.len()) };
    assert_eq!(content, expected);
    assert_eq!(scene.output_pixels.bytes, untouched);
}

#[test]
fn rows_from_the_bottom_up() {
    let expected = rendered(&Handle::new(blend));
    let mut scene = Scene::new();
    let row = 12 * 4;
    scene.output.pixels = scene.output.pixels.wrapping_byte_add(6 * row);
    scene.output.row_stride = -(row as i64);
    assert_eq!(scene.render(&Handle::new(blend)).0, abi::OK);
    let upright: Vec<u8> = scene.output_pixels.bytes.chunks(row).rev().flatten().copied().collect();
    assert_eq!(upright, expected);
}

#[test]
fn progress_never_falls_and_tells_all() {
    let wild = |content: Picture, _: &[(Picture, f64)], _: &StyleTransfer, control: &dyn Control| {
        for fraction in [-1.0, 0.25, 0.125, f64::NAN, 0.5, 7.0] {
            control.report(&Report {
                stage: "wandering\0about",
                level: 1,
                level_count: 3,
                step: 4,
                step_count: 9,
                fraction,
                loss: Some(2.5),
                seconds_left: None,
                preview: None,
            });
        }
        Ok(Rendered::Picture(content, Outcome::Finished))
    };
    let mut fractions = Vec::new();
    let mut listener = Listener::new(|progress| {
        assert_eq!(progress.struct_size as usize, size_of::<abi::Progress>());
        // SAFETY: the stage is a text during the call.
        let stage = unsafe { CStr::from_ptr(progress.stage) }.to_str().unwrap();
        assert_eq!(stage, "wandering\u{fffd}about");
        let counts = (progress.level, progress.level_count, progress.step, progress.step_count);
        assert_eq!(counts, (1, 3, 4, 9));
        assert_eq!((progress.loss, progress.reserved), (2.5, 0));
        assert!(progress.seconds_left.is_nan() && progress.preview.is_null());
        fractions.push(progress.fraction);
        abi::CONTINUE
    });
    let mut scene = Scene::new();
    scene.host = Some(listener.host());
    assert_eq!(scene.render(&Handle::new(wild)).0, abi::OK);
    drop(listener);
    assert_eq!(fractions, [0.0, 0.25, 0.25, 0.25, 0.5, 1.0]);
}

#[test]
fn previews_come_late_and_seldom() {
    use std::time::{Duration, Instant};
    let eager = |content: Picture, _: &[(Picture, f64)], _: &StyleTransfer, control: &dyn Control| {
        let begun = Instant::now();
        for turn in 0.. {
            if begun.elapsed() >= Duration::from_millis(1200) {
                break;
            }
            let wanted = control.wants_preview();
            control.report(&Report {
                stage: "",
                level: 0,
                level_count: 1,
                step: 0,
                step_count: 1,
                fraction: 0.0,
                loss: None,
                seconds_left: None,
                // Every third is sent unasked.
                preview: (wanted || turn % 3 == 0).then_some(&content),
            });
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Rendered::Picture(content, Outcome::Finished))
    };
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut scene = Scene::new();
    // SAFETY: the scene keeps the content's 12 x 7 RGBA bytes.
    let content = unsafe { slice::from_raw_parts(scene.content.pixels.cast::<u8>(), 12 * 7 * 4) };
    let mut listener = Listener::new(|progress| {
        // SAFETY: a preview is whole during the call.
        if let Some(preview) = unsafe { progress.preview.as_ref() } {
            times.push(begun.elapsed().as_millis());
            assert_eq!((preview.width, preview.height, preview.row_stride), (12, 7, 36));
            let kind = (preview.format, preview.layout, preview.transfer);
            assert_eq!(kind, (abi::FORMAT_U8, abi::LAYOUT_RGB, abi::TRANSFER_SRGB));
            // SAFETY: as above.
            let seen = unsafe { slice::from_raw_parts(preview.pixels.cast::<u8>(), 36 * 7) };
            for (seen, stored) in seen.chunks(3).zip(content.chunks(4)) {
                assert!(stored[3] < 16 || *seen == stored[..3], "{seen:?} {stored:?}");
            }
        }
        abi::CONTINUE
    });
    scene.host = Some(listener.host());
    assert_eq!(scene.render(&Handle::new(eager)).0, abi::OK);
    drop(listener);
    assert!((1..=3).contains(&times.len()), "{times:?}");
    assert!(times[0] >= 500, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 249), "{times:?}");
}

#[test]
fn scrubbed_samples_are_reported() {
    let mut samples = vec![0.5f32; 12 * 7 * 4];
    (samples[5], samples[6]) = (f32::NAN, f32::INFINITY);
    let mut scene = Scene::new();
    scene.content.format = abi::FORMAT_F32;
    scene.content.row_stride = 12 * 16;
    scene.content.pixels = samples.as_mut_ptr().cast();
    let mut listener = Listener::new(|_| abi::CONTINUE);
    scene.host = Some(listener.host());
    assert_eq!(scene.render(&Handle::new(blend)).0, abi::OK);
    let line = "content: 2 samples were NaN or infinite and have been replaced".to_owned();
    assert_eq!(listener.lines, [(abi::LOG_WARNING, line)]);
}

#[test]
fn a_panic_is_told_and_leaves_the_output_alone() {
    let job = Handle::new(
        |_: Picture, _: &[(Picture, f64)], settings: &StyleTransfer, _: &dyn Control| {
            if settings.seed == 13 {
                panic!("unlucky {}", settings.seed);
            }
            Err(Error::Device("the device went away".into()))
        },
    );
    assert_eq!(job.set_number("seed", 13.0).0, abi::OK);
    let mut scene = Scene::new();
    let before = scene.output_pixels.bytes.clone();
    let expected = (abi::ERROR_INTERNAL, "a defect in the plugin: unlucky 13".to_owned());
    assert_eq!(scene.render(&job), expected);
    assert_eq!(scene.output_pixels.bytes, before);

    // The job and its settings have survived.
    assert_eq!(job.set_number("seed", 14.0).0, abi::OK);
    assert_eq!(
        scene.render(&job),
        (abi::ERROR_DEVICE, "the device went away".to_owned())
    );
    assert_eq!(scene.output_pixels.bytes, before);
}

#[test]
fn pictures_that_are_wrong_are_a_defect() {
    let cases: [fn(&Picture) -> Picture; 2] = [
        |content| Picture::new(1, 1, content.samples[..3].to_vec()).unwrap(),
        |content| Picture::new(12, 7, vec![f32::NAN; content.samples.len()]).unwrap(),
    ];
    for make in cases {
        let job = Handle::new(
            move |content: Picture, _: &[(Picture, f64)], _: &StyleTransfer, _: &dyn Control| {
                Ok(Rendered::Picture(make(&content), Outcome::Finished))
            },
        );
        let mut scene = Scene::new();
        let before = scene.output_pixels.bytes.clone();
        assert_eq!(scene.render(&job).0, abi::ERROR_INTERNAL);
        assert_eq!(scene.output_pixels.bytes, before);
    }
}

/// As [`blend`], but no step begins before the other job has come as far.
fn in_step(barrier: Arc<Barrier>) -> Handle {
    struct InStep<'a>(&'a Barrier, &'a dyn Control);
    impl Control for InStep<'_> {
        fn report(&self, report: &Report) -> crate::control::Flow {
            self.0.wait();
            self.1.report(report)
        }
        fn wants_preview(&self) -> bool {
            false
        }
        fn log(&self, level: crate::control::LogLevel, message: &str) {
            self.1.log(level, message);
        }
    }
    Handle::new(
        move |content: Picture, styles: &[(Picture, f64)], settings: &StyleTransfer, control: &dyn Control| {
            blend(content, styles, settings, &InStep(&barrier, control))
        },
    )
}

#[test]
fn two_jobs_at_once_render_what_they_render_alone() {
    let strengths = [0.3, 0.9];
    let alone = strengths.map(|strength| {
        let job = Handle::new(blend);
        job.set_number("style_strength", strength);
        rendered(&job)
    });
    let barrier = Arc::new(Barrier::new(2));
    let together: Vec<_> = thread::scope(|scope| {
        let threads = strengths.map(|strength| {
            let barrier = Arc::clone(&barrier);
            scope.spawn(move || {
                let job = in_step(barrier);
                job.set_number("style_strength", strength);
                let mut steps = 0;
                let mut listener = Listener::new(|_| {
                    steps += 1;
                    abi::CONTINUE
                });
                let mut scene = Scene::new();
                scene.host = Some(listener.host());
                assert_eq!(scene.render(&job).0, abi::OK);
                drop(listener);
                assert_eq!(steps, STEPS);
                scene.output_pixels.bytes
            })
        });
        threads.map(|thread| thread.join().unwrap()).into()
    });
    assert_eq!(together, alone);
    assert_ne!(alone[0], alone[1]);
}

#[test]
fn state_comes_back_and_lists_only_what_was_set() {
    let job = Handle::new(blend);
    assert_eq!(job.state(), "");
    for (id, value) in [
        ("preset", "draft"),
        ("quality", "0.1"),
        ("seed", "7"),
        ("pyramid", "false"),
        ("model", "a \"b\"\n"),
    ] {
        assert_eq!(job.set_text(id, value), (abi::OK, String::new()));
    }
    let state = job.state();
    let table: BTreeMap<String, toml::Value> = toml::from_str(&state).unwrap();
    assert_eq!(table.len(), 5);
    assert_eq!(table["quality"].as_float(), Some(0.1));
    assert_eq!(table["seed"].as_integer(), Some(7));

    let other = Handle::new(blend);
    assert_eq!(other.set_number("beta", 2.0).0, abi::OK);
    assert_eq!(other.set_state(&state), (abi::OK, String::new()));
    assert_eq!(other.state(), state, "all that was set before is gone");
    assert_eq!(other.set_state("quality = 2 # whole"), (abi::OK, String::new()));
    assert_eq!(other.state(), "quality = 2.0\n");
}

#[test]
fn a_render_may_fail_without_an_error_to_write_to() {
    let job = Handle::new(
        |_: Picture, _: &[(Picture, f64)], _: &StyleTransfer, _: &dyn Control| -> Result<Rendered> {
            Err(Error::Model("torn".into()))
        },
    );
    let mut scene = Scene::new();
    let request = scene.request();
    // SAFETY: the request is good, and the error may be NULL.
    let status = unsafe { (table().job_render)(job.0, &request, std::ptr::null_mut()) };
    assert_eq!(status, abi::ERROR_MODEL);
}
