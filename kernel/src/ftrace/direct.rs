//! Direct calls: a function's branch that leads to a trampoline of its own.
//!
//! `ftrace_caller` serves every listener: it saves what any of them may want, finds out who listens, and calls through a
//! pointer. Who knows the function, its arguments and what to do with them can have code made for just that, and have the
//! function branch there:
//!
//! ```text
//!   literal            word at symbol + 4              a call goes
//!   the direct ops     bl trampoline                   function ─▶ trampoline ─▶ function
//!   a combination      bl ftrace_direct_caller         function ─▶ each callback ─▶ trampoline ─▶ function
//! ```
//!
//! | at a trampoline's entry | |
//! |---|---|
//! | x0–x8, SP, x29 | the function's arguments, and the caller's frame |
//! | x9 | the return address of the function |
//! | x30 | where the function goes on: behind its branch, or where a callback has sent it |
//! | x10–x17 | free |
//!
//! It ends in `ret` to what x30 was, with x9's value in x30 and everything else as it found it (or with other arguments, if
//! that is its purpose). It may as well call the function itself, look at the result, and return to the caller. Linux's
//! trampolines on this architecture have the same terms.
//!
//! It comes behind all callbacks, whenever it was registered. A function can have one.
//!
//! A task may be preempted in a trampoline, or sleep in a function that it has called. That is not waited for when a direct
//! call is unregistered or modified: a trampoline that is part of the image may be used again at once; whoever makes one at
//! run time keeps it until no task is inside.

pub(crate) mod tests;

use tracecore::errno::Errno;

use super::ops::{self, Ops, Registered};
use super::site_set::SiteSet;

/// Code that a function may branch to at its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trampoline(usize);

impl Trampoline {
    /// The code at an address.
    ///
    /// # Safety
    /// It keeps to the terms in this file's head, is never traced or probed, and stays there as long as a task may be
    /// inside.
    pub(crate) const unsafe fn at(addr: usize) -> Self {
        Self(addr)
    }

    /// Where it is.
    pub(crate) const fn addr(self) -> usize {
        self.0
    }
}

/// A registered direct call; dropping it unregisters.
#[derive(Debug)]
#[must_use = "dropping it unregisters"]
pub(crate) struct Direct(Registered);

/// Has each function in `sites` enter `trampoline`, for an ops that [`Ops::direct`] has made.
///
/// # Errors
/// EBUSY: the ops is registered, or one of the functions has a direct call. ENOSPC: too many combinations. Those of the
/// patch: EINVAL for a trampoline more than 128 MiB away, out of a branch's reach. Nothing has changed then.
pub(crate) fn register(ops: &'static Ops, trampoline: Trampoline, sites: SiteSet) -> Result<Direct, Errno> {
    ops::register_direct(ops, trampoline, sites).map(Direct)
}

impl Direct {
    /// Has the functions enter another trampoline. Each call enters the old or the new one; those that begin when this has
    /// returned the new. Returns the old.
    ///
    /// # Errors
    /// Those of the patch; nothing has changed then.
    pub(crate) fn modify(&self, to: Trampoline) -> Result<Trampoline, Errno> {
        self.0.set_direct(to).map(Trampoline)
    }

    /// Goes on with other functions.
    ///
    /// # Errors
    /// As [`register`].
    pub(crate) fn set_sites(&self, sites: SiteSet) -> Result<(), Errno> {
        self.0.set_sites(sites)
    }
}

/// Makes a trampoline `$name` that saves x0–x8, calls a function with them as they are, and goes on: for a listener that is
/// an `extern "C"` function of the same arguments. 18 instructions with the `ret` of an empty listener.
///
/// ```text
///   SP at the entry ─▶ ┌──────────────┐
///                      │ x2-x7        │
///                      │ x29, x9      │ ◀─┐ the record of the caller
///                      │ x8           │   │ beside x30: one load restores both
///                      │ link, x30    │ ──┘ the record of the function ◀─ x29 in the listener
///                      │ x0, x1       │
///                      └──────────────┘
/// ```
macro_rules! saving_trampoline {
    ($name:literal, $listener:path) => {
        core::arch::global_asm!(
            ".pushsection .noinstr.text, \"ax\"",
            ".balign 64",
            concat!(".global ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            "stp x0, x1, [sp, #-112]!",
            "stp x29, x9, [sp, #48]",
            "add x29, sp, #48",
            "stp x29, x30, [sp, #16]",
            "add x29, sp, #16",
            "str x8, [sp, #32]",
            "stp x2, x3, [sp, #64]",
            "stp x4, x5, [sp, #80]",
            "stp x6, x7, [sp, #96]",
            "bl {listener}",
            "ldp x29, x30, [sp, #48]",
            "ldp x10, x8, [sp, #24]",
            "ldp x6, x7, [sp, #96]",
            "ldp x4, x5, [sp, #80]",
            "ldp x2, x3, [sp, #64]",
            "ldp x0, x1, [sp], #112",
            "ret x10",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            listener = sym $listener,
        );
    };
}
pub(crate) use saving_trampoline;
