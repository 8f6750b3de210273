//! The network that is compiled into the library, so that it works with no download and no path.
//!
//! `models/README.md` says where it comes from and how it is made.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use super::model_file::{ModelFile, sha256};
use super::{Convolution, Layer, Network};
use crate::{Error, Result};

const NAME: &str = "the built-in network";
/// A static, and no constant: of that each use may have a copy, and the library with it.
static BYTES: &[u8] = include_bytes!("../../models/vgg19.safetensors");
/// Of the whole file; `models/make.py` prints it.
const SHA256: &str = "93f022f10632a295177c4ef6f796680e615c917555fd940abf46e7f61fe438e0";

/// The network, expanded at the first call and shared from then on.
pub(super) fn network() -> Result<Arc<Network>> {
    static NETWORK: OnceLock<Result<Arc<Network>, String>> = OnceLock::new();
    NETWORK
        .get_or_init(|| match decode(BYTES) {
            Ok(network) => Ok(Arc::new(network)),
            Err(error) => Err(error.to_string()),
        })
        .clone()
        .map_err(Error::Model)
}

/// The parameters of the first layer alone.
pub(super) fn first_convolution() -> Result<Convolution> {
    ModelFile::open(NAME, Cursor::new(BYTES))?.convolution(Layer::ALL[0])
}

fn decode(bytes: &[u8]) -> Result<Network> {
    let found = sha256(bytes);
    if found != SHA256 {
        return Err(Error::Model(format!(
            "{NAME}: expected SHA-256 {SHA256}, found {found}; the library is damaged, install it again"
        )));
    }
    let mut network = ModelFile::open(NAME, Cursor::new(bytes))?.network()?;
    network.origin = "built-in VGG-19 (8-bit weights)".into();
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Normalisation;

    #[test]
    fn every_layer_has_its_shape() {
        let network = network().unwrap();
        assert_eq!(network.normalisation, Normalisation::CAFFE);
        assert_eq!(network.convolutions.len(), Layer::ALL.len());
        for (layer, convolution) in Layer::ALL.into_iter().zip(&network.convolutions) {
            assert_eq!(
                convolution.weight.len(),
                layer.outputs() * layer.inputs() * 9,
                "{layer}"
            );
            assert_eq!(convolution.bias.len(), layer.outputs(), "{layer}");
        }
    }

    #[test]
    fn it_is_decoded_once() {
        assert!(Arc::ptr_eq(&network().unwrap(), &network().unwrap()));
    }

    /// The figures were taken from the package's own tensors with another program, in double precision.
    #[test]
    fn weights_are_those_of_the_package() {
        let network = network().unwrap();
        for (layer, mean, square, bias) in [
            (
                "conv1_1",
                -0.0020492972968592462,
                0.03662936778817567,
                29.940524585545063,
            ),
            (
                "conv2_2",
                -0.0005306008633514381,
                0.0004969988822653677,
                1.1570120917167515,
            ),
            (
                "conv3_4",
                0.00016462997680248095,
                0.00010644515212888393,
                4.800642366404645,
            ),
            (
                "conv4_2",
                -0.00024395774689715051,
                3.998820316281305e-05,
                6.360610057701706,
            ),
            (
                "conv5_1",
                -0.0004861551395666145,
                6.717832126083399e-05,
                14.355061042151647,
            ),
        ] {
            let layer: Layer = layer.parse().unwrap();
            let convolution = &network.convolutions[layer.index()];
            let sum = |values: &[f32], power: i32| values.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>();
            let count = convolution.weight.len() as f64;
            for (found, expected) in [
                (sum(&convolution.weight, 1) / count, mean),
                (sum(&convolution.weight, 2) / count, square),
                (sum(&convolution.bias, 1), bias),
            ] {
                assert!(
                    (found - expected).abs() <= 1e-9 * expected.abs(),
                    "{layer}: {found} {expected}"
                );
            }
        }
        assert_eq!(network.convolutions[0].weight[..3], [0.3406328, 0.3406328, -0.04566834]);
    }

    #[test]
    fn a_flipped_bit_is_noticed_wherever_it_is() {
        for position in [0, 20, 5_000, BYTES.len() / 2, BYTES.len() - 1] {
            let mut bytes = BYTES.to_vec();
            bytes[position] ^= 0x10;
            let text = decode(&bytes).unwrap_err().to_string();
            assert!(text.contains("built-in network") && text.contains("damaged"), "{text}");
        }
    }
}
