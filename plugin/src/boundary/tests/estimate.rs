//! What a render would take, asked through the extension's table.

use std::ptr;

use pentimento_host::abi;

use super::fixture::{Handle, blend, c, outcome, table};

/// The extension's table, as a host gets it.
fn estimation() -> &'static abi::Estimation {
    let name = c(abi::ESTIMATE_EXTENSION);
    // SAFETY: the name is a text, and the table of that name lives for good.
    let found = unsafe { (table().extension)(name.as_ptr()).cast::<abi::Estimation>().as_ref() };
    found.expect("the extension is there")
}

const STYLES: [abi::Size; 2] = [abi::Size { width: 5, height: 9 }, abi::Size { width: 3, height: 3 }];

fn request() -> abi::EstimateRequest {
    abi::EstimateRequest {
        struct_size: size_of::<abi::EstimateRequest>() as u32,
        style_count: STYLES.len() as u32,
        content: abi::Size { width: 12, height: 7 },
        styles: STYLES.as_ptr(),
    }
}

fn blank() -> abi::Estimate {
    abi::Estimate {
        struct_size: size_of::<abi::Estimate>() as u32,
        reserved: 0,
        seconds: -1.0,
        bytes: 99,
    }
}

/// Asks for an estimate of the request.
fn ask(job: *const abi::Job, request: &abi::EstimateRequest, out: &mut abi::Estimate) -> (abi::Status, String) {
    // SAFETY: tests make requests whose pointers are good, or such as the plugin is to refuse by what it can see.
    outcome(|error| unsafe { (estimation().estimate)(job, request, out, error) })
}

#[test]
fn it_is_for_the_settings_of_the_job() {
    assert_eq!(estimation().struct_size as usize, size_of::<abi::Estimation>());
    let (plain, strong) = (Handle::new(blend), Handle::new(blend));
    assert_eq!(strong.set_number("style_strength", 3.0).0, abi::OK);
    for (job, seconds) in [(&plain, 42.0), (&strong, 126.0), (&plain, 42.0)] {
        let mut out = blank();
        assert_eq!(ask(job.0, &request(), &mut out), (abi::OK, String::new()));
        assert_eq!((out.seconds, out.bytes), (seconds, 5 * 9 + 3 * 3));
    }
}

#[test]
fn threads_may_ask_at_once() {
    let job = Handle::new(blend);
    let ask = |job: &Handle| {
        let mut out = blank();
        assert_eq!(ask(job.0, &request(), &mut out).0, abi::OK);
        assert_eq!(out.seconds, 42.0);
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask(&job));
        }
    });
}

#[test]
fn bad_requests_are_named_and_nothing_is_written() {
    type Change = fn(&mut abi::EstimateRequest);
    const HOLLOW: [abi::Size; 2] = [abi::Size { width: 5, height: 9 }, abi::Size { width: 3, height: 0 }];
    const ENDLESS: [abi::Size; 1] = [abi::Size {
        width: u32::MAX,
        height: 1,
    }];
    let cases: &[(&str, Change)] = &[
        ("request.struct_size", |r| r.struct_size = 0),
        ("request.struct_size", |r| r.struct_size = 23),
        ("request.content.width", |r| r.content.width = 0),
        ("request.content.height", |r| r.content.height = 0),
        ("request.content.width", |r| r.content.width = u32::MAX),
        ("request.content.height", |r| r.content.height = (1 << 19) + 1),
        ("request.style_count", |r| r.style_count = 0),
        ("request.style_count", |r| r.style_count = 9),
        ("request.style_count", |r| r.style_count = u32::MAX),
        ("request.styles", |r| r.styles = ptr::null()),
        ("request.styles", |r| r.styles = r.styles.wrapping_byte_add(1)),
        ("request.styles[1].height", |r| r.styles = HOLLOW.as_ptr()),
        ("request.styles[0].width", |r| {
            r.style_count = 1;
            r.styles = ENDLESS.as_ptr();
        }),
    ];
    let job = Handle::new(blend);
    for (name, change) in cases {
        let (mut request, mut out) = (request(), blank());
        change(&mut request);
        let (status, text) = ask(job.0, &request, &mut out);
        assert_eq!(status, abi::ERROR_ARGUMENT, "{name}: {text}");
        assert!(text.starts_with(&format!("{name}: ")), "{name}: {text}");
        assert_eq!((out.seconds, out.bytes), (-1.0, 99), "{name}");
    }
}

#[test]
fn bad_pointers_are_named() {
    let (t, job) = (estimation(), Handle::new(blend));
    let (request, mut out, mut short) = (request(), blank(), blank());
    short.struct_size = 16;
    // SAFETY: what is not NULL is whole, or says how much of it there is.
    let results = unsafe {
        [
            ("job", outcome(|e| (t.estimate)(ptr::null(), &request, &mut out, e))),
            ("request", outcome(|e| (t.estimate)(job.0, ptr::null(), &mut out, e))),
            ("out", outcome(|e| (t.estimate)(job.0, &request, ptr::null_mut(), e))),
            (
                "out.struct_size",
                outcome(|e| (t.estimate)(job.0, &request, &mut short, e)),
            ),
        ]
    };
    for (name, (status, text)) in results {
        assert_eq!(status, abi::ERROR_ARGUMENT, "{name}: {text}");
        assert!(text.starts_with(&format!("{name}: ")), "{name}: {text}");
    }
    assert_eq!((out.seconds, short.seconds), (-1.0, -1.0));
}

#[test]
fn a_panic_is_told_as_a_defect() {
    let (job, mut out) = (Handle::new(blend), blank());
    let mut request = request();
    request.content.width = 13;
    let (status, text) = ask(job.0, &request, &mut out);
    assert_eq!(status, abi::ERROR_INTERNAL);
    assert!(text.contains("a number that the fixture fears"), "{text}");
    assert_eq!(out.seconds, -1.0);
}
