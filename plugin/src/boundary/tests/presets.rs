//! What presets make of the parameters, asked through the extension's table.

use std::ptr;

use pentimento_host::abi;

use super::fixture::{Handle, blend, c, outcome, read_text, table};

/// The extension's table, as a host gets it.
fn presets() -> &'static abi::Presets {
    let name = c(abi::PRESETS_EXTENSION);
    // SAFETY: the name is a text, and the table of that name lives for good.
    let found = unsafe { (table().extension)(name.as_ptr()).cast::<abi::Presets>().as_ref() };
    found.expect("the extension is there")
}

fn value(job: &Handle, id: &str) -> String {
    // SAFETY: all pointers are good.
    read_text(|buffer, capacity, needed, error| unsafe {
        (presets().value)(job.0, c(id).as_ptr(), buffer, capacity, needed, error)
    })
}

#[test]
fn the_parameter_that_chooses_them_is_told() {
    assert_eq!(presets().struct_size as usize, size_of::<abi::Presets>());
    // SAFETY: all pointers are good.
    let id = read_text(|buffer, capacity, needed, error| unsafe {
        (presets().parameter)(c("style-transfer").as_ptr(), buffer, capacity, needed, error)
    });
    assert_eq!(id, "preset");
}

#[test]
fn a_value_is_what_was_set_or_the_preset_s_or_the_default() {
    let job = Handle::new(blend);
    assert_eq!(value(&job, "quality"), "1.0");
    assert_eq!(job.set_text("preset", "draft").0, abi::OK);
    assert_eq!(
        (value(&job, "preset"), value(&job, "quality")),
        ("draft".into(), "0.375".into())
    );
    assert_eq!(job.set_number("quality", 0.5).0, abi::OK);
    assert_eq!(value(&job, "quality"), "0.5");
}

#[test]
fn values_are_texts_that_the_job_takes_back() {
    let (job, other) = (Handle::new(blend), Handle::new(blend));
    assert_eq!(job.set_text("preset", "article").0, abi::OK);
    assert_eq!(job.set_number("seed", 4_294_967_295.0).0, abi::OK);
    for id in [
        "beta",
        "learning_rate",
        "pyramid",
        "loss",
        "style_layers",
        "seed",
        "model",
    ] {
        let text = value(&job, id);
        assert_eq!(other.set_text(id, &text), (abi::OK, String::new()), "{id}");
        assert_eq!(value(&other, id), text);
    }
}

#[test]
fn bad_arguments_are_named() {
    let (t, job) = (presets(), Handle::new(blend));
    let (none, mut needed) = (ptr::null_mut(), 0);
    let (blur, quality) = (c("blur"), c("quality"));
    // SAFETY: what is not NULL is whole.
    let results = unsafe {
        [
            (
                "filter",
                outcome(|e| (t.parameter)(ptr::null(), none, 0, &mut needed, e)),
            ),
            (
                "filter",
                outcome(|e| (t.parameter)(blur.as_ptr(), none, 0, &mut needed, e)),
            ),
            (
                "job",
                outcome(|e| (t.value)(ptr::null(), quality.as_ptr(), none, 0, &mut needed, e)),
            ),
            (
                "id",
                outcome(|e| (t.value)(job.0, ptr::null(), none, 0, &mut needed, e)),
            ),
            (
                "id",
                outcome(|e| (t.value)(job.0, blur.as_ptr(), none, 0, &mut needed, e)),
            ),
            (
                "needed",
                outcome(|e| (t.value)(job.0, quality.as_ptr(), none, 0, ptr::null_mut(), e)),
            ),
        ]
    };
    for (name, (status, text)) in results {
        assert_eq!(status, abi::ERROR_ARGUMENT, "{name}: {text}");
        assert!(text.starts_with(&format!("{name}: ")), "{name}: {text}");
    }
    assert_eq!(needed, 0);
}
