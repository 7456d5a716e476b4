//! The longer commands.

pub mod bench;
pub mod gdb;
pub mod test;
