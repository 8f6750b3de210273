//! Whether a render still is as good as it was: figures of a judge, not bytes.
//!
//! Other instructions and other orders of summation give other bytes, and after some steps visibly other pixels, of a
//! picture that is as good. So what is committed (`golden/figures.json`) is how near the picture came to the content and to
//! the style, as a judge has it that has no part in the render ([`pentimento_tests::judge`]).
//!
//! When a change is meant to change the picture, `UPDATE_GOLDEN=1 cargo test --release -p pentimento-tests --test
//! golden` writes the figures anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use pentimento_tests::judge::{Figures, Judge};
use pentimento_tests::{Pixels, Settings, content, render, repository, style};

const SIZE: u32 = 96;
/// How far a figure may be from the committed one, as a share of that.
const TOLERANCE: f64 = 0.1;
const RENDERS: [(&str, Settings); 2] = [
    ("standard", &[("quality", "0.2")]),
    ("article", &[("preset", "article"), ("quality", "0.2")]),
];

fn file() -> PathBuf {
    repository().join("tests/golden/figures.json")
}

#[test]
fn renders_are_as_good_as_they_were() {
    let (content, style) = (content(SIZE), style(SIZE));
    let mut judge = Judge::default();
    let measured: BTreeMap<String, Figures> = RENDERS
        .into_iter()
        .map(|(name, settings)| {
            let painted = render(&content, &[(&style, 1.0)], settings);
            (name.to_owned(), judge.figures(&content, &style, &painted))
        })
        .collect();
    // Whatever was committed: the picture still shows the content, and is nearer to the style than the content was.
    for (name, figures) in &measured {
        for (what, figure) in figures {
            assert!(*figure > 0.0 && *figure < 1.0, "{name}, {what}: {figure}");
        }
    }

    if env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&measured).unwrap() + "\n";
        fs::write(file(), text).unwrap();
        return;
    }
    let text = fs::read_to_string(file()).unwrap_or_else(|error| panic!("{}: {error}", file().display()));
    let golden: BTreeMap<String, Figures> = serde_json::from_str(&text).unwrap();
    let mut apart = Vec::new();
    for (name, expected) in &golden {
        for (what, expected) in expected {
            let found = measured[name][what];
            if (found / expected - 1.0).abs() > TOLERANCE {
                apart.push(format!("{name}, {what}: {found:.4}, was {expected:.4}"));
            }
        }
    }
    assert_eq!(golden.len(), RENDERS.len(), "another set of renders; see UPDATE_GOLDEN");
    assert!(apart.is_empty(), "other figures than committed:\n{}", apart.join("\n"));
}

#[test]
fn the_judge_tells_content_and_style_apart() {
    let (content, style) = (content(SIZE), style(SIZE));
    let mut judge = Judge::default();
    let untouched = judge.figures(&content, &style, &content);
    for (what, figure) in untouched {
        let expected = if what == "content" { 0.0 } else { 1.0 };
        assert!(
            (figure - expected).abs() < 1e-6,
            "{what} of the content itself: {figure}"
        );
    }
    let (width, height) = (content.shape.width, content.shape.height);
    let painting = image::RgbImage::from_raw(style.shape.width, style.shape.height, style.bytes.clone()).unwrap();
    let painting = image::imageops::resize(&painting, width, height, image::imageops::FilterType::Triangle);
    let replaced = judge.figures(&content, &style, &Pixels::rgb(width, height, painting.into_raw()));
    for (what, figure) in replaced {
        let is_right = if what == "content" { figure > 0.5 } else { figure < 0.2 };
        assert!(is_right, "{what} of the style in the content's place: {figure}");
    }
}
