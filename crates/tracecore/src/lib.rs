//! What a probe runs and what prints it.
//!
//! Everything between a line typed into `kprobe_events` and a line read from `trace` that needs no machine:
//!
//! ```text
//!   "p:first work_add+8 a=%x0"                       "…: first: (work_add+0x8/0x10) a=0x2"
//!        │                                                        ▲
//!     [probe] ── Definition ──▶ [event] Class ────────────────────┤ [text], [symbolize]
//!        │            │                                           │
//!   [error_log]    [fetch] Program ── bytes ──▶ [ring] ── bytes ──┘
//!                     ▲
//!        a hit: registers, memory       [reentry] may its handlers run?     [misses] if not, it is counted
//! ```
//!
//! | room | what | may run in a probe |
//! |---|---|---|
//! | [`probe`] | the grammar of probe definitions, errors with their columns | |
//! | [`fetch`] | arguments compiled to a program; running it | yes |
//! | [`filter`] | expressions that say which records are kept | yes |
//! | [`ring`] | the lock-free ring of each CPU that records go into | yes |
//! | [`raw_page`] | pages of a trace for programs | |
//! | [`event`] | event classes: fields, `format` files, records to text | |
//! | [`text`] | the text of a trace around the records | |
//! | [`error_log`] | refused commands with a caret | |
//! | [`reentry`] | the state of a CPU between the exceptions of a hit | yes |
//! | [`misses`] | what was not recorded, and why | |
//! | [`glob`] | patterns over names | yes |
//! | [`function_command`] | commands of `set_ftrace_filter` | |
//! | [`symtab`], [`symbolize`] | addresses to names and back | yes |
//! | [`typetab`] | functions' parameters, and types, of the image | |
//! | [`keys`] | the jump table of static keys | |
//! | [`errno`] | error numbers | yes |
//!
//! The crate is pure: no unsafe, no assembly, no statics; host tests drive every seam with a fake other side. What
//! may run in a probe allocates nothing, takes no lock and cannot panic. Functions at the seams are not generic,
//! since a generic one would be compiled into the kernel and become traceable there.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod blob;
pub mod errno;
pub mod error_log;
pub mod event;
pub mod fetch;
pub mod filter;
pub mod function_command;
pub mod glob;
pub mod graph;
pub mod keys;
pub mod misses;
pub mod probe;
#[cfg(test)]
mod random;
pub mod raw_page;
pub mod reentry;
pub mod ring;
mod ring_env;
pub mod symbolize;
pub mod symtab;
pub mod text;
pub mod typetab;
