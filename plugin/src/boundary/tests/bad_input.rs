//! Each kind of bad input: refused with an error that names the argument, and nothing written.

use std::ptr;

use pentimento_host::abi;

use super::fixture::{Handle, Scene, blank_error, blend, c, outcome, table};

type Change<T> = fn(&mut T);

/// A scene that a test has spoilt is refused with this status, by a text that begins with this name.
#[track_caller]
fn assert_refused(mut scene: Scene, status: abi::Status, name: &str, change_request: Change<abi::RenderRequest>) {
    let before = scene.output_pixels.bytes.clone();
    let job = Handle::new(blend);
    let mut request = scene.request();
    change_request(&mut request);
    let (found, text) = job.render(&request);
    assert_eq!(found, status, "{name}: {text}");
    assert!(text.starts_with(&format!("{name}: ")), "{name}: {text}");
    assert!(scene.output_pixels.bytes == before, "{name}: the output was written");
}

/// A call was refused as ARGUMENT, with a text that begins with this name and has this part.
#[track_caller]
fn assert_argument((status, text): (abi::Status, String), name: &str, part: &str) {
    assert_eq!(status, abi::ERROR_ARGUMENT, "{name}: {text}");
    assert!(
        text.starts_with(&format!("{name}: ")) && text.contains(part),
        "{name}: {text}"
    );
}

#[test]
fn the_scene_itself_renders() {
    let mut scene = Scene::new();
    let before = scene.output_pixels.bytes.clone();
    assert_eq!(scene.render(&Handle::new(blend)), (abi::OK, String::new()));
    assert!(scene.output_pixels.bytes != before);
}

#[test]
fn bad_requests() {
    let cases: &[(abi::Status, &str, Change<abi::RenderRequest>)] = &[
        (abi::ERROR_ARGUMENT, "request.struct_size", |r| r.struct_size = 39),
        (abi::ERROR_ARGUMENT, "request.struct_size", |r| r.struct_size = 0),
        (abi::ERROR_ARGUMENT, "request.content", |r| r.content = ptr::null()),
        (abi::ERROR_ARGUMENT, "request.content", |r| {
            r.content = r.content.wrapping_byte_add(1)
        }),
        (abi::ERROR_ARGUMENT, "request.styles", |r| r.styles = ptr::null()),
        (abi::ERROR_ARGUMENT, "request.styles", |r| {
            r.styles = r.styles.wrapping_byte_add(3)
        }),
        (abi::ERROR_ARGUMENT, "request.output", |r| r.output = ptr::null_mut()),
        (abi::ERROR_ARGUMENT, "request.style_count", |r| r.style_count = 0),
        (abi::ERROR_ARGUMENT, "request.style_count", |r| r.style_count = 9),
        (abi::ERROR_ARGUMENT, "request.style_count", |r| r.style_count = u32::MAX),
    ];
    for &(status, name, change) in cases {
        assert_refused(Scene::new(), status, name, change);
    }
}

#[test]
fn bad_images() {
    let cases: &[(abi::Status, &str, Change<abi::Image>)] = &[
        (abi::ERROR_ARGUMENT, "struct_size", |i| i.struct_size = 0),
        (abi::ERROR_ARGUMENT, "struct_size", |i| i.struct_size = 39),
        (abi::ERROR_ARGUMENT, "pixels", |i| i.pixels = ptr::null_mut()),
        (abi::ERROR_ARGUMENT, "width", |i| i.width = 0),
        (abi::ERROR_ARGUMENT, "height", |i| i.height = 0),
        (abi::ERROR_ARGUMENT, "width", |i| i.width = u32::MAX),
        (abi::ERROR_ARGUMENT, "height", |i| i.height = u32::MAX),
        (abi::ERROR_ARGUMENT, "width", |i| {
            (i.width, i.height) = (u32::MAX, u32::MAX)
        }),
        (abi::ERROR_ARGUMENT, "row_stride", |i| i.row_stride = 0),
        (abi::ERROR_ARGUMENT, "row_stride", |i| {
            i.row_stride = 4 * i64::from(i.width) - 1
        }),
        (abi::ERROR_ARGUMENT, "row_stride", |i| {
            i.row_stride = 1 - 4 * i64::from(i.width)
        }),
        // Each product overflows, the last one only in the address.
        (abi::ERROR_ARGUMENT, "row_stride", |i| i.row_stride = i64::MAX),
        (abi::ERROR_ARGUMENT, "row_stride", |i| i.row_stride = i64::MIN),
        (abi::ERROR_ARGUMENT, "row_stride", |i| i.row_stride = 1 << 62),
        (abi::ERROR_ARGUMENT, "row_stride", |i| i.row_stride = -(1 << 50)),
        (abi::ERROR_ARGUMENT, "row_stride", |i| {
            i.pixels = ptr::without_provenance_mut(usize::MAX - 8)
        }),
        (abi::ERROR_FORMAT, "format", |i| i.format = 0),
        (abi::ERROR_FORMAT, "format", |i| i.format = 5),
        (abi::ERROR_FORMAT, "layout", |i| i.layout = 0),
        (abi::ERROR_FORMAT, "layout", |i| i.layout = 6),
        (abi::ERROR_FORMAT, "transfer", |i| i.transfer = 0),
        (abi::ERROR_FORMAT, "transfer", |i| i.transfer = 3),
    ];
    type ImageOf = fn(&mut Scene) -> &mut abi::Image;
    let images: &[(&str, ImageOf)] = &[
        ("request.content", |scene| &mut scene.content),
        ("request.styles[0].image", |scene| &mut scene.style_images[0]),
        ("request.styles[1].image", |scene| &mut scene.style_images[1]),
        ("request.output", |scene| &mut scene.output),
    ];
    for (image_name, image) in images {
        for (status, field, change) in cases {
            let mut scene = Scene::new();
            change(image(&mut scene));
            assert_refused(scene, *status, &format!("{image_name}.{field}"), |_| ());
        }
    }
}

#[test]
fn images_too_large_for_any_memory() {
    let mut scene = Scene::new();
    (scene.style_images[0].width, scene.style_images[0].height) = (1 << 19, 1 << 19);
    scene.style_images[0].row_stride = 1 << 21;
    let before = scene.output_pixels.bytes.clone();
    let (status, text) = scene.render(&Handle::new(blend));
    assert_eq!(status, abi::ERROR_MEMORY, "{text}");
    assert!(text.contains("MB"), "{text}");
    assert_eq!(scene.output_pixels.bytes, before);
}

#[test]
fn an_output_of_another_size() {
    let cases: &[Change<abi::Image>] = &[|i| i.width -= 1, |i| i.height -= 1];
    for change in cases {
        let mut scene = Scene::new();
        change(&mut scene.output);
        assert_refused(scene, abi::ERROR_ARGUMENT, "request.output", |_| ());
    }
}

#[test]
fn bad_styles() {
    let cases: &[(&str, Change<abi::Style>)] = &[
        ("struct_size", |s| s.struct_size = 0),
        ("struct_size", |s| s.struct_size = 23),
        ("struct_size", |s| s.struct_size = 32),
        ("reserved", |s| s.reserved = 1),
        ("weight", |s| s.weight = 0.0),
        ("weight", |s| s.weight = -1.0),
        ("weight", |s| s.weight = f64::NAN),
        ("weight", |s| s.weight = f64::INFINITY),
    ];
    for index in 0..2 {
        for (field, change) in cases {
            let mut scene = Scene::new();
            change(&mut scene.styles[index]);
            assert_refused(
                scene,
                abi::ERROR_ARGUMENT,
                &format!("request.styles[{index}].{field}"),
                |_| (),
            );
        }
    }
    let mut scene = Scene::new();
    let request = scene.request();
    scene.styles[1].image = ptr::null();
    let (status, text) = Handle::new(blend).render(&request);
    assert_eq!(
        (status, text.as_str()),
        (abi::ERROR_ARGUMENT, "request.styles[1].image: is NULL")
    );
}

#[test]
fn bad_hosts() {
    let cases: &[(&str, Change<abi::Host>)] = &[
        ("request.host.struct_size", |h| h.struct_size = 0),
        ("request.host.struct_size", |h| h.struct_size = 39),
        ("request.host.abi", |h| h.abi = 0),
        ("request.host.abi", |h| h.abi = 2),
    ];
    for (name, change) in cases {
        let mut scene = Scene::new();
        let mut host = abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi: abi::ABI,
            context: ptr::null_mut(),
            progress: None,
            log: None,
            extension: None,
        };
        change(&mut host);
        scene.host = Some(host);
        assert_refused(scene, abi::ERROR_ARGUMENT, name, |_| ());
    }
}

#[test]
fn bad_numbers() {
    let job = Handle::new(blend);
    assert_eq!(job.set_number("quality", 2.0).0, abi::OK);
    let state = job.state();
    for (id, value, name, part) in [
        (
            "qualty",
            1.0,
            "id",
            "\"qualty\" is not a parameter of style-transfer, which has preset, ",
        ),
        ("", 1.0, "id", "\"\" is not"),
        ("quality", 0.0, "quality", "0.0 is outside 0.02 to 100"),
        ("quality", 100.5, "quality", "100.5 is outside"),
        ("quality", f64::NAN, "quality", "NaN"),
        ("quality", f64::INFINITY, "quality", "inf"),
        ("seed", 0.5, "seed", "0.5 is not a whole number"),
        ("seed", -1.0, "seed", "outside 0 to 4294967295"),
        ("seed", f64::NAN, "seed", "NaN"),
        ("pyramid", 2.0, "pyramid", "2.0 is neither 0 nor 1"),
        ("start", 1.0, "start", "takes text"),
        ("device", 0.0, "device", "takes text"),
    ] {
        assert_argument(job.set_number(id, value), name, part);
    }
    assert_eq!(job.state(), state, "what is refused is not kept");
}

#[test]
fn bad_texts() {
    let job = Handle::new(blend);
    for (id, value, name, part) in [
        ("colour", "red", "id", "\"colour\" is not a parameter"),
        ("quality", "much", "quality", "\"much\" is not a number"),
        ("quality", "NaN", "quality", "NaN is outside 0.02 to 100"),
        ("start", "middle", "start", "\"middle\" is none of canvas, noise, style"),
        (
            "preset",
            "finest",
            "preset",
            "\"finest\" is none of draft, standard, fine, article",
        ),
        ("pyramid", "maybe", "pyramid", "neither true nor false"),
        ("device", "abacus", "device", "\"abacus\" is not a device"),
        ("style_layers", "conv1_1:1 conv7_1:1", "style_layers", "\"conv7_1:1\""),
        ("style_layers", "", "style_layers", "names no layer"),
        (
            "content_layers",
            "conv4_2:1 conv4_2:1",
            "content_layers",
            "conv4_2 is there twice",
        ),
    ] {
        assert_argument(job.set_text(id, value), name, part);
    }
    assert_eq!(job.state(), "", "what is refused is not kept");
}

#[test]
fn bad_states_are_refused_whole() {
    let job = Handle::new(blend);
    assert_eq!(job.set_text("start", "noise").0, abi::OK);
    for (state, name) in [
        ("quality = 2.0\nqualty = 1.0", "id"),
        ("brush_size = 1.0\nquality = 1000.0", "quality"),
        ("quality = nan", "quality"),
        ("seed = 1.5", "seed"),
        ("pyramid = 1", "pyramid"),
        ("brush_size = 1.0\ndevice = \"abacus\"", "device"),
        ("quality = ", "state"),
        ("quality = [1.0]", "state"),
    ] {
        assert_argument(job.set_state(state), name, "");
        assert_eq!(job.state(), "start = \"noise\"\n", "{state}");
    }
}

#[test]
fn null_arguments_and_texts_that_are_not_utf8() {
    let t = table();
    let job = Handle::new(blend);
    let (id, bad) = (c("quality"), c"\xff\xfe");
    let mut made = ptr::null_mut();
    let mut size = 0usize;
    let mut byte = 0;
    let mut filter = std::mem::MaybeUninit::<abi::Filter>::zeroed();
    let mut parameter = std::mem::MaybeUninit::<abi::Parameter>::zeroed();
    let null_job = ptr::null_mut();
    let null_text = ptr::null();
    let filter_id = c("style-transfer");
    // SAFETY: what is not NULL, not UTF-8 or too short is good.
    let results = unsafe {
        [
            ("out", outcome(|e| (t.describe_filter)(0, ptr::null_mut(), e))),
            (
                "out.struct_size",
                outcome(|e| (t.describe_filter)(0, filter.as_mut_ptr(), e)),
            ),
            ("index", outcome(|e| (t.describe_filter)(1, filter.as_mut_ptr(), e))),
            (
                "filter",
                outcome(|e| (t.describe_parameter)(null_text, 0, parameter.as_mut_ptr(), e)),
            ),
            (
                "filter",
                outcome(|e| (t.describe_parameter)(id.as_ptr(), 0, parameter.as_mut_ptr(), e)),
            ),
            (
                "index",
                outcome(|e| (t.describe_parameter)(filter_id.as_ptr(), 999, parameter.as_mut_ptr(), e)),
            ),
            (
                "out",
                outcome(|e| (t.describe_parameter)(filter_id.as_ptr(), 0, ptr::null_mut(), e)),
            ),
            (
                "out.struct_size",
                outcome(|e| (t.describe_parameter)(filter_id.as_ptr(), 0, parameter.as_mut_ptr(), e)),
            ),
            ("filter", outcome(|e| (t.job_create)(null_text, &mut made, e))),
            ("filter", outcome(|e| (t.job_create)(id.as_ptr(), &mut made, e))),
            (
                "out",
                outcome(|e| (t.job_create)(filter_id.as_ptr(), ptr::null_mut(), e)),
            ),
            ("job", outcome(|e| (t.job_set_number)(null_job, id.as_ptr(), 1.0, e))),
            ("id", outcome(|e| (t.job_set_number)(job.0, null_text, 1.0, e))),
            ("id", outcome(|e| (t.job_set_number)(job.0, bad.as_ptr(), 1.0, e))),
            (
                "job",
                outcome(|e| (t.job_set_text)(null_job, id.as_ptr(), id.as_ptr(), e)),
            ),
            ("id", outcome(|e| (t.job_set_text)(job.0, null_text, id.as_ptr(), e))),
            ("value", outcome(|e| (t.job_set_text)(job.0, id.as_ptr(), null_text, e))),
            (
                "value",
                outcome(|e| (t.job_set_text)(job.0, id.as_ptr(), bad.as_ptr(), e)),
            ),
            ("job", outcome(|e| (t.job_state)(null_job, &mut byte, 1, &mut size, e))),
            (
                "needed",
                outcome(|e| (t.job_state)(job.0, &mut byte, 1, ptr::null_mut(), e)),
            ),
            ("job", outcome(|e| (t.job_set_state)(null_job, id.as_ptr(), e))),
            ("state", outcome(|e| (t.job_set_state)(job.0, null_text, e))),
            ("state", outcome(|e| (t.job_set_state)(job.0, bad.as_ptr(), e))),
            ("job", outcome(|e| (t.job_render)(null_job, ptr::null(), e))),
            ("request", outcome(|e| (t.job_render)(job.0, ptr::null(), e))),
        ]
    };
    for (name, result) in results {
        assert_argument(result, name, "");
    }
    assert!(made.is_null(), "no job was made");
}

#[test]
fn handles_that_are_stale_or_invented_are_refused() {
    let t = table();
    let first = Handle::new(blend);
    let (stale, mut elsewhere) = (first.0, 0u64);
    drop(first);
    for handle in [stale, ptr::from_mut(&mut elsewhere).cast()] {
        // SAFETY: the rest is good, and handles are the plugin's to know.
        let (status, text) = outcome(|error| unsafe { (t.job_set_number)(handle, c"quality".as_ptr(), 1.0, error) });
        assert_eq!(status, abi::ERROR_ARGUMENT);
        assert!(text.starts_with("job: "), "{text}");
        // SAFETY: as above.
        unsafe {
            (t.job_destroy)(handle);
            assert_eq!((t.job_cancel)(handle, abi::CANCEL), abi::ERROR_ARGUMENT);
        }
    }
    // SAFETY: NULL is allowed.
    unsafe { (t.job_destroy)(ptr::null_mut()) };
}

#[test]
fn an_error_that_is_too_short_is_not_written() {
    let job = Handle::new(blend);
    let mut error = blank_error();
    error.struct_size = 8;
    // SAFETY: all pointers are good.
    let status = unsafe { (table().job_set_number)(job.0, c"quality".as_ptr(), 2.0, &mut error) };
    assert_eq!((status, error.code, error.text[0]), (abi::ERROR_ARGUMENT, 0, 0));
    assert_eq!(job.state(), "", "and nothing is done");
    // SAFETY: all pointers are good, and the error may be NULL.
    let status = unsafe { (table().job_set_number)(job.0, c"quality".as_ptr(), 1e9, ptr::null_mut()) };
    assert_eq!(status, abi::ERROR_ARGUMENT);
}
