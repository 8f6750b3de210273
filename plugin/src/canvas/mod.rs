//! Pixels of any format to planar pictures and back.

mod picture;

pub use picture::Picture;
