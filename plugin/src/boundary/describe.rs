//! What the plugin says of itself: the manifest as C strings, made once and kept for good.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::LazyLock;

use pentimento_host::abi;
use pentimento_host::manifest::{self, Kind};

use super::guard::{answer, catch};
use super::pointer::{self, Out};
use crate::settings::manifest;
use crate::{Error, Result};

/// The manifest in the contract's terms.
pub(super) struct Descriptions {
    pub(super) id: &'static CStr,
    pub(super) name: &'static CStr,
    pub(super) version: &'static CStr,
    filters: Vec<Filter>,
}

struct Filter {
    table: abi::Filter,
    parameters: Vec<abi::Parameter>,
}

// SAFETY: the pointers in the tables lead to leaked texts and lists, which nobody writes.
unsafe impl Send for Descriptions {}
// SAFETY: as above.
unsafe impl Sync for Descriptions {}

/// The one copy of them.
///
/// # Panics
/// When the manifest that was built in is not valid, which a test rules out.
pub(super) fn descriptions() -> &'static Descriptions {
    static DESCRIPTIONS: LazyLock<Descriptions> = LazyLock::new(|| {
        let manifest = manifest();
        Descriptions {
            id: lasting(&manifest.id),
            name: lasting(&manifest.name),
            version: lasting(&manifest.version),
            filters: manifest.filters.iter().map(filter).collect(),
        }
    });
    &DESCRIPTIONS
}

fn lasting(text: &str) -> &'static CStr {
    let text = CString::new(text).unwrap_or_else(|error| panic!("manifest.toml: {text:?}: {error}"));
    Box::leak(text.into_boxed_c_str())
}

fn filter(filter: &manifest::Filter) -> Filter {
    Filter {
        table: abi::Filter {
            struct_size: size_of::<abi::Filter>() as u32,
            parameter_count: filter.parameters.len() as u32,
            style_min: filter.style_min,
            style_max: filter.style_max,
            id: lasting(&filter.id).as_ptr(),
            label: lasting(&filter.label).as_ptr(),
            menu: lasting(&filter.menu).as_ptr(),
            help: lasting(&filter.help).as_ptr(),
        },
        parameters: filter.parameters.iter().map(parameter).collect(),
    }
}

fn parameter(parameter: &manifest::Parameter) -> abi::Parameter {
    let choices: Vec<_> = parameter.choices.iter().map(choice).collect();
    abi::Parameter {
        struct_size: size_of::<abi::Parameter>() as u32,
        kind: match parameter.kind {
            Kind::Float => abi::KIND_FLOAT,
            Kind::Integer => abi::KIND_INTEGER,
            Kind::Bool => abi::KIND_BOOL,
            Kind::Choice => abi::KIND_CHOICE,
            Kind::Text => abi::KIND_TEXT,
        },
        advanced: u32::from(parameter.advanced),
        choice_count: choices.len() as u32,
        hard_min: parameter.hard.min,
        hard_max: parameter.hard.max,
        soft_min: parameter.soft.min,
        soft_max: parameter.soft.max,
        step: parameter.step,
        default_number: parameter.default.as_number().unwrap_or(0.0),
        default_text: lasting(&parameter.default.to_string()).as_ptr(),
        id: lasting(&parameter.id).as_ptr(),
        label: lasting(&parameter.label).as_ptr(),
        help: lasting(&parameter.help).as_ptr(),
        group: lasting(&parameter.group).as_ptr(),
        unit: lasting(&parameter.unit).as_ptr(),
        choices: if choices.is_empty() {
            ptr::null()
        } else {
            choices.leak().as_ptr()
        },
    }
}

fn choice(choice: &manifest::Choice) -> abi::Choice {
    abi::Choice {
        id: lasting(&choice.id).as_ptr(),
        label: lasting(&choice.label).as_ptr(),
        help: lasting(&choice.help).as_ptr(),
    }
}

/// The filter with the id that a host gives.
///
/// # Safety
/// As [`pointer::text`].
pub(super) unsafe fn find(id: *const c_char) -> Result<&'static manifest::Filter> {
    Ok(&manifest().filters[
        // SAFETY: the caller's promise is the same.
        unsafe { index(id)? }
    ])
}

/// # Safety
/// As [`pointer::text`].
unsafe fn index(id: *const c_char) -> Result<usize> {
    // SAFETY: the caller's promise is the same.
    let id = unsafe { pointer::text(id, "filter")? };
    let filters = &manifest().filters;
    filters.iter().position(|filter| filter.id == id).ok_or_else(|| {
        let known: Vec<_> = filters.iter().map(|filter| filter.id.as_str()).collect();
        Error::argument(
            "filter",
            format!("{id:?} is not a filter of this plugin, which has {}", known.join(", ")),
        )
    })
}

fn entry<T>(list: &[T], index: u32) -> Result<&T> {
    list.get(index as usize)
        .ok_or_else(|| Error::argument("index", format!("is {index}, but there are only {}", list.len())))
}

pub(super) unsafe extern "C" fn filter_count() -> u32 {
    // Without descriptions there is nothing to offer.
    catch(|| descriptions().filters.len() as u32).unwrap_or(0)
}

pub(super) unsafe extern "C" fn describe_filter(
    index: u32,
    out: *mut abi::Filter,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer(error, || {
            let filter = entry(&descriptions().filters, index)?;
            Out::table(out, "out")?.write(filter.table);
            Ok(abi::OK)
        })
    }
}

pub(super) unsafe extern "C" fn describe_parameter(
    filter: *const c_char,
    index: u32,
    out: *mut abi::Parameter,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: the host promises that each pointer is NULL or leads to what the contract says.
    unsafe {
        answer(error, || {
            let filter = &descriptions().filters[self::index(filter)?];
            let parameter = entry(&filter.parameters, index)?;
            Out::table(out, "out")?.write(*parameter);
            Ok(abi::OK)
        })
    }
}
