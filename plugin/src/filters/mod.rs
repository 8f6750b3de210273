//! What a menu item does.

mod margin;
mod schedule;
