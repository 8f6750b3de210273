//! What the table says of the plugin agrees with the manifest.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::slice;

use pentimento_host::abi;
use pentimento_host::manifest::Kind;

use super::fixture::{c, outcome, read_text, table};
use crate::boundary::pentimento_entry;
use crate::settings::manifest;

fn text<'a>(pointer: *const c_char) -> &'a str {
    // SAFETY: the texts that describe the plugin live for good.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8")
}

#[test]
fn the_entry_speaks_one_abi() {
    assert!(pentimento_entry(0).is_null());
    assert!(pentimento_entry(abi::ABI + 1).is_null());
    assert_eq!(pentimento_entry(abi::ABI), pentimento_entry(abi::ABI));
    let table = table();
    assert_eq!(
        (table.struct_size as usize, table.abi),
        (size_of::<abi::Plugin>(), abi::ABI)
    );
    assert_eq!(text(table.id), manifest().id);
    assert_eq!(text(table.name), manifest().name);
    assert_eq!(text(table.version), env!("CARGO_PKG_VERSION"));
}

#[test]
fn filters_and_parameters_are_the_manifests() {
    // SAFETY: it takes no pointers.
    let filter_count = unsafe { (table().filter_count)() };
    assert_eq!(filter_count as usize, manifest().filters.len());
    for (index, declared) in manifest().filters.iter().enumerate() {
        let mut filter = MaybeUninit::<abi::Filter>::zeroed();
        // SAFETY: zero is a value of every field.
        let filter = unsafe { filter.assume_init_mut() };
        filter.struct_size = size_of::<abi::Filter>() as u32;
        // SAFETY: all pointers are good.
        let described = outcome(|error| unsafe { (table().describe_filter)(index as u32, filter, error) });
        assert_eq!(described, (abi::OK, String::new()));
        assert_eq!(text(filter.id), declared.id);
        assert_eq!(text(filter.menu), declared.menu);
        assert_eq!(
            (filter.style_min, filter.style_max),
            (declared.style_min, declared.style_max)
        );
        assert_eq!(filter.parameter_count as usize, declared.parameters.len());

        for (index, declared_parameter) in declared.parameters.iter().enumerate() {
            let mut parameter = MaybeUninit::<abi::Parameter>::zeroed();
            // SAFETY: zero is a value of every field.
            let parameter = unsafe { parameter.assume_init_mut() };
            parameter.struct_size = size_of::<abi::Parameter>() as u32;
            let id = c(&declared.id);
            let described =
                // SAFETY: all pointers are good.
                outcome(|error| unsafe { (table().describe_parameter)(id.as_ptr(), index as u32, parameter, error) });
            assert_eq!(described, (abi::OK, String::new()));
            assert_eq!(text(parameter.id), declared_parameter.id);
            assert_eq!(text(parameter.label), declared_parameter.label);
            assert_eq!(text(parameter.help), declared_parameter.help);
            assert_eq!(text(parameter.group), declared_parameter.group);
            assert_eq!(text(parameter.unit), declared_parameter.unit);
            assert_eq!(text(parameter.default_text), declared_parameter.default.to_string());
            assert_eq!(parameter.advanced, u32::from(declared_parameter.advanced));
            assert_eq!(
                parameter.kind == abi::KIND_CHOICE,
                declared_parameter.kind == Kind::Choice
            );
            assert_eq!(
                (parameter.hard_min, parameter.hard_max),
                (declared_parameter.hard.min, declared_parameter.hard.max)
            );
            if parameter.choices.is_null() {
                assert_eq!((parameter.choice_count, declared_parameter.choices.len()), (0, 0));
                continue;
            }
            // SAFETY: as many choices as the count says live for good.
            let choices = unsafe { slice::from_raw_parts(parameter.choices, parameter.choice_count as usize) };
            let ids: Vec<_> = choices.iter().map(|choice| text(choice.id)).collect();
            let declared_ids: Vec<_> = declared_parameter
                .choices
                .iter()
                .map(|choice| choice.id.as_str())
                .collect();
            assert_eq!(ids, declared_ids);
        }
    }
}

#[test]
fn every_filter_makes_jobs() {
    for filter in &manifest().filters {
        let mut job = std::ptr::null_mut();
        let id = c(&filter.id);
        // SAFETY: all pointers are good.
        let made = outcome(|error| unsafe { (table().job_create)(id.as_ptr(), &mut job, error) });
        assert_eq!(made, (abi::OK, String::new()));
        assert!(!job.is_null());
        // SAFETY: the job is alive.
        unsafe { (table().job_destroy)(job) };
    }
}

#[test]
fn extensions_are_found_by_name() {
    // SAFETY: names are texts or NULL.
    unsafe {
        assert!((table().extension)(std::ptr::null()).is_null());
        assert!((table().extension)(c"pentimento.diagnostics/2".as_ptr()).is_null());
        assert!((table().extension)(c"\xff".as_ptr()).is_null());
    }
}

#[test]
fn diagnostics_tell_what_there_is() {
    let name = c(abi::DIAGNOSTICS_EXTENSION);
    // SAFETY: the name is a text, and a table that is found lives for good.
    let diagnostics = unsafe { (table().extension)(name.as_ptr()).cast::<abi::Diagnostics>().as_ref() };
    let diagnostics = diagnostics.expect("the extension is there");
    assert_eq!(
        (diagnostics.struct_size as usize, diagnostics.reserved),
        (size_of::<abi::Diagnostics>(), 0)
    );
    let report = read_text(|buffer, capacity, needed, error| {
        // SAFETY: all pointers are good.
        unsafe { (diagnostics.report)(buffer, capacity, needed, error) }
    });
    let report: toml::Table = report.parse().expect("TOML");
    assert_eq!(report["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert!(report["threads"].as_integer().is_some_and(|threads| threads >= 1));
    assert!(
        report["model"].as_str().is_some_and(|model| model.contains("VGG-19")),
        "{report}"
    );
    // SAFETY: all pointers are good.
    let (status, text) =
        outcome(|error| unsafe { (diagnostics.report)(std::ptr::null_mut(), 0, std::ptr::null_mut(), error) });
    assert_eq!(status, abi::ERROR_ARGUMENT);
    assert!(text.starts_with("needed: "), "{text}");
}
