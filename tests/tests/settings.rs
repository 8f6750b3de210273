//! Every setting, through the library: each choice paints, and each nonsense is refused by name.

use pentimento_host::manifest::{Kind, Parameter};
use pentimento_host::{Callbacks, Error, Format, Job, Layout, Outcome, Shape, Transfer};
use pentimento_tests::render::{FILTER, job, render_into};
use pentimento_tests::{Pixels, Settings, content, plugin, style};

fn parameters() -> Vec<Parameter> {
    let filters = plugin().filters().unwrap();
    let filter = filters.into_iter().find(|filter| filter.id == FILTER).unwrap();
    filter.parameters
}

/// The picture in floats, which could hold what 8 bits would hide.
fn in_floats(picture: &Pixels) -> Pixels {
    let Shape { width, height, .. } = picture.shape;
    Pixels {
        shape: Shape::packed(width, height, Format::F32, Layout::Rgb, Transfer::Srgb),
        bytes: picture
            .bytes
            .iter()
            .flat_map(|&byte| (f32::from(byte) / 255.0).to_ne_bytes())
            .collect(),
    }
}

fn floats(picture: &Pixels) -> impl Iterator<Item = f32> {
    let samples = picture.bytes.chunks_exact(4);
    samples.map(|bytes| f32::from_ne_bytes(bytes.try_into().expect("four bytes")))
}

/// Paints three steps over 32 pixels and looks at every sample.
fn check_that_it_paints(settings: Settings) {
    let (content, style) = (in_floats(&content(32)), style(32));
    let mut output = content.clone();
    let mut callbacks = Callbacks::new();
    let outcome = render_into(
        &mut job(settings),
        &content,
        &[(&style, 1.0)],
        &mut output,
        &mut callbacks,
    );
    assert_eq!(outcome, Ok(Outcome::Finished), "{settings:?}");
    let within = |sample: f32| (0.0..=1.0).contains(&sample);
    assert!(
        floats(&output).all(within),
        "{settings:?}: a sample is not within 0 and 1"
    );
    let changed = floats(&output)
        .zip(floats(&content))
        .filter(|(after, before)| (after - before).abs() > 1e-3);
    let (changed, all) = (changed.count(), floats(&content).count());
    assert!(
        changed > all / 10,
        "{settings:?}: only {changed} of {all} samples changed"
    );
}

#[test]
fn every_choice_paints() {
    let mut tried = 0;
    for parameter in parameters().iter().filter(|parameter| parameter.kind == Kind::Choice) {
        // Each scaling has a balance of its own between content and style, so the content stays out of it.
        let more: Settings = match parameter.id.as_str() {
            "scaling" => &[("alpha", "0"), ("smoothness", "0")],
            _ => &[],
        };
        for choice in &parameter.choices {
            let settings = [("quality", "0.03"), (&parameter.id, &choice.id)];
            check_that_it_paints(&[&settings, more].concat());
            tried += 1;
        }
    }
    assert!(tried > 20, "only {tried} choices");
}

#[test]
fn the_switch_and_the_lists_of_layers_paint() {
    for (id, value) in [
        ("pyramid", "false"),
        ("style_layers", "conv3_2:1"),
        ("style_layers", "conv1_1:1 conv1_2:0.5 conv5_1:0"),
        ("content_layers", ""),
        ("content_layers", "conv2_2:1 conv4_2:1"),
        ("alpha", "0"),
        ("smoothness", "0"),
        ("smoothness", "1000"),
        ("style_strength", "1000"),
        ("brush_size", "0.05"),
        ("brush_size", "3"),
    ] {
        check_that_it_paints(&[("quality", "0.03"), (id, value)]);
    }
}

/// Texts that a parameter is to refuse; none where every text could be right.
fn nonsense(parameter: &Parameter) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    match parameter.kind {
        Kind::Float => vec![
            "much".to_owned(),
            "nan".to_owned(),
            "inf".to_owned(),
            (parameter.hard.min - 1.0).to_string(),
            (parameter.hard.max * 2.0).to_string(),
        ],
        Kind::Integer => vec![
            "1.5".to_owned(),
            "many".to_owned(),
            (parameter.hard.min - 1.0).to_string(),
            (parameter.hard.max + 1.0).to_string(),
        ],
        Kind::Bool => texts(&["perhaps", "2"]),
        Kind::Choice => texts(&["", "another", "Canvas"]),
        Kind::Text => match parameter.id.as_str() {
            "style_layers" => texts(&["", "conv9_9:1", "conv1_1", "conv1_1:-1", "conv1_1:1 conv1_1:2"]),
            "content_layers" => texts(&["relu", "conv4_2:nan"]),
            "device" => texts(&["", "abacus", "cuda:-1", "cuda:x"]),
            // Whether a file is a model is not known before it is opened.
            "model" => Vec::new(),
            other => panic!("{other}: a new parameter; which texts does it refuse?"),
        },
    }
}

#[test]
fn nonsense_is_refused_by_name_and_changes_nothing() {
    for parameter in parameters() {
        let mut job = plugin().job(FILTER).unwrap();
        let before = job.state().unwrap();
        for text in nonsense(&parameter) {
            match job.set_text(&parameter.id, &text) {
                Err(Error::Argument(reason)) => assert!(reason.contains(&parameter.id), "{reason}"),
                other => panic!("{}={text:?}: {other:?}", parameter.id),
            }
        }
        for number in [f64::NAN, f64::INFINITY, -1e300] {
            match job.set_number(&parameter.id, number) {
                Err(Error::Argument(reason)) => assert!(reason.contains(&parameter.id), "{reason}"),
                other => panic!("{}={number}: {other:?}", parameter.id),
            }
        }
        assert_eq!(job.state().unwrap(), before, "{}", parameter.id);
    }
    let unknown = plugin().job(FILTER).unwrap().set_text("no_such_setting", "1");
    assert!(matches!(unknown, Err(Error::Argument(reason)) if reason.contains("no_such_setting")));
}

#[test]
fn what_shows_only_in_the_render_is_named_too() {
    let (content, style) = (content(32), style(32));
    // Whatever becomes of the render, the output is left as it was.
    let refused = |settings: Settings| {
        let mut output = content.clone();
        let outcome = render_into(
            &mut job(settings),
            &content,
            &[(&style, 1.0)],
            &mut output,
            &mut Callbacks::new(),
        );
        assert!(output == content, "{settings:?}");
        outcome
    };
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.safetensors");
    let damaged = folder.path().join("damaged.safetensors");
    std::fs::write(&damaged, b"no network").unwrap();
    for path in [missing, damaged] {
        let path = path.to_str().unwrap();
        match refused(&[("model", path)]) {
            Err(Error::Model(reason)) => assert!(reason.contains(path), "{reason}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    match refused(&[("device", "cuda:999")]) {
        Err(Error::Device(reason)) => assert!(reason.contains("device"), "{reason}"),
        other => panic!("cuda:999: {other:?}"),
    }
}

#[test]
fn settings_travel_as_state() {
    let (content, style) = (content(32), style(32));
    let mut first = job(&[
        ("quality", "0.05"),
        ("start", "noise"),
        ("seed", "11"),
        ("preset", "draft"),
    ]);
    let mut second = job(&[]);
    second.set_state(&first.state().unwrap()).unwrap();
    let paint = |job: &mut Job| {
        let mut output = content.clone();
        render_into(job, &content, &[(&style, 1.0)], &mut output, &mut Callbacks::new()).unwrap();
        output
    };
    assert!(paint(&mut first) == paint(&mut second));
}
