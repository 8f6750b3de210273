//! Which tile of pixels and channels a block of a convolution makes.
//!
//! A larger tile reads less from shared memory for each product, and a smaller one leaves more blocks to share out among a
//! card's multiprocessors, of which there are some hundred. On an H100, conv4_2 takes 98 µs at 512 px by the 128 blocks of wide
//! tiles and 133 by 512 small ones; at conv5_1 32 wide ones take 95, 64 narrow ones 69, and 128 small ones 58.

use super::kernels::{Kernel, Precision};

/// A rectangle of pixels, in some of the output channels, and the kernels that make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    rows: usize,
    channels: usize,
    /// From a layer's input to its output.
    pub forward: Kernel,
    /// From the gradient of a layer's output to that of its input.
    pub backward: Kernel,
}

/// Pixels in a row of a tile.
const RUN: usize = 8;
/// Blocks that keep a card busy.
const ENOUGH: usize = 100;

macro_rules! tile {
    ($rows:literal, $channels:literal, $($suffix:literal),+) => {
        Tile {
            rows: $rows,
            channels: $channels,
            forward: Kernel::named(concat!("convolve_forward_", $($suffix),+)),
            backward: Kernel::named(concat!("convolve_backward_", $($suffix),+)),
        }
    };
}

/// From the one that reads least to the one that leaves most blocks.
macro_rules! tiles {
    ($family:literal, $arithmetic:literal) => {
        [
            tile!(16, 128, $family, "wide_", $arithmetic),
            tile!(16, 64, $family, "narrow_", $arithmetic),
            tile!(8, 64, $family, "small_", $arithmetic),
        ]
    };
}

const FLOAT32: [Tile; 1] = [tile!(16, 64, "", "f32")];
const TF32: [[Tile; 3]; 2] = [tiles!("", "tf32"), tiles!("hopper_", "tf32")];
const BFLOAT16: [[Tile; 3]; 2] = [tiles!("", "bf16"), tiles!("hopper_", "bf16")];

impl Tile {
    /// The tile for a map of this size, with so many channels at the end that is written, on a card that has Hopper's kernels or
    /// has not.
    pub fn of(precision: Precision, is_hopper: bool, height: usize, width: usize, channels: usize) -> Self {
        let family = usize::from(is_hopper);
        let tiles: &[Self] = match precision {
            Precision::Float32 => &FLOAT32,
            Precision::Tf32 => &TF32[family],
            Precision::Bfloat16 => &BFLOAT16[family],
        };
        let smallest = tiles[tiles.len() - 1];
        let mut fitting = tiles.iter().filter(|tile| channels.is_multiple_of(tile.channels));
        let enough = fitting.find(|tile| tile.blocks(height, width, channels) >= ENOUGH);
        *enough.unwrap_or(&smallest)
    }

    /// The blocks that it takes to cover a map.
    pub fn blocks(&self, height: usize, width: usize, channels: usize) -> usize {
        height.div_ceil(self.rows) * width.div_ceil(RUN) * (channels / self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suffix(precision: Precision, is_hopper: bool, side: usize, channels: usize) -> &'static str {
        let tile = Tile::of(precision, is_hopper, side, side, channels);
        let [forward, backward] = [
            (tile.forward, "convolve_forward_"),
            (tile.backward, "convolve_backward_"),
        ]
        .map(|(kernel, direction)| kernel.name().strip_prefix(direction));
        assert_eq!(forward, backward);
        forward.unwrap()
    }

    #[test]
    fn a_tile_leaves_enough_blocks() {
        assert_eq!(suffix(Precision::Tf32, false, 64, 512), "wide_tf32");
        assert_eq!(suffix(Precision::Tf32, false, 64, 256), "narrow_tf32");
        assert_eq!(suffix(Precision::Tf32, true, 32, 512), "hopper_small_tf32");
        assert_eq!(suffix(Precision::Tf32, true, 512, 64), "hopper_narrow_tf32");
        assert_eq!(suffix(Precision::Bfloat16, false, 16, 64), "small_bf16");
        assert_eq!(suffix(Precision::Bfloat16, true, 256, 128), "hopper_wide_bf16");
        assert_eq!(suffix(Precision::Float32, true, 256, 512), "f32");
    }

    #[test]
    fn blocks_cover_odd_sizes() {
        let tile = Tile::of(Precision::Tf32, false, 1, 1, 64);
        assert_eq!(tile.blocks(1, 1, 64), 1);
        assert_eq!(tile.blocks(9, 17, 128), 12);
    }
}
