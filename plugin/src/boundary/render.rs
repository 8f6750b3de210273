//! `job_render`: a request of the host's, checked whole before anything is read, then handed to the job.

use pentimento_host::abi;

use super::guard::answer;
use super::host::Host;
use super::image::Place;
use super::{handle, pointer};
use crate::control::Outcome;
use crate::job::Inputs;
use crate::{Error, Result};

/// A request that was found to be in order.
struct Request {
    content: Place,
    styles: Vec<(Place, f64)>,
    output: Place,
    host: Host,
}

pub(super) unsafe extern "C" fn job_render(
    job: *mut abi::Job,
    request: *const abi::RenderRequest,
    error: *mut abi::Error,
) -> abi::Status {
    let render = || {
        let job = handle::find(job)?;
        let filter = job.filter();
        // SAFETY: the host promises that every table it points to is whole, that images cover the memory that their
        // sizes and strides say, and that its functions may be called.
        let request = unsafe { Request::read(request, filter.style_min..=filter.style_max)? };
        // SAFETY: the host promises that nobody writes to the inputs during the call.
        let styles = request
            .styles
            .iter()
            .map(|(place, weight)| unsafe { (place.read(), *weight) });
        let inputs = Inputs {
            // SAFETY: as above.
            content: unsafe { request.content.read() },
            styles: styles.collect(),
        };
        // SAFETY: the host promises that the output is its own to write during the call, apart from inputs that share
        // its memory, and those are no longer looked at when the job asks for it.
        let output = || unsafe { request.output.write() };
        job.render(inputs, output, &request.host)
    };
    // SAFETY: the host promises that its error is NULL or whole.
    unsafe {
        answer(error, || {
            Ok(match render()? {
                Outcome::Finished => abi::OK,
                Outcome::Stopped => abi::STOPPED,
                Outcome::Cancelled => abi::CANCELLED,
            })
        })
    }
}

impl Request {
    /// Checks everything that can be checked of a request without reading a pixel.
    ///
    /// # Safety
    /// Every pointer in it that is neither NULL nor misaligned leads to what the contract says, whole.
    unsafe fn read(request: *const abi::RenderRequest, style_count: std::ops::RangeInclusive<u32>) -> Result<Self> {
        // SAFETY: the caller's promise covers each of these pointers.
        unsafe {
            let request = pointer::read(request, "request")?;
            let content = Place::new(request.content, "request.content")?;
            let styles = styles(&request, style_count)?;
            let output = Place::new(request.output, "request.output")?;
            let size = |place: &Place| (place.layout().width(), place.layout().height());
            if size(&output) != size(&content) {
                let ((width, height), (wanted, high)) = (size(&output), size(&content));
                let reason = format!("is {width} x {height} pixels, but the content is {wanted} x {high}");
                return Err(Error::argument("request.output", reason));
            }
            let host = if request.host.is_null() {
                Host::NOBODY
            } else {
                Host::new(&pointer::read(request.host, "request.host")?)?
            };
            Ok(Self {
                content,
                styles,
                output,
                host,
            })
        }
    }
}

/// Refuses more or fewer styles than a filter takes.
pub(super) fn check_style_count(count: u32, allowed: std::ops::RangeInclusive<u32>) -> Result<()> {
    if allowed.contains(&count) {
        return Ok(());
    }
    let (min, max) = allowed.into_inner();
    let reason = format!("is {count}, but the filter takes {min} to {max} styles");
    Err(Error::argument("request.style_count", reason))
}

/// # Safety
/// As [`Request::read`].
unsafe fn styles(request: &abi::RenderRequest, count: std::ops::RangeInclusive<u32>) -> Result<Vec<(Place, f64)>> {
    check_style_count(request.style_count, count)?;
    if request.style_count == 0 {
        return Ok(Vec::new());
    }
    pointer::check(request.styles, "request.styles")?;
    let each = (0..request.style_count as usize).map(|index| {
        let name = format!("request.styles[{index}]");
        // SAFETY: the caller promises as many entries as the count says, each whole and with a whole image.
        unsafe {
            let style = pointer::read(request.styles.add(index), &name)?;
            // Entries of another size would lie at other addresses than ours.
            if style.struct_size as usize != size_of::<abi::Style>() {
                let reason = format!("is {}, must be {}", style.struct_size, size_of::<abi::Style>());
                return Err(Error::argument(format!("{name}.struct_size"), reason));
            }
            if style.reserved != 0 {
                let reason = format!("is {}, must be 0", style.reserved);
                return Err(Error::argument(format!("{name}.reserved"), reason));
            }
            if !(style.weight.is_finite() && style.weight > 0.0) {
                let reason = format!("is {}, must be a number above 0", style.weight);
                return Err(Error::argument(format!("{name}.weight"), reason));
            }
            Ok((Place::new(style.image, &format!("{name}.image"))?, style.weight))
        }
    });
    each.collect()
}
