//! Holding off interrupts and holding off the scheduler.
//!
//! A CPU always knows which task it runs: SP_EL0, unused by the kernel as a stack pointer, holds the address of
//! the task. Every task begins with its `ThreadHead` (`arch::thread`):
//!
//! ```text
//!   SP_EL0 ──▶ ┌───────────────┬───────────────┐
//!              │ preempt_count │ need_resched  │  …the rest of the task
//!              └───────────────┴───────────────┘
//!   preempt_count, laid out as Linux's (include/linux/preempt.h):
//!      23   20 19    16 15      8 7        0
//!     ┌───────┬────────┬─────────┬──────────┐
//!     │  nmi  │ hardirq│ softirq │  preempt │     0 = a task that may be preempted
//!     └───────┴────────┴─────────┴──────────┘
//! ```
//!
//! When a guard lets the count fall to 0 and `need_resched` is set, the scheduler has waited for this moment.
//!
//! Only the task itself and interrupts on top of it change the count, and an interrupt leaves it as it found it:
//! plain loads and stores are enough. `need_resched` is also set from other CPUs, so it has a word of its own.

use super::Once;
use crate::arch;
use crate::arch::thread::PREEMPT_OFFSET;
use core::marker::PhantomData;
use core::sync::atomic::{Ordering, compiler_fence};

pub(crate) use crate::arch::thread::current as head;

/// Filled by the scheduler: called when preemption is allowed again and was asked for.
static RESCHEDULE: Once<fn()> = Once::new();

/// Tells this room whom to call when a task should be preempted. Only the first call counts.
pub(crate) fn set_reschedule(f: fn()) {
    let _ = RESCHEDULE.set(f);
}

/// Not traced: a tracer's callback that ends calls it.
#[cold]
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn reschedule() {
    if !arch::daif::irqs_masked()
        && let Some(f) = RESCHEDULE.get()
    {
        f();
    }
}

/// True where a task may sleep: no guard held, no handler, interrupts on.
pub(crate) fn may_sleep() -> bool {
    head().count() == 0 && !arch::daif::irqs_masked()
}

/// Preempts this task now if that was asked for and is allowed.
#[inline(always)]
pub(crate) fn preempt_point() {
    let head = head();
    if head.count() == 0 && head.need_resched.load(Ordering::Relaxed) != 0 {
        reschedule();
    }
}

/// Proof that the code runs on one CPU and stays on it, so that per-CPU data and published values may be looked at.
///
/// # Safety
/// While the value exists, the holder is neither preempted nor moved to another CPU.
pub(crate) unsafe trait Pinned {}

/// A [`Pinned`] that costs nothing, for code that is pinned by where it runs.
pub(crate) struct CpuPin(PhantomData<*mut ()>);

impl CpuPin {
    /// Claims that the caller cannot be preempted.
    ///
    /// # Safety
    /// The caller runs in an exception or interrupt handler, or has otherwise interrupts masked or preemption held
    /// off, for as long as the value exists.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

// SAFETY: promised by whoever called `assume`.
unsafe impl Pinned for CpuPin {}

/// No preemption while it lives: the task keeps its CPU, interrupts go on.
pub(crate) struct PreemptGuard(PhantomData<*mut ()>);

// SAFETY: the scheduler does not switch while the count is not 0.
unsafe impl Pinned for PreemptGuard {}

impl PreemptGuard {
    /// Holds off preemption.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        head().add(PREEMPT_OFFSET);
        compiler_fence(Ordering::SeqCst);
        Self(PhantomData)
    }
}

impl Drop for PreemptGuard {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        head().sub(PREEMPT_OFFSET);
        preempt_point();
    }
}

/// No interrupt on this CPU while it lives. Guards nest: the innermost restores what it found.
pub(crate) struct IrqGuard {
    saved: arch::daif::Daif,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: preemption begins with an interrupt, or with a call that checks for masked interrupts.
unsafe impl Pinned for IrqGuard {}

impl IrqGuard {
    /// Masks interrupts.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let saved = arch::daif::mask_irq();
        compiler_fence(Ordering::SeqCst);
        Self { saved, not_send: PhantomData }
    }
}

impl Drop for IrqGuard {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        arch::daif::restore(self.saved);
    }
}
