//! Draws the sample style: an evening by the water, in a few thousand brush strokes that follow a flow field.
//!
//! The idea is Haeberli's (Paint by Numbers, 1990) as refined by Hertzmann (Painterly Rendering with Curved Brush
//! Strokes, 1998): a motif says what colour is where and which way the brush goes, and layers of ever finer curved
//! strokes are laid over one another. Here the motif is not a photograph but a handful of formulas.
//!
//! - [`noise`] and [`field`]: smooth randomness, and the swirling currents that strokes follow;
//! - [`palette`]: the paints and how they are mixed;
//! - [`scene`]: the motif: sky, far hills, water, bank and cypresses;
//! - [`stroke`] and [`canvas`]: a loaded brush of many bristles, and the paint that it leaves, with its relief;
//! - [`painter`]: which strokes are laid, and in what order.
//!
//! A seed gives the same bytes on every machine: random numbers come from ChaCha, and pixels are decided by
//! additions, products, quotients and square roots alone, which IEEE 754 rounds in one way. Functions of a system's
//! mathematics library (sine, exponential, power), which differ from system to system, are not used.

mod canvas;
mod field;
mod noise;
mod painter;
mod palette;
mod point;
mod scene;
mod stroke;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use image::ImageError;

/// Draws the sample style and writes it as a PNG.
#[derive(Parser)]
struct Arguments {
    /// Where to write the picture; the ending must be .png.
    output: PathBuf,
    /// Pixels in a row.
    #[arg(long, default_value_t = painter::WIDTH, value_parser = clap::value_parser!(u32).range(32..=8192))]
    width: u32,
    /// Rows of pixels.
    #[arg(long, default_value_t = painter::HEIGHT, value_parser = clap::value_parser!(u32).range(32..=8192))]
    height: u32,
    /// Chooses the random numbers: another seed is another painting of the same motif.
    #[arg(long, default_value_t = painter::SEED)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match write(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("draw-painting: cannot write {}: {error}", arguments.output.display());
            ExitCode::FAILURE
        }
    }
}

fn write(arguments: &Arguments) -> Result<(), ImageError> {
    let painting = painter::paint(arguments.width, arguments.height, arguments.seed);
    let file = std::io::BufWriter::new(std::fs::File::create(&arguments.output)?);
    painting.write_with_encoder(image::codecs::png::PngEncoder::new_with_quality(
        file,
        image::codecs::png::CompressionType::Best,
        image::codecs::png::FilterType::Adaptive,
    ))
}
