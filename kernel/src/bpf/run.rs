//! The running record: what a helper can ask about the program that called it.
//!
//! ```text
//!   way in ──▶ Running { prog, way, ctx, cookie, ip } ──on the stack──▶ TOP of this CPU ──▶ Prog's code ──call──▶ helper
//!                                                                          │                                      │
//!                  an interrupt's program, nested:  its own record ──▶ TOP ┘◀────────── running::with(…) ─────────┘
//! ```
//!
//! Whoever runs a program puts the record there and takes it away; a program that is run from inside another one (an
//! interrupt's, a probe's on a helper) finds its own on top, and the outer one's again when it is done. A record is
//! borrowed from the stack of who runs the program: it is there for exactly as long as the program runs.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering, compiler_fence};

use super::prog::Prog;
use crate::exception::PtRegs;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::{Entry, Return};
use crate::sync::{Pinned, per_cpu};

/// How the program was reached: what r1 points to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// The registers of an exception.
    Regs(&'a PtRegs),
    /// Those of a function's entry.
    Entry(&'a FtraceRegs<Entry>),
    /// Those of a function's return.
    Return(&'a FtraceRegs<Return>),
    /// Words: the arguments of a function or a tracepoint, and behind them its result if it has returned.
    Args {
        /// How many arguments.
        count: u8,
        /// Is there a result behind them?
        result: bool,
    },
    /// The record of a tracepoint, or memory that was brought along.
    Memory,
}

/// A program that runs, and what it was given.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    /// The program.
    pub(crate) prog: &'a Prog,
    /// What r1 points to.
    pub(crate) way: Way<'a>,
    /// r1.
    pub(crate) ctx: u64,
    /// What was said when the program was attached here.
    pub(crate) cookie: u64,
    /// The function that was entered or left; 0 if it was not reached by one.
    pub(crate) ip: u64,
}

per_cpu! {
    static TOP: AtomicPtr<Running<'static>> = AtomicPtr::new(null_mut());
}

/// Runs `f` with the record of the program that runs on this CPU, if one does.
#[inline(always)]
pub(crate) fn with<R>(pinned: &impl Pinned, f: impl FnOnce(&Running<'_>) -> R) -> Option<R> {
    // SAFETY: `Running::on_top` puts a pointer there for as long as it borrows what it points to, on this CPU, to which the
    // caller is pinned; `f` cannot keep the reference.
    unsafe { TOP.this_cpu(pinned).load(Ordering::Relaxed).as_ref() }.map(f)
}

impl Running<'_> {
    /// Runs `f`, during which this is the record of this CPU.
    #[inline(always)]
    pub(super) fn on_top<R>(&self, pinned: &impl Pinned, f: impl FnOnce() -> R) -> R {
        let top = TOP.this_cpu(pinned);
        // Interrupts on this CPU come and go in between: each leaves the pointer as it was.
        let outer = top.load(Ordering::Relaxed);
        top.store(core::ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let result = f();
        compiler_fence(Ordering::SeqCst);
        top.store(outer, Ordering::Relaxed);
        result
    }
}
