//! The ways in which a pixel may be stored.

/// How one sample is stored, in the machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    /// Unsigned, 0 to 255.
    U8,
    /// Unsigned, 0 to 65535.
    U16,
    /// IEEE 754 half precision, nominally 0 to 1.
    F16,
    /// IEEE 754 single precision, nominally 0 to 1.
    F32,
}

impl SampleFormat {
    /// The bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// What the samples of a pixel mean, in the order in which they are stored (the contract's "layout"). Alpha is straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One gray sample.
    Gray,
    /// Gray and alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue and alpha.
    Rgba,
    /// Blue, green, red and alpha.
    Bgra,
}

impl Channels {
    /// The number of samples of a pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Bgra => 4,
        }
    }

    /// Where in a pixel red, green and blue are found; for gray, all three are the one gray sample.
    pub fn colour(self) -> [usize; 3] {
        match self {
            Self::Gray | Self::GrayAlpha => [0, 0, 0],
            Self::Rgb | Self::Rgba => [0, 1, 2],
            Self::Bgra => [2, 1, 0],
        }
    }

    /// Where in a pixel alpha is found.
    pub fn alpha(self) -> Option<usize> {
        match self {
            Self::Gray | Self::Rgb => None,
            Self::GrayAlpha => Some(1),
            Self::Rgba | Self::Bgra => Some(3),
        }
    }

    /// Whether colour is a single gray sample.
    pub fn is_gray(self) -> bool {
        matches!(self, Self::Gray | Self::GrayAlpha)
    }
}

/// How colour samples relate to light. Alpha is a plain share in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// They carry the sRGB curve.
    Srgb,
    /// They are proportional to light.
    Linear,
}

/// All that is needed to understand the bytes of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelFormat {
    /// How a sample is stored.
    pub samples: SampleFormat,
    /// What the samples mean.
    pub channels: Channels,
    /// How colour relates to light.
    pub transfer: Transfer,
}

impl PixelFormat {
    /// The bytes of one pixel.
    pub fn bytes(self) -> usize {
        self.samples.bytes() * self.channels.count()
    }
}
