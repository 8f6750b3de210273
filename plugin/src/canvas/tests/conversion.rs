//! There and back, and from every format to every other.

use proptest::prelude::*;

use super::*;

/// The sRGB curve, from IEC 61966-2-1.
fn light(sample: f64) -> f64 {
    if sample <= 0.04045 {
        sample / 12.92
    } else {
        ((sample + 0.055) / 1.055).powf(2.4)
    }
}

/// Its inverse.
fn encoded(light: f64) -> f64 {
    if light <= 0.0031308 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

#[test]
fn every_integer_comes_back() {
    for (samples, count) in [(SampleFormat::U8, 256), (SampleFormat::U16, 65536)] {
        for channels in CHANNELS {
            for transfer in TRANSFERS {
                let pixel = format(samples, channels, transfer);
                let numbers: Vec<f64> = (0..count)
                    .flat_map(|value| {
                        // Every value in every colour channel, beside different ones; alpha wherever it may be but 0,
                        // since hidden colour takes another way.
                        (0..channels.count()).map(move |channel| {
                            let value = match channel {
                                _ if channels.alpha() == Some(channel) => (value * 7 % count).max(1),
                                1 => (value * 3 + 1) % count,
                                2 => count - 1 - value,
                                _ => value,
                            };
                            f64::from(value) / f64::from(count - 1)
                        })
                    })
                    .collect();
                let mut content = Memory::packed(count as usize, 1, pixel);
                content.set(&numbers);
                // The smallest alphas are not taken at their word, so that their colour is none of this test's business.
                let canvas = content.read();
                let mut output = content.clone();
                canvas.frame.write(&canvas.picture, &mut output.raster_mut()).unwrap();
                let reliable = |index: usize| {
                    canvas
                        .frame
                        .alpha
                        .as_ref()
                        .is_none_or(|alpha| alpha[index] >= 1.0 / 16.0)
                };
                let (before, after) = (content.pixels(), output.pixels());
                let size = pixel.bytes();
                for index in (0..count as usize).filter(|&index| reliable(index)) {
                    let range = index * size..(index + 1) * size;
                    assert_eq!(before[range.clone()], after[range], "{pixel:?}, pixel {index}");
                }
            }
        }
    }
}

#[test]
fn every_half_between_0_and_1_comes_back() {
    for transfer in TRANSFERS {
        let pixel = format(SampleFormat::F16, Channels::Gray, transfer);
        let numbers: Vec<f64> = (0..=0x3C00).map(|bits| f16::from_bits(bits).to_f64()).collect();
        let content = Memory::holding(numbers.len(), 1, pixel, &numbers);
        assert_eq!(convert(&content, pixel).pixels(), content.pixels(), "{transfer:?}");
    }
}

#[test]
fn layouts_put_channels_where_they_belong() {
    let bytes = [10, 20, 30, 255];
    for (channels, expected) in [
        (Channels::Gray, [10u8, 10, 10]),
        (Channels::GrayAlpha, [10, 10, 10]),
        (Channels::Rgb, [10, 20, 30]),
        (Channels::Rgba, [10, 20, 30]),
        (Channels::Bgra, [30, 20, 10]),
    ] {
        let layout = Layout::packed("test", 1, 1, srgb(SampleFormat::U8, channels)).unwrap();
        let mut bytes = bytes;
        if channels == Channels::GrayAlpha {
            bytes[1] = 255;
        }
        let canvas = Canvas::read(&Raster::from_slice(layout, &bytes).unwrap()).unwrap();
        assert_eq!(
            canvas.picture.samples,
            expected.map(|value| f32::from(value) / 255.0),
            "{channels:?}"
        );
        assert_eq!(canvas.frame.alpha, channels.alpha().map(|_| vec![1.0]));
    }
}

/// Numbers that make up an image: a side, a side, and samples.
fn any_numbers(channels: usize) -> impl Strategy<Value = (usize, usize, Vec<f64>)> {
    (1usize..9, 1usize..9).prop_flat_map(move |(width, height)| {
        let samples = proptest::collection::vec(0.0f64..=1.0, width * height * channels);
        (Just(width), Just(height), samples)
    })
}

proptest! {
    /// Reading does not depend on strides or alignment, and writing touches nothing but pixels.
    #[test]
    fn strides_do_not_matter(
        (width, height, numbers) in any_numbers(4),
        gap in 0usize..9, upside_down: bool, lead in 0usize..4,
        out_gap in 0usize..9, out_upside_down: bool, out_lead in 0usize..4,
    ) {
        for pixel in every_format() {
            let numbers: Vec<f64> = numbers
                .chunks_exact(4)
                .flat_map(|pixel_numbers| pixel_numbers[4 - pixel.channels.count()..].to_vec())
                .collect();
            let plain = Memory::holding(width, height, pixel, &numbers);
            let mut strided = Memory::new(width, height, pixel, gap, upside_down, lead);
            strided.set(&numbers);
            prop_assert!(strided.untouched_gaps());
            let (canvas, other) = (plain.read(), strided.read());
            prop_assert_eq!(&canvas.picture, &other.picture);
            prop_assert_eq!(&canvas.frame.alpha, &other.frame.alpha);
            prop_assert_eq!(canvas.scrubbed, 0);

            let mut output = Memory::new(width, height, pixel, out_gap, out_upside_down, out_lead);
            canvas.frame.write(&canvas.picture, &mut output.raster_mut()).unwrap();
            prop_assert!(output.untouched_gaps());
            prop_assert_eq!(output.pixels(), convert(&plain, pixel).pixels());
        }
    }

    /// sRGB floats between 0 and 1 are a picture's own samples.
    #[test]
    fn encoded_floats_come_back((width, height, numbers) in any_numbers(3)) {
        let pixel = srgb(SampleFormat::F32, Channels::Rgb);
        let content = Memory::holding(width, height, pixel, &numbers);
        prop_assert_eq!(convert(&content, pixel).pixels(), content.pixels());
    }

    /// From every format to every other, against the formulas of the standard in double precision.
    #[test]
    fn conversions_agree_with_the_formulas((width, height, numbers) in any_numbers(3)) {
        for from in every_format() {
            let channels = from.channels;
            let numbers: Vec<f64> = numbers
                .chunks_exact(3)
                .flat_map(|colour| {
                    let mut pixel = vec![0.0; channels.count()];
                    for (number, at) in colour.iter().zip(channels.colour()) {
                        pixel[at] = *number;
                    }
                    if let Some(alpha) = channels.alpha() {
                        pixel[alpha] = 0.25 + 0.75 * colour[0];
                    }
                    pixel
                })
                .collect();
            let content = Memory::holding(width, height, from, &numbers);
            // As stored, that is, rounded to the format.
            let stored = content.numbers();
            for to in every_format() {
                let output = convert(&content, to).numbers();
                let pixels = stored.chunks_exact(channels.count()).zip(output.chunks_exact(to.channels.count()));
                for (before, after) in pixels {
                    let lights = channels.colour().map(|at| match from.transfer {
                        Transfer::Srgb => light(before[at]),
                        Transfer::Linear => before[at],
                    });
                    let luminance = 0.2126 * lights[0] + 0.7152 * lights[1] + 0.0722 * lights[2];
                    for (plane, at) in to.channels.colour().into_iter().enumerate() {
                        let expected = if to.channels.is_gray() { luminance } else { lights[plane] };
                        let expected = match to.transfer {
                            Transfer::Srgb => encoded(expected),
                            Transfer::Linear => expected,
                        };
                        prop_assert!(
                            (after[at] - expected).abs() <= rounding(to.samples, expected) + 2e-6,
                            "{:?} {:?} to {:?} {:?}: {} for {}", from, before, to, after, after[at], expected
                        );
                    }
                    if let Some(at) = to.channels.alpha() {
                        let expected = channels.alpha().map_or(1.0, |alpha| before[alpha]);
                        prop_assert!((after[at] - expected).abs() <= rounding(to.samples, expected) + 1e-12);
                    }
                }
            }
        }
    }
}

/// Half the distance between the two samples of a format that a number lies between.
fn rounding(samples: SampleFormat, number: f64) -> f64 {
    match samples {
        SampleFormat::U8 => 0.5 / 255.0,
        SampleFormat::U16 => 0.5 / 65535.0,
        SampleFormat::F16 => (number * 2f64.powi(-11)).max(2f64.powi(-25)),
        SampleFormat::F32 => (number * 2f64.powi(-24)).max(2f64.powi(-150)),
    }
}
