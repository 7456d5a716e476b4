//! The longer commands.

pub mod bench;
pub mod bpf_exec;
pub mod bpf_verify;
pub mod flame;
pub mod gdb;
pub mod test;
pub mod tools;
