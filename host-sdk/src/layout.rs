//! A check between Rust hosts and Rust plugins that goes deeper than a number: do both sides see the same tables?
//!
//! The ABI number and `struct_size` catch a table that grew. They do not catch a field whose meaning changed while
//! every size stayed the same, as when an `f64` becomes two `f32`. abi_stable describes a type down to the last field
//! of the last type that it reaches, arguments of function pointers included, and compares two descriptions. So a
//! plugin may export, beside its entry symbol, one static:
//!
//! ```
//! # use pentimento_host::layout::LayoutTag;
//! /// The layouts of the tables that this library was built with.
//! #[unsafe(export_name = "pentimento_layout")]
//! pub static LAYOUT: LayoutTag = LayoutTag::CURRENT;
//! ```
//!
//! A host looks it up by [`crate::abi::LAYOUT_SYMBOL`] and compares. It stays a second opinion: a plugin without it
//! loads all the same, and hosts in C and Python never see it.

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{AbiInstability, AbiInstabilityErrors, check_layout_compatibility};
use abi_stable::library::AbiHeader;
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};

use crate::abi::Plugin;

/// What a plugin exports under [`crate::abi::LAYOUT_SYMBOL`].
///
/// The header comes first and its own layout never changes, so a host can tell whether it may read the rest.
#[repr(C)]
pub struct LayoutTag {
    header: AbiHeader,
    plugin: &'static TypeLayout,
}

impl LayoutTag {
    /// The layouts of the tables in [`crate::abi`] as this crate was built.
    pub const CURRENT: Self = Self {
        header: AbiHeader::VALUE,
        plugin: <Plugin as StableAbi>::LAYOUT,
    };
}

/// How the other side's tables differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Their description was written by another generation of abi_stable and cannot be read.
    #[error("its layouts are described by another version of abi_stable")]
    OtherDescription,
    /// The tables differ; the text says where and how the first difference was found.
    #[error("{0}")]
    Different(String),
}

/// Compares the tables behind a tag with those of [`crate::abi`].
///
/// # Errors
/// When they differ, or when the tag cannot be read.
///
/// # Safety
/// `tag` must be the address of a static that a Rust plugin exports under [`crate::abi::LAYOUT_SYMBOL`], in a library
/// that is never unloaded.
pub unsafe fn check(tag: *const LayoutTag) -> Result<(), LayoutError> {
    // SAFETY: the caller vouches for the address; whoever exports the symbol begins it with this header, which is
    // plain bytes, so that any value of it may be read.
    let header: AbiHeader = unsafe { tag.cast::<AbiHeader>().read_unaligned() };
    if !header.is_valid() {
        return Err(LayoutError::OtherDescription);
    }
    // SAFETY: the header says that the rest is as this version of abi_stable lays it out.
    let theirs = unsafe { (*tag).plugin };
    check_layout_compatibility(LayoutTag::CURRENT.plugin, theirs)
        .map_err(|errors| LayoutError::Different(summary(&errors)))
}

/// One line of an error whose own text runs to thousands: the way to the deepest difference, and what differs there.
fn summary(errors: &AbiInstabilityErrors) -> String {
    let Some(deepest) = errors.errors.iter().max_by_key(|error| error.stack_trace.len()) else {
        return "the tables differ".to_owned();
    };
    let names = deepest.stack_trace.iter().map(|step| match &step.expected {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(function) => function.name.as_str(),
    });
    // Behind a pointer the target is field "0", and a function stands inside the field that points to it.
    let mut path: Vec<_> = names.filter(|name| *name != "0").collect();
    path.dedup();
    let what = deepest.errs.first().map_or_else(|| "differs".to_owned(), difference);
    format!("{}: {what}", path.join(" > "))
}

fn difference(error: &AbiInstability) -> String {
    match error {
        AbiInstability::Name(v) => format!("type {} expected, {} found", v.expected, v.found),
        AbiInstability::Size(v) => format!("{} bytes expected, {} found", v.expected, v.found),
        AbiInstability::Alignment(v) => format!("alignment {} expected, {} found", v.expected, v.found),
        AbiInstability::FieldCountMismatch(v) => format!("{} fields expected, {} found", v.expected, v.found),
        AbiInstability::UnexpectedField(v) => {
            format!("field {} expected, {} found", v.expected.name(), v.found.name())
        }
        AbiInstability::MismatchedPrimitive(v) => format!("{:?} expected, {:?} found", v.expected, v.found),
        AbiInstability::PackageVersion(v) => format!("version {} expected, {} found", v.expected, v.found),
        // The rest cannot come from plain C tables; its variant's name is the most useful word of its text.
        other => format!("{other:?}")
            .split(['(', '{', ' '])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tables_agree() {
        // SAFETY: a tag of our own.
        assert_eq!(unsafe { check(&LayoutTag::CURRENT) }, Ok(()));
    }

    #[test]
    fn another_table_is_told_apart() {
        let tag = LayoutTag {
            plugin: <crate::abi::Diagnostics as StableAbi>::LAYOUT,
            ..LayoutTag::CURRENT
        };
        // SAFETY: a tag of our own.
        let error = unsafe { check(&tag) }.unwrap_err();
        assert!(matches!(error, LayoutError::Different(text) if text.contains("Diagnostics")));
    }

    #[test]
    fn a_foreign_header_is_refused_before_anything_else_is_read() {
        let zeros = [0u8; size_of::<AbiHeader>()];
        // SAFETY: the header is there, which is all that may be read.
        let error = unsafe { check(zeros.as_ptr().cast()) }.unwrap_err();
        assert_eq!(error, LayoutError::OtherDescription);
    }
}
