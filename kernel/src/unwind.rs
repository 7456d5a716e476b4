//! Backtraces: the chain of frame records (AAPCS64 6.4.6), read as if it were hostile.
//!
//! ```text
//!   x29 ──▶ {x29 of the caller, return address} ──▶ {…} ──▶ … ──▶ {0, _}
//! ```
//!
//! `exception.S` links a record of its own, whose second word is the interrupted PC, so a chain runs through exceptions. Such
//! a PC is exact, a return address points behind the call.
//!
//! A function whose return is hooked has the trampoline's address in its record. Where it really returns to, the slot
//! for hooks knows ([`set_returns`]); without an answer the trampoline is shown.
//!
//! A record is believed only if it can be read, is aligned, and lies above the one before on the same stack. A change of
//! stacks is believed only across an exception (a stack that overflowed reports from another one). Everything else ends
//! the walk, with the reason; so does [`MAX_FRAMES`].

use crate::arch::{STACK_SHIFT, probe_read};
use crate::sync::Once;
use crate::task::{self, Task};
use crate::text::ranges::Region;
use crate::text::slots;
use tracecore::errno::Errno;

/// Frames that are shown at most.
pub(crate) const MAX_FRAMES: usize = 64;

/// A place in a backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// An address in the function.
    pub(crate) pc: u64,
    /// It is the address of an instruction that was interrupted, not of one behind a call.
    pub(crate) exact: bool,
}

impl Frame {
    /// An address to look the function up by: of the call, not behind it, where another function may begin.
    pub(crate) fn lookup_pc(self) -> u64 {
        if self.exact { self.pc } else { self.pc.saturating_sub(4) }
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At the end of the chain.
    Complete,
    /// At a record that cannot be true.
    Corrupt {
        /// Where the record would be.
        fp: u64,
    },
    /// After [`MAX_FRAMES`], or when the visitor had enough.
    Cut,
}

/// Where a task's function really returns to, if it is hooked: asked with the address in its frame record, the address
/// of the record, and that of its caller's record.
pub(crate) type Returns = fn(&Task, u64, u64, u64) -> Option<u64>;

static RETURNS: Once<Returns> = Once::new();

/// Fills the slot for hooks on returns. Once, when there are tasks.
pub(crate) fn set_returns(returns: Returns) -> Result<(), Errno> {
    RETURNS.set(returns).map_err(|_| Errno::EBUSY)
}

/// Visits the frames of the running task above a frame pointer, innermost first, while the visitor says so. `exact` says
/// that the first record belongs to an exception.
pub(crate) fn walk(fp: u64, exact: bool, visit: impl FnMut(Frame) -> bool) -> End {
    match RETURNS.get() {
        Some(returns) => {
            let task = task::current();
            walk_with(|pc, record, next| returns(&task, pc, record, next), fp, exact, visit)
        }
        None => walk_with(|_, _, _| None, fp, exact, visit),
    }
}

/// The same for another task, which should not run meanwhile.
pub(crate) fn walk_task(task: &Task, fp: u64, exact: bool, visit: impl FnMut(Frame) -> bool) -> End {
    let returns = RETURNS.get();
    walk_with(
        |pc, record, next| returns.and_then(|returns| returns(task, pc, record, next)),
        fp,
        exact,
        visit,
    )
}

fn walk_with(
    returns: impl Fn(u64, u64, u64) -> Option<u64>,
    mut fp: u64,
    mut exact: bool,
    mut visit: impl FnMut(Frame) -> bool,
) -> End {
    for _ in 0..MAX_FRAMES {
        if fp == 0 {
            return End::Complete;
        }
        let corrupt = End::Corrupt { fp };
        if !fp.is_multiple_of(8) {
            return corrupt;
        }
        let (Ok(next), Ok(pc)) = (probe_read::read_u64(fp), probe_read::read_u64(fp.wrapping_add(8))) else {
            return corrupt;
        };
        let pc = if exact { pc } else { returns(pc, fp, next).unwrap_or(pc) };
        // The outermost record of a task has no caller.
        if pc == 0 {
            return End::Complete;
        }
        // An interrupted PC may be in the slot of a probe: it stands for the place of the probed word.
        let pc = slots::seen_pc(pc);
        let Some(region) = Region::of(pc as usize) else { return corrupt };
        if !visit(Frame { pc, exact }) {
            return End::Cut;
        }
        let same_stack = (next ^ fp) >> (STACK_SHIFT + 1) == 0;
        if next != 0 && !(same_stack && next > fp) && !exact {
            return End::Corrupt { fp: next };
        }
        // What returns into exception entry was called by it: the next record is the exception's own.
        exact = region == Region::Entry;
        fp = next;
    }
    End::Cut
}
