//! What a probe runs and what prints it.
#![no_std]
