//! Single samples: bytes to numbers and back, with no regard to alignment.
//!
//! Numbers are f64, so that going from one format to another rounds once only: f64 holds every sample of every format
//! exactly, or (the shares of 255 and 65535) far more closely than any of them can tell apart.

use half::f16;

/// A way to store a sample. The numbers are in the nominal range 0 to 1; floats may lie outside it.
pub(super) trait Sample {
    /// The number stored in the first bytes of a slice.
    fn load(bytes: &[u8]) -> f64;

    /// Stores the nearest sample to a number in the first bytes of a slice. Integers saturate.
    fn store(number: f64, bytes: &mut [u8]);
}

/// The first bytes of a slice as an array.
fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

impl Sample for u8 {
    fn load(bytes: &[u8]) -> f64 {
        f64::from(bytes[0]) / 255.0
    }

    fn store(number: f64, bytes: &mut [u8]) {
        bytes[0] = (number * 255.0).round() as u8;
    }
}

impl Sample for u16 {
    fn load(bytes: &[u8]) -> f64 {
        f64::from(u16::from_ne_bytes(take(bytes))) / 65535.0
    }

    fn store(number: f64, bytes: &mut [u8]) {
        bytes[..2].copy_from_slice(&((number * 65535.0).round() as u16).to_ne_bytes());
    }
}

impl Sample for f16 {
    fn load(bytes: &[u8]) -> f64 {
        f16::from_ne_bytes(take(bytes)).to_f64()
    }

    fn store(number: f64, bytes: &mut [u8]) {
        bytes[..2].copy_from_slice(&f16::from_f64(number).to_ne_bytes());
    }
}

impl Sample for f32 {
    fn load(bytes: &[u8]) -> f64 {
        f64::from(f32::from_ne_bytes(take(bytes)))
    }

    fn store(number: f64, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&(number as f32).to_ne_bytes());
    }
}

/// Evaluates an expression with a type name bound to the [`Sample`] of a format that is known at run time.
macro_rules! with_sample {
    ($format:expr, $sample:ident => $body:expr) => {
        match $format {
            $crate::canvas::SampleFormat::U8 => {
                type $sample = u8;
                $body
            }
            $crate::canvas::SampleFormat::U16 => {
                type $sample = u16;
                $body
            }
            $crate::canvas::SampleFormat::F16 => {
                type $sample = half::f16;
                $body
            }
            $crate::canvas::SampleFormat::F32 => {
                type $sample = f32;
                $body
            }
        }
    };
}

pub(super) use with_sample;
