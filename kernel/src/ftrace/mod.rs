//! ftrace: the entry of every function, traced by patching one branch.
//!
//! # A site
//!
//! The compiler gives every function of this crate two NOPs before its symbol and two at it, and lists them in the
//! section `__patchable_function_entries`. At boot each site is made ready; to trace it, one literal and one word change:
//!
//! ```text
//!             compiled        ready                    on
//!   sym − 8   nop             ┐ address of the no-op   ┐ address of the ops
//!   sym − 4   nop             ┘ ops, 8 bytes           ┘
//!   sym       nop             mov x9, x30              mov x9, x30
//!   sym + 4   nop             nop                      bl  ftrace_caller
//! ```
//!
//! x9 is free at a function's entry by the AAPCS64 (6.1.1), and `cargo xtask check` proves from the linked image that no
//! function reads it before it writes it.
//!
//! # A hit
//!
//! ```text
//!   caller: bl work_add
//!     work_add: mov x9, x30; bl ftrace_caller         x30 = work_add + 8, so the literal is at x30 − 16
//!       ftrace_caller (entry.S)                       saves into FtraceRegs, links two frame records
//!         ops.entry = guarded (ops.rs)                preemption off, recursion bit, still registered?
//!           callback(&Hit { ip, parent_ip, ops }, &mut regs)
//!       restores, returns to regs.pc
//!     work_add + 8: …
//! ```
//!
//! | file | what |
//! |---|---|
//! | `sites` | the table of sites, the words of one |
//! | `site_set` | sets of functions |
//! | `regs` | what a branch can save, and a hooked return |
//! | `entry` | the trampoline |
//! | `ops` | who listens; registering; several at one site |
//! | `direct` | a trampoline of one's own |
//! | `fprobe` | a handler at the entries and returns of many functions |
//! | `livepatch` | another function in the place of one |
//! | `recursion` | a callback does not trace itself |
//! | `graph` | entries and returns together, for many functions |

pub(crate) mod direct;
mod entry;
pub(crate) mod fprobe;
pub(crate) mod graph;
pub(crate) mod livepatch;
mod ops;
mod recursion;
pub(crate) mod regs;
mod site_set;
mod sites;
pub(crate) mod tests;

pub(crate) use ops::{Hit, Ops, Registered, guard, listeners, misses, register, touched};
pub(crate) use recursion::{LEVELS, level_of};
pub(crate) use regs::FtraceRegs;
pub(crate) use site_set::SiteSet;
pub(crate) use sites::{Site, init, site_of, site_of_branch, sites};
