//! The extension "pentimento.estimate/1": what a render would take, before it is begun.

use pentimento_host::abi;

use super::guard::answer;
use super::pointer::{self, Out};
use super::render::check_style_count;
use super::{handle, image};
use crate::Result;
use crate::job::{Job, Sizes};

pub(super) static TABLE: abi::Estimation = abi::Estimation {
    struct_size: size_of::<abi::Estimation>() as u32,
    reserved: 0,
    estimate,
};

unsafe extern "C" fn estimate(
    job: *const abi::Job,
    request: *const abi::EstimateRequest,
    out: *mut abi::Estimate,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer(error, || {
            let job = handle::find(job)?;
            let sizes = sizes(request, &job)?;
            let out = Out::table(out, "out")?;
            let estimate = job.estimate(&sizes)?;
            out.write(abi::Estimate {
                struct_size: size_of::<abi::Estimate>() as u32,
                reserved: 0,
                seconds: estimate.seconds,
                bytes: estimate.bytes,
            });
            Ok(abi::OK)
        })
    }
}

/// The sizes in a request.
///
/// # Safety
/// Every pointer in it that is neither NULL nor misaligned leads to what the contract says, whole.
unsafe fn sizes(request: *const abi::EstimateRequest, job: &Job) -> Result<Sizes> {
    // SAFETY: the caller's promise is the same.
    let request = unsafe { pointer::read(request, "request")? };
    let content = image::size(request.content.width, request.content.height, "request.content")?;
    check_style_count(request.style_count, job.filter().style_min..=job.filter().style_max)?;
    if request.style_count > 0 {
        pointer::check(request.styles, "request.styles")?;
    }
    let styles = (0..request.style_count as usize).map(|index| {
        // SAFETY: the caller promises as many entries as the count says.
        let style = unsafe { request.styles.add(index).read() };
        image::size(style.width, style.height, &format!("request.styles[{index}]"))
    });
    Ok(Sizes {
        content,
        styles: styles.collect::<Result<_>>()?,
    })
}
