//! Everything that a host needs to find, load, describe and run a Pentimento plugin.
pub mod abi;
pub mod manifest;
