//! What a judge says of saved pictures, whoever painted them: `cargo bench -p pentimento-tests --bench judge -- CONTENT
//! STYLE PAINTED...`.
//!
//! A line of JSON for each PAINTED, the figures of `tests/src/judge.rs` by their names. CONTENT is stretched to its size,
//! and STYLE scaled to its longer side: what the painter was given may have been larger. `card.py` runs this.

use std::env;
use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use pentimento_tests::Pixels;
use pentimento_tests::judge::Judge;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [content, style, painted @ ..] = &arguments[..] else {
        eprintln!("CONTENT STYLE PAINTED... are to be judged");
        return;
    };
    let [content, style] = [content, style].map(open);
    let mut judge = Judge::default();
    for painted in painted {
        let painted = open(painted).into_rgb8();
        let (width, height) = painted.dimensions();
        let longer = width.max(height);
        let content = content.resize_exact(width, height, FilterType::Triangle);
        let style = style.resize(longer, longer, FilterType::Triangle);
        let [content, style] = [content, style].map(|picture| pixels(picture.into_rgb8()));
        let figures = judge.figures(&content, &style, &pixels(painted));
        println!("{}", serde_json::to_string(&figures).expect("numbers"));
    }
}

fn open(path: impl AsRef<Path>) -> DynamicImage {
    let path = path.as_ref();
    image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pixels(picture: RgbImage) -> Pixels {
    Pixels::rgb(picture.width(), picture.height(), picture.into_raw())
}
