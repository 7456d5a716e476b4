//! The part of a task that the exception path touches.
//!
//! SP_EL0 points to the running task while the CPU is at EL1; its first bytes are a [`ThreadHead`]. So "am I in an
//! interrupt?" and "may I be preempted?" are one `mrs` and one load, with no per-CPU arithmetic and no way to read
//! another CPU's state in between.

use core::sync::atomic::{AtomicU32, Ordering};

/// Preemption off, counted: bits 0-7 of the preempt count (Linux `include/linux/preempt.h` has the same layout).
pub(crate) const PREEMPT_OFFSET: u32 = 1;
/// In a softirq: bits 8-15.
pub(crate) const SOFTIRQ_OFFSET: u32 = 1 << 8;
/// In an interrupt: bits 16-19.
pub(crate) const HARDIRQ_OFFSET: u32 = 1 << 16;
/// All bits of [`HARDIRQ_OFFSET`].
pub(crate) const HARDIRQ_MASK: u32 = 0xf << 16;
/// In an exception that may strike anywhere: bits 20-23.
pub(crate) const NMI_MASK: u32 = 0xf << 20;
/// All bits of [`SOFTIRQ_OFFSET`].
pub(crate) const SOFTIRQ_MASK: u32 = 0xff << 8;

/// The head of every task.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct ThreadHead {
    /// Nesting of preemption guards and context levels; zero means that this task may be preempted. Only the CPU that
    /// runs the task writes it: plain loads and stores would do, atomics (relaxed) keep the type shareable.
    pub(crate) preempt_count: AtomicU32,
    /// Set (by any CPU) when the scheduler wants to run.
    pub(crate) need_resched: AtomicU32,
    /// A bit for each level on which a tracer's callback is under way; written as the count is.
    pub(crate) tracing: AtomicU32,
}

impl ThreadHead {
    /// A head with preemption off `count` times.
    pub(crate) const fn new(count: u32) -> Self {
        Self {
            preempt_count: AtomicU32::new(count),
            need_resched: AtomicU32::new(0),
            tracing: AtomicU32::new(0),
        }
    }

    /// Adds to the preempt count. Not a read-modify-write of the machine: interrupts that nest restore what they found.
    #[inline(always)]
    pub(crate) fn add(&self, delta: u32) {
        self.preempt_count
            .store(self.preempt_count.load(Ordering::Relaxed).wrapping_add(delta), Ordering::Relaxed);
    }

    /// Subtracts from the preempt count and returns what is left.
    #[inline(always)]
    pub(crate) fn sub(&self, delta: u32) -> u32 {
        let left = self.preempt_count.load(Ordering::Relaxed).wrapping_sub(delta);
        self.preempt_count.store(left, Ordering::Relaxed);
        left
    }

    /// The preempt count.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.preempt_count.load(Ordering::Relaxed)
    }
}

/// What SP_EL0 points to until the scheduler has made the boot CPU's first task.
#[unsafe(no_mangle)]
pub(crate) static BOOT_THREAD: ThreadHead = ThreadHead::new(PREEMPT_OFFSET);

/// The running task's head.
#[inline(always)]
pub(crate) fn current() -> &'static ThreadHead {
    let ptr: *const ThreadHead;
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("mrs {}, sp_el0", out(reg) ptr, options(nomem, nostack, preserves_flags, pure))
    };
    // SAFETY: SP_EL0 points to BOOT_THREAD or to a task whose first field is a ThreadHead, and the running task is
    // not freed while it runs (boot.S, task::switch).
    unsafe { &*ptr }
}

/// Makes `head` what [`current`] returns on this CPU.
///
/// # Safety
/// `head` starts a task that lives until another one is set, and the caller is the context switch or the boot path.
pub(crate) unsafe fn set_current(head: *const ThreadHead) {
    // SAFETY: the caller's promise.
    unsafe { core::arch::asm!("msr sp_el0, {}", in(reg) head, options(nostack, preserves_flags)) };
}
