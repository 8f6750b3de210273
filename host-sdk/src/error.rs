//! What a plugin may answer to a call that it could not carry out.

use crate::abi;

/// A failed call: the plugin's status as a variant, and its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An argument is unusable; the text begins with its name.
    #[error("{0}")]
    Argument(String),
    /// The call does not fit the job's state.
    #[error("{0}")]
    State(String),
    /// An image's format, layout or transfer is not understood.
    #[error("{0}")]
    Format(String),
    /// Not enough memory.
    #[error("{0}")]
    Memory(String),
    /// The compute device cannot be used or failed.
    #[error("{0}")]
    Device(String),
    /// The network's model file is damaged or foreign.
    #[error("{0}")]
    Model(String),
    /// A defect of the plugin.
    #[error("{0}")]
    Internal(String),
    /// A status that this ABI does not know: a defect of the plugin too.
    #[error("the plugin answered with the unknown status {status}: {text}")]
    Unknown {
        /// The status.
        status: abi::Status,
        /// What it says about it.
        text: String,
    },
}

/// A result with a plugin's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The variant that stands for a status other than an outcome.
    pub(crate) fn from_status(status: abi::Status, text: String) -> Self {
        match status {
            abi::ERROR_ARGUMENT => Self::Argument(text),
            abi::ERROR_STATE => Self::State(text),
            abi::ERROR_FORMAT => Self::Format(text),
            abi::ERROR_MEMORY => Self::Memory(text),
            abi::ERROR_DEVICE => Self::Device(text),
            abi::ERROR_MODEL => Self::Model(text),
            abi::ERROR_INTERNAL => Self::Internal(text),
            status => Self::Unknown { status, text },
        }
    }

    /// The ABI's status.
    pub fn status(&self) -> abi::Status {
        match self {
            Self::Argument(_) => abi::ERROR_ARGUMENT,
            Self::State(_) => abi::ERROR_STATE,
            Self::Format(_) => abi::ERROR_FORMAT,
            Self::Memory(_) => abi::ERROR_MEMORY,
            Self::Device(_) => abi::ERROR_DEVICE,
            Self::Model(_) => abi::ERROR_MODEL,
            Self::Internal(_) => abi::ERROR_INTERNAL,
            Self::Unknown { status, .. } => *status,
        }
    }
}
