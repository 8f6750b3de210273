//! How long something takes on a machine that others use as well: as long as it took when they used it least.

use std::time::Instant;

use crate::Result;

/// A clock: seconds since it was made.
pub fn clock() -> impl Fn() -> f64 {
    let begun = Instant::now();
    move || begun.elapsed().as_secs_f64()
}

/// The seconds of the quickest of so many times; infinite if there are none.
///
/// # Errors
/// The first of `act`.
pub fn quickest(times: usize, act: impl FnMut() -> Result<()>) -> Result<f64> {
    quickest_by(&clock(), times, act)
}

/// As [`quickest`], by a clock.
///
/// # Errors
/// The first of `act`.
pub fn quickest_by(clock: &dyn Fn() -> f64, times: usize, mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..times {
        let begun = clock();
        act()?;
        least = least.min(clock() - begun);
    }
    Ok(least)
}
