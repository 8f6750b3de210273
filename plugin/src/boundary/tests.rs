//! The boundary from the outside: everything goes through the C table's function pointers.

mod bad_input;
mod describe;
mod ending;
mod estimate;
mod fixture;
mod presets;
mod renders;
