//! The shell: its language and its small programs, over traits of files and tasks.
//!
//! Nothing here knows a kernel. What the shell wants from below is two traits: an open file ([`Io`])
//! and the system ([`Sys`]: names of files, tasks, pipes, the clock). Today kernel threads stand behind
//! them, later a user program's system calls, and in the tests a file system in memory and the host's
//! threads. The way of a line:
//!
//! ```text
//!   keys ── edit ──▶ line ── lexer, parser ──▶ code (flat, jumps) ── exec ──▶ exit status
//!                      ▲            │                                 │
//!                      └ Incomplete ┘                 expand: $x $(…) $((…)) * ? [ ]
//!                                                                     │
//!                                        ┌─────────────┬──────────────┴────────────┐
//!                                     builtins      programs (a table)      Sys::exec (a file)
//!                                   (cd, set, …)   fn(&mut Ctx, &[String])
//! ```
//!
//! * `lexer` cuts text into words and operators; a word keeps its quotes and expansions as parts. Where a
//!   substitution ends, `brackets` finds.
//! * `parser` turns them into `code`: a flat list of operations with jumps, not a tree. Kernel stacks
//!   are 16 KiB, and a walk over a tree nested by the user's input would be a recursion bounded by nothing
//!   but that. Flat code is run by one loop whose own stack (`exec`) lies in the heap and has a limit.
//! * `expand` makes fields of words; `arith` evaluates `$((…))`; [`glob`] matches names.
//! * `simple` runs a command: one of the `builtins`, a function, a program, a file.
//! * `shell` is the state of it all, and what takes lines.
//! * [`ctx`] is what a program sees: its three streams, its directory, its system, and buffered output.
//! * [`programs`] is the table of those that ship here; a kernel adds tables of its own to it.
//! * [`edit`] is the line editor of the console, a state machine from bytes to bytes; `interact` joins it to a
//!   shell and a terminal.
//! * [`limits`] names every bound.
//!
//! A task of a pipeline, a subshell, a background job and a command substitution are each one
//! [`Sys::spawn`]ed task that holds a copy of the shell's state; pipes are bounded by whoever makes them.
//! A script that never ends is stopped by Ctrl-C: the loop in `exec` and every read, write and sleep of
//! a program look at [`Sys::interrupts`].
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod arith;
mod brackets;
mod builtins;
mod code;
pub mod ctx;
pub mod edit;
mod exec;
mod expand;
pub mod glob;
mod interact;
mod lexer;
pub mod limits;
mod parser;
pub mod programs;
mod shell;
mod simple;
pub mod sys;

pub use ctx::{Ctx, Stop};
pub use interact::{Names, ShellCompleter, interact};
pub use lexer::ParseError;
pub use programs::{Program, Programs, utc};
pub use shell::{Fed, Shell};
pub use sys::{DirEntry, Ends, FileKind, Io, OpenFlags, Power, Stat, Sys, Task, Uname};
pub use tracecore::errno::Errno;
