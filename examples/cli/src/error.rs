//! Errors as a person at a terminal needs them: one line that says what is wrong and what to do about it, and an exit
//! code that a script can act on.

use std::fmt;

/// Which part of the work failed. Its number is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A defect of this program.
    Internal = 1,
    /// The command line, or a setting on it, is unusable.
    Usage = 2,
    /// A file cannot be read or written.
    File = 3,
    /// There is no plugin, or it cannot be used.
    Plugin = 4,
    /// The plugin could not render.
    Render = 5,
    /// The user cancelled; nothing was written. As a shell reports a program that Ctrl-C ended.
    Cancelled = 130,
}

/// What the help of every command says about exit codes.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done; also when Ctrl-C stopped a render early and the picture so far was written
  1    a defect of this program
  2    the command line or a setting is unusable
  3    a picture file cannot be read or written
  4    there is no plugin, or it cannot be used
  5    the plugin could not render
  130  cancelled by a second Ctrl-C; nothing was written";

/// An error to be shown as `pentimento: WHAT; REMEDY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    what: String,
    remedy: String,
}

/// A result with this program's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `remedy` may be empty where `what` says all.
    pub fn new(kind: Kind, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.kind as u8
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Texts from libraries may span lines; a terminal's reader and a log's `grep` both want one.
        let one_line = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        f.write_str(&one_line(&self.what))?;
        match self.remedy.is_empty() {
            true => Ok(()),
            false => write!(f, "; {}", one_line(&self.remedy)),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let error = Error::new(Kind::File, "cannot read \"a.png\":\n  truncated", "use\nanother file");
        assert_eq!(error.to_string(), "cannot read \"a.png\": truncated; use another file");
        assert_eq!(error.exit_code(), 3);
        assert_eq!(Error::new(Kind::Internal, "odd", "").to_string(), "odd");
    }
}
