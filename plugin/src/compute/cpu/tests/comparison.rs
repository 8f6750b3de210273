//! A step of a backend beside the oracle's.
//!
//! What the oracle takes a second for is the same for every backend, and is made once.

use super::*;

/// What a backend of float32 may be off by.
pub(in crate::compute) const BOUND: f64 = 1e-5;

/// Second moments, mean and weight.
type RegionMoments = (Vec<f64>, Vec<f64>, f64);

/// What a step at a picture comes to.
pub(in crate::compute) struct Expected {
    content: Vec<f32>,
    /// Of each region of each layer of style.
    moments: Vec<Vec<RegionMoments>>,
    /// Distance, energy and elements of each layer of content.
    distances: Vec<(f64, f64, f64)>,
    /// What is asked for.
    asked: StatisticsGradient,
    /// The gradients with respect to each layer's features, of which the picture's is made.
    pub at_features: Vec<Option<Map>>,
}

impl Expected {
    /// At a picture with these features.
    pub fn of(network: &Network, plan: &Plan, maps: &[Map]) -> Self {
        let content = picture(plan, 11);
        let (held, _) = oracle::features(network, plan, &exact(&content));
        let regions: Vec<Option<Vec<f32>>> = match &plan.regions {
            None => vec![None],
            Some(regions) => (0..regions.dims()[0])
                .map(|region| Some(values(&regions.get(region).expect("a region"))))
                .collect(),
        };
        let of_layers = plan.style_layers.iter().map(|_| regions.len());
        let asked = asked(plan, of_layers, plan.content_layers.len());
        let mut at_features: Vec<Option<Map>> = maps.iter().map(|_| None).collect();
        let mut moments = Vec::new();
        for (layer, asked) in plan.style_layers.iter().zip(&asked.moments) {
            let map = &maps[layer.index()];
            let mut added = Map::zero(map.channels, map.height, map.width);
            let of_regions = regions.iter().zip(asked).map(|(weights, asked)| {
                let weights = oracle::weights(plan, *layer, weights.as_deref());
                let found = oracle::moments(map, &weights);
                add_moments_gradient(map, &weights, found.2, asked, &mut added);
                found
            });
            moments.push(of_regions.collect());
            at_features[layer.index()] = Some(added);
        }
        let mut distances = Vec::new();
        for (layer, asked) in plan.content_layers.iter().zip(&asked.content) {
            let (map, held) = (&maps[layer.index()], &held[layer.index()]);
            let inside = oracle::weights(plan, *layer, None);
            let elements = inside.iter().sum::<f64>() * map.channels as f64;
            let (mut distance, mut energy) = (0.0, 0.0);
            let added =
                at_features[layer.index()].get_or_insert_with(|| Map::zero(map.channels, map.height, map.width));
            for (place, (value, held)) in map.values.iter().zip(&held.values).enumerate() {
                let weight = inside[place % inside.len()];
                distance += weight * (value - held).powi(2) / elements;
                energy += weight * held.powi(2) / elements;
                added.values[place] += asked * 2.0 * weight * (value - held) / elements;
            }
            distances.push((distance, energy, elements));
        }
        Self {
            content,
            moments,
            distances,
            asked,
            at_features,
        }
    }

    /// Takes a step at the picture and compares statistics, which may be off by so much. Returns the backend's gradient.
    pub fn check_statistics(
        &self,
        backend: &mut dyn Backend,
        plan: &Plan,
        canvas: &[f32],
        bound: f64,
        what: &str,
    ) -> Tensor {
        backend
            .prepare(&Tiling::whole(plan).unwrap())
            .expect("the plan is good");
        let energies = backend.hold_content(0, &tensor(plan, &self.content)).expect("content");
        let statistics = backend.forward(0, &tensor(plan, canvas)).expect("forward");
        let gradient = backend.backward(&self.asked).expect("backward");

        assert_eq!(statistics.moments.len(), self.moments.len(), "{what}: layers");
        let layers = plan.style_layers.iter().zip(&statistics.moments).zip(&self.moments);
        for ((layer, found), expected) in layers {
            assert_eq!(found.len(), expected.len(), "{what}: regions of {layer}");
            for (found, (second, mean, total)) in found.iter().zip(expected) {
                assert!(
                    (found.weight - total).abs() <= 1e-5 * total,
                    "{what}: weight of {layer}"
                );
                let error = relative_error(values(&found.second), second.iter().copied());
                assert!(error < bound, "{what}: second moments of {layer} are off by {error:e}");
                let error = relative_error(values(&found.mean), mean.iter().copied());
                assert!(error < bound, "{what}: mean of {layer} is off by {error:e}");
            }
        }
        assert_eq!(statistics.content.len(), self.distances.len(), "{what}: content");
        let contents = statistics.content.iter().zip(&energies).zip(&self.distances);
        for ((found, found_energy), &(distance, energy, elements)) in contents {
            assert_eq!(found.elements, elements);
            assert!(
                (found.mean_square - distance).abs() < bound * distance,
                "{what}: content distance"
            );
            assert!(
                (found_energy.mean_square - energy).abs() < bound * energy,
                "{what}: content energy"
            );
        }
        gradient
    }
}

fn add_moments_gradient(map: &Map, weights: &[f64], total: f64, gradient: &MomentsGradient, added: &mut Map) {
    let (second, mean) = (values(&gradient.second), values(&gradient.mean));
    let pixels = weights.len();
    for a in 0..map.channels {
        let target = &mut added.values[a * pixels..][..pixels];
        for b in 0..map.channels {
            let factor = f64::from(second[a * map.channels + b]) + f64::from(second[b * map.channels + a]);
            for ((target, value), weight) in target.iter_mut().zip(&map.values[b * pixels..]).zip(weights) {
                *target += factor * value * weight / total;
            }
        }
        for (target, weight) in target.iter_mut().zip(weights) {
            *target += f64::from(mean[a]) * weight / total;
        }
    }
}

/// A picture at which no ReLU and no maximum is decided by less than float32's rounding, and its features. Among so
/// many activations of noise there is often one; then the gradients on its two sides are both right.
pub(super) fn decided_picture(plan: &Plan) -> (Vec<f32>, Vec<Map>) {
    let candidates = (0..100).map(|seed| {
        let picture = picture(plan, 100 + seed);
        let (maps, margin) = oracle::features(&NETWORK, plan, &exact(&picture));
        (margin, picture, maps)
    });
    let decided = candidates.into_iter().find(|(margin, ..)| *margin > 2e-6);
    let (_, picture, maps) = decided.expect("one of a hundred");
    (picture, maps)
}

/// A plan, a picture for it, and what a step there comes to.
pub(super) struct Case {
    plan: Plan,
    what: String,
    canvas: Vec<f32>,
    expected: Expected,
    gradient: Vec<f64>,
}

impl Case {
    /// Of a plan, and what to call it.
    pub fn of(plan: &Plan, what: &str) -> Self {
        let (canvas, maps) = decided_picture(plan);
        let expected = Expected::of(&NETWORK, plan, &maps);
        // Features are above 0 where sums are.
        let decided = Decisions::of(plan, &maps);
        let gradient = oracle::gradient(&NETWORK, plan, &maps, &decided, &expected.at_features);
        Self {
            plan: plan.clone(),
            what: what.into(),
            canvas,
            expected,
            gradient,
        }
    }

    /// Runs it on a backend and compares all that comes out.
    pub fn check(&self, backend: &mut dyn Backend, name: &str) {
        let what = format!("{}{name}", self.what);
        let found = self
            .expected
            .check_statistics(backend, &self.plan, &self.canvas, BOUND, &what);
        let error = relative_error(values(&found), self.gradient.iter().copied());
        assert!(error < BOUND, "{what}: the gradient is off by {error:e}");
        eprintln!("{what}: the gradient is off by {error:.1e}");
    }
}

/// Runs a plan on the backend and on the oracle and compares all that comes out.
pub(in crate::compute) fn check_against_oracle(backend: &mut dyn Backend, plan: &Plan, what: &str) {
    Case::of(plan, what).check(backend, "");
}

/// The same of plans one after the other, each on what the last one left in memory, by every instruction set.
pub(super) fn check_by_all_instructions(cases: &[Case]) {
    for set in InstructionSet::tested() {
        let mut backend = backend(set, 2);
        for case in cases {
            case.check(&mut backend, &format!(" on {}", set.name()));
        }
    }
}
