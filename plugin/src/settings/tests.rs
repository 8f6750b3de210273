use pentimento_host::manifest::{Filter, Kind};

use super::*;
use crate::compute::Pooling;
use crate::network::Layer;
use crate::objective::{Scaling, StyleLoss};

fn filter() -> &'static Filter {
    manifest().filter("style-transfer").expect("it is in the manifest")
}

fn set(values: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new(filter());
    for (id, value) in values {
        settings.set_text(id, value).unwrap();
    }
    settings
}

fn resolve(values: &[(&str, &str)]) -> StyleTransfer {
    set(values).resolve().unwrap()
}

/// Unknown fields are denied and none has a default, so that this passes only when fields and parameters correspond.
#[test]
fn every_parameter_has_a_field_and_every_field_a_parameter() {
    let settings = resolve(&[]);
    assert_eq!(settings.preset, "standard");
    assert_eq!(settings.start, Start::Canvas);
    assert_eq!(settings.device, Device::Auto);
    assert_eq!((settings.seed, settings.threads, settings.working_size), (0, 0, 0));
    assert!(settings.pyramid && settings.model.is_empty());
    assert_eq!(settings.style_layers.len(), 5);
}

#[test]
fn every_preset_resolves() {
    for preset in &filter().presets {
        assert_eq!(resolve(&[("preset", &preset.id)]).preset, preset.id);
    }
    let article = resolve(&[("preset", "article")]);
    assert_eq!(article.loss, StyleLoss::Gram);
    assert_eq!(article.scaling, Scaling::Article);
    assert_eq!(article.optimiser, Optimiser::PlainAdam);
    assert_eq!(article.edges, Edges::Zero);
    assert!(!article.pyramid);
    let layers: Vec<_> = article
        .style_layers
        .iter()
        .map(|(layer, weight)| (layer.name(), *weight))
        .collect();
    let expected = [
        ("conv1_1", 1.0),
        ("conv2_1", 0.75),
        ("conv3_1", 0.2),
        ("conv4_1", 0.2),
        ("conv5_1", 0.2),
    ];
    assert_eq!(layers, expected);
}

#[test]
fn every_choice_resolves() {
    for parameter in &filter().parameters {
        for choice in &parameter.choices {
            set(&[(&parameter.id, &choice.id)])
                .resolve::<StyleTransfer>()
                .unwrap_or_else(|error| panic!("{} = {}: {error}", parameter.id, choice.id));
        }
    }
    assert_eq!(resolve(&[("pooling", "l2")]).pooling, Pooling::L2);
}

#[test]
fn every_limit_resolves() {
    for parameter in filter()
        .parameters
        .iter()
        .filter(|parameter| matches!(parameter.kind, Kind::Float | Kind::Integer))
    {
        for limit in [parameter.hard.min, parameter.hard.max] {
            let mut settings = Settings::new(filter());
            settings.set_number(&parameter.id, limit).unwrap();
            settings.resolve::<StyleTransfer>().unwrap();
        }
    }
}

#[test]
fn what_is_set_goes_before_the_preset_and_the_preset_before_the_default() {
    let default = resolve(&[]);
    let article = resolve(&[("preset", "article")]);
    assert_ne!(article.beta, default.beta);
    let mixed = resolve(&[("beta", "7"), ("preset", "article"), ("seed", "5")]);
    assert_eq!((mixed.beta, mixed.seed), (7.0, 5));
    assert_eq!(
        StyleTransfer {
            beta: article.beta,
            seed: 0,
            ..mixed
        },
        article
    );
}

#[test]
fn texts_are_understood_as_a_whole() {
    let settings = resolve(&[
        ("content_layers", ""),
        ("device", "cuda:1"),
        ("style_layers", "conv2_1:2 conv1_1:0"),
    ]);
    assert_eq!(settings.content_layers, []);
    assert_eq!(settings.device, Device::Cuda(1));
    assert_eq!(settings.style_layers, [(Layer::ALL[0], 0.0), (Layer::ALL[2], 2.0)]);
    let error = set(&[("style_layers", "conv1_1")])
        .resolve::<StyleTransfer>()
        .unwrap_err();
    assert!(
        error.to_string().starts_with("style_layers: \"conv1_1\" has no weight"),
        "{error}"
    );
}
