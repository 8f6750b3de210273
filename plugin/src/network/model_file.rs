//! Reading weights from safetensors.
//!
//! Two forms are understood. *Quantised* is ours: per layer an index of 8 bits for every weight, a table of 256
//! centroids, and the biases (`conv1_1.index`, `.centroids`, `.bias`). *Floating-point* is everybody's: torchvision's
//! and timm's names (`features.0.weight`, `features.0.bias`, ...), in 32 or 16 bits; other tensors, such as the
//! classifier's, are passed over.
//!
//! A file is a stranger until its header has been compared, name by name, with what VGG-19 must hold; only then is any
//! of its data read, and only as much as is needed (torchvision's file is 575 MB, of which 52 are the layers here).

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::{Convolution, Layer, Network, Normalisation, embedded};
use crate::{Error, Result};

/// No VGG has a header of a megabyte; what claims one is not safetensors.
const HEADER_LIMIT: u64 = 1 << 20;
const CENTROIDS: usize = 256;
const FLOATS: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::BF16];

/// How weights are stored.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Quantised,
    FloatingPoint,
}

/// An opened file whose header has been understood as VGG-19's.
pub(super) struct ModelFile<R> {
    /// What error messages call it.
    name: String,
    source: R,
    header: Metadata,
    /// Where the data begins.
    body: u64,
    form: Form,
}

/// The network in a file.
pub(super) fn load(path: &Path) -> Result<Network> {
    let name = path.display().to_string();
    let refuse = |error: std::io::Error| Error::Model(format!("{name}: cannot be read: {error}"));
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(refuse)?.is_file() {
        return Err(Error::Model(format!(
            "{name}: expected a safetensors file, found something that is not a file"
        )));
    }
    let source = BufReader::new(File::open(path).map_err(refuse)?);
    let mut file = ModelFile::open(&name, source)?;
    file.verify()?;
    file.network()
}

impl<R: Read + Seek> ModelFile<R> {
    /// Reads the header and checks that all layers are there, in the right shapes and types.
    pub(super) fn open(name: &str, mut source: R) -> Result<Self> {
        let refuse = |reason: String| Error::Model(format!("{name}: {reason}"));
        let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
        let length = source.seek(SeekFrom::End(0)).map_err(unreadable)?;
        source.rewind().map_err(unreadable)?;
        if length < 8 {
            return Err(refuse(format!("expected a safetensors file, found {length} bytes")));
        }
        let mut header = [0; 8];
        source.read_exact(&mut header).map_err(unreadable)?;
        let header = u64::from_le_bytes(header);
        if header > HEADER_LIMIT {
            return Err(refuse("expected a safetensors file, found something else".into()));
        }
        let body = 8 + header;
        if length < body {
            return Err(refuse(format!(
                "the file is truncated: expected a header of {header} bytes, found {}",
                length - 8
            )));
        }
        let mut text = vec![0; header as usize];
        source.read_exact(&mut text).map_err(unreadable)?;
        let header: Metadata = serde_json::from_slice(&text).map_err(|error| {
            refuse(format!(
                "expected a safetensors file, but its header is invalid: {error}"
            ))
        })?;
        let expected = header.data_len() as u64;
        let found = length - body;
        if found != expected {
            let what = if found < expected { "truncated" } else { "too long" };
            return Err(refuse(format!(
                "the file is {what}: expected {expected} bytes of weights after the header, found {found}"
            )));
        }
        let form = if header.info("conv1_1.index").is_some() {
            Form::Quantised
        } else if header.info("features.0.weight").is_some() {
            Form::FloatingPoint
        } else {
            return Err(refuse(format!(
                "expected the weights of VGG-19 (features.0.weight and so on, or conv1_1.index and so on), found {}",
                summary(&header)
            )));
        };
        let file = Self {
            name: name.into(),
            source,
            header,
            body,
            form,
        };
        for layer in Layer::ALL {
            for part in file.form.parts(layer) {
                file.info(&part)?;
            }
        }
        Ok(file)
    }

    /// Compares the data of a file of our own form with the checksum that it carries.
    fn verify(&mut self) -> Result<()> {
        if self.form == Form::FloatingPoint {
            return Ok(());
        }
        let Some(expected) = self.note("data_sha256").map(str::to_owned) else {
            return Err(self.refuse("expected the checksum of the weights (data_sha256) in its metadata, found none"));
        };
        let mut data = vec![0; self.header.data_len()];
        self.read(0, &mut data)?;
        let found = sha256(&data);
        if found != expected {
            return Err(self.refuse(format_args!(
                "the file is damaged: expected weights with SHA-256 {expected}, found {found}"
            )));
        }
        Ok(())
    }

    /// All layers.
    pub(super) fn network(&mut self) -> Result<Network> {
        let convolutions: Vec<_> = Layer::ALL
            .into_iter()
            .map(|layer| self.convolution(layer))
            .collect::<Result<_>>()?;
        let (normalisation, space) = self.normalisation(&convolutions[0])?;
        Ok(Network {
            convolutions,
            normalisation,
            origin: format!("{} ({space})", self.name),
        })
    }

    /// One layer.
    pub(super) fn convolution(&mut self, layer: Layer) -> Result<Convolution> {
        let parts = self.form.parts(layer);
        let bias = self.floats(&parts[1])?;
        let weight = match self.form {
            Form::FloatingPoint => self.floats(&parts[0])?,
            Form::Quantised => {
                let centroids = self.floats(&parts[2])?;
                let index = self.bytes(&parts[0])?.1;
                index.into_iter().map(|index| centroids[index as usize]).collect()
            }
        };
        Ok(Convolution { weight, bias })
    }

    /// The input space, and how it is known.
    fn normalisation(&self, first: &Convolution) -> Result<(Normalisation, &'static str)> {
        match self.note("input") {
            Some("caffe") => Ok((Normalisation::CAFFE, "input as in Caffe")),
            Some("imagenet") => Ok((Normalisation::IMAGENET, "input as in torchvision")),
            Some(other) => Err(self.refuse(format_args!(
                "expected \"caffe\" or \"imagenet\" as `input` in its metadata, found {other:?}"
            ))),
            None if self.form == Form::Quantised => {
                Err(self.refuse("expected \"caffe\" or \"imagenet\" as `input` in its metadata, found nothing"))
            }
            None if is_original(first)? => Ok((Normalisation::CAFFE, "the original weights, input as in Caffe")),
            None => Ok((
                Normalisation::IMAGENET,
                "input as in torchvision, by its tensors' names",
            )),
        }
    }

    /// The 32-bit values of a tensor, all of them finite.
    fn floats(&mut self, part: &Part) -> Result<Vec<f32>> {
        let (dtype, bytes) = self.bytes(part)?;
        let pairs = || bytes.as_chunks().0.iter().copied();
        let values: Vec<f32> = match dtype {
            Dtype::F16 => pairs().map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
            Dtype::BF16 => pairs().map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
            _ => bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect(),
        };
        match values.iter().position(|value| !value.is_finite()) {
            Some(position) => Err(self.refuse(format_args!(
                "expected finite numbers in {}, found {} at position {position}",
                part.name, values[position]
            ))),
            None => Ok(values),
        }
    }

    /// The data of a tensor as stored.
    fn bytes(&mut self, part: &Part) -> Result<(Dtype, Vec<u8>)> {
        let info = self.info(part)?;
        let (dtype, (start, end)) = (info.dtype, info.data_offsets);
        let mut bytes = vec![0; end - start];
        self.read(start, &mut bytes)?;
        Ok((dtype, bytes))
    }

    fn read(&mut self, start: usize, buffer: &mut [u8]) -> Result<()> {
        self.source
            .seek(SeekFrom::Start(self.body + start as u64))
            .and_then(|_| self.source.read_exact(buffer))
            .map_err(|error| self.refuse(format_args!("cannot be read: {error}")))
    }

    /// What the header says of a tensor, if that is what it should say.
    fn info(&self, part: &Part) -> Result<&TensorInfo> {
        let Part { name, dtypes, shape } = part;
        match self.header.info(name) {
            Some(info) if dtypes.contains(&info.dtype) && info.shape == *shape => Ok(info),
            Some(info) => Err(self.refuse(format_args!(
                "expected {name} as {} {shape:?}, found {} {:?}",
                dtypes.iter().map(Dtype::to_string).collect::<Vec<_>>().join(" or "),
                info.dtype,
                info.shape
            ))),
            None => Err(self.refuse(format_args!(
                "expected {name} {shape:?} of VGG-19, found no such tensor among {}",
                summary(&self.header)
            ))),
        }
    }

    fn note(&self, key: &str) -> Option<&str> {
        Some(self.header.metadata().as_ref()?.get(key)?)
    }

    fn refuse(&self, reason: impl Display) -> Error {
        Error::Model(format!("{}: {reason}", self.name))
    }
}

/// A tensor that must be there.
struct Part {
    name: String,
    dtypes: &'static [Dtype],
    shape: Vec<usize>,
}

impl Form {
    /// Weights (or indices) and biases, and centroids if there are any.
    fn parts(self, layer: Layer) -> Vec<Part> {
        let part = |name, dtypes, shape| Part { name, dtypes, shape };
        let weight = vec![layer.outputs(), layer.inputs(), 3, 3];
        let bias = vec![layer.outputs()];
        match self {
            Self::Quantised => vec![
                part(format!("{layer}.index"), &[Dtype::U8], weight),
                part(format!("{layer}.bias"), &[Dtype::F32], bias),
                part(format!("{layer}.centroids"), &[Dtype::F32], vec![CENTROIDS]),
            ],
            Self::FloatingPoint => {
                let features = layer.features();
                vec![
                    part(format!("features.{features}.weight"), FLOATS, weight),
                    part(format!("features.{features}.bias"), FLOATS, bias),
                ]
            }
        }
    }
}

/// Whether a first layer is that of the original network, up to rounding: the cosine between the two sets of weights
/// is 1 then, and near 0 for a network that was trained on its own.
fn is_original(first: &Convolution) -> Result<bool> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let (ours, theirs) = (embedded::first_convolution()?.weight, &first.weight);
    Ok(dot(&ours, theirs) > 0.99 * (dot(&ours, &ours) * dot(theirs, theirs)).sqrt())
}

/// The first few names of a file's tensors, in the file's order.
fn summary(header: &Metadata) -> String {
    let names = header.offset_keys();
    match names.len() {
        0 => "no tensors".into(),
        count @ 1..=3 => format!("{count} tensors ({})", names.join(", ")),
        count => format!("{count} tensors ({}, ...)", names[..3].join(", ")),
    }
}

/// In hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
