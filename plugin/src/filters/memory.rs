//! Whether a render fits into memory, told before it begins: an editor must not be taken down by a filter.

use crate::canvas::Size;
use crate::compute::Holding;
use crate::optimise::{History, Home};
use crate::settings::Optimiser;
use crate::{Error, Result};

/// Working sizes are suggested in steps of this many pixels.
const STEP: usize = 64;
/// The pictures that L-BFGS holds at a step beside its history: the picture, the one that is tried, and the gradients at
/// both. While it makes a direction it is the picture, the gradient, the direction and which pixels it may move; while a
/// pair is made, it is in place of one that is forgotten.
const LBFGS: u64 = 4;
/// The same on a card of our own backend, which keeps the memory of which pixels may be moved, half a picture, until it is
/// needed again, and that of the metric's octaves, a third of one; unless it is thrifty.
const LBFGS_ON_CARD: u64 = 5;
/// The share of a picture that the metric's local scale takes on a card.
const LOCAL_SCALE: u64 = 24;
/// The pictures that Adam holds at the end of a step: candle-nn's variables and its moments (3), the picture, the best, the
/// gradient and, at first, the average and the next picture before and after it is brought into the box, and later the
/// average before and after and how far it is from the picture. A card of our own backend holds no more.
const ADAM: u64 = 9;
/// The same on another of candle's devices, where all is one piece: candle-nn's variable and its moments (3), the picture,
/// the best, the average, the gradient, and what candle-nn makes of them, all of which its tape keeps until the variables
/// are set (14).
const ADAM_IN_ONE: u64 = 21;
/// What Adam holds between steps.
const ADAM_RESTING: u64 = 6;
/// The bytes of a picture's pixel: three samples of f32.
pub const PIXEL: u64 = 3 * 4;
/// The bytes of a pixel while a picture is resized: the picture and one plane more.
const RESIZING: u64 = 4 * 4;
/// The program, the network's weights as they come, and what the allocator keeps of small pieces: the most that it comes
/// to, so that a limit holds.
pub const PROGRAM: u64 = 120_000_000;
/// What it mostly comes to, for estimates.
pub const USUAL_PROGRAM: u64 = 90_000_000;

/// The pictures in main memory while a card paints: the content while it is looked at and, later, the one that was last
/// fetched from the card, the next one, and a preview of it. A history that comes to the card takes as much on its way.
const BESIDE_CARD: u64 = 3;

/// Where an optimiser's pictures live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In main memory, where candle has its tensors.
    Main,
    /// On another of candle's devices.
    Device,
    /// In the memory of our own backend.
    Card,
    /// There, where what nobody uses is not kept.
    ThriftyCard,
}

impl Place {
    /// That of an optimiser beside a network that holds the content's features like this.
    pub fn of(home: &Home, holding: Holding) -> Self {
        match (home, holding) {
            (Home::Device(device), _) if device.is_cpu() => Self::Main,
            (Home::Device(_), _) => Self::Device,
            #[cfg(not(feature = "cuda"))]
            (Home::Card(_), Holding::Aside) => Self::ThriftyCard,
            #[cfg(not(feature = "cuda"))]
            (Home::Card(_), Holding::AsTheyAre | Holding::Halves) => Self::Card,
        }
    }
}

/// What an optimiser's pictures take during its steps, with a history of so many pairs.
///
/// Nothing else that a level does before its steps takes as much beside the network. It holds the history, too, but only
/// the picture of these: so there is room for the content and for a start; and as a coarser level's history is refined
/// vector by vector, for the picture, one of them, and what resizing takes.
pub fn painting(optimiser: Optimiser, size: Size, history: usize, place: Place) -> u64 {
    let picture = size.pixels() * PIXEL;
    let pictures = match (optimiser, place) {
        (Optimiser::Lbfgs, Place::Main | Place::Device) => LBFGS * picture,
        (Optimiser::Lbfgs, Place::Card) => LBFGS_ON_CARD * picture,
        (Optimiser::Lbfgs, Place::ThriftyCard) => LBFGS * picture + picture / LOCAL_SCALE,
        (Optimiser::Adam | Optimiser::PlainAdam, Place::Device) => ADAM_IN_ONE * picture,
        (Optimiser::Adam | Optimiser::PlainAdam, Place::Main | Place::Card | Place::ThriftyCard) => ADAM * picture,
    };
    pictures + History::bytes(history, 3 * size.pixels() as usize)
}

/// What an optimiser holds while styles are looked at for another level: a picture, and the `pairs` of its history that
/// the other level takes over.
pub fn resting(optimiser: Optimiser, size: Size, pairs: usize) -> u64 {
    let pictures = match optimiser {
        Optimiser::Lbfgs => 1,
        Optimiser::Adam | Optimiser::PlainAdam => ADAM_RESTING,
    };
    size.pixels() * PIXEL * pictures + History::bytes(pairs, 3 * size.pixels() as usize)
}

/// What looking at a picture of this size takes beside the network.
pub fn looking(size: Size) -> u64 {
    size.pixels() * RESIZING
}

/// What bringing what was painted at one size to another takes.
pub fn finishing(painted: Size, result: Size) -> u64 {
    painted.pixels() * PIXEL + result.pixels() * RESIZING
}

/// What is in main memory, beside what was read, while a picture of this size is painted on a card, and then brought to its
/// `result`'s.
pub fn beside_card(painted: Size, result: Size) -> u64 {
    let painting = painted.pixels() * PIXEL * BESIDE_CARD;
    painting.max(finishing(painted, result))
}

/// The bytes of main memory that a render may take beside what was `read` for it: up to `limit` gigabytes with
/// everything, or, where that is 0, the greater part of what is `available`. `None` where nothing is known.
pub fn room(limit: f64, read: u64, available: Option<u64>) -> Option<u64> {
    match allowed(limit) {
        Some(allowed) => Some(
            allowed
                .saturating_sub(PROGRAM + read)
                .min(available.unwrap_or(u64::MAX)),
        ),
        None => available.map(|available| available / 4 * 3),
    }
}

/// The bytes of its own memory that a render may take of a card: up to as many gigabytes, however much is in main
/// memory, or, where the limit is 0, nine tenths of what is free. `None` where nothing is known.
pub fn room_on_card(limit: f64, free: Option<u64>) -> Option<u64> {
    // A tenth is left to other programs' windows.
    let free = free.map(|free| free / 10 * 9);
    allowed(limit).into_iter().chain(free).min()
}

/// A limit in bytes, none where it is 0. A tenth of it is left for what predictions miss.
fn allowed(limit: f64) -> Option<u64> {
    (limit > 0.0).then_some((limit * 0.9e9) as u64)
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
