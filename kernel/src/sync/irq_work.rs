//! Leaving an exception handler by a small step: work that runs at the next interrupt.
//!
//! A probe handler may strike anywhere, also under a run queue's lock; it must not wake a task. It queues an
//! [`IrqWork`] instead and interrupts its own CPU: as soon as interrupts are unmasked the work runs, in interrupt
//! context, where waking is allowed. Queueing is one exchange and one system register write.

use super::{IrqGuard, Once, Pinned, per_cpu};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A function that can be asked for from any context. Asking twice before it ran runs it once.
pub(crate) struct IrqWork {
    next: AtomicPtr<IrqWork>,
    queued: AtomicBool,
    f: fn(),
}

per_cpu! {
    static WORKS: AtomicPtr<IrqWork> = AtomicPtr::new(null_mut());
}

/// Sends the irq-work interrupt to this CPU.
static SEND_SELF: Once<fn()> = Once::new();

/// Tells this room how to interrupt this CPU. Only the first call counts.
pub(crate) fn set_irq_work_ipi(send_self: fn()) {
    let _ = SEND_SELF.set(send_self);
}

impl IrqWork {
    /// Work that calls `f`.
    pub(crate) const fn new(f: fn()) -> Self {
        Self { next: AtomicPtr::new(null_mut()), queued: AtomicBool::new(false), f }
    }

    /// Asks for the work on this CPU; false when it was asked for already and has not begun.
    #[inline(always)]
    pub(crate) fn queue(&'static self, pinned: &impl Pinned) -> bool {
        if self.queued.swap(true, Ordering::AcqRel) {
            return false;
        }
        let list = WORKS.this_cpu(pinned);
        let node = core::ptr::from_ref(self).cast_mut();
        let mut first = list.load(Ordering::Relaxed);
        loop {
            self.next.store(first, Ordering::Relaxed);
            match list.compare_exchange_weak(first, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => first = now,
            }
        }
        if let Some(send) = SEND_SELF.get() {
            send();
        }
        true
    }
}

/// The irq-work interrupt.
pub(crate) fn handle_irq_work_ipi() {
    let here = IrqGuard::new();
    let mut next = WORKS.this_cpu(&here).swap(null_mut(), Ordering::Acquire);
    // SAFETY: works are statics.
    while let Some(work) = unsafe { next.as_ref() } {
        next = work.next.load(Ordering::Relaxed);
        // Cleared before the call: who asks while `f` runs gets another run.
        work.queued.store(false, Ordering::Release);
        (work.f)();
    }
}
