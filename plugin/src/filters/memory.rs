//! Whether a render fits into memory, told before it begins: an editor must not be taken down by a filter.

use crate::compute::Plan;
use crate::memory::Memory;
use crate::{Error, Result};

/// Working sizes are suggested in steps of this many pixels.
const STEP: usize = 64;
/// The pictures that a step holds beside the optimiser's history: the picture, the one tried and the step between them,
/// the direction, two gradients, and copies with a margin around them.
const PICTURES: u64 = 9;
/// The pictures that an optimiser holds between steps beside its history, and the content at its size.
const RESTING: u64 = 6;
/// The pictures of a style that is looked at.
const LOOKING: u64 = 3;
/// The bytes of a picture's pixel: three samples of f32.
const PIXEL: u64 = 3 * 4;
/// The program, the network's weights as they come, and what the allocator keeps of small pieces.
pub const PROGRAM: u64 = 120_000_000;

/// What the pictures of a render take that are not the network's, with so many pairs of them in the optimiser's history.
pub fn pictures(plan: &Plan, history: usize) -> u64 {
    (plan.width * plan.height) as u64 * PIXEL * (PICTURES + 2 * history as u64)
}

/// What looking at a picture takes beside the network: the picture, its tensor, and that with a margin around it.
pub fn looking(plan: &Plan) -> u64 {
    (plan.width * plan.height) as u64 * PIXEL * LOOKING
}

/// What an optimiser holds between steps, with so many pairs in its history.
pub fn resting(plan: &Plan, history: usize) -> u64 {
    (plan.width * plan.height) as u64 * PIXEL * (RESTING + 2 * history as u64)
}

/// The bytes that a render may take beside what was `read` for it: up to `limit` gigabytes with everything, or, where that
/// is 0, the greater part of what is available now. A tenth of a limit is left for what predictions miss. `None` where
/// nothing is known: a card's memory is not the system's.
pub fn room(limit: f64, read: u64, on_card: bool) -> Option<u64> {
    let memory = Memory::now().filter(|_| !on_card);
    let available = memory.map(|memory| memory.available);
    if limit == 0.0 {
        return available.map(|available| available / 4 * 3);
    }
    let allowed = ((limit * 0.9e9) as u64).saturating_sub(PROGRAM + read);
    Some(allowed.min(available.unwrap_or(u64::MAX)))
}

/// Refuses a render whose needs exceed what is `available`. `needed` tells the least bytes for a longer side.
///
/// # Errors
/// [`Error::Memory`], with the largest `working_size` that would do.
pub fn check((width, height): (usize, usize), available: u64, needed: impl Fn(usize) -> Result<u64>) -> Result<()> {
    let longer = width.max(height);
    let whole = needed(longer)?;
    if whole <= available {
        return Ok(());
    }
    // Needs grow with the size, so the first that does not fit is found by halving; none at all is 0.
    let (mut fits, mut exceeds) = (0, longer.div_ceil(STEP));
    while exceeds - fits > 1 {
        let middle = fits + (exceeds - fits) / 2;
        if needed(middle * STEP)? <= available {
            fits = middle;
        } else {
            exceeds = middle;
        }
    }
    let advice = match fits {
        0 => "raise memory_limit, or close other programs or pictures".into(),
        steps => format!("set working_size to {} or less", steps * STEP),
    };
    Err(Error::Memory(format!(
        "painting {width} x {height} pixels needs at least {} and {} may be taken: {advice}",
        readable(whole),
        readable(available)
    )))
}

fn readable(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes < 10.0 {
        format!("{gigabytes:.1} GB")
    } else {
        format!("{gigabytes:.0} GB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A need of 2500 bytes per pixel of a canvas of 3 : 2, and 100 MB besides.
    fn needed(longer: usize) -> Result<u64> {
        Ok(100_000_000 + (longer * longer * 2 / 3) as u64 * 2500)
    }

    #[test]
    fn what_fits_passes() {
        let need = needed(1500).unwrap();
        assert!(check((1500, 1000), need, needed).is_ok());
        assert!(check((1000, 1500), need - 1, needed).is_err());
    }

    #[test]
    fn the_largest_size_that_fits_is_named() {
        for available in [150_000_000, 7_500_000_000, 60_000_000_000] {
            let error = check((6000, 4000), available, needed).unwrap_err();
            assert!(matches!(error, Error::Memory(_)));
            let text = error.to_string();
            let (_, advice) = text.split_once("set working_size to ").expect("advice");
            let size: usize = advice.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(size % 64, 0);
            assert!(needed(size).unwrap() <= available, "{text}");
            assert!(size + 64 >= 6000 || needed(size + 64).unwrap() > available, "{text}");
        }
        let text = check((6000, 4000), 7_500_000_000, needed).unwrap_err().to_string();
        assert_eq!(
            text,
            "painting 6000 x 4000 pixels needs at least 60 GB and 7.5 GB may be taken: set working_size to 2048 or less"
        );
    }

    #[test]
    fn where_nothing_fits_no_size_is_named() {
        let text = check((6000, 4000), 1_000_000, needed).unwrap_err().to_string();
        assert!(
            text.ends_with("and 0.0 GB may be taken: raise memory_limit, or close other programs or pictures"),
            "{text}"
        );
    }
}
