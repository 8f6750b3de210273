//! What becomes of alpha, and of the colour that it hides.

use super::*;

#[test]
fn alpha_keeps_its_bits() {
    for samples in SAMPLES {
        let numbers: Vec<f64> = (0..=255)
            .flat_map(|value| [0.5, f64::from(value) / 255.0])
            // Floats may hold any finite alpha.
            .chain([0.5, 1.25, 0.5, -0.5, 0.5, 1e-7])
            .collect();
        let from = format(samples, Channels::GrayAlpha, Transfer::Linear);
        let content = Memory::holding(numbers.len() / 2, 1, from, &numbers);
        for (channels, transfer) in [
            (Channels::GrayAlpha, Transfer::Srgb),
            (Channels::Bgra, Transfer::Linear),
        ] {
            let to = format(samples, channels, transfer);
            let output = convert(&content, to);
            let alphas = |memory: &Memory| {
                let pixel = memory.layout.pixel();
                let alpha = pixel.channels.alpha().unwrap() * samples.bytes();
                let pixels = memory.pixels();
                let alphas = pixels
                    .chunks_exact(pixel.bytes())
                    .map(|pixel| pixel[alpha..][..samples.bytes()].to_vec());
                alphas.collect::<Vec<_>>()
            };
            assert_eq!(alphas(&output), alphas(&content), "{samples:?} {channels:?}");
        }
    }
}

#[test]
fn alpha_converts_to_the_nearest() {
    let content = {
        let numbers: Vec<f64> = (0..=65535)
            .flat_map(|value| [0.5, f64::from(value) / 65535.0])
            .collect();
        Memory::holding(65536, 1, srgb(SampleFormat::U16, Channels::GrayAlpha), &numbers)
    };
    let bytes = convert(&content, srgb(SampleFormat::U8, Channels::GrayAlpha));
    for (value, pixel) in bytes.pixels().chunks_exact(2).enumerate() {
        assert_eq!(usize::from(pixel[1]), (value + 128) / 257, "alpha {value}");
    }
    let words = convert(&bytes, srgb(SampleFormat::U16, Channels::GrayAlpha));
    for (byte, word) in bytes.pixels().chunks_exact(2).zip(words.pixels().chunks_exact(4)) {
        assert_eq!(u16::from_ne_bytes([word[2], word[3]]), 257 * u16::from(byte[1]));
    }
}

#[test]
fn alpha_is_opaque_where_there_was_none_and_goes_where_there_is_no_room() {
    let content = Memory::holding(1, 1, srgb(SampleFormat::U8, Channels::Rgb), &[1.0, 0.0, 1.0]);
    let output = convert(&content, srgb(SampleFormat::U16, Channels::Rgba));
    assert_eq!(output.numbers(), [1.0, 0.0, 1.0, 1.0]);
    let content = Memory::holding(1, 1, srgb(SampleFormat::U8, Channels::Rgba), &[1.0, 0.0, 1.0, 0.2]);
    assert_eq!(
        convert(&content, srgb(SampleFormat::U8, Channels::Rgb)).numbers(),
        [1.0, 0.0, 1.0]
    );
}

#[test]
fn hidden_colour_does_not_bleed() {
    for samples in SAMPLES {
        for channels in [Channels::GrayAlpha, Channels::Rgba, Channels::Bgra] {
            for transfer in TRANSFERS {
                let pixel = format(samples, channels, transfer);
                let canvas = |hidden: f64| {
                    let numbers: Vec<f64> = (0..7 * 5)
                        .flat_map(|index| {
                            let visible = index % 3 != 0 && index > 9;
                            (0..channels.count()).map(move |channel| {
                                match (visible, channels.alpha() == Some(channel)) {
                                    (true, true) => [0.01, 0.5, 1.0][index / 3 % 3],
                                    (true, false) => (index * 5 + channel) as f64 / 255.0,
                                    (false, true) => 0.0,
                                    (false, false) => hidden,
                                }
                            })
                        })
                        .collect();
                    Memory::holding(7, 5, pixel, &numbers).read()
                };
                let (black, white) = (canvas(0.0), canvas(1.0));
                assert_eq!(black.picture, white.picture, "{pixel:?}");
                // What is visible goes up to 173/255, which is 0.84 when it stands for light.
                assert!(black.picture.samples.iter().all(|&sample| sample < 0.9));
            }
        }
    }
}

#[test]
fn hidden_colour_stays() {
    // A hidden pixel beside a visible one, in a float format that holds more than a picture does.
    let from = srgb(SampleFormat::F32, Channels::Rgba);
    let content = Memory::holding(2, 1, from, &[3.0, -1.0, 0.1, 0.0, 0.2, 0.4, 0.6, 1.0]);
    let canvas = content.read();
    let picture = Picture::new(2, 1, vec![0.5; 6]).unwrap();
    let write = |pixel: PixelFormat| {
        let mut output = Memory::packed(2, 1, pixel);
        canvas.frame.write(&picture, &mut output.raster_mut()).unwrap();
        output
    };
    let same = write(from);
    assert_eq!(same.pixels()[..16], content.pixels()[..16]);
    assert_eq!(same.numbers()[4..], [0.5, 0.5, 0.5, 1.0]);
    // Another layout, then another format: the nearest that it holds.
    let tenth = f64::from(0.1f32);
    assert_eq!(
        write(srgb(SampleFormat::F32, Channels::Bgra)).numbers()[..4],
        [tenth, 0.0, 1.0, 0.0]
    );
    let bytes = write(srgb(SampleFormat::U8, Channels::Rgba)).pixels();
    assert_eq!(bytes, [255, 0, 26, 0, 128, 128, 128, 255]);
    // Without alpha it would come to light.
    assert_eq!(write(srgb(SampleFormat::U8, Channels::Rgb)).pixels(), [128; 6]);
}

#[test]
fn hidden_colour_keeps_its_bits_in_another_order() {
    let content = Memory::holding(1, 1, srgb(SampleFormat::U8, Channels::Rgba), &[0.2, 0.4, 0.6, 0.0]);
    let output = convert(&content, srgb(SampleFormat::U8, Channels::Bgra));
    assert_eq!(output.pixels(), [153, 102, 51, 0]);
}

#[test]
fn a_result_may_take_the_place_of_its_content() {
    for pixel in every_format() {
        let mut memory = Memory::new(5, 4, pixel, 3, true, 1);
        let numbers: Vec<f64> = (0..20 * pixel.channels.count())
            .map(|i| (i * 37 % 64) as f64 / 63.0)
            .collect();
        memory.set(&numbers);
        let expected = {
            let canvas = memory.read();
            let mut apart = memory.clone();
            canvas
                .frame
                .write(&Picture::new(5, 4, vec![0.75; 60]).unwrap(), &mut apart.raster_mut())
                .unwrap();
            apart.pixels()
        };
        let canvas = memory.read();
        canvas
            .frame
            .write(&Picture::new(5, 4, vec![0.75; 60]).unwrap(), &mut memory.raster_mut())
            .unwrap();
        assert_eq!(memory.pixels(), expected, "{pixel:?}");
        assert!(memory.untouched_gaps());
    }
}
