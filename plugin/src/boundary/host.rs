//! The host's callbacks as the [`Control`] of a render.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use pentimento_host::abi;

use crate::canvas::Picture;
use crate::control::{Control, Flow, LogLevel, Report};
use crate::{Error, Result};

type ProgressCallback = unsafe extern "C" fn(context: *mut c_void, progress: *const abi::Progress) -> i32;
type LogCallback = unsafe extern "C" fn(context: *mut c_void, level: i32, message: *const c_char);

/// Who asked for a render.
#[derive(Debug)]
pub(super) struct Host {
    context: *mut c_void,
    progress: Option<ProgressCallback>,
    log: Option<LogCallback>,
}

impl Host {
    /// Nobody in particular.
    pub(super) const NOBODY: Self = Self {
        context: ptr::null_mut(),
        progress: None,
        log: None,
    };

    /// The callbacks of a host's table.
    ///
    /// # Safety
    /// The table's functions may be called with its context, on this thread, for as long as the result lives.
    pub(super) unsafe fn new(table: &abi::Host) -> Result<Self> {
        if table.abi != abi::ABI {
            let reason = format!("is {}, but this plugin speaks {}", table.abi, abi::ABI);
            return Err(Error::argument("request.host.abi", reason));
        }
        Ok(Self {
            context: table.context,
            progress: table.progress,
            log: table.log,
        })
    }
}

impl Control for Host {
    fn report(&self, report: &Report) -> Flow {
        let Some(progress) = self.progress else {
            return Flow::Continue;
        };
        let stage = c_text(report.stage);
        let mut pixels = report.preview.map(to_bytes).unwrap_or_default();
        let preview = report.preview.map(|picture| image(picture, &mut pixels));
        let table = abi::Progress {
            struct_size: size_of::<abi::Progress>() as u32,
            level: count(report.level),
            level_count: count(report.level_count),
            step: count(report.step),
            step_count: count(report.step_count),
            reserved: 0,
            fraction: report.fraction,
            loss: report.loss.unwrap_or(f64::NAN),
            seconds_left: report.seconds_left.unwrap_or(f64::NAN),
            stage: stage.as_ptr(),
            preview: preview.as_ref().map_or(ptr::null(), ptr::from_ref),
        };
        // SAFETY: `new` was promised that it may be called so; everything in the table lives until it returns.
        match unsafe { progress(self.context, &table) } {
            abi::CONTINUE => Flow::Continue,
            abi::STOP => Flow::Stop,
            _ => Flow::Cancel,
        }
    }

    fn wants_preview(&self) -> bool {
        self.progress.is_some()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let Some(log) = self.log else { return };
        let level = match level {
            LogLevel::Debug => abi::LOG_DEBUG,
            LogLevel::Info => abi::LOG_INFO,
            LogLevel::Warning => abi::LOG_WARNING,
        };
        let message = c_text(message);
        // SAFETY: `new` was promised that it may be called so; the message lives until it returns.
        unsafe { log(self.context, level, message.as_ptr()) }
    }
}

/// A text as C has it, which cannot hold NUL.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The picture as the contract has previews: red, green and blue bytes, pixel by pixel.
fn to_bytes(picture: &Picture) -> Vec<u8> {
    let pixels = picture.width * picture.height;
    // A cast from float saturates, and takes NaN to 0.
    let byte = |sample: f32| (sample * 255.0).round() as u8;
    (0..pixels)
        .flat_map(|pixel| [0, 1, 2].map(|plane| byte(picture.samples[plane * pixels + pixel])))
        .collect()
}

fn image(picture: &Picture, pixels: &mut [u8]) -> abi::Image {
    abi::Image {
        struct_size: size_of::<abi::Image>() as u32,
        width: count(picture.width),
        height: count(picture.height),
        format: abi::FORMAT_U8,
        layout: abi::LAYOUT_RGB,
        transfer: abi::TRANSFER_SRGB,
        row_stride: 3 * picture.width as i64,
        pixels: pixels.as_mut_ptr().cast(),
    }
}
