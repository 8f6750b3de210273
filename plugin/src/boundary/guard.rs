//! The one way out of the plugin: results and panics become a status and a text in the caller's error.

use std::any::Any;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pentimento_host::abi;

use super::pointer::{self, Out};
use crate::{Error, Result};

/// Runs the body of an entry point and answers for it.
///
/// An unusable `error` is refused before anything is done, since a failure could not be explained.
///
/// # Safety
/// `error` is NULL, or leads to a table whose `struct_size` may be read, and tells how much of it may be written.
pub(super) unsafe fn answer(error: *mut abi::Error, body: impl FnOnce() -> Result<abi::Status>) -> abi::Status {
    let out = if error.is_null() {
        None
    } else {
        // SAFETY: the caller's promise is the same.
        match unsafe { Out::table(error, "error") } {
            Ok(out) => Some(out),
            Err(_) => return abi::ERROR_ARGUMENT,
        }
    };
    match catch(body).and_then(|result| result) {
        Ok(status) => status,
        Err(failure) => {
            let code = status(&failure);
            if let Some(out) = out {
                out.write(table(code, &failure.to_string()));
            }
            code
        }
    }
}

/// As [`answer`], for an entry point that writes a text into memory of the host's: see [`pointer::write_text`].
///
/// # Safety
/// As `answer` and `write_text`; `needed` is NULL, or may be written.
pub(super) unsafe fn answer_text(
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    error: *mut abi::Error,
    text: impl FnOnce() -> Result<String>,
) -> abi::Status {
    // SAFETY: the caller's promises are the same.
    unsafe {
        answer(error, || {
            let needed = Out::new(needed, "needed")?;
            pointer::write_text(&text()?, buffer, capacity, &needed);
            Ok(abi::OK)
        })
    }
}

/// Runs something that must not unwind into the host; a panic becomes [`Error::Internal`].
pub(super) fn catch<T>(body: impl FnOnce() -> T) -> Result<T> {
    // What a panic may leave half done is behind locks and flags that are put right as it unwinds.
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let message = message(&*payload).to_owned();
        // A payload of a foreign type could panic again as it is dropped.
        std::mem::forget(payload);
        Error::Internal(format!("a defect in the plugin: {message}"))
    })
}

/// What a panic said.
fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a panic without a message"
    }
}

/// The status that stands for an error.
fn status(error: &Error) -> abi::Status {
    match error {
        Error::Argument { .. } => abi::ERROR_ARGUMENT,
        Error::State(_) => abi::ERROR_STATE,
        Error::Format { .. } => abi::ERROR_FORMAT,
        Error::Memory(_) => abi::ERROR_MEMORY,
        Error::Device(_) => abi::ERROR_DEVICE,
        Error::Model(_) => abi::ERROR_MODEL,
        Error::Internal(_) => abi::ERROR_INTERNAL,
    }
}

/// The table that tells of an error, its text cut to what it has room for.
fn table(code: abi::Status, text: &str) -> abi::Error {
    let mut table = abi::Error {
        struct_size: size_of::<abi::Error>() as u32,
        code,
        text: [0; abi::ERROR_TEXT_SIZE],
    };
    let text = text.replace('\0', "\u{fffd}");
    let end = (0..abi::ERROR_TEXT_SIZE)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    for (to, from) in table.text.iter_mut().zip(text[..end].bytes()) {
        *to = from as c_char;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(error: &abi::Error) -> String {
        let bytes: Vec<u8> = error.text.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn answer_with(body: impl FnOnce() -> Result<abi::Status>) -> (abi::Status, abi::Error) {
        let mut error = table(0, "");
        // SAFETY: the error is whole and ours.
        let status = unsafe { answer(&mut error, body) };
        (status, error)
    }

    #[test]
    fn each_error_has_its_status() {
        let cases = [
            (Error::argument("a", "b"), abi::ERROR_ARGUMENT),
            (Error::State("s".into()), abi::ERROR_STATE),
            (Error::format("a", "b"), abi::ERROR_FORMAT),
            (Error::Memory("s".into()), abi::ERROR_MEMORY),
            (Error::Device("s".into()), abi::ERROR_DEVICE),
            (Error::Model("s".into()), abi::ERROR_MODEL),
            (Error::Internal("s".into()), abi::ERROR_INTERNAL),
        ];
        for (error, expected) in cases {
            let text = error.to_string();
            let (status, written) = answer_with(|| Err(error));
            assert_eq!((status, written.code, text_of(&written)), (expected, expected, text));
        }
    }

    #[test]
    fn success_leaves_the_error_alone() {
        let (status, error) = answer_with(|| Ok(abi::STOPPED));
        assert_eq!((status, error.code, text_of(&error)), (abi::STOPPED, 0, String::new()));
    }

    #[test]
    fn panics_are_told_as_defects() {
        let (status, error) = answer_with(|| panic!("the {} is loose", "screw"));
        assert_eq!(status, abi::ERROR_INTERNAL);
        assert_eq!(text_of(&error), "a defect in the plugin: the screw is loose");
        let (_, error) = answer_with(|| std::panic::panic_any(7));
        assert_eq!(text_of(&error), "a defect in the plugin: a panic without a message");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        for lead in 0..4 {
            let long = "x".repeat(lead) + &"\u{1F3A8}".repeat(400);
            let error = table(-1, &long);
            let cut = text_of(&error);
            assert!(long.starts_with(&cut));
            assert!((1020..1024).contains(&cut.len()), "{} bytes", cut.len());
        }
        assert_eq!(text_of(&table(-1, "a\0b")), "a\u{fffd}b");
    }

    #[test]
    fn a_short_error_is_refused_before_anything_happens() {
        let mut error = table(0, "");
        error.struct_size = 16;
        let mut ran = false;
        // SAFETY: the error is whole and ours.
        let status = unsafe {
            answer(&mut error, || {
                ran = true;
                Ok(abi::OK)
            })
        };
        assert_eq!((status, ran, error.code), (abi::ERROR_ARGUMENT, false, 0));
    }
}
