//! What several measurements of the same thing come to.

/// The middle one; of two in the middle, the larger.
pub fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
