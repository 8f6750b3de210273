//! Lists of layers and their weights, such as "conv1_1:1 conv2_1:0.75".

use serde::{Deserialize, Deserializer, de};

use crate::network::Layer;

/// Reads a list from its text: entries separated by blanks, each a layer's name, a colon and a weight of 0 or more.
/// The result is in the network's order, each layer there once at most.
///
/// # Errors
/// A clause that quotes the offending entry and tells what is expected of it.
pub fn parse(text: &str) -> Result<Vec<(Layer, f64)>, String> {
    let mut list = text.split_whitespace().map(entry).collect::<Result<Vec<_>, _>>()?;
    list.sort_by_key(|&(layer, _)| layer);
    match list.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(format!("{} is there twice", pair[0].0)),
        None => Ok(list),
    }
}

fn entry(word: &str) -> Result<(Layer, f64), String> {
    let (name, weight) = word
        .split_once(':')
        .ok_or_else(|| format!("{word:?} has no weight; write name:weight, such as conv1_1:1"))?;
    let layer = name.parse::<Layer>().map_err(|reason| format!("{word:?}: {reason}"))?;
    let weight = weight
        .parse::<f64>()
        .ok()
        .filter(|weight| weight.is_finite() && *weight >= 0.0)
        .ok_or_else(|| format!("{word:?}: {weight:?} is not a weight, a number of 0 or more"))?;
    Ok((layer, weight))
}

/// A list that may be empty, for serde.
pub fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Layer, f64)>, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// A list of one entry at least, for serde.
pub fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Layer, f64)>, D::Error> {
    let list = any(deserializer)?;
    if list.is_empty() {
        return Err(de::Error::custom(
            "names no layer; write name:weight, such as conv1_1:1",
        ));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_out_in_the_networks_order() {
        let list = parse("  conv4_2:2e-1\tconv1_1:1 \n conv2_1:0 ").unwrap();
        let named: Vec<_> = list.iter().map(|(layer, weight)| (layer.name(), *weight)).collect();
        assert_eq!(named, [("conv1_1", 1.0), ("conv2_1", 0.0), ("conv4_2", 0.2)]);
        assert_eq!(parse(" "), Ok(vec![]));
    }

    #[test]
    fn errors_quote_the_offending_word() {
        for (text, part) in [
            ("conv1_1:1 conv2_1", "\"conv2_1\" has no weight"),
            ("conv1_1:1 conv9_1:1", "\"conv9_1:1\": \"conv9_1\" is not a layer"),
            ("conv1_1:-1", "\"conv1_1:-1\": \"-1\" is not a weight"),
            ("conv1_1:nan", "\"nan\" is not a weight"),
            ("conv1_1:inf", "\"inf\" is not a weight"),
            ("conv1_1:", "\"\" is not a weight"),
            ("conv1_1:1,conv2_1:1", "\"1,conv2_1:1\" is not a weight"),
            ("conv3_1:1 conv1_1:1 conv3_1:2", "conv3_1 is there twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
