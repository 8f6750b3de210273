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

/// Shapes and types are ours to get right, so an error of the tensor library is either the device's or a defect. A device
/// that is full is no worse than a small one.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        let cause = innermost(&error);
        let text = cause.to_string();
        let is_the_devices = match cause {
            candle_core::Error::Cuda(_) | candle_core::Error::Metal(_) => true,
            // candle tells what cuDNN says in words alone.
            _ => text.contains("CUDNN_STATUS"),
        };
        match is_the_devices {
            true if is_short_of_memory(&text) => {
                Self::Memory(format!("the device has not enough memory left ({text})"))
            }
            true => Self::Device(text),
            false => Self::Internal(error.to_string()),
        }
    }
}

/// What candle has wrapped in where it happened, and in what it was doing.
fn innermost(error: &candle_core::Error) -> &candle_core::Error {
    use candle_core::Error as Candle;
    match error {
        Candle::Context { inner, .. } | Candle::WithPath { inner, .. } | Candle::WithBacktrace { inner, .. } => {
            innermost(inner)
        }
        Candle::WrappedContext { wrapped, .. } => wrapped.downcast_ref().map_or(error, innermost),
        _ => error,
    }
}

/// Whether that is what a device says that is full: CUDA's driver and its libraries, and Metal. The types of these errors
/// are known in builds for such devices alone.
fn is_short_of_memory(text: &str) -> bool {
    const SAID: [&str; 6] = [
        "CUDA_ERROR_OUT_OF_MEMORY",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_ALLOC_FAILED",
        "DEVICE_ALLOCATION_FAILED",
        "Failed to create metal resource: Buffer",
        "Insufficient Memory",
    ];
    SAID.iter().any(|said| text.contains(said))
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;

    use candle_core::{Error as Candle, MetalError};

    use super::*;

    /// What a driver's error looks like where its type is not known.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str);

    fn cuda(said: &'static str) -> Candle {
        Candle::Cuda(Box::new(Said(said)))
    }

    /// As candle hands an error on: bare, and in all that it may be wrapped in.
    fn wrapped(error: fn() -> Candle) -> [Candle; 5] {
        let traced = |error| Candle::WithBacktrace {
            inner: Box::new(error),
            backtrace: Box::new(Backtrace::force_capture()),
        };
        let in_std = Candle::WrappedContext {
            wrapped: Box::new(error()),
            context: "while something was done".into(),
        };
        let deep = traced(traced(error()).context("doing something")).with_path("somewhere");
        [
            error(),
            traced(error()),
            error().context("doing something"),
            in_std,
            deep,
        ]
    }

    #[test]
    fn a_full_device_is_short_of_memory_however_it_says_so() {
        let full: [fn() -> Candle; 6] = [
            || cuda("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")"),
            || cuda("CublasError(CUBLAS_STATUS_ALLOC_FAILED)"),
            || Candle::wrap("CudnnError(CUDNN_STATUS_ALLOC_FAILED)"),
            || Candle::wrap("CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)"),
            || Candle::Metal(MetalError::Message("Failed to create metal resource: Buffer".into())),
            || Candle::Metal(MetalError::Message("Insufficient Memory (00000008)".into())),
        ];
        for error in full.into_iter().flat_map(wrapped) {
            let error = Error::from(error);
            assert!(matches!(error, Error::Memory(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.starts_with("the device has not enough memory left ("), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_device_that_fails_is_told_from_a_defect() {
        let failed: [fn() -> Candle; 3] = [
            || cuda("DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access was encountered\")"),
            || Candle::wrap("CudnnError(CUDNN_STATUS_EXECUTION_FAILED)"),
            || Candle::Metal(MetalError::Message("the command buffer failed".into())),
        ];
        for error in failed.into_iter().flat_map(wrapped) {
            let error = Error::from(error);
            assert!(matches!(error, Error::Device(_)), "{error:?}");
        }
        for error in wrapped(|| Candle::UnwrapNone) {
            let error = Error::from(error);
            assert!(matches!(error, Error::Internal(_)), "{error:?}");
        }
    }
}
