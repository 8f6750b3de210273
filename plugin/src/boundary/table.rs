//! The plugin's table, and the symbol that hands it out.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::LazyLock;

use pentimento_host::abi;
#[cfg(feature = "layout")]
use pentimento_host::layout::LayoutTag;

use super::describe::{self, descriptions};
use super::guard::catch;
use super::{diagnostics, estimate, jobs, pointer, presets, render};

fn table() -> &'static abi::Plugin {
    static TABLE: LazyLock<abi::Plugin> = LazyLock::new(|| {
        let descriptions = descriptions();
        abi::Plugin {
            struct_size: size_of::<abi::Plugin>() as u32,
            abi: abi::ABI,
            id: descriptions.id.as_ptr(),
            name: descriptions.name.as_ptr(),
            version: descriptions.version.as_ptr(),
            filter_count: describe::filter_count,
            describe_filter: describe::describe_filter,
            describe_parameter: describe::describe_parameter,
            job_create: jobs::job_create,
            job_destroy: jobs::job_destroy,
            job_set_number: jobs::job_set_number,
            job_set_text: jobs::job_set_text,
            job_state: jobs::job_state,
            job_set_state: jobs::job_set_state,
            job_render: render::job_render,
            job_cancel: jobs::job_cancel,
            extension,
        }
    });
    &TABLE
}

/// The plugin's table, or NULL when that ABI number is not spoken. `[any-thread]`
#[unsafe(no_mangle)]
pub extern "C" fn pentimento_entry(abi: u32) -> *const abi::Plugin {
    if abi != abi::ABI {
        return ptr::null();
    }
    catch(table).map_or(ptr::null(), ptr::from_ref)
}

unsafe extern "C" fn extension(name: *const c_char) -> *const c_void {
    let find = || {
        // SAFETY: the host promises that the name is NULL or a text ended by NUL.
        match unsafe { pointer::text(name, "name") } {
            Ok(abi::DIAGNOSTICS_EXTENSION) => ptr::from_ref(&diagnostics::TABLE).cast(),
            Ok(abi::ESTIMATE_EXTENSION) => ptr::from_ref(&estimate::TABLE).cast(),
            Ok(abi::PRESETS_EXTENSION) => ptr::from_ref(&presets::TABLE).cast(),
            _ => ptr::null(),
        }
    };
    catch(find).unwrap_or(ptr::null())
}

/// The layouts of the tables that this library was built with, for Rust hosts to compare with their own.
#[cfg(feature = "layout")]
#[unsafe(export_name = "pentimento_layout")]
pub static PENTIMENTO_LAYOUT: LayoutTag = LayoutTag::CURRENT;
