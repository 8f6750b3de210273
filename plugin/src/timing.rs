//! How long something takes on a machine that others use as well: as long as it took when they used it least.

use std::time::Instant;

use crate::Result;

/// The seconds of the quickest of so many times; infinite if there are none.
///
/// # Errors
/// The first of `act`.
pub fn quickest(times: usize, mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..times {
        let begun = Instant::now();
        act()?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}
