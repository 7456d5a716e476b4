//! Patchable function entries: the sites, and their state when nobody traces.
//!
//! The compiler gives every function of this crate two NOPs before its symbol and two at it, and lists them in the
//! section `__patchable_function_entries`. At boot each site is made ready:
//!
//! ```text
//!             compiled        ready                    (traced, by a later room)
//!   sym − 8   nop             ┐ address of the no-op   ┐ address of the ops
//!   sym − 4   nop             ┘ ops, 8 bytes           ┘
//!   sym       nop             mov x9, x30              mov x9, x30
//!   sym + 4   nop             nop                      bl  ftrace_caller
//! ```
//!
//! x9 is free at a function's entry by the AAPCS64 (6.1.1), and `cargo xtask check` proves from the linked image that no
//! function reads it before it writes it.

mod sites;

pub(crate) use sites::{init, site_of, sites};
