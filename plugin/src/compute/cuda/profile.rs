//! What each kernel of a step does, how long it takes, and what a card could do in that time: beside each other they tell
//! what bounds a kernel.
//!
//! What a kernel does is counted from what it is called with: a multiplication and its addition are two operations; of
//! matrices that are symmetric, the half that is made; of memory, every number that is read or written once, whatever
//! caches save or the blocks of a grid read again. What a card could do is measured: products that stay in registers, and a
//! copy within its memory.

use std::fmt::Write as _;

use super::CudaBackend;
use super::driver::{Memory, Timed};
use super::kernels::{Argument, Kernel, MapWindow, Precision};
use super::layout::tiles;
use crate::Result;

/// Kernels of one name and size.
#[derive(Clone, Debug)]
pub struct KernelProfile {
    /// What the kernel is called.
    pub name: &'static str,
    /// What of: rows, columns and channels.
    pub size: String,
    /// How often it ran.
    pub launches: usize,
    /// Of all launches together, as are the next two.
    pub seconds: f64,
    /// Multiplications and additions of matrix products.
    pub operations: f64,
    /// Of the card's memory, read and written.
    pub bytes: f64,
    /// In what its products are made.
    pub arithmetic: Precision,
}

/// What a card can do in a second.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// Operations in float32, in TF32 and in bfloat16, of products in registers alone.
    pub operations: [f64; 3],
    /// Bytes read and written in copying.
    pub bytes: f64,
}

impl Peak {
    /// Operations in one of the arithmetics.
    pub fn of(&self, arithmetic: Precision) -> f64 {
        self.operations[arithmetic as usize]
    }
}

/// The card is measured until it is busy for so many seconds: it takes a while to come up to its clock.
const ENOUGH: f64 = 2e-3;
/// The most blocks that products are measured with, and rounds of each at first.
const BLOCKS: usize = 2048;
const ROUNDS: usize = 16;
/// What a block does in a round: four warps, 16 products of 16 x 8 x 8 words each.
const WORDS_PER_ROUND: usize = 4 * 16 * 16 * 8 * 8;

impl CudaBackend {
    /// Times all kernels from now on, which are then launched one by one.
    pub fn start_profile(&mut self) {
        self.card.start_clock();
    }

    /// What ran since, kernels of the same size together, in the order of their first launch.
    ///
    /// # Errors
    /// When the card fails.
    pub fn stop_profile(&mut self) -> Result<Vec<KernelProfile>> {
        let mut profile: Vec<KernelProfile> = Vec::new();
        for timed in self.card.stop_clock()? {
            let new = describe(&timed);
            match profile
                .iter_mut()
                .find(|row| row.name == new.name && row.size == new.size)
            {
                None => profile.push(new),
                Some(row) => {
                    row.launches += 1;
                    row.seconds += new.seconds;
                    row.operations += new.operations;
                    row.bytes += new.bytes;
                }
            }
        }
        Ok(profile)
    }

    /// Measures what the card can do.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is no room for a copy of `bytes` bytes, and when the card fails.
    pub fn peak(&self, bytes: usize) -> Result<Peak> {
        let arithmetics = [Precision::Float32, Precision::Tf32, Precision::Bfloat16];
        let mut operations = [0.0; 3];
        for arithmetic in arithmetics {
            operations[arithmetic as usize] = self.rate(arithmetic)?;
        }
        let (from, to) = (Memory::new(&self.card, bytes)?, Memory::new(&self.card, bytes)?);
        let numbers = bytes / size_of::<f32>();
        let mut arguments = [from.address(0), to.address(0), Argument::size(numbers)];
        from.clear(0, bytes)?;
        let seconds = self.quickest(Kernel::COPY, numbers.div_ceil(1024), &mut arguments)?;
        Ok(Peak {
            operations,
            bytes: 2.0 * (numbers * size_of::<f32>()) as f64 / seconds,
        })
    }

    fn rate(&self, arithmetic: Precision) -> Result<f64> {
        let sums = Memory::new(
            &self.card,
            BLOCKS * arithmetic.rate().threads() as usize * size_of::<f32>(),
        )?;
        let (mut blocks, mut rounds) = (1, ROUNDS);
        loop {
            let mut arguments = [sums.address(0), Argument::size(rounds), Argument::Float(1.0)];
            let seconds = self.quickest(arithmetic.rate(), blocks, &mut arguments)?;
            if seconds >= ENOUGH {
                let numbers_per_word = size_of::<f32>() / arithmetic.bytes_of_number();
                return Ok((2 * blocks * rounds * WORDS_PER_ROUND * numbers_per_word) as f64 / seconds);
            }
            match blocks < BLOCKS {
                true => blocks *= 2,
                false => rounds *= 2,
            }
        }
    }

    /// The seconds of the quicker of two launches.
    fn quickest(&self, kernel: Kernel, blocks: usize, arguments: &mut [Argument]) -> Result<f64> {
        self.card.start_clock();
        for _ in 0..2 {
            self.card.launch(kernel, (blocks, 1), arguments)?;
        }
        let timed = self.card.stop_clock()?;
        Ok(timed.iter().map(|timed| timed.seconds).fold(f64::INFINITY, f64::min))
    }
}

/// Rows, columns, and what else is counted in a kernel's arguments.
fn sizes(timed: &Timed) -> (Option<MapWindow>, Vec<usize>) {
    let window = timed.arguments.iter().find_map(|argument| match argument {
        Argument::Window(window) => Some(*window),
        _ => None,
    });
    let sizes = timed.arguments.iter().filter_map(|argument| match argument {
        Argument::Int(size) => Some(*size as usize),
        _ => None,
    });
    (window, sizes.collect())
}

fn describe(timed: &Timed) -> KernelProfile {
    let name = timed.kernel.name();
    let (window, sizes) = sizes(timed);
    let is_given = |argument: usize| !matches!(timed.arguments[argument], Argument::Pointer(0));
    let number = if name.ends_with("_bf16") { 2 } else { 4 };
    let pixels = window.map_or(0, |window| (window.height * window.width) as usize);
    let base = ["_bf16", "_tf32", "_f32", "_wide", "_narrow", "_small", "_hopper"]
        .iter()
        .fold(name, |name, suffix| name.trim_end_matches(suffix));
    let (operations, bytes) = match (base, &sizes[..]) {
        ("convolve_forward", &[height, width, inputs, outputs]) => {
            let (pixels, weights) = (height * width, 9 * inputs * outputs);
            let kept = if is_given(4) { 4 * outputs } else { 0 };
            let of_pixel = number * (inputs + outputs) + outputs / 8 + kept;
            (2 * weights * pixels, pixels * of_pixel + number * weights)
        }
        ("convolve_backward", &[height, width, inputs, outputs]) => {
            let (pixels, weights) = (height * width, 9 * inputs * outputs);
            let mask = if is_given(2) { outputs / 8 } else { 0 };
            (
                2 * weights * pixels,
                pixels * (number * (inputs + outputs) + mask) + number * weights,
            )
        }
        ("picture_forward", &[height, width]) => {
            let kept = if is_given(5) { 4 * 64 } else { 0 };
            (
                2 * 27 * 64 * height * width,
                height * width * (12 + 64 * number + 8 + kept),
            )
        }
        ("picture_backward", &[height, width]) => (2 * 27 * 64 * height * width, height * width * (12 + 64 * number)),
        ("pool_max" | "pool_average" | "pool_l2", &[height, width, channels]) => {
            let winners = if base == "pool_max" { 1 } else { 0 };
            let outputs = height / 2 * (width / 2) * channels;
            (0, height * width * channels * number + outputs * (number + winners))
        }
        ("pool_max_back" | "pool_average_back" | "pool_l2_back", &[height, width, channels]) => {
            let (of_input, of_output) = match base {
                "pool_max_back" => (0, 1),
                "pool_average_back" => (0, 0),
                _ => (4, number),
            };
            let (inputs, outputs) = (height * width * channels, height / 2 * (width / 2) * channels);
            (
                0,
                inputs * (number + of_input) + inputs / 8 + outputs * (number + of_output),
            )
        }
        ("second_moments", &[channels, _]) => {
            let matrix = 64 * 64 * tiles(channels);
            (2 * matrix * pixels, 4 * (pixels * channels + timed.grid.1 * matrix))
        }
        ("second_moments_total", &[slices, channels]) => {
            (0, 4 * (slices * 64 * 64 * tiles(channels) + channels * channels))
        }
        ("means", &[channels, _]) => (0, 4 * (pixels + timed.grid.1) * channels),
        ("means_total", &[slices, channels]) => (0, 4 * (slices + 1) * channels),
        ("inject_moments", &[channels]) => {
            let elements = pixels * channels;
            let bytes = elements * (4 + 2 * number) + elements / 8 + 4 * channels * channels;
            (2 * elements * channels, bytes)
        }
        ("inject_content", &[channels]) => {
            let elements = pixels * channels;
            (0, elements * (8 + 2 * number) + elements / 8)
        }
        ("squared_distance", &[channels]) => (0, pixels * channels * if is_given(1) { 8 } else { 4 }),
        ("hold", &[channels]) => (0, pixels * channels * 8),
        ("symmetric", &[channels]) => (0, 8 * channels * channels),
        _ => (0, 0),
    };
    KernelProfile {
        name,
        size: size(window, &sizes, base),
        launches: 1,
        seconds: timed.seconds,
        operations: operations as f64,
        bytes: bytes as f64,
        arithmetic: arithmetic(name),
    }
}

fn arithmetic(name: &str) -> Precision {
    match name {
        name if name.starts_with("convolve_") && name.ends_with("_bf16") => Precision::Bfloat16,
        // Statistics of a draft are in TF32.
        "inject_moments_bf16" => Precision::Tf32,
        name if name.ends_with("_tf32")
            && !["picture_", "pool_", "inject_content"]
                .iter()
                .any(|of| name.starts_with(of)) =>
        {
            Precision::Tf32
        }
        _ => Precision::Float32,
    }
}

/// As people say it: "512 x 512, 64 to 128".
fn size(window: Option<MapWindow>, sizes: &[usize], base: &str) -> String {
    let mut text = String::new();
    let rest = match (window, sizes) {
        (Some(window), rest) => {
            // Writing into a string does not fail.
            let _ = write!(text, "{} x {}, ", window.height, window.width);
            rest
        }
        (None, &[height, width, ref rest @ ..]) if !base.ends_with("total") => {
            let _ = write!(text, "{height} x {width}, ");
            rest
        }
        (None, rest) => rest,
    };
    match (base, rest) {
        ("convolve_forward" | "convolve_backward", [inputs, outputs]) => text + &format!("{inputs} to {outputs}"),
        ("second_moments_total" | "means_total", [_, channels]) => text + &channels.to_string(),
        (_, [channels, ..]) => text + &channels.to_string(),
        (_, []) => text.trim_end_matches(", ").to_owned(),
    }
}
