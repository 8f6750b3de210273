//! What the emulated driver of the tests tells besides what drivers do: how much of all that it gave is still held.

use std::ffi::CStr;

use cudarc::driver::sys;

/// What is to be given back to a driver.
const KINDS: [&CStr; 8] = [
    c"contexts",
    c"modules",
    c"streams",
    c"events",
    c"graphs",
    c"executables",
    c"memory",
    c"locked",
];

/// How many of each kind have been made and not been given back; none where the driver is a real one.
pub fn held() -> Option<Vec<(&'static str, i32)>> {
    type Holds = unsafe extern "C" fn(*const std::ffi::c_char) -> i32;
    // SAFETY: the library is loaded, as there is a card, and the function is looked up by the name of the emulated
    // driver's own.
    let holds = unsafe { sys::culib().get::<Holds>(b"emulatedCardHolds") }.ok()?;
    let count = |kind: &'static CStr| {
        // SAFETY: it is that driver's function, and reads a string that ends with a 0.
        let count = unsafe { holds(kind.as_ptr()) };
        (kind.to_str().unwrap(), count)
    };
    Some(KINDS.map(count).to_vec())
}
