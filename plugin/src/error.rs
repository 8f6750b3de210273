//! The one error type of the plugin. Its variants are the ABI's error statuses; its text is what the artist reads.

/// What can go wrong. Every message is one sentence that says what to do about it, as far as that is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument or parameter is unusable.
    #[error("{name}: {reason}")]
    Argument {
        /// The argument or parameter, as its caller knows it.
        name: String,
        /// Why it is refused, and what would be accepted.
        reason: String,
    },
    /// The call does not fit the job's state.
    #[error("{0}")]
    State(String),
    /// A canvas is stored in a way that is not understood.
    #[error("{name}: {reason}")]
    Format {
        /// The canvas.
        name: String,
        /// What was found, and what is understood.
        reason: String,
    },
    /// The render does not fit into memory.
    #[error("{0}")]
    Memory(String),
    /// The compute device cannot be used or failed.
    #[error("{0}")]
    Device(String),
    /// The model file is damaged or foreign.
    #[error("{0}")]
    Model(String),
    /// A defect of the plugin.
    #[error("{0}")]
    Internal(String),
}

/// A result with the plugin's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Argument`].
    pub fn argument(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Argument {
            name: name.into(),
            reason: reason.into(),
        }
    }

    /// An [`Error::Format`].
    pub fn format(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Format {
            name: name.into(),
            reason: reason.into(),
        }
    }
}

/// Shapes and types are ours to get right, so an error of the tensor library is either the device's or a defect.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        match error {
            candle_core::Error::Cuda(_) | candle_core::Error::Metal(_) => Self::Device(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}
