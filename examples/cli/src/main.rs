//! The `pentimento` command: a complete host for Pentimento plugins.
//!
//! It does what an editor's bridge does, with files in place of layers, and nothing that a plugin does: it reads
//! pictures and their colours ([`picture_file`]), hands them over with the settings of the command line ([`render`]),
//! says what it would take ([`estimate`]) or shows how it goes ([`progress`]). What can be set is not known here but
//! asked ([`describe`]), and when nothing works, [`doctor`] says why. It also puts the plugin into editors ([`install`]).

mod arguments;
mod describe;
mod doctor;
mod error;
mod estimate;
mod install;
mod picture_file;
mod plugin;
mod progress;
mod render;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Verb};
use error::{Error, Kind, Result};

fn main() -> ExitCode {
    match parse().and_then(|arguments| arguments.map_or(Ok(()), run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pentimento: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The command line; `None` when it asked for help or the version, which are then shown.
fn parse() -> Result<Option<Arguments>> {
    let error = match Arguments::try_parse() {
        Ok(arguments) => return Ok(Some(arguments)),
        Err(error) => error,
    };
    if !error.use_stderr() {
        print(&error.render().to_string())?;
        return Ok(None);
    }
    // clap explains itself in paragraphs; its first one says what is wrong.
    let text = error.render().to_string();
    let what = text.split("\n\nUsage:").next().unwrap_or(&text);
    let what = what.split("\n\nFor more information").next().unwrap_or(what);
    let what = what.strip_prefix("error: ").unwrap_or(what);
    Err(Error::new(Kind::Usage, what, "see pentimento --help"))
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.verb {
        Verb::Render(arguments) => render::run(&arguments),
        Verb::Describe(arguments) => print(&describe::run(&arguments)?),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Install(arguments) => install::run(&arguments),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "pentimento", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Writes to the standard output; a reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::new(
            Kind::File,
            format!("cannot write to the standard output: {error}"),
            "check where it leads",
        )),
        _ => Ok(()),
    }
}
