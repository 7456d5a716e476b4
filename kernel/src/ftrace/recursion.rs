//! A callback does not trace itself.
//!
//! A callback runs code, and code can be traced. So each task has a bit for each level that work can come in on while it
//! has the CPU, and who finds its bit taken was called from a callback of the same level: it counts a miss and goes on. A
//! callback that is interrupted is no hindrance for what the interrupt calls; that has its own bit.
//!
//! ```text
//!   task ─▶ callback ─▶ traced function: bit `task` is taken: a miss
//!               └─ interrupt ─▶ traced function: bit `irq` is free: traced
//! ```
//!
//! The bits are in the head of the task (`arch::thread`), beside the preempt count that tells the level. What interrupts
//! leaves both as it found them, so plain loads and stores will do.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::arch::thread::{self, HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_OFFSET, ThreadHead};
use crate::sync::{self, Pinned};

/// The level that this code runs on, as a bit of `tracing`.
#[inline(always)]
fn level(preempt_count: u32) -> u32 {
    if preempt_count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET) == 0 {
        1
    } else if preempt_count & NMI_MASK != 0 {
        8
    } else if preempt_count & HARDIRQ_MASK != 0 {
        4
    } else {
        2
    }
}

/// How many levels there are.
pub(crate) const LEVELS: usize = 4;

/// The level of a callback, as an index: one at a time has it on a CPU.
#[inline(always)]
pub(crate) fn level_of(_: &impl Pinned) -> usize {
    level(thread::current().count()).trailing_zeros() as usize
}

/// The right to run callbacks for this task on its level; preemption is off while it lives. What there was before is put back
/// as it was: whoever comes in between leaves both as found.
pub(super) struct Entered {
    head: &'static ThreadHead,
    count: u32,
    taken: u32,
}

// SAFETY: preemption is off from `enter` to `drop`.
unsafe impl Pinned for Entered {}

/// Takes the bit of the present level; `None` when it is taken.
#[inline(always)]
pub(super) fn enter() -> Option<Entered> {
    let head = thread::current();
    let count = head.count();
    let bit = level(count);
    let taken = head.tracing.load(Ordering::Relaxed);
    if taken & bit != 0 {
        return None;
    }
    head.tracing.store(taken | bit, Ordering::Relaxed);
    head.preempt_count.store(count + PREEMPT_OFFSET, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    Some(Entered { head, count, taken })
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        let head = self.head;
        head.tracing.store(self.taken, Ordering::Relaxed);
        head.preempt_count.store(self.count, Ordering::Relaxed);
        // What the scheduler is called through has no entry to be traced at, or this would not end.
        if self.count == 0 && head.need_resched.load(Ordering::Relaxed) != 0 {
            sync::preempt_point();
        }
    }
}
