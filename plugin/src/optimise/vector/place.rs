//! Where vectors live, and bringing them there and back.

use std::fmt;
#[cfg(not(feature = "cuda"))]
use std::sync::Arc;

use candle_core::{DType, Device, Shape, Tensor};

#[cfg(not(feature = "cuda"))]
use crate::compute::cuda::{Samples, Space};
#[cfg(not(feature = "cuda"))]
use crate::samples;
use crate::{Error, Result};

/// A vector, and where it lives. Its clones are the same vector.
#[derive(Clone, Debug)]
pub enum Vector {
    /// In main memory, or on another of candle's devices.
    Tensor(Tensor),
    /// On a card, in the memory of our own backend.
    #[cfg(not(feature = "cuda"))]
    OnCard(Samples),
}

/// Where vectors live.
#[derive(Clone)]
pub enum Home {
    /// Where candle has them.
    Device(Device),
    /// On a card, in the memory of our own backend.
    #[cfg(not(feature = "cuda"))]
    Card(Arc<Space>),
}

impl Home {
    /// Whether that is neither main memory nor where candle has its tensors.
    pub fn is_card(&self) -> bool {
        !matches!(self, Self::Device(_))
    }

    /// Gives back the memory of vectors that are gone, where it was kept for others.
    pub fn tidy(&self) {
        match self {
            Self::Device(_) => {}
            #[cfg(not(feature = "cuda"))]
            Self::Card(space) => space.tidy(),
        }
    }

    /// Brings a vector of f32 there.
    ///
    /// # Errors
    /// [`Error::Memory`] where there is no room for it, [`Error::Device`] when the device fails.
    pub fn bring(&self, tensor: &Tensor) -> Result<Vector> {
        match self {
            Self::Device(device) => Ok(tensor.to_device(device)?.into()),
            #[cfg(not(feature = "cuda"))]
            Self::Card(space) => {
                let samples = samples::lend(&tensor.contiguous()?, |values| {
                    Samples::new(space, tensor.shape(), values)
                });
                Ok(Vector::OnCard(samples??))
            }
        }
    }
}

impl From<Tensor> for Vector {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl Vector {
    /// Its shape.
    pub fn shape(&self) -> &Shape {
        match self {
            Self::Tensor(tensor) => tensor.shape(),
            #[cfg(not(feature = "cuda"))]
            Self::OnCard(samples) => samples.shape(),
        }
    }

    /// The number of its elements.
    pub fn elem_count(&self) -> usize {
        self.shape().elem_count()
    }

    /// Where it lives.
    pub fn home(&self) -> Home {
        match self {
            Self::Tensor(tensor) => Home::Device(tensor.device().clone()),
            #[cfg(not(feature = "cuda"))]
            Self::OnCard(samples) => Home::Card(samples.space().clone()),
        }
    }

    /// Whether it is neither in main memory nor where candle can reach it.
    pub fn is_on_card(&self) -> bool {
        !matches!(self, Self::Tensor(_))
    }

    /// Its elements as a tensor of f32: itself where it is one already, in main memory where it is on a card.
    ///
    /// # Errors
    /// [`Error::Device`] when the card fails.
    pub fn to_tensor(&self) -> Result<Tensor> {
        match self {
            Self::Tensor(tensor) => Ok(tensor.to_dtype(DType::F32)?),
            #[cfg(not(feature = "cuda"))]
            Self::OnCard(samples) => Ok(Tensor::from_vec(samples.values()?, samples.shape(), &Device::Cpu)?),
        }
    }

    /// One of zeros that is like it, of f32.
    ///
    /// # Errors
    /// [`Error::Memory`] where there is no room for it.
    pub fn zeros_like(&self) -> Result<Self> {
        match self {
            Self::Tensor(tensor) => Ok(Tensor::zeros(tensor.shape(), DType::F32, tensor.device())?.into()),
            #[cfg(not(feature = "cuda"))]
            Self::OnCard(samples) => Ok(Self::OnCard(samples.zeros_like()?)),
        }
    }

    /// Whether it is of f32.
    pub fn is_single(&self) -> bool {
        match self {
            Self::Tensor(tensor) => tensor.dtype() == DType::F32,
            #[cfg(not(feature = "cuda"))]
            Self::OnCard(samples) => samples.is_single(),
        }
    }
}

/// Shape, type and place.
impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Tensor(tensor) => {
                let place = tensor.device().location();
                write!(f, "{:?} of {:?} on {place:?}", tensor.shape(), tensor.dtype())
            }
            #[cfg(not(feature = "cuda"))]
            Self::OnCard(samples) => write!(f, "{samples:?}"),
        }
    }
}

/// Vectors that live in one place.
pub(super) enum Together<'a, const N: usize> {
    Tensors([&'a Tensor; N]),
    #[cfg(not(feature = "cuda"))]
    OnCard([&'a Samples; N]),
}

/// A vector, and any number of others that live in the same place.
pub(super) enum Among<'a> {
    Tensors(&'a Tensor, Vec<&'a Tensor>),
    #[cfg(not(feature = "cuda"))]
    OnCard(&'a Samples, Vec<&'a Samples>),
}

/// Sees the vectors of a call where they live.
///
/// # Errors
/// [`Error::Internal`] when they do not live together.
pub(super) fn together<const N: usize>(vectors: [&Vector; N]) -> Result<Together<'_, N>> {
    let mut tensors = Vec::with_capacity(N);
    #[cfg(not(feature = "cuda"))]
    let mut samples = Vec::with_capacity(N);
    for vector in vectors {
        match vector {
            Vector::Tensor(tensor) => tensors.push(tensor),
            #[cfg(not(feature = "cuda"))]
            Vector::OnCard(on_card) => samples.push(on_card),
        }
    }
    #[cfg(not(feature = "cuda"))]
    if let Ok(samples) = <[&Samples; N]>::try_from(samples) {
        super::card::check(&samples)?;
        return Ok(Together::OnCard(samples));
    }
    let tensors = tensors.try_into().map_err(|_| apart())?;
    Ok(Together::Tensors(tensors))
}

/// As [`together`], of a vector and a list.
///
/// # Errors
/// [`Error::Internal`] when they do not live together.
pub(super) fn among<'a>(vector: &'a Vector, others: &[&'a Vector]) -> Result<Among<'a>> {
    match vector {
        Vector::Tensor(tensor) => {
            let others = others.iter().map(|&other| match other {
                Vector::Tensor(other) => Ok(other),
                #[cfg(not(feature = "cuda"))]
                Vector::OnCard(_) => Err(apart()),
            });
            Ok(Among::Tensors(tensor, others.collect::<Result<_>>()?))
        }
        #[cfg(not(feature = "cuda"))]
        Vector::OnCard(samples) => {
            let mut list = Vec::with_capacity(others.len());
            for &other in others {
                let Vector::OnCard(other) = other else {
                    return Err(apart());
                };
                super::card::check(&[samples, other])?;
                list.push(other);
            }
            Ok(Among::OnCard(samples, list))
        }
    }
}

fn apart() -> Error {
    Error::Internal("an optimiser's vectors live on different devices".into())
}
