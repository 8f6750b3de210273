//! Files that are right in every way they can be, and wrong in one way each.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::LazyLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::TensorView;

use super::*;

type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// A VGG-19 of random weights under torchvision's names, with a head as timm's files have one.
static RANDOM: LazyLock<Tensors> = LazyLock::new(|| {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut tensors: Tensors = Form::FloatingPoint
        .every_part()
        .map(|part| {
            let count = part.shape.iter().product::<usize>();
            let data = (0..count)
                .flat_map(|_| random.random_range(-0.1f32..0.1).to_le_bytes())
                .collect();
            (part.name, Dtype::F32, part.shape, data)
        })
        .collect();
    tensors.push(("head.fc.bias".into(), Dtype::F64, vec![2], vec![0xff; 16]));
    tensors
});

impl Form {
    fn every_part(self) -> impl Iterator<Item = Part> {
        Layer::ALL.into_iter().flat_map(move |layer| self.parts(layer))
    }
}

fn pack(tensors: &Tensors, notes: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let notes: HashMap<_, _> = notes
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect();
    safetensors::serialize(views, Some(notes)).unwrap()
}

fn entry<'a>(tensors: &'a mut Tensors, name: &str) -> &'a mut (String, Dtype, Vec<usize>, Vec<u8>) {
    tensors.iter_mut().find(|entry| entry.0 == name).unwrap()
}

fn read(bytes: &[u8]) -> Result<Network> {
    let mut file = ModelFile::open("vgg.safetensors", Cursor::new(bytes))?;
    file.verify()?;
    file.network()
}

/// The message with which a file is refused; it names the file.
fn refusal(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(Error::Model(text)) => {
            assert!(text.starts_with("vgg.safetensors: "), "{text}");
            text
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[track_caller]
fn assert_refused(bytes: &[u8], words: &[&str]) {
    let text = refusal(bytes);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

/// The same weights in the quantised form, every layer with one and the same index.
fn quantised() -> Tensors {
    Form::Quantised
        .every_part()
        .map(|part| {
            let count = part.shape.iter().product::<usize>();
            let data = match part.dtypes {
                [Dtype::U8] => (0..count).map(|position| (position % 251) as u8).collect(),
                _ => (0..count)
                    .flat_map(|position| (position as f32).to_le_bytes())
                    .collect(),
            };
            (part.name, part.dtypes[0], part.shape, data)
        })
        .collect()
}

/// The checksum of what [`pack`] writes after the header.
fn data_sha256(tensors: &Tensors) -> String {
    let bytes = pack(tensors, &[]);
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    sha256(&bytes[8 + header..])
}

#[test]
fn floating_point_weights_are_read_as_they_are() {
    let network = read(&pack(&RANDOM, &[])).unwrap();
    assert_eq!(network.normalisation, Normalisation::IMAGENET);
    for (convolution, layer) in network.convolutions.iter().zip(Layer::ALL) {
        let data = |suffix: &str| {
            let name = format!("features.{}.{suffix}", layer.features());
            &RANDOM.iter().find(|entry| entry.0 == name).unwrap().3
        };
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        assert!(bytes(&convolution.weight) == *data("weight"), "{layer}");
        assert!(bytes(&convolution.bias) == *data("bias"), "{layer}");
    }
}

#[test]
fn a_file_on_disk_is_read_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my vgg.safetensors");
    std::fs::write(&path, pack(&RANDOM, &[])).unwrap();
    assert!(Network::load(&path).unwrap().origin.contains("my vgg.safetensors"));
    for (path, word) in [
        (folder.path().join("absent"), "cannot be read"),
        (folder.path().into(), "not a file"),
    ] {
        let text = Network::load(&path).unwrap_err().to_string();
        assert!(
            text.contains(&path.display().to_string()) && text.contains(word),
            "{text}"
        );
    }
}

#[test]
fn half_precision_is_widened() {
    let mut tensors = RANDOM.clone();
    for (name, wide) in [("features.0.weight", false), ("features.2.weight", true)] {
        let entry = entry(&mut tensors, name);
        let values = entry.3.as_chunks().0.iter().copied().map(f32::from_le_bytes);
        (entry.1, entry.3) = if wide {
            (
                Dtype::BF16,
                values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
            )
        } else {
            (
                Dtype::F16,
                values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
            )
        };
    }
    let exact = read(&pack(&RANDOM, &[])).unwrap();
    let rounded = read(&pack(&tensors, &[])).unwrap();
    for (layer, tolerance) in [(0, 2f32.powi(-11)), (1, 2f32.powi(-8))] {
        let pairs = exact.convolutions[layer]
            .weight
            .iter()
            .zip(&rounded.convolutions[layer].weight);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() <= tolerance * a.abs() + 1e-7));
        assert!(pairs.clone().any(|(a, b)| a != b));
    }
}

#[test]
fn quantised_weights_are_expanded_through_the_centroids() {
    let mut tensors = quantised();
    let centroids = entry(&mut tensors, "conv1_2.centroids");
    centroids.3[4 * 7..4 * 8].copy_from_slice(&0.625f32.to_le_bytes());
    let sum = data_sha256(&tensors);
    let network = read(&pack(&tensors, &[("input", "imagenet"), ("data_sha256", &sum)])).unwrap();
    assert_eq!(network.normalisation, Normalisation::IMAGENET);
    assert_eq!(network.convolutions[1].weight[5..9], [5.0, 6.0, 0.625, 8.0]);
    assert_eq!(network.convolutions[0].weight[5..9], [5.0, 6.0, 7.0, 8.0]);
    assert_eq!(network.convolutions[12].bias[511], 511.0);
}

#[test]
fn a_quantised_file_needs_its_checksum_and_its_input_space() {
    let tensors = quantised();
    let sum = data_sha256(&tensors);
    assert_refused(&pack(&tensors, &[("input", "caffe")]), &["data_sha256", "found none"]);
    assert_refused(&pack(&tensors, &[("data_sha256", &sum)]), &["input", "caffe"]);
    let mut bytes = pack(&tensors, &[("input", "caffe"), ("data_sha256", &sum)]);
    read(&bytes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    assert_refused(&bytes, &["damaged", &sum]);
}

#[test]
fn metadata_say_the_input_space() {
    let space = |note| read(&pack(&RANDOM, &[("input", note)])).map(|network| network.normalisation);
    assert_eq!(space("caffe").unwrap(), Normalisation::CAFFE);
    assert_eq!(space("imagenet").unwrap(), Normalisation::IMAGENET);
    assert!(space("lab").unwrap_err().to_string().contains("\"lab\""));
}

#[test]
fn original_weights_are_recognised_without_metadata() {
    let mut tensors = RANDOM.clone();
    let first = embedded::first_convolution().unwrap();
    let data = first.weight.iter().flat_map(|value| value.to_le_bytes()).collect();
    entry(&mut tensors, "features.0.weight").3 = data;
    let network = read(&pack(&tensors, &[])).unwrap();
    assert_eq!(network.normalisation, Normalisation::CAFFE);
    assert!(network.origin.contains("original"), "{}", network.origin);
}

#[test]
fn truncated_and_padded_files_are_refused() {
    let bytes = pack(&RANDOM, &[]);
    assert_refused(&[], &["safetensors", "0 bytes"]);
    assert_refused(&bytes[..7], &["safetensors", "7 bytes"]);
    assert_refused(&bytes[..100], &["truncated", "header", "found 92"]);
    assert_refused(&bytes[..bytes.len() - 1], &["truncated"]);
    assert_refused(&[bytes, vec![0]].concat(), &["too long"]);
}

#[test]
fn what_is_not_safetensors_is_refused() {
    assert_refused(b"PK\x03\x04 this is an archive", &["expected a safetensors file"]);
    assert_refused(b"\x05\0\0\0\0\0\0\0hello", &["expected a safetensors file", "header"]);
    // Overlapping tensors, and a size that overflows.
    for header in [
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[9223372036854775807,8],"data_offsets":[0,4]}}"#,
    ] {
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat();
        assert_refused(&bytes, &["header is invalid"]);
    }
}

#[test]
fn a_foreign_network_is_refused() {
    let tensors = vec![("encoder.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4])];
    assert_refused(&pack(&tensors, &[]), &["VGG-19", "encoder.weight"]);
    assert_refused(&pack(&Vec::new(), &[("format", "pt")]), &["no tensors"]);
}

#[test]
fn every_tensor_must_be_there() {
    for index in [1, 14, 25] {
        let mut tensors = RANDOM.clone();
        let missing = tensors.remove(index).0;
        assert_refused(&pack(&tensors, &[]), &[&missing, "no such tensor"]);
    }
}

#[test]
fn shapes_and_types_must_be_right() {
    let mut tensors = RANDOM.clone();
    entry(&mut tensors, "features.10.weight").2 = vec![128, 256, 3, 3];
    assert_refused(
        &pack(&tensors, &[]),
        &["features.10.weight", "[256, 128, 3, 3]", "[128, 256, 3, 3]"],
    );

    let mut tensors = RANDOM.clone();
    entry(&mut tensors, "features.28.bias").1 = Dtype::I32;
    assert_refused(&pack(&tensors, &[]), &["features.28.bias", "F32 or F16 or BF16", "I32"]);

    let mut tensors = quantised();
    let centroids = entry(&mut tensors, "conv4_2.centroids");
    (centroids.2, centroids.3) = (vec![16], vec![0; 64]);
    assert_refused(&pack(&tensors, &[]), &["conv4_2.centroids", "[256]", "[16]"]);
}

#[test]
fn values_must_be_finite() {
    for (name, value) in [("features.21.weight", f32::NAN), ("features.5.bias", f32::NEG_INFINITY)] {
        let mut tensors = RANDOM.clone();
        entry(&mut tensors, name).3[4 * 17..4 * 18].copy_from_slice(&value.to_le_bytes());
        assert_refused(
            &pack(&tensors, &[]),
            &[name, "finite", "position 17", &value.to_string()],
        );
    }
    let mut tensors = quantised();
    entry(&mut tensors, "conv2_1.centroids").3[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let sum = data_sha256(&tensors);
    assert_refused(
        &pack(&tensors, &[("input", "caffe"), ("data_sha256", &sum)]),
        &["conv2_1.centroids", "inf"],
    );
}
