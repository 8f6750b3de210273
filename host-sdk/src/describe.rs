//! A loaded plugin's own description of its filters, in the types of the manifest.
//!
//! It serves hosts that found a library without a manifest, and those that rather ask the code than a file beside it.

use std::ffi::CString;

use crate::abi;
use crate::call::{c_text, call};
use crate::callbacks::text;
use crate::error::{Error, Result};
use crate::manifest::{Choice, Filter, Kind, Parameter, Range, Value};

/// Every filter, in the plugin's order.
pub(crate) fn filters(table: &abi::Plugin) -> Result<Vec<Filter>> {
    // SAFETY: any thread may call it.
    let count = unsafe { (table.filter_count)() };
    (0..count).map(|index| filter(table, index)).collect()
}

fn filter(table: &abi::Plugin, index: u32) -> Result<Filter> {
    // SAFETY: numbers and pointers, of which all-zero bytes are valid values.
    let mut out: abi::Filter = unsafe { std::mem::zeroed() };
    out.struct_size = size_of::<abi::Filter>() as u32;
    // SAFETY: both pointers lead to memory of the right type, for this call.
    call(|error| unsafe { (table.describe_filter)(index, &raw mut out, error) })?;
    // SAFETY: texts that describe the plugin live as long as the library.
    let [id, label, menu, help] = [out.id, out.label, out.menu, out.help].map(|pointer| unsafe { text(pointer) });
    let c_id = c_text("filter", &id)?;
    let parameters = (0..out.parameter_count).map(|index| parameter(table, &c_id, index));
    Ok(Filter {
        parameters: parameters.collect::<Result<_>>()?,
        id: id.into_owned(),
        label: label.into_owned(),
        menu: menu.into_owned(),
        help: help.into_owned(),
        style_min: out.style_min,
        style_max: out.style_max,
        presets: Vec::new(),
        preset_parameter: None,
    })
}

fn parameter(table: &abi::Plugin, filter: &CString, index: u32) -> Result<Parameter> {
    // SAFETY: numbers and pointers, of which all-zero bytes are valid values.
    let mut out: abi::Parameter = unsafe { std::mem::zeroed() };
    out.struct_size = size_of::<abi::Parameter>() as u32;
    // SAFETY: the text and both pointers are good for this call.
    call(|error| unsafe { (table.describe_parameter)(filter.as_ptr(), index, &raw mut out, error) })?;
    let texts = [out.id, out.label, out.help, out.group, out.unit, out.default_text];
    // SAFETY: texts that describe the plugin live as long as the library.
    let [id, label, help, group, unit, default] = texts.map(|pointer| unsafe { text(pointer) }.into_owned());
    let defect = |reason: String| Error::Internal(format!("the plugin describes its parameter {id} badly: {reason}"));
    let kind = match out.kind {
        abi::KIND_FLOAT => Kind::Float,
        abi::KIND_INTEGER => Kind::Integer,
        abi::KIND_BOOL => Kind::Bool,
        abi::KIND_CHOICE => Kind::Choice,
        abi::KIND_TEXT => Kind::Text,
        other => return Err(defect(format!("unknown kind {other}"))),
    };
    let choices = if out.choice_count == 0 || out.choices.is_null() {
        &[]
    } else {
        // SAFETY: the contract gives so many choices at this address, for as long as the library lives.
        unsafe { std::slice::from_raw_parts(out.choices, out.choice_count as usize) }
    };
    let mut parameter = Parameter {
        id: id.clone(),
        label,
        help,
        group,
        advanced: out.advanced != 0,
        kind,
        default: Value::Text(String::new()),
        hard: Range {
            min: out.hard_min,
            max: out.hard_max,
        },
        soft: Range {
            min: out.soft_min,
            max: out.soft_max,
        },
        step: out.step,
        unit,
        choices: choices.iter().map(choice).collect(),
    };
    parameter.default = parameter.parse(&default).map_err(defect)?;
    Ok(parameter)
}

fn choice(choice: &abi::Choice) -> Choice {
    // SAFETY: texts that describe the plugin live as long as the library.
    let [id, label, help] = [choice.id, choice.label, choice.help].map(|pointer| unsafe { text(pointer) }.into_owned());
    Choice { id, label, help }
}
