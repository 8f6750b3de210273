//! When a falling loss has all but ceased to fall.

use std::collections::VecDeque;

/// Compares each loss with the one a number of steps earlier.
#[derive(Clone, Debug)]
pub struct Plateau {
    losses: VecDeque<f64>,
    window: usize,
    tolerance: f64,
}

impl Plateau {
    /// Reached when the loss fell by less than `tolerance`, relative to itself, over `window` steps. A `tolerance`
    /// below 0 is never reached.
    pub fn new(window: usize, tolerance: f64) -> Self {
        Self {
            losses: VecDeque::with_capacity(window + 1),
            window,
            tolerance,
        }
    }

    /// Takes the next loss and says whether the plateau is reached.
    pub fn reached(&mut self, loss: f64) -> bool {
        self.losses.push_back(loss);
        if self.losses.len() <= self.window {
            return false;
        }
        let earlier = self.losses.pop_front().unwrap_or(loss);
        earlier - loss <= self.tolerance * loss.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::Plateau;

    #[test]
    fn a_falling_loss_is_no_plateau_and_a_level_one_is() {
        let mut plateau = Plateau::new(3, 1e-3);
        for loss in [10.0, 9.0, 8.0, 7.0, 6.0, 5.999, 5.998] {
            assert!(!plateau.reached(loss), "{loss}");
        }
        assert!(plateau.reached(5.997));
    }

    #[test]
    fn a_negative_tolerance_never_ends() {
        let mut plateau = Plateau::new(2, -1.0);
        assert!((0..100).all(|_| !plateau.reached(1.0)));
    }
}
