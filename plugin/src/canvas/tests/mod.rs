//! Reading and writing held together: every format, layout, transfer and stride there and back.

use half::f16;

use super::*;

mod conversion;
mod transparency;
mod unusable;

const SAMPLES: [SampleFormat; 4] = [
    SampleFormat::U8,
    SampleFormat::U16,
    SampleFormat::F16,
    SampleFormat::F32,
];
const CHANNELS: [Channels; 5] = [
    Channels::Gray,
    Channels::GrayAlpha,
    Channels::Rgb,
    Channels::Rgba,
    Channels::Bgra,
];
const TRANSFERS: [Transfer; 2] = [Transfer::Srgb, Transfer::Linear];
/// What the bytes that belong to no pixel hold.
const GAP: u8 = 0xA5;

fn format(samples: SampleFormat, channels: Channels, transfer: Transfer) -> PixelFormat {
    PixelFormat {
        samples,
        channels,
        transfer,
    }
}

fn every_format() -> impl Iterator<Item = PixelFormat> {
    SAMPLES.into_iter().flat_map(|samples| {
        CHANNELS
            .into_iter()
            .flat_map(move |channels| TRANSFERS.map(|transfer| format(samples, channels, transfer)))
    })
}

fn srgb(samples: SampleFormat, channels: Channels) -> PixelFormat {
    format(samples, channels, Transfer::Srgb)
}

/// Memory that an image lies in, as a host may have it: with gaps, upside down, unaligned.
#[derive(Clone)]
struct Memory {
    layout: Layout,
    lead: usize,
    bytes: Vec<u8>,
}

impl Memory {
    /// Memory with nothing but gaps in it; the image begins after `lead` bytes.
    fn new(width: usize, height: usize, pixel: PixelFormat, gap: usize, upside_down: bool, lead: usize) -> Self {
        let stride = isize::try_from(width * pixel.bytes() + gap).unwrap();
        let layout = Layout::new("test", width, height, pixel, if upside_down { -stride } else { stride }).unwrap();
        let bytes = vec![GAP; lead + layout.span() + 3];
        Self { layout, lead, bytes }
    }

    fn packed(width: usize, height: usize, pixel: PixelFormat) -> Self {
        Self::new(width, height, pixel, 0, false, 0)
    }

    /// Packed memory that holds the given numbers, pixel by pixel, channel by channel.
    fn holding(width: usize, height: usize, pixel: PixelFormat, numbers: &[f64]) -> Self {
        let mut memory = Self::packed(width, height, pixel);
        memory.set(numbers);
        memory
    }

    fn set(&mut self, numbers: &[f64]) {
        let samples = self.layout.pixel().samples;
        let row_samples = self.layout.width() * self.layout.pixel().channels.count();
        assert_eq!(numbers.len(), row_samples * self.layout.height());
        for (y, numbers) in numbers.chunks_exact(row_samples).enumerate() {
            let mut raster = self.raster_mut();
            let row = raster.row_mut(y);
            for (stored, &number) in row.chunks_exact_mut(samples.bytes()).zip(numbers) {
                match samples {
                    SampleFormat::U8 => stored[0] = (number * 255.0).round() as u8,
                    SampleFormat::U16 => {
                        stored.copy_from_slice(&((number * 65535.0).round() as u16).to_ne_bytes());
                    }
                    SampleFormat::F16 => stored.copy_from_slice(&f16::from_f64(number).to_ne_bytes()),
                    SampleFormat::F32 => stored.copy_from_slice(&(number as f32).to_ne_bytes()),
                }
            }
        }
    }

    fn raster(&self) -> Raster<'_> {
        Raster::from_slice(self.layout, &self.bytes[self.lead..]).unwrap()
    }

    fn raster_mut(&mut self) -> RasterMut<'_> {
        RasterMut::from_slice(self.layout, &mut self.bytes[self.lead..]).unwrap()
    }

    fn read(&self) -> Canvas {
        Canvas::read(&self.raster()).unwrap()
    }

    /// The bytes of all pixels, row by row.
    fn pixels(&self) -> Vec<u8> {
        let raster = self.raster();
        (0..self.layout.height()).flat_map(|y| raster.row(y).to_vec()).collect()
    }

    /// The numbers of all samples, row by row.
    fn numbers(&self) -> Vec<f64> {
        let samples = self.layout.pixel().samples;
        let number = |stored: &[u8]| match samples {
            SampleFormat::U8 => f64::from(stored[0]) / 255.0,
            SampleFormat::U16 => f64::from(u16::from_ne_bytes(stored.try_into().unwrap())) / 65535.0,
            SampleFormat::F16 => f16::from_ne_bytes(stored.try_into().unwrap()).to_f64(),
            SampleFormat::F32 => f64::from(f32::from_ne_bytes(stored.try_into().unwrap())),
        };
        self.pixels().chunks_exact(samples.bytes()).map(number).collect()
    }

    /// How many bytes outside the pixels are as they were.
    fn untouched_gaps(&self) -> bool {
        let mut blank = self.clone();
        let mut pixels = blank.raster_mut();
        for y in 0..self.layout.height() {
            pixels.row_mut(y).fill(GAP);
        }
        blank.bytes.iter().all(|&byte| byte == GAP)
    }
}

/// The picture of a canvas, written in another format.
fn convert(content: &Memory, pixel: PixelFormat) -> Memory {
    let canvas = content.read();
    let mut output = Memory::packed(content.layout.width(), content.layout.height(), pixel);
    canvas.frame.write(&canvas.picture, &mut output.raster_mut()).unwrap();
    output
}
