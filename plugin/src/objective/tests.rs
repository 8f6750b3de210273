//! Values against closed forms, and derivatives against finite differences.
//!
//! The style losses are tested as functions of features `[C, N]` rather than of moments: that is where their gradients
//! go, and only on moments that features have is the Wasserstein distance's pseudo-inverse exact.

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::wasserstein::NOISE;
use super::*;
use crate::compute::ContentDistance;

const SCALINGS: [Scaling; 5] = [
    Scaling::Balanced,
    Scaling::Gatys,
    Scaling::Article,
    Scaling::Hw,
    Scaling::Chw,
];
const LOSSES: [StyleLoss; 3] = [StyleLoss::Gram, StyleLoss::Covariance, StyleLoss::Wasserstein];

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random()).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Features `[C, N]`, 0 or more as after a ReLU, of channels that differ in strength.
fn features(seed: u64, channels: usize, pixels: usize) -> Tensor {
    let mut values = random(seed, channels * pixels);
    for (channel, row) in values.chunks_exact_mut(pixels).enumerate() {
        let strength = 1.0 + channel as f32 / 4.0;
        for value in row {
            *value = strength * (*value - 0.3).max(0.0);
        }
    }
    tensor(&values, &[channels, pixels])
}

fn moments(features: &Tensor) -> Moments {
    let pixels = features.dim(1).unwrap() as f64;
    Moments {
        second: (features.matmul(&features.t().unwrap()).unwrap() / pixels).unwrap(),
        mean: features.mean(1).unwrap(),
        weight: pixels,
    }
}

fn statistics(features: &Tensor) -> Statistics {
    Statistics {
        moments: vec![vec![moments(features)]],
        content: Vec::new(),
    }
}

/// The objective of one layer's style alone.
fn style_objective(loss: StyleLoss, scaling: Scaling, target: &Moments) -> Objective {
    Objective {
        alpha: 0.0,
        beta: 3.0,
        scaling,
        content: Vec::new(),
        style: vec![StyleTerm {
            layer: Layer::ALL[0],
            weight: 0.7,
            targets: vec![StyleTarget::new(target, loss).unwrap()],
        }],
    }
}

/// The derivative of a style objective's total with respect to features, as backends compute it.
fn gradient_at(objective: &Objective, features: &Tensor) -> Tensor {
    let gradient = &objective.evaluate(&statistics(features)).unwrap().gradient.moments[0][0];
    let symmetric = (&gradient.second + gradient.second.t().unwrap()).unwrap();
    let by_moments = symmetric.matmul(features).unwrap();
    let by_moments = by_moments.broadcast_add(&gradient.mean.unsqueeze(1).unwrap()).unwrap();
    (by_moments / features.dim(1).unwrap() as f64).unwrap()
}

/// Steps to `step` on both sides of `x` along some directions that do not stand across the gradient, and compares the
/// difference with what the gradient promises: the largest relative error.
fn directional_error(x: &Tensor, gradient: &Tensor, step: f64, function: impl Fn(&Tensor) -> f64) -> f64 {
    let gradient = values(gradient);
    let length = dot(&gradient, &gradient).sqrt();
    assert!(length > 0.0, "a gradient of 0 promises nothing");
    let errors = (0..4).map(|seed| {
        let noise: Vec<f32> = random(90 + seed, gradient.len())
            .iter()
            .map(|value| value - 0.5)
            .collect();
        let noise_length = dot(&noise, &noise).sqrt();
        let mix = |(gradient, noise): (&f32, &f32)| {
            (f64::from(*gradient) / length + 2.0 * f64::from(*noise) / noise_length) as f32
        };
        let direction: Vec<f32> = gradient.iter().zip(&noise).map(mix).collect();
        let along = tensor(&direction, x.dims());
        let at = |step: f64| function(&(x + (&along * step).unwrap()).unwrap());
        let promised = dot(&gradient, &direction);
        ((at(step) - at(-step)) / (2.0 * step) / promised - 1.0).abs()
    });
    errors.fold(0.0, f64::max)
}

/// The largest error of the style gradients under every scaling.
fn style_error(loss: StyleLoss, canvas: &Tensor, style: &Tensor) -> f64 {
    let errors = SCALINGS.map(|scaling| {
        let objective = style_objective(loss, scaling, &moments(style));
        let gradient = gradient_at(&objective, canvas);
        directional_error(canvas, &gradient, 0.02, |canvas| {
            objective.evaluate(&statistics(canvas)).unwrap().total
        })
    });
    errors.into_iter().fold(0.0, f64::max)
}

#[test]
fn style_gradients_are_the_slopes_of_the_losses() {
    for loss in LOSSES {
        let error = style_error(loss, &features(1, 12, 50), &features(2, 12, 60));
        assert!(error < 2e-3, "{loss:?}: {error:e}");
    }
}

#[test]
fn style_gradients_hold_for_fewer_pixels_than_channels() {
    for loss in LOSSES {
        let (few, many) = (features(3, 12, 6), features(4, 12, 60));
        for (what, canvas, style) in [
            ("picture", &few, &many),
            ("style", &many, &few),
            ("both", &few, &features(5, 12, 7)),
        ] {
            let error = style_error(loss, canvas, style);
            assert!(error < 1e-2, "{loss:?}, {what}: {error:e}");
        }
    }
}

#[test]
fn total_and_parts_agree() {
    let (canvas, style) = (features(1, 8, 20), features(2, 8, 20));
    for loss in LOSSES {
        let mut objective = style_objective(loss, Scaling::Balanced, &moments(&style));
        objective.alpha = 2.0;
        objective.content.push(ContentTerm {
            weight: 0.5,
            energy: 4.0,
        });
        let mut statistics = statistics(&canvas);
        statistics.content.push(ContentDistance {
            mean_square: 3.0,
            elements: 160.0,
        });
        let valued = objective.evaluate(&statistics).unwrap();
        assert!((valued.content - 0.375).abs() < 1e-12);
        assert!(valued.style[0] > 0.0);
        assert!((valued.total - (0.75 + 3.0 * valued.style[0])).abs() < 1e-12 * valued.total);
        // Twice the weight, twice the loss and its slope.
        objective.style[0].weight *= 2.0;
        let doubled = objective.evaluate(&statistics).unwrap();
        assert!((doubled.style[0] - 2.0 * valued.style[0]).abs() < 1e-12 * doubled.style[0]);
        let slope = |valued: &Valued| values(&valued.gradient.moments[0][0].mean);
        for (doubled, single) in slope(&doubled).iter().zip(slope(&valued)) {
            assert!((doubled - 2.0 * single).abs() <= 1e-5 * doubled.abs());
        }
    }
}

#[test]
fn content_is_scaled_as_described() {
    let distance = ContentDistance {
        mean_square: 6.0,
        elements: 40.0,
    };
    let statistics = Statistics {
        moments: Vec::new(),
        content: vec![distance],
    };
    // Relative to the energy; half of the sum; the mean.
    for (scaling, factor) in SCALINGS.into_iter().zip([1.0 / 3.0, 20.0, 1.0, 1.0, 1.0]) {
        let objective = Objective {
            alpha: 5.0,
            beta: 1.0,
            scaling,
            content: vec![ContentTerm {
                weight: 0.5,
                energy: 3.0,
            }],
            style: Vec::new(),
        };
        let valued = objective.evaluate(&statistics).unwrap();
        assert!((valued.content - 0.5 * factor * 6.0).abs() < 1e-12, "{scaling:?}");
        assert!((valued.total - 5.0 * valued.content).abs() < 1e-12, "{scaling:?}");
        let slope = valued.gradient.content[0];
        assert!((slope - 5.0 * 0.5 * factor).abs() < 1e-12, "{scaling:?}: {slope}");
    }
}

fn diagonal(mean: &[f32], variances: &[f32]) -> Moments {
    let channels = mean.len();
    let mut second = vec![0.0; channels * channels];
    for row in 0..channels {
        for column in 0..channels {
            second[row * channels + column] = mean[row] * mean[column];
        }
        second[row * channels + row] += variances[row];
    }
    Moments {
        second: tensor(&second, &[channels, channels]),
        mean: tensor(mean, &[channels]),
        weight: 10.0,
    }
}

fn wasserstein(picture: &Moments, style: &Moments) -> f64 {
    let target = StyleTarget::new(style, StyleLoss::Wasserstein).unwrap();
    let mut begun = target.begin(picture).unwrap();
    begun.solve().unwrap();
    begun.end().unwrap().value
}

#[test]
fn wasserstein_of_independent_channels_has_a_closed_form() {
    let (mean, variances) = ([0.5, 1.0, 0.0, 2.0], [4.0, 1.0, 0.25, 0.0]);
    let (style_mean, style_variances) = ([1.0, 1.0, 0.5, 0.0], [1.0, 2.25, 0.25, 0.5]);
    let energy: f32 = mean.iter().map(|mean| mean * mean).chain(variances).sum();
    let noise = NOISE * f64::from(energy);
    let expected: f64 = (0..4)
        .map(|channel| {
            let means = f64::from(mean[channel]) - style_mean[channel];
            let deviations = (f64::from(variances[channel]) + noise).sqrt() - f64::sqrt(style_variances[channel]);
            means * means + deviations * deviations
        })
        .sum();
    let [style_mean, style_variances] = [style_mean, style_variances].map(|values| values.map(|value| value as f32));
    let found = wasserstein(&diagonal(&mean, &variances), &diagonal(&style_mean, &style_variances));
    assert!((found - expected).abs() < 1e-5 * expected, "{found} for {expected}");
}

#[test]
fn equal_moments_are_no_distance_apart() {
    let style = moments(&features(1, 8, 40));
    for loss in LOSSES {
        let objective = style_objective(loss, Scaling::Balanced, &style);
        let apart = statistics(&features(2, 8, 40));
        let same = Statistics {
            moments: vec![vec![style.clone()]],
            content: Vec::new(),
        };
        let (apart, same) = (
            objective.evaluate(&apart).unwrap().total,
            objective.evaluate(&same).unwrap().total,
        );
        assert!(same.abs() < 1e-5 * apart, "{loss:?}: {same:e} of {apart:e}");
    }
}

#[test]
fn a_style_of_one_colour_has_finite_losses() {
    let style = diagonal(&[0.5, 0.0, 1.5, 2.0], &[0.0; 4]);
    let canvas = features(1, 4, 20);
    for loss in LOSSES {
        for scaling in SCALINGS {
            let objective = style_objective(loss, scaling, &style);
            for picture in [&canvas, &canvas.zeros_like().unwrap()] {
                let valued = objective.evaluate(&statistics(picture)).unwrap();
                assert!(valued.total.is_finite(), "{loss:?} {scaling:?}: {}", valued.total);
                let gradient = values(&gradient_at(&objective, picture));
                assert!(gradient.iter().all(|value| value.is_finite()), "{loss:?} {scaling:?}");
            }
        }
    }
}

/// The variation of a picture, and its gradient alone.
fn variation(picture: &Tensor) -> (f64, Tensor) {
    add_variation(picture, 1.0, picture.zeros_like().unwrap())
}

fn add_variation(picture: &Tensor, factor: f64, gradient: Tensor) -> (f64, Tensor) {
    let (loss, gradient) = variation::add_variation(&picture.clone().into(), factor, gradient.into()).unwrap();
    (loss, gradient.to_tensor().unwrap())
}

#[test]
fn variation_is_the_mean_square_of_steps() {
    let picture = tensor(
        &[0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        &[1, 3, 2, 2],
    );
    let (loss, _) = variation(&picture);
    // Down 0 and 0.5, across 0.5 and 1, over 4 pixels.
    assert!((loss - (0.25 + 0.25 + 1.0) / 4.0).abs() < 1e-7, "{loss}");
}

#[test]
fn the_gradient_of_variation_is_its_slope() {
    for (height, width) in [(5, 7), (1, 6), (6, 1)] {
        let picture = tensor(&random(1, 3 * height * width), &[1, 3, height, width]);
        let (_, gradient) = variation(&picture);
        let error = directional_error(&picture, &gradient, 0.5, |picture| variation(picture).0);
        assert!(error < 1e-4, "{height} x {width}: {error:e}");
    }
    let (loss, gradient) = variation(&tensor(&[0.1, 0.2, 0.3], &[1, 3, 1, 1]));
    assert_eq!((loss, values(&gradient)), (0.0, vec![0.0; 3]));

    let picture = tensor(&random(1, 3 * 5 * 7), &[1, 3, 5, 7]);
    let (loss, alone) = variation(&picture);
    let (same, added) = add_variation(&picture, 0.5, picture.ones_like().unwrap());
    assert_eq!(
        (loss, values(&added)),
        (same, values(&((alone * 0.5).unwrap() + 1.0).unwrap()))
    );
}

#[test]
fn styles_are_blended_by_their_shares() {
    let all = [features(1, 8, 20), features(2, 8, 60)];
    let blended = blend(&[(statistics(&all[0]), 1.0), (statistics(&all[1]), 3.0)]).unwrap();
    let [first, second] = all.map(|features| moments(&features));
    let blended = &blended[0][0];
    let expect = |blended: &Tensor, first: &Tensor, second: &Tensor| {
        for ((blended, first), second) in values(blended).iter().zip(values(first)).zip(values(second)) {
            let expected = 0.25 * first + 0.75 * second;
            assert!(
                (blended - expected).abs() <= 1e-6 * expected,
                "{blended} for {expected}"
            );
        }
    };
    expect(&blended.second, &first.second, &second.second);
    expect(&blended.mean, &first.mean, &second.mean);
    assert!((blended.weight - 50.0).abs() < 1e-12);
    let error = blend(&[]).unwrap_err().to_string();
    assert!(error.starts_with("styles: "), "{error}");
}
