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
/// [reflected](reflect), to and fro as often as it takes.
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

/// Which of `size` pixels, the first of which is at `origin`, is seen at `position` when they are reflected to and fro
/// beyond the border: the outermost ones beside themselves.
pub fn reflect(position: usize, origin: usize, size: usize) -> usize {
    // From the border on, either way.
    let distance = match position.checked_sub(origin) {
        Some(distance) => distance,
        None => origin - position - 1,
    };
    let distance = distance % (2 * size);
    distance.min(2 * size - 1 - distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Picture {
        let samples = (0..3 * width * height).map(|i| i as f32).collect();
        Picture::new(width, height, samples).unwrap()
    }

    #[test]
    fn every_small_size_is_padded_and_cropped_back() {
        for width in 1..=17 {
            for height in 1..=17 {
                let picture = numbered(width, height);
                let (padded, origin) = pad_to(&picture, 16).unwrap();
                assert_eq!((padded.width, padded.height), (width.max(16), height.max(16)));
                assert_eq!(crop(&padded, origin, width, height).unwrap(), picture);
            }
        }
    }

    #[test]
    fn what_is_large_enough_is_left_alone() {
        let picture = numbered(17, 16);
        assert_eq!(pad_to(&picture, 16).unwrap(), (picture, Origin::default()));
    }

    #[test]
    fn borders_are_reflected_to_and_fro() {
        let (padded, origin) = pad_to(&numbered(3, 1), 10).unwrap();
        assert_eq!((origin.left, origin.top), (3, 4));
        for row in padded.samples[..100].chunks_exact(10) {
            assert_eq!(row, [2., 1., 0., 0., 1., 2., 2., 1., 0., 0.]);
        }
        assert_eq!(padded.samples[200..210], [8., 7., 6., 6., 7., 8., 8., 7., 6., 6.]);
        let (padded, _) = pad_to(&numbered(1, 1), 16).unwrap();
        assert!(
            padded
                .samples
                .chunks_exact(256)
                .zip([0.0, 1.0, 2.0])
                .all(|(plane, value)| plane.iter().all(|&s| s == value))
        );
    }

    #[test]
    fn a_crop_beyond_the_picture_is_refused() {
        let picture = numbered(4, 3);
        for (left, top, width, height) in [(2, 0, 3, 1), (0, 3, 1, 1), (0, 0, 0, 2), (usize::MAX, 0, 2, 1)] {
            assert!(crop(&picture, Origin { left, top }, width, height).is_err());
        }
    }
}
