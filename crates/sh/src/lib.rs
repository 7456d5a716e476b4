//! The shell: its language and its small programs.
#![no_std]
