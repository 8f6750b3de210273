//! What no picture can hold, and what no output can take.

use super::*;

#[test]
fn nan_and_infinity_are_scrubbed_and_counted() {
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    for samples in [SampleFormat::F16, SampleFormat::F32] {
        let pixel = srgb(samples, Channels::Rgba);
        #[rustfmt::skip]
        let numbers = [
            0.5, 0.5, 0.5, 1.0,
            infinity, -infinity, 0.5, 1.0,
            nan, 1.0, nan, 1.0,
            0.5, 0.5, 0.5, 1.0,
            nan, nan, nan, 0.0,
            0.5, 0.5, 0.5, nan,
        ];
        let content = Memory::holding(3, 2, pixel, &numbers);
        let canvas = content.read();
        assert_eq!(canvas.scrubbed, 2 + 2 + 3 + 1);
        assert_eq!(canvas.frame.alpha, Some(vec![1.0, 1.0, 1.0, 1.0, 0.0, 0.0]));
        let samples = &canvas.picture.samples;
        assert!(samples.iter().all(|sample| (0.0..=1.0).contains(sample)));
        let colour = |index: usize| [samples[index], samples[6 + index], samples[12 + index]];
        assert_eq!(colour(1), [1.0, 0.0, 0.5]);
        // Between the gray beside it and the colour above.
        let [red, green, blue] = colour(2);
        assert!(red > 0.5 && green < 0.5 && (blue - 0.5).abs() < 1e-6, "{:?}", colour(2));

        let output = convert(&content, pixel).numbers();
        assert!(output.iter().all(|number| number.is_finite()));
        assert_eq!(output[16..20], [0.0; 4]);
        assert_eq!(output[20..24], [0.5, 0.5, 0.5, 0.0]);
    }
    let opaque = Memory::holding(2, 1, srgb(SampleFormat::F32, Channels::Gray), &[nan, 0.25]).read();
    assert_eq!(opaque.scrubbed, 1);
    assert_eq!(opaque.frame.alpha, None);
    assert_eq!(opaque.picture.samples, [0.25; 6]);
}

#[test]
fn floats_beyond_the_range_are_clamped() {
    for transfer in TRANSFERS {
        let pixel = format(SampleFormat::F32, Channels::Rgb, transfer);
        let canvas = Memory::holding(1, 1, pixel, &[-0.5, 1.5, 1e30]).read();
        assert_eq!(canvas.picture.samples, [0.0, 1.0, 1.0]);
        assert_eq!(canvas.scrubbed, 0);
    }
    let canvas = Memory::packed(1, 1, srgb(SampleFormat::F32, Channels::Rgb)).read();
    let picture = Picture::new(1, 1, vec![-0.5, 0.5, 1.5]).unwrap();
    for samples in SAMPLES {
        let mut output = Memory::packed(1, 1, srgb(samples, Channels::Rgb));
        canvas.frame.write(&picture, &mut output.raster_mut()).unwrap();
        let numbers = output.numbers();
        assert_eq!((numbers[0], numbers[2]), (0.0, 1.0));
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let pixel = srgb(SampleFormat::U8, Channels::Rgb);
    let canvas = Memory::packed(3, 2, pixel).read();
    let picture = canvas.picture.clone();
    let refused = |canvas: &Canvas, picture: &Picture, width: usize, height: usize| {
        let mut output = Memory::packed(width, height, pixel);
        let error = canvas.frame.write(picture, &mut output.raster_mut()).unwrap_err();
        assert!(output.bytes.iter().all(|&byte| byte == GAP));
        error.to_string()
    };
    assert_eq!(refused(&canvas, &picture, 2, 3), "output: is 2 x 3, the content 3 x 2");
    let other = Picture::new(2, 3, picture.samples.clone()).unwrap();
    assert!(refused(&canvas, &other, 3, 2).contains("2 x 3"));
    let mut broken = picture;
    broken.samples[7] = f32::NAN;
    assert!(refused(&canvas, &broken, 3, 2).contains("NaN"));
}
