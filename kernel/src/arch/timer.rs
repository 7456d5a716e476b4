//! The generic timer (Arm ARM D12): one counter for all CPUs, one comparator per CPU.
//!
//! The virtual timer is used: EL1 may always have it, and with CNTVOFF_EL2 = 0 it shows the physical count.

use aarch64_cpu::registers::{CNTV_CTL_EL0, CNTV_CVAL_EL0, Writeable};

/// The counter, in ticks of [`freq_hz`].
///
/// An `isb` keeps the read from moving before what precedes it (Arm ARM D12.2.1: reads may be speculative).
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: reads a counter.
    unsafe {
        core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags))
    };
    ticks
}

/// The counter without the barrier: it may be early by what the CPU has in flight, never wrong in order on one CPU.
#[inline(always)]
pub(crate) fn ticks_relaxed() -> u64 {
    let ticks: u64;
    // SAFETY: reads a counter.
    unsafe {
        core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags))
    };
    ticks
}

/// Ticks per second.
pub(crate) fn freq_hz() -> u64 {
    super::cpu::counter_hz()
}

/// Raises this CPU's timer interrupt when the counter reaches `at` (at once if it has).
pub(crate) fn set_deadline(at: u64) {
    CNTV_CVAL_EL0.set(at);
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET + CNTV_CTL_EL0::IMASK::CLEAR);
}

/// No more interrupt from this CPU's timer until the next deadline is set.
pub(crate) fn stop() {
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::CLEAR);
}
