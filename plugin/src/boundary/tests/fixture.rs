//! A host made of raw tables, and a filter that is quick, predictable, and misbehaves on demand.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use pentimento_host::abi;

use crate::Result;
use crate::boundary::{handle, pentimento_entry};
use crate::canvas::{Picture, Size};
use crate::control::{Control, Flow, Outcome, Report};
use crate::filters::{Estimate, Rendered};
use crate::job::{Job, Program};
use crate::settings::{StyleTransfer, manifest};

/// The plugin's table, as a host gets it.
pub fn table() -> &'static abi::Plugin {
    // SAFETY: the entry returns a table that lives for good.
    unsafe { pentimento_entry(abi::ABI).as_ref() }.expect("the ABI is spoken")
}

/// An error to be written to.
pub fn blank_error() -> abi::Error {
    abi::Error {
        struct_size: size_of::<abi::Error>() as u32,
        code: 0,
        text: [0; abi::ERROR_TEXT_SIZE],
    }
}

/// What a call comes to: its status and the error's text, which are to agree.
pub fn outcome(call: impl FnOnce(*mut abi::Error) -> abi::Status) -> (abi::Status, String) {
    let mut error = blank_error();
    let status = call(&mut error);
    assert_eq!(error.code, status.min(0), "the error has the status that was returned");
    // SAFETY: the text was all NUL, and the plugin ends what it writes with one.
    let text = unsafe { CStr::from_ptr(error.text.as_ptr()) };
    (status, text.to_str().expect("UTF-8").to_owned())
}

pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// Steps of a [`blend`].
pub const STEPS: usize = 8;

/// The content moved towards the blend of the styles' means, step by step; how far, "style_strength" says.
pub fn blend(
    content: Picture,
    styles: &[(Picture, f64)],
    settings: &StyleTransfer,
    control: &dyn Control,
) -> Result<Rendered> {
    let pixels = content.width * content.height;
    let mut target = [0f32; 3];
    for (style, share) in styles {
        let size = style.width * style.height;
        for (plane, sum) in target.iter_mut().enumerate() {
            let mean = style.samples[plane * size..][..size].iter().sum::<f32>() / size as f32;
            *sum += mean * *share as f32;
        }
    }
    let mut picture = content.clone();
    for step in 0..STEPS {
        let amount = settings.style_strength as f32 * (step + 1) as f32 / STEPS as f32;
        for (index, sample) in picture.samples.iter_mut().enumerate() {
            *sample = content.samples[index] * (1.0 - amount) + target[index / pixels] * amount;
        }
        let preview = control.wants_preview().then_some(&picture);
        let flow = control.report(&Report {
            stage: "blending",
            level: 0,
            level_count: 1,
            step,
            step_count: STEPS,
            fraction: (step + 1) as f64 / STEPS as f64,
            loss: (step > 0).then_some(0.5),
            seconds_left: None,
            preview,
        });
        match flow {
            Flow::Continue => {}
            Flow::Stop => return Ok(Rendered::Picture(picture, Outcome::Stopped)),
            Flow::Cancel => return Ok(Rendered::Cancelled),
        }
    }
    Ok(Rendered::Picture(picture, Outcome::Finished))
}

/// As many seconds as the content has pixels per style, strengthened, and as many bytes as the styles have pixels.
pub fn estimate(content: Size, styles: &[Size], settings: &StyleTransfer) -> Result<Estimate> {
    assert!(content.width != 13, "a number that the fixture fears");
    let pixels = |size: &Size| size.width * size.height;
    Ok(Estimate {
        seconds: pixels(&content) as f64 / styles.len() as f64 * settings.style_strength,
        bytes: styles.iter().map(|style| pixels(style) as u64).sum(),
    })
}

/// A job that the test destroys by dropping it.
pub struct Handle(pub *mut abi::Job);

// SAFETY: the contract lets the host use a job from any thread, within the rules of each function.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// A job that runs the given filter in place of style transfer.
    pub fn new(
        render: impl Fn(Picture, &[(Picture, f64)], &StyleTransfer, &dyn Control) -> Result<Rendered>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let filter = manifest().filter("style-transfer").expect("it is in the manifest");
        Self(handle::issue(Job::new(filter, Program::new(render, estimate))))
    }

    pub fn set_number(&self, id: &str, value: f64) -> (abi::Status, String) {
        // SAFETY: all pointers are good.
        outcome(|error| unsafe { (table().job_set_number)(self.0, c(id).as_ptr(), value, error) })
    }

    pub fn set_text(&self, id: &str, value: &str) -> (abi::Status, String) {
        // SAFETY: all pointers are good.
        outcome(|error| unsafe { (table().job_set_text)(self.0, c(id).as_ptr(), c(value).as_ptr(), error) })
    }

    pub fn set_state(&self, state: &str) -> (abi::Status, String) {
        // SAFETY: all pointers are good.
        outcome(|error| unsafe { (table().job_set_state)(self.0, c(state).as_ptr(), error) })
    }

    pub fn state(&self) -> String {
        // SAFETY: all pointers are good.
        read_text(|buffer, capacity, needed, error| unsafe {
            (table().job_state)(self.0, buffer, capacity, needed, error)
        })
    }

    pub fn cancel(&self, how: i32) -> abi::Status {
        // SAFETY: any handle may be given.
        unsafe { (table().job_cancel)(self.0, how) }
    }

    pub fn render(&self, request: &abi::RenderRequest) -> (abi::Status, String) {
        // SAFETY: tests make requests whose pointers are good, or such as the plugin is to refuse by what it can see.
        outcome(|error| unsafe { (table().job_render)(self.0, request, error) })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: any handle may be given.
        unsafe { (table().job_destroy)(self.0) }
    }
}

/// Calls a function that writes a text twice, as hosts do: for its size, and for the text.
pub fn read_text(call: impl Fn(*mut c_char, usize, *mut usize, *mut abi::Error) -> abi::Status) -> String {
    let mut needed = 0;
    assert_eq!(outcome(|error| call(ptr::null_mut(), 0, &mut needed, error)).0, abi::OK);
    let mut buffer = vec![0x7f as c_char; needed + 1];
    assert_eq!(
        outcome(|error| call(buffer.as_mut_ptr(), needed - 1, &mut needed, error)).0,
        abi::OK
    );
    assert!(
        buffer.iter().all(|&byte| byte == 0x7f),
        "a text that does not fit is not written"
    );
    assert_eq!(
        outcome(|error| call(buffer.as_mut_ptr(), needed, &mut needed, error)).0,
        abi::OK
    );
    assert_eq!(buffer[needed], 0x7f, "nothing is written beyond the text");
    buffer.truncate(needed - 1);
    String::from_utf8(buffer.into_iter().map(|byte| byte as u8).collect()).expect("UTF-8")
}

/// An image and its memory.
pub struct Pixels {
    pub bytes: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

impl Pixels {
    /// 8-bit RGBA with a pattern that `seed` varies.
    pub fn pattern(width: u32, height: u32, seed: u32) -> Self {
        let byte = |index: u32| (index.wrapping_mul(2654435761).wrapping_add(seed.wrapping_mul(97)) >> 13) as u8;
        Self {
            bytes: (0..width * height * 4).map(byte).collect(),
            width,
            height,
        }
    }

    pub fn image(&mut self) -> abi::Image {
        abi::Image {
            struct_size: size_of::<abi::Image>() as u32,
            width: self.width,
            height: self.height,
            format: abi::FORMAT_U8,
            layout: abi::LAYOUT_RGBA,
            transfer: abi::TRANSFER_SRGB,
            row_stride: i64::from(self.width) * 4,
            pixels: self.bytes.as_mut_ptr().cast(),
        }
    }
}

/// A whole request, every part of which a test may change before it is made.
pub struct Scene {
    pub content: abi::Image,
    pub style_images: Vec<abi::Image>,
    pub styles: Vec<abi::Style>,
    pub output: abi::Image,
    pub host: Option<abi::Host>,
    pub style_count: u32,
    pub output_pixels: Pixels,
    _inputs: Vec<Pixels>,
}

impl Scene {
    /// A content of 12 x 7, two styles of other sizes, and an output that is the content's size.
    pub fn new() -> Self {
        let mut inputs = vec![
            Pixels::pattern(12, 7, 1),
            Pixels::pattern(5, 9, 2),
            Pixels::pattern(3, 3, 3),
        ];
        let mut images: Vec<_> = inputs.iter_mut().map(Pixels::image).collect();
        let content = images.remove(0);
        let mut output_pixels = Pixels::pattern(12, 7, 4);
        let style = abi::Style {
            struct_size: size_of::<abi::Style>() as u32,
            reserved: 0,
            image: ptr::null(),
            weight: 1.0,
        };
        Self {
            content,
            style_images: images,
            styles: vec![style; 2],
            output: output_pixels.image(),
            host: None,
            style_count: 2,
            output_pixels,
            _inputs: inputs,
        }
    }

    /// The request, and whether each style's image is to be pointed to is the test's to change afterwards.
    pub fn request(&mut self) -> abi::RenderRequest {
        for (style, image) in self.styles.iter_mut().zip(&self.style_images) {
            style.image = image;
        }
        abi::RenderRequest {
            struct_size: size_of::<abi::RenderRequest>() as u32,
            style_count: self.style_count,
            content: &self.content,
            styles: self.styles.as_ptr(),
            output: &mut self.output,
            host: self.host.as_ref().map_or(ptr::null(), ptr::from_ref),
        }
    }

    /// Renders with a job and returns what came of it.
    pub fn render(&mut self, job: &Handle) -> (abi::Status, String) {
        let request = self.request();
        job.render(&request)
    }
}

/// What a host's callbacks see, and what they answer.
pub struct Listener<'a> {
    /// Answers a progress report.
    pub progress: Box<dyn FnMut(&abi::Progress) -> i32 + 'a>,
    /// The lines logged, with their levels.
    pub lines: Vec<(i32, String)>,
}

impl<'a> Listener<'a> {
    pub fn new(progress: impl FnMut(&abi::Progress) -> i32 + 'a) -> Self {
        Self {
            progress: Box::new(progress),
            lines: Vec::new(),
        }
    }

    /// A host's table that leads here. The listener must stay where it is while the table is used.
    pub fn host(&mut self) -> abi::Host {
        abi::Host {
            struct_size: size_of::<abi::Host>() as u32,
            abi: abi::ABI,
            context: ptr::from_mut(self).cast(),
            progress: Some(on_progress),
            log: Some(on_log),
            extension: None,
        }
    }
}

unsafe extern "C" fn on_progress(context: *mut c_void, progress: *const abi::Progress) -> i32 {
    // SAFETY: the context is a listener that outlives the render, and the table is whole.
    unsafe { ((*context.cast::<Listener>()).progress)(&*progress) }
}

unsafe extern "C" fn on_log(context: *mut c_void, level: i32, message: *const c_char) {
    // SAFETY: the context is a listener that outlives the render, and the message a text.
    unsafe {
        let message = CStr::from_ptr(message).to_str().expect("UTF-8").to_owned();
        (*context.cast::<Listener>()).lines.push((level, message));
    }
}
