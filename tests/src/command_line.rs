//! What the command-line host makes of files, for other hosts to be held against.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::DynamicImage;

use crate::{command, library};

/// The picture that it renders from a content and its styles, which is left in the file `out`.
///
/// # Panics
/// When it fails.
pub fn command_line(pictures: &[PathBuf], options: &[&str], out: &Path) -> DynamicImage {
    let rendered = Command::new(command())
        .arg("render")
        .args(pictures)
        .args(options)
        .arg("--quiet")
        .arg("--output")
        .arg(out)
        .arg("--plugin")
        .arg(library())
        .status()
        .expect("the command runs");
    assert!(rendered.success(), "{rendered}");
    image::open(out).expect("it wrote a picture")
}

/// The greatest difference between samples of two pictures of one size.
///
/// # Panics
/// When they are not of one size.
pub fn farthest(one: &[u8], other: &[u8]) -> u8 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}
