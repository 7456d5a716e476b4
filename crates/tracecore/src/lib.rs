//! What a probe runs and what prints it.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod errno;
pub mod fetch;
pub mod probe;
pub mod symbolize;
pub mod symtab;
