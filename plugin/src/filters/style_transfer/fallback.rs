//! What becomes of a render when its card fails: nothing is lost.
//!
//! A card's memory is shared with whatever else draws on the screen, and its driver may give up at any time. So where the
//! memory that was planned for is not there any more, the render is planned anew with what is left, in smaller tiles;
//! where that does not help, or the card fails, the processor goes on from the picture so far; and where it cannot, the
//! picture so far is what the render comes to. Each is said in the log.
//!
//! What fails on the processor itself is an error, as is what is wrong with the settings or with the plugin.

#[cfg(test)]
mod tests;

use super::Render;
use super::course::Course;
use crate::compute::Backend;
use crate::control::{Flow, LogLevel};
use crate::{Error, Result};

/// Follows a course on a backend and, if that is a card and fails, on what `processor` opens, which is told how it failed.
///
/// # Errors
/// What is not a card's failure; and one when nothing can go on and nothing was painted.
pub fn follow<'a>(
    render: &Render<'a>,
    course: &mut Course<'a>,
    mut backend: Box<dyn Backend>,
    processor: impl FnOnce(&Error) -> Result<Box<dyn Backend>>,
) -> Result<Flow> {
    let warn = |message: &str| render.control.log(LogLevel::Warning, message);
    let description = backend.description();
    // The level at which there was less memory than planned for.
    let mut short_at = None;
    let error = loop {
        let (error, was_planned) = match render.plan(course, &*backend) {
            Ok(planned) => match render.follow(course, planned, &mut *backend) {
                Ok(flow) => {
                    // A card that could not do everything as it would have liked to says so by now.
                    let computed_on = backend.description();
                    if computed_on != description {
                        render
                            .control
                            .log(LogLevel::Info, &format!("computed on {computed_on}"));
                    }
                    return Ok(flow);
                }
                Err(error) => (error, true),
            },
            Err(error) => (error, false),
        };
        if !backend.is_card() || !matches!(error, Error::Device(_) | Error::Memory(_)) {
            return Err(error);
        }
        let is_short = matches!(error, Error::Memory(_));
        if !is_short || !was_planned || short_at == Some(course.level()) {
            break error;
        }
        short_at = Some(course.level());
        warn(&format!("{error}; trying with what is left of it"));
        course.pass_on(render)?;
    };
    course.pass_on(render)?;
    // Its memory goes before the processor's comes.
    drop(backend);
    let from = match course.is_painted() {
        true => "the picture so far",
        false => "the start",
    };
    warn(&format!("{error}; the processor goes on from {from}"));
    let on_processor = processor(&error).and_then(|mut backend| {
        render
            .control
            .log(LogLevel::Info, &format!("computing on {}", backend.description()));
        let planned = render.plan(course, &*backend)?;
        render.follow(course, planned, &mut *backend)
    });
    match on_processor {
        Err(error) if course.is_painted() => {
            warn(&format!("{error}; the picture is left as it was painted so far"));
            Ok(Flow::Stop)
        }
        outcome => outcome,
    }
}
