//! How the root of a matrix and its inverse come of products alone: the steps that `kernels/distances.cu` takes.
//!
//! Newton's iteration in the form of Denman and Beavers, by Schulz without inverses (Higham 2008, "Functions of Matrices",
//! section 6.7): from `Y = M` and `Z = 1`, the factor `T = (3 - Z Y) / 2` takes both on, `Y <- Y T` and `Z <- T Z`, to
//! `M^(1/2)` and `M^(-1/2)`. An eigenvalue `x^2` of `Z Y` becomes `(x (3 - x^2) / 2)^2`, so small ones grow by no more than
//! 9/4 at a step. Scaled by `a^2 = 3 / (1 + l + l^2)`, where all `x` are between `l` and 1, they grow three times as fast,
//! and stay between a new `l` and 1 (Chen and Chow 2014, "A stable scaling of Newton-Schulz").
//!
//! All of these matrices are symmetric, but for rounding. In `Y` and `Z` that is evened out at each step by making halves of
//! them only; in the factor it must not be: the iteration is stable with `Z Y` and not with `Y Z`, of which a half of `T`
//! that is mirrored would be a mixture, and what is rounded grows by itself then.

/// The least eigenvalue that comes to its limit, relative to the trace of the matrix. Those of real pictures are some ten
/// times as large and more; a smaller one is noticed by the last factor.
const LEAST: f64 = 1e-9;
/// How near to 1 the last factor is.
const NEAR: f64 = 1e-12;

/// A step: `T = constant - linear Z Y`.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub constant: f64,
    pub linear: f64,
}

/// The steps to the roots of a matrix whose trace is 1.
pub fn steps() -> Vec<Step> {
    let (mut steps, mut least) = (Vec::new(), LEAST.sqrt());
    loop {
        let square = 3.0 / (1.0 + least + least * least);
        let scale = f64::sqrt(square);
        steps.push(Step {
            constant: 1.5 * scale,
            linear: 0.5 * scale * square,
        });
        if 1.0 - least < NEAR {
            return steps;
        }
        least *= 0.5 * scale * (3.0 - square * least * least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_come_to_their_roots() {
        let steps = steps();
        assert!((10..20).contains(&steps.len()), "{}", steps.len());
        for value in [LEAST, 1e-8, 1e-6, 3e-4, 0.01, 0.3, 0.999, 1.0] {
            let (mut root, mut inverse, mut factor) = (value, 1.0, 0.0);
            for Step { constant, linear } in &steps {
                factor = constant - linear * inverse * root;
                (root, inverse) = (root * factor, factor * inverse);
            }
            assert!((root / f64::sqrt(value) - 1.0).abs() < 1e-9, "{value}: {root}");
            assert!((inverse * f64::sqrt(value) - 1.0).abs() < 1e-9, "{value}: {inverse}");
            assert!((factor - 1.0).abs() < 1e-9, "{value}: {factor}");
        }
    }

    #[test]
    fn what_does_not_come_to_its_root_is_seen_by_the_last_factor() {
        for value in [0.0, 1e-3 * LEAST, -1e-8, -0.5] {
            let (mut root, mut inverse, mut factor) = (value, 1.0, 0.0);
            for Step { constant, linear } in steps() {
                factor = constant - linear * inverse * root;
                (root, inverse) = (root * factor, factor * inverse);
            }
            let excess: f64 = factor - 1.0;
            assert!(excess.is_nan() || excess.abs() > 1e-2, "{value}: {factor}");
        }
    }
}
