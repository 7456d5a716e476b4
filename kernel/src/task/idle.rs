//! What a CPU does when there is nothing to do: it waits for an interrupt, and takes part in no quiet period.
//!
//! ```text
//!   mask ─▶ asked to reschedule? ─ yes ─▶ unmask, switch
//!                 │ no
//!           SEEN = IDLE, wfi, SEEN = 0       an interrupt that is pending ends wfi although it is masked
//!                 │
//!           unmask: the handler runs here
//! ```
//!
//! Idle is waiting, never spinning: a CPU that spins keeps a host CPU busy and makes every broadcast of the others slow.

use super::{events, run_queue};
use crate::arch;
use crate::sync::{IrqGuard, head, quiesce};
use crate::tracepoint::trace;
use core::sync::atomic::Ordering;

/// The state that an event tells of when a CPU wakes: Linux's PWR_EVENT_EXIT.
const AWAKE: u32 = u32::MAX;

/// The idle task's life. Never returns.
pub(super) fn run() -> ! {
    loop {
        if head().need_resched.load(Ordering::Relaxed) != 0 || run_queue::steal() {
            run_queue::switch(false);
        }
        wait_for_interrupt();
    }
}

noinstr! {
    /// Between the two marks no reader may begin: neither traced nor probed.
    #[inline(never)]
    fn wait_for_interrupt() {
        let irq = IrqGuard::new();
        if head().need_resched.load(Ordering::Relaxed) == 0 {
            trace!(events::cpu_idle(0, arch::cpu::id()));
            quiesce::enter_idle(&irq);
            arch::cpu::wfi();
            quiesce::exit_idle(&irq);
            trace!(events::cpu_idle(AWAKE, arch::cpu::id()));
        }
        drop(irq);
    }
}
