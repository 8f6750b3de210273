//! Everything that a host needs to find, load, describe and run a Pentimento plugin.
pub mod abi;
#[cfg(feature = "layout")]
pub mod layout;
pub mod manifest;
