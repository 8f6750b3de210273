//! The contract between a host and a Pentimento plugin: C tables, and no logic.
//!
//! A host opens the library, looks up one symbol, [`ENTRY_SYMBOL`], and calls it with the number of the ABI that
//! it was built for. It receives a table of functions, [`Plugin`], or NULL when the library does not speak that
//! number. Everything else is reached through that table. `include/pentimento.h` is generated from this file.
//!
//! The rules, each of which exists because some plugin system did without it and suffered:
//!
//! - **A shipped table never changes.** Growth comes by [`Plugin::extension`] and [`Host::extension`], named
//!   `"pentimento.NAME/VERSION"`. Every table begins with its own size, so that either side may reject one that is
//!   shorter than it needs. The offsets below are frozen by assertions.
//! - **Nothing is freed across the boundary.** Images are borrowed for one call, errors are written into memory of
//!   the caller, texts that describe the plugin live as long as the library, and the library is never unloaded.
//! - **Integers, not C enums or `bool`**, wherever a value crosses: the width of those is the compiler's choice.
//! - **Threads** are stated with each function: `[main-thread]` (any one thread at a time), `[render-thread]` (the
//!   thread that called `job_render`, during that call) or `[any-thread]`.
//!
//! What was learned from whom: CLAP (extensions, thread annotations), OpenFX (hosts describe before they render),
//! SQLite and the ONNX Runtime (one function table), webgpu.h (sized structs, errors without globals).

use std::ffi::{c_char, c_void};

/// The number of the ABI that this file describes.
pub const ABI: u32 = 1;
/// The one symbol that every plugin exports, a function of type [`Entry`].
pub const ENTRY_SYMBOL: &str = "pentimento_entry";
/// The optional symbol for Rust hosts: the layouts of these tables as abi_stable sees them.
pub const LAYOUT_SYMBOL: &str = "pentimento_layout";

/// What a call came to: an outcome when it is 0 or more, an error when it is less.
pub type Status = i32;
/// Done.
pub const OK: Status = 0;
/// Ended early at the host's wish; the output holds the best picture so far.
pub const STOPPED: Status = 1;
/// Abandoned at the host's wish; the output was not touched.
pub const CANCELLED: Status = 2;
/// An argument is unusable; the error's text begins with its name.
pub const ERROR_ARGUMENT: Status = -1;
/// The call does not fit the job's state: it is being rendered on another thread.
pub const ERROR_STATE: Status = -2;
/// An image's format, layout or transfer is not one of those listed here.
pub const ERROR_FORMAT: Status = -3;
/// Not enough memory; the text says how much is needed and what would fit.
pub const ERROR_MEMORY: Status = -4;
/// The compute device cannot be used or failed.
pub const ERROR_DEVICE: Status = -5;
/// The network's model file is damaged or foreign.
pub const ERROR_MODEL: Status = -6;
/// A defect in the plugin; nothing was written.
pub const ERROR_INTERNAL: Status = -7;

/// The number of bytes in an error's text, with the NUL that ends it.
pub const ERROR_TEXT_SIZE: usize = 1024;

/// Where a failed call explains itself. The caller owns it and may reuse it; the plugin writes it only on failure.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Error {
    /// `sizeof(pentimento_error)`, set by the caller.
    pub struct_size: u32,
    /// The negative status that the call returned.
    pub code: Status,
    /// UTF-8, ended by NUL, cut at a character boundary when it is too long.
    pub text: [c_char; ERROR_TEXT_SIZE],
}

/// 8-bit unsigned samples, 0 to 255.
pub const FORMAT_U8: u32 = 1;
/// 16-bit unsigned samples, 0 to 65535, in the machine's byte order.
pub const FORMAT_U16: u32 = 2;
/// IEEE 754 half precision, nominally 0 to 1.
pub const FORMAT_F16: u32 = 3;
/// IEEE 754 single precision, nominally 0 to 1.
pub const FORMAT_F32: u32 = 4;

/// One gray channel.
pub const LAYOUT_GRAY: u32 = 1;
/// Gray and straight alpha.
pub const LAYOUT_GRAY_ALPHA: u32 = 2;
/// Red, green, blue.
pub const LAYOUT_RGB: u32 = 3;
/// Red, green, blue and straight alpha.
pub const LAYOUT_RGBA: u32 = 4;
/// Blue, green, red and straight alpha, for hosts that store it so.
pub const LAYOUT_BGRA: u32 = 5;

/// Colour samples carry the sRGB transfer curve (alpha never does).
pub const TRANSFER_SRGB: u32 = 1;
/// Colour samples are proportional to light, with sRGB's primaries.
pub const TRANSFER_LINEAR: u32 = 2;

/// A borrowed picture: interleaved samples of any stride.
///
/// The plugin reads inputs and writes outputs during the call that receives them and keeps no pointer afterwards.
/// It never writes to an input.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Image {
    /// `sizeof(pentimento_image)`.
    pub struct_size: u32,
    /// Pixels in a row, 1 or more.
    pub width: u32,
    /// Rows, 1 or more.
    pub height: u32,
    /// One of `PENTIMENTO_FORMAT_*`.
    pub format: u32,
    /// One of `PENTIMENTO_LAYOUT_*`.
    pub layout: u32,
    /// One of `PENTIMENTO_TRANSFER_*`.
    pub transfer: u32,
    /// Bytes from a row to the one below it; negative when rows are stored from the bottom up.
    pub row_stride: i64,
    /// The first sample of the top row. Samples need no alignment.
    pub pixels: *mut c_void,
}

/// A style picture and its share in the blend of styles.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Style {
    /// `sizeof(pentimento_style)`.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The picture; of any size.
    pub image: *const Image,
    /// Its share, above 0; the shares of all styles are divided by their sum.
    pub weight: f64,
}

/// Go on.
pub const CONTINUE: i32 = 0;
/// End soon and keep the best picture so far.
pub const STOP: i32 = 1;
/// End soon and leave the output as it is.
pub const CANCEL: i32 = 2;

/// How far a render has come. Valid during the callback that receives it.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Progress {
    /// `sizeof(pentimento_progress)`.
    pub struct_size: u32,
    /// The pyramid level at work, from 0 (the coarsest).
    pub level: u32,
    /// The number of pyramid levels.
    pub level_count: u32,
    /// The optimiser's step within the level, from 0.
    pub step: u32,
    /// The number of steps planned for the level.
    pub step_count: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The share of the work done, 0 to 1, never falling, even in time as well as can be foreseen.
    pub fraction: f64,
    /// The objective at the last evaluation; NaN while there is none.
    pub loss: f64,
    /// Estimated seconds until the end; NaN while unknown.
    pub seconds_left: f64,
    /// What is being done, a short text for people, such as "painting".
    pub stage: *const c_char,
    /// Now and then the picture as it stands, RGB, 8-bit, sRGB, of any size; otherwise NULL.
    pub preview: *const Image,
}

/// Details for those who debug.
pub const LOG_DEBUG: i32 = 1;
/// What a curious user may want to know.
pub const LOG_INFO: i32 = 2;
/// Something was mended or replaced: scrubbed samples, a fall-back to the CPU.
pub const LOG_WARNING: i32 = 3;

/// What the plugin may call during a render. Any of the functions may be NULL.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Host {
    /// `sizeof(pentimento_host)`.
    pub struct_size: u32,
    /// The ABI number that the host speaks.
    pub abi: u32,
    /// Handed back to each of the functions below.
    pub context: *mut c_void,
    /// `[render-thread]` Reports progress; at least once per evaluation of the network. Returns `PENTIMENTO_CONTINUE`,
    /// `PENTIMENTO_STOP` or `PENTIMENTO_CANCEL`; another value counts as CANCEL.
    pub progress: Option<unsafe extern "C" fn(context: *mut c_void, progress: *const Progress) -> i32>,
    /// `[render-thread]` Reports a line of text with one of `PENTIMENTO_LOG_*`.
    pub log: Option<unsafe extern "C" fn(context: *mut c_void, level: i32, message: *const c_char)>,
    /// `[render-thread]` Returns the host's table for a named extension, or NULL.
    pub extension: Option<unsafe extern "C" fn(context: *mut c_void, name: *const c_char) -> *const c_void>,
}

/// Everything that one render works on. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct RenderRequest {
    /// `sizeof(pentimento_render_request)`.
    pub struct_size: u32,
    /// The number of entries in `styles`.
    pub style_count: u32,
    /// The active layer.
    pub content: *const Image,
    /// The styles, as many as the filter asks for.
    pub styles: *const Style,
    /// Where the result goes: of the content's width and height, in any format. May share memory with the content
    /// (same pixels, same stride): it is written only after everything has been read.
    pub output: *mut Image,
    /// The host's callbacks; may be NULL.
    pub host: *const Host,
}

/// What a filter is.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Filter {
    /// `sizeof(pentimento_filter)`, set by the caller.
    pub struct_size: u32,
    /// The number of its parameters.
    pub parameter_count: u32,
    /// The fewest styles that it takes.
    pub style_min: u32,
    /// The most styles that it takes.
    pub style_max: u32,
    /// Stable identifier, such as "style-transfer".
    pub id: *const c_char,
    /// Name for people.
    pub label: *const c_char,
    /// Where a menu should show it, parts separated by '/'.
    pub menu: *const c_char,
    /// One or two sentences of help.
    pub help: *const c_char,
}

/// A real number.
pub const KIND_FLOAT: u32 = 1;
/// A whole number.
pub const KIND_INTEGER: u32 = 2;
/// 0 or 1.
pub const KIND_BOOL: u32 = 3;
/// One of the ids in `choices`.
pub const KIND_CHOICE: u32 = 4;
/// Any text.
pub const KIND_TEXT: u32 = 5;

/// One of the values that a parameter of kind CHOICE can have.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Choice {
    /// Stable identifier, the value to set.
    pub id: *const c_char,
    /// Name for people.
    pub label: *const c_char,
    /// One sentence of help, or "".
    pub help: *const c_char,
}

/// What a parameter is: enough to build its control in a dialog.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Parameter {
    /// `sizeof(pentimento_parameter)`, set by the caller.
    pub struct_size: u32,
    /// One of `PENTIMENTO_KIND_*`.
    pub kind: u32,
    /// 1 when it belongs under "Advanced", else 0.
    pub advanced: u32,
    /// The number of entries in `choices`.
    pub choice_count: u32,
    /// The smallest value allowed (numbers).
    pub hard_min: f64,
    /// The largest value allowed.
    pub hard_max: f64,
    /// The comfortable range of a slider: its lower end.
    pub soft_min: f64,
    /// Its upper end.
    pub soft_max: f64,
    /// A sensible increment.
    pub step: f64,
    /// The default of a number or bool.
    pub default_number: f64,
    /// The default as text, for every kind.
    pub default_text: *const c_char,
    /// Stable identifier, the name to set it by.
    pub id: *const c_char,
    /// Name for people.
    pub label: *const c_char,
    /// One or two sentences of help.
    pub help: *const c_char,
    /// The group that it is shown in.
    pub group: *const c_char,
    /// Its unit, such as "px", or "".
    pub unit: *const c_char,
    /// The values of a CHOICE, otherwise NULL.
    pub choices: *const Choice,
}

/// One render to be: a filter, its settings, and a way to end it. Opaque.
#[repr(C)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Job {
    _opaque: [u8; 0],
}

/// The plugin's functions. None is ever NULL. The table lives as long as the library, which is never unloaded.
///
/// Every `error` may be NULL. No function throws, aborts or keeps a pointer that it was given.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Plugin {
    /// `sizeof(pentimento_plugin)` as the plugin was built.
    pub struct_size: u32,
    /// The ABI number of this table.
    pub abi: u32,
    /// Stable identifier of the plugin.
    pub id: *const c_char,
    /// Its name for people.
    pub name: *const c_char,
    /// Its version, "major.minor.patch".
    pub version: *const c_char,
    /// `[any-thread]` The number of filters.
    pub filter_count: unsafe extern "C" fn() -> u32,
    /// `[any-thread]` Describes the filter at `index`. `out->struct_size` must be set.
    pub describe_filter: unsafe extern "C" fn(index: u32, out: *mut Filter, error: *mut Error) -> Status,
    /// `[any-thread]` Describes a parameter of the filter with that id. `out->struct_size` must be set.
    pub describe_parameter:
        unsafe extern "C" fn(filter: *const c_char, index: u32, out: *mut Parameter, error: *mut Error) -> Status,
    /// `[any-thread]` Makes a job for the filter with that id, with every parameter at its default.
    pub job_create: unsafe extern "C" fn(filter: *const c_char, out: *mut *mut Job, error: *mut Error) -> Status,
    /// `[main-thread]` Ends a job that is not being rendered. NULL is allowed.
    pub job_destroy: unsafe extern "C" fn(job: *mut Job),
    /// `[main-thread]` Sets a parameter of kind FLOAT, INTEGER or BOOL.
    pub job_set_number: unsafe extern "C" fn(job: *mut Job, id: *const c_char, value: f64, error: *mut Error) -> Status,
    /// `[main-thread]` Sets a parameter of any kind from text, such as "0.5", "true" or a choice's id.
    pub job_set_text:
        unsafe extern "C" fn(job: *mut Job, id: *const c_char, value: *const c_char, error: *mut Error) -> Status,
    /// `[main-thread]` Writes the settings that were made, as text ended by NUL, into `buffer`; `*needed` receives the
    /// bytes that it takes, NUL included. With a buffer that is too small (or NULL) nothing but `*needed` is written, and
    /// the call still returns OK: whether the text came is told by `*needed <= capacity`.
    pub job_state: unsafe extern "C" fn(
        job: *const Job,
        buffer: *mut c_char,
        capacity: usize,
        needed: *mut usize,
        error: *mut Error,
    ) -> Status,
    /// `[main-thread]` Replaces all settings by those in a text that `job_state` wrote; all or none.
    pub job_set_state: unsafe extern "C" fn(job: *mut Job, state: *const c_char, error: *mut Error) -> Status,
    /// `[any-thread]` Renders, blocking the caller. Several jobs may render at once; one job renders once at a time.
    /// Returns OK, STOPPED, CANCELLED or an error; the output is written only for OK and STOPPED, and then always and
    /// in full, even when the first call of `progress` asks to stop: the picture is then what painting starts from.
    pub job_render: unsafe extern "C" fn(job: *mut Job, request: *const RenderRequest, error: *mut Error) -> Status,
    /// `[any-thread]` Ends the render in progress within one evaluation of the network: `how` is `PENTIMENTO_STOP` or
    /// `PENTIMENTO_CANCEL`. Without a render in progress it does nothing.
    pub job_cancel: unsafe extern "C" fn(job: *const Job, how: i32) -> Status,
    /// `[any-thread]` Returns the plugin's table for a named extension, or NULL.
    pub extension: unsafe extern "C" fn(name: *const c_char) -> *const c_void,
}

// SAFETY: the table is constant, and its pointers lead to constants that live as long as the library.
unsafe impl Send for Plugin {}
// SAFETY: as above; nothing in it is ever written.
unsafe impl Sync for Plugin {}

/// The type of [`ENTRY_SYMBOL`]. `[any-thread]`
pub type Entry = unsafe extern "C" fn(abi: u32) -> *const Plugin;

/// The name of the extension whose table is [`Diagnostics`].
pub const DIAGNOSTICS_EXTENSION: &str = "pentimento.diagnostics/1";

/// Tells what the plugin would run on, for `doctor` commands and bug reports.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Diagnostics {
    /// `sizeof(pentimento_diagnostics)`.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// `[any-thread]` Writes a report as TOML text, ended by NUL, under the same rules as `job_state`. It measures the
    /// speed of the network and takes about a second.
    pub report:
        unsafe extern "C" fn(buffer: *mut c_char, capacity: usize, needed: *mut usize, error: *mut Error) -> Status,
}

/// The name of the extension whose table is [`Estimation`].
pub const ESTIMATE_EXTENSION: &str = "pentimento.estimate/1";

/// The size of a picture.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Size {
    /// Pixels in a row, 1 or more.
    pub width: u32,
    /// Rows, 1 or more.
    pub height: u32,
}

/// A render that may come: the sizes of the pictures that it would work on. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct EstimateRequest {
    /// `sizeof(pentimento_estimate_request)`.
    pub struct_size: u32,
    /// The number of entries in `styles`.
    pub style_count: u32,
    /// The active layer.
    pub content: Size,
    /// The styles, as many as the filter asks for.
    pub styles: *const Size,
}

/// What a render would take.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Estimate {
    /// `sizeof(pentimento_estimate)`, set by the caller.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// From call to return on a machine that has little else to do, should all planned steps be needed.
    pub seconds: f64,
    /// The most bytes of memory at any time, beside the images that the host lends.
    pub bytes: u64,
}

/// Tells what a render would take before it is begun.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Estimation {
    /// `sizeof(pentimento_estimation)`.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// `[any-thread]` Estimates a render with the job's settings as they are. `out->struct_size` must be set. The first
    /// call for a device, number of threads or method measures its speed, which takes up to a second and tells the
    /// truth while nothing else is being rendered; later calls answer at once.
    pub estimate: unsafe extern "C" fn(
        job: *const Job,
        request: *const EstimateRequest,
        out: *mut Estimate,
        error: *mut Error,
    ) -> Status,
}

/// The name of the extension whose table is [`Presets`].
pub const PRESETS_EXTENSION: &str = "pentimento.presets/1";

/// Tells what presets make of the other parameters, for dialogs that show it.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(feature = "layout", derive(abi_stable::StableAbi))]
pub struct Presets {
    /// `sizeof(pentimento_presets)`.
    pub struct_size: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// `[any-thread]` Writes the id of the CHOICE whose values are the presets of the filter with that id, as text ended
    /// by NUL, under the same rules as `job_state`; an empty text for a filter without presets.
    pub parameter: unsafe extern "C" fn(
        filter: *const c_char,
        buffer: *mut c_char,
        capacity: usize,
        needed: *mut usize,
        error: *mut Error,
    ) -> Status,
    /// `[main-thread]` Writes the value that a parameter has in a job, as text that `job_set_text` takes, under the same
    /// rules as `job_state`: what was set, or what the job's preset makes of it, or its default.
    pub value: unsafe extern "C" fn(
        job: *const Job,
        id: *const c_char,
        buffer: *mut c_char,
        capacity: usize,
        needed: *mut usize,
        error: *mut Error,
    ) -> Status,
}

/// The offsets of a shipped table, frozen. A failure here means that old hosts would read garbage.
macro_rules! freeze {
    ($table:ident: $size:literal { $($field:ident: $offset:literal),* $(,)? }) => {
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            $(assert!(std::mem::offset_of!($table, $field) == $offset);)*
            assert!(size_of::<$table>() == $size);
        };
    };
}

freeze!(Error: 1032 { struct_size: 0, code: 4, text: 8 });
freeze!(Image: 40 { struct_size: 0, width: 4, height: 8, format: 12, layout: 16, transfer: 20, row_stride: 24, pixels: 32 });
freeze!(Style: 24 { struct_size: 0, reserved: 4, image: 8, weight: 16 });
freeze!(Progress: 64 {
    struct_size: 0, level: 4, level_count: 8, step: 12, step_count: 16, reserved: 20,
    fraction: 24, loss: 32, seconds_left: 40, stage: 48, preview: 56,
});
freeze!(Host: 40 { struct_size: 0, abi: 4, context: 8, progress: 16, log: 24, extension: 32 });
freeze!(RenderRequest: 40 { struct_size: 0, style_count: 4, content: 8, styles: 16, output: 24, host: 32 });
freeze!(Filter: 48 { struct_size: 0, parameter_count: 4, style_min: 8, style_max: 12, id: 16, label: 24, menu: 32, help: 40 });
freeze!(Choice: 24 { id: 0, label: 8, help: 16 });
freeze!(Parameter: 120 {
    struct_size: 0, kind: 4, advanced: 8, choice_count: 12, hard_min: 16, hard_max: 24, soft_min: 32, soft_max: 40,
    step: 48, default_number: 56, default_text: 64, id: 72, label: 80, help: 88, group: 96, unit: 104, choices: 112,
});
freeze!(Plugin: 128 {
    struct_size: 0, abi: 4, id: 8, name: 16, version: 24, filter_count: 32, describe_filter: 40, describe_parameter: 48,
    job_create: 56, job_destroy: 64, job_set_number: 72, job_set_text: 80, job_state: 88, job_set_state: 96,
    job_render: 104, job_cancel: 112, extension: 120,
});
freeze!(Diagnostics: 16 { struct_size: 0, reserved: 4, report: 8 });
freeze!(Size: 8 { width: 0, height: 4 });
freeze!(EstimateRequest: 24 { struct_size: 0, style_count: 4, content: 8, styles: 16 });
freeze!(Estimate: 24 { struct_size: 0, reserved: 4, seconds: 8, bytes: 16 });
freeze!(Estimation: 16 { struct_size: 0, reserved: 4, estimate: 8 });
freeze!(Presets: 24 { struct_size: 0, reserved: 4, parameter: 8, value: 16 });
