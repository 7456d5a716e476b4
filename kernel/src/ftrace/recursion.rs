//! A callback does not trace itself.
//!
//! A callback runs code, and code can be traced. So each CPU has a bit for each level that work can come in on, and who
//! finds its bit taken was called from a callback of the same level: it counts a miss and goes on. A callback that is
//! interrupted is no hindrance for what the interrupt calls; that has its own bit.
//!
//! ```text
//!   task ─▶ callback ─▶ traced function: bit `task` is taken: a miss
//!               └─ interrupt ─▶ traced function: bit `irq` is free: traced
//! ```
//!
//! While a bit is held preemption is off, so the bit's CPU stays the same.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use crate::arch::thread::{self, HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_OFFSET, ThreadHead};
use crate::sync::{self, CpuPin, Pinned, per_cpu};

per_cpu! {
    /// A bit for each level on which a callback is under way.
    static BUSY: AtomicU32 = AtomicU32::new(0);
}

/// The level that this code runs on, as a bit of `BUSY`.
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

/// The right to run callbacks on this CPU and level; preemption is off while it lives.
pub(super) struct Entered {
    head: &'static ThreadHead,
    busy: &'static AtomicU32,
    bit: u32,
}

// SAFETY: preemption is off from `enter` to `drop`.
unsafe impl Pinned for Entered {}

/// Takes this CPU's bit for the present level; `None` when it is taken.
#[inline(always)]
pub(super) fn enter() -> Option<Entered> {
    let head = thread::current();
    let count = head.count();
    head.add(PREEMPT_OFFSET);
    compiler_fence(Ordering::SeqCst);
    // SAFETY: preemption is off by the line above, until `drop`.
    let pin = unsafe { CpuPin::assume() };
    let busy: &'static AtomicU32 = {
        let here: *const AtomicU32 = BUSY.this_cpu(&pin);
        // SAFETY: per-CPU variables live for ever; the reference is only used while this code stays on the CPU.
        unsafe { &*here }
    };
    let bit = level(count);
    let taken = busy.load(Ordering::Relaxed);
    if taken & bit != 0 {
        compiler_fence(Ordering::SeqCst);
        head.sub(PREEMPT_OFFSET);
        return None;
    }
    // An interrupt in between leaves the word as it found it: plain loads and stores will do.
    busy.store(taken | bit, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    Some(Entered { head, busy, bit })
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.busy.store(self.busy.load(Ordering::Relaxed) & !self.bit, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        self.head.sub(PREEMPT_OFFSET);
        // What the scheduler is called through has no entry to be traced at, or this would not end.
        sync::preempt_point();
    }
}
