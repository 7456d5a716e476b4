//! What a probe runs and what prints it.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod errno;
pub mod error_log;
pub mod event;
pub mod fetch;
pub mod probe;
pub mod ring;
mod ring_env;
pub mod symbolize;
pub mod symtab;
pub mod text;
