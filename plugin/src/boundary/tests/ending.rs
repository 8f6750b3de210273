//! Ending a render early, from the callback and from other threads; and calls that come at the wrong time.

use std::sync::mpsc;
use std::thread;

use pentimento_host::abi;

use super::fixture::{Handle, Listener, STEPS, Scene, blend};

/// Renders with a host that answers `answer` at the third report, and tells how many reports it received.
fn render_answering(answer: i32) -> (abi::Status, bool, usize) {
    let mut reports = 0;
    let mut listener = Listener::new(|_| {
        reports += 1;
        if reports == 3 { answer } else { abi::CONTINUE }
    });
    let mut scene = Scene::new();
    let before = scene.output_pixels.bytes.clone();
    scene.host = Some(listener.host());
    let (status, _) = scene.render(&Handle::new(blend));
    drop(listener);
    (status, scene.output_pixels.bytes != before, reports)
}

#[test]
fn stop_keeps_and_cancel_leaves() {
    assert_eq!(render_answering(abi::CONTINUE), (abi::OK, true, STEPS));
    assert_eq!(render_answering(abi::STOP), (abi::STOPPED, true, 3));
    assert_eq!(render_answering(abi::CANCEL), (abi::CANCELLED, false, 3));
    for unknown in [-1, 3, i32::MAX] {
        assert_eq!(render_answering(unknown), (abi::CANCELLED, false, 3));
    }
}

/// Lets another thread act at the third report of a render, and waits for it.
fn render_while(act: impl Fn(&Handle) + Sync) -> (abi::Status, bool, usize) {
    let job = Handle::new(blend);
    let (ready, wait) = mpsc::channel();
    let (acted, resume) = mpsc::channel();
    let mut reports = 0;
    thread::scope(|scope| {
        let (job, act) = (&job, &act);
        scope.spawn(move || {
            wait.recv().unwrap();
            act(job);
            acted.send(()).unwrap();
        });
        let mut listener = Listener::new(|_| {
            reports += 1;
            if reports == 3 {
                ready.send(()).unwrap();
                resume.recv().unwrap();
            }
            abi::CONTINUE
        });
        let mut scene = Scene::new();
        let before = scene.output_pixels.bytes.clone();
        scene.host = Some(listener.host());
        let (status, _) = scene.render(job);
        drop(listener);
        (status, scene.output_pixels.bytes != before, reports)
    })
}

#[test]
fn another_thread_ends_a_render_within_one_report() {
    let end = |how| render_while(move |job| assert_eq!(job.cancel(how), abi::OK));
    assert_eq!(end(abi::STOP), (abi::STOPPED, true, 3));
    assert_eq!(end(abi::CANCEL), (abi::CANCELLED, false, 3));
    let both = render_while(|job| {
        job.cancel(abi::CANCEL);
        job.cancel(abi::STOP);
    });
    assert_eq!(both, (abi::CANCELLED, false, 3), "a cancellation is not softened");
    assert_eq!(
        render_while(|job| assert_eq!(job.cancel(7), abi::ERROR_ARGUMENT)),
        (abi::OK, true, STEPS)
    );
}

#[test]
fn a_job_that_is_being_rendered_is_left_alone() {
    let ended = render_while(|job| {
        let mut scene = Scene::new();
        let before = scene.output_pixels.bytes.clone();
        let (status, text) = scene.render(job);
        assert_eq!(status, abi::ERROR_STATE);
        assert!(text.starts_with("job: "), "{text}");
        assert_eq!(scene.output_pixels.bytes, before);

        assert_eq!(job.set_number("quality", 2.0).0, abi::ERROR_STATE);
        assert_eq!(job.set_text("quality", "2").0, abi::ERROR_STATE);
        assert_eq!(job.set_state("").0, abi::ERROR_STATE);
        assert_eq!(job.state(), "", "reading is allowed");
    });
    assert_eq!(ended, (abi::OK, true, STEPS));
}

#[test]
fn a_job_does_not_enter_itself() {
    let job = Handle::new(blend);
    let mut inner = Scene::new();
    let mut listener = Listener::new(|_| {
        assert_eq!(inner.render(&job).0, abi::ERROR_STATE);
        abi::CONTINUE
    });
    let mut scene = Scene::new();
    scene.host = Some(listener.host());
    assert_eq!(scene.render(&job).0, abi::OK);
}

#[test]
fn a_job_destroyed_while_it_renders_is_cancelled() {
    let ended = render_while(|job| drop(Handle(job.0)));
    assert_eq!(ended, (abi::CANCELLED, false, 3));
}

#[test]
fn a_cancellation_between_renders_does_nothing() {
    let job = Handle::new(blend);
    assert_eq!(job.cancel(abi::CANCEL), abi::OK);
    assert_eq!(Scene::new().render(&job).0, abi::OK);
    assert_eq!(job.cancel(abi::STOP), abi::OK);
    assert_eq!(Scene::new().render(&job).0, abi::OK);
}

#[test]
fn a_cancellation_after_the_last_report_counts() {
    use crate::canvas::Picture;
    use crate::control::{Control, Outcome};
    use crate::filters::Rendered;
    use crate::settings::StyleTransfer;
    use std::sync::Mutex;

    let (ready, wait) = mpsc::channel();
    let (acted, resume) = mpsc::channel();
    let resume = Mutex::new(resume);
    let job = Handle::new(
        move |content: Picture, _: &[(Picture, f64)], _: &StyleTransfer, _: &dyn Control| {
            ready.send(()).unwrap();
            resume.lock().unwrap().recv().unwrap();
            Ok(Rendered::Picture(content, Outcome::Finished))
        },
    );
    thread::scope(|scope| {
        let canceller = &job;
        scope.spawn(move || {
            wait.recv().unwrap();
            canceller.cancel(abi::CANCEL);
            acted.send(()).unwrap();
        });
        let mut scene = Scene::new();
        let before = scene.output_pixels.bytes.clone();
        assert_eq!(scene.render(&job).0, abi::CANCELLED);
        assert_eq!(scene.output_pixels.bytes, before);
    });
}
