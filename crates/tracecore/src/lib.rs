//! What a probe runs and what prints it.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod errno;
