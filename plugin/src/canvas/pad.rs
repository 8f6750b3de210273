//! Room for a network that needs more pixels than there are.
//!
//! Poolings leave nothing of a side shorter than 16 pixels. A picture that small is continued by its own reflections,
//! which bring no colour and no texture that it does not have, and cropped back afterwards.

use super::Picture;
use crate::{Error, Result};

/// Where in a padded picture the first pixel of the original lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its column.
    pub left: usize,
    /// Its row.
    pub top: usize,
}

/// The picture with both sides at least `least` long, itself in the middle, and where that is. Beyond its border it is
/// reflected about its outermost pixels, to and fro as often as it takes; a side of one pixel is repeated.
///
/// # Errors
/// None but those of [`Picture::new`].
pub fn pad_to(picture: &Picture, least: usize) -> Result<(Picture, Origin)> {
    let (width, height) = (picture.width.max(least), picture.height.max(least));
    let origin = Origin {
        left: (width - picture.width) / 2,
        top: (height - picture.height) / 2,
    };
    let columns: Vec<usize> = (0..width).map(|x| reflect(x, origin.left, picture.width)).collect();
    let mut samples = Vec::with_capacity(3 * width * height);
    for plane in picture.samples.chunks_exact(picture.width * picture.height) {
        for y in 0..height {
            let row = &plane[reflect(y, origin.top, picture.height) * picture.width..][..picture.width];
            samples.extend(columns.iter().map(|&x| row[x]));
        }
    }
    Ok((Picture::new(width, height, samples)?, origin))
}

/// The part of a picture of `width` by `height` pixels that begins at `origin`.
///
/// # Errors
/// [`Error::Internal`] when it is empty or does not lie within the picture.
pub fn crop(picture: &Picture, origin: Origin, width: usize, height: usize) -> Result<Picture> {
    let fits = |start: usize, size: usize, all: usize| start.checked_add(size).is_some_and(|end| end <= all);
    if !fits(origin.left, width, picture.width) || !fits(origin.top, height, picture.height) {
        return Err(Error::Internal(format!(
            "{width} x {height} at {}, {} do not lie within a picture of {} x {}",
            origin.left, origin.top, picture.width, picture.height
        )));
    }
    let mut samples = Vec::with_capacity(3 * width * height);
    for plane in picture.samples.chunks_exact(picture.width * picture.height) {
        for row in plane.chunks_exact(picture.width).skip(origin.top).take(height) {
            samples.extend_from_slice(&row[origin.left..][..width]);
        }
    }
    Picture::new(width, height, samples)
}

/// Which of `size` pixels, the first of which is at `origin`, is seen at `position` when they are reflected about the
/// first and the last.
fn reflect(position: usize, origin: usize, size: usize) -> usize {
    if size == 1 {
        return 0;
    }
    let period = 2 * (size - 1);
    // The distance from the first pixel; its sign does not matter, since the reflections are symmetric about it.
    let distance = position.abs_diff(origin) % period;
    distance.min(period - distance)
}
