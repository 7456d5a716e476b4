//! The performance monitors (Arm ARM D13): one event counter that counts instructions.
//!
//! Event 8, INST_RETIRED, counts what was architecturally executed and nothing else: not time, not waiting. QEMU
//! implements it under `-icount` alone and counts exactly, so that two runs of one build give the same numbers; it
//! says so by PMCEID0_EL0, the list of the events that a CPU has. Counters of CPUs before PMUv3p5 have 32 bits; since
//! then PMCR_EL0.LP makes them 64 bits wide.

use core::arch::asm;

/// INST_RETIRED (Arm ARM D13.11.3).
const INST_RETIRED: u64 = 8;

/// PMCR_EL0: enable; cycle counter of 64 bits; event counters of 64 bits.
const PMCR_E: u64 = 1 << 0;
const PMCR_LC: u64 = 1 << 6;
const PMCR_LP: u64 = 1 << 7;

/// ID_AA64DFR0_EL1.PMUVer: no PMU, the first with 64-bit event counters, and one that is not Arm's.
const PMUVER_NONE: u64 = 0;
const PMUVER_V3P5: u64 = 6;
const PMUVER_OTHER: u64 = 0xf;

/// Counter 0 in the registers that have a bit for each counter.
const COUNTER_0: u64 = 1 << 0;

/// Reads a system register.
macro_rules! read {
    ($reg:literal) => {{
        let value: u64;
        // SAFETY: reads a register that every CPU with a PMU has, and that changes nothing by being read.
        unsafe { asm!(concat!("mrs {}, ", $reg), out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }};
}

/// Writes a register of the PMU.
macro_rules! set {
    ($reg:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the PMU counts and, with its interrupts off, touches nothing else.
        unsafe { asm!(concat!("msr ", $reg, ", {}"), in(reg) value, options(nomem, nostack, preserves_flags)) };
    }};
}

fn version() -> u64 {
    read!("id_aa64dfr0_el1") >> 8 & 0xf
}

/// Whether this CPU counts instructions.
pub(crate) fn counts_instructions() -> bool {
    !matches!(version(), PMUVER_NONE | PMUVER_OTHER)
        && read!("pmcr_el0") >> 11 & 0x1f != 0
        && read!("pmceid0_el0") >> INST_RETIRED & 1 == 1
}

/// Whether the counter has 64 bits; otherwise 32.
pub(crate) fn is_64_bit() -> bool {
    version() >= PMUVER_V3P5 && version() != PMUVER_OTHER
}

/// Starts this CPU's instruction counter, unless it cannot count or does already. The boot CPU does so first thing in
/// Rust; what went before is known from the generic timer (`BootInfo::start_ticks`).
pub(crate) fn init() {
    if !counts_instructions() || read!("pmcntenset_el0") & COUNTER_0 != 0 {
        return;
    }
    let wide = if is_64_bit() { PMCR_LP } else { 0 };
    set!("pmintenclr_el1", u64::from(u32::MAX));
    set!("pmevtyper0_el0", INST_RETIRED);
    set!("pmevcntr0_el0", 0);
    set!("pmcntenset_el0", COUNTER_0);
    set!("pmcr_el0", PMCR_E | PMCR_LC | wide);
    // SAFETY: a barrier: the counter runs from here on.
    unsafe { asm!("isb", options(nomem, nostack, preserves_flags)) };
}

/// Instructions this CPU has executed since [`init`]; modulo 2^32 if the counter is no wider.
///
/// No instruction moves across: the barriers count as two, in any difference of two readings.
#[inline(always)]
pub(crate) fn instructions() -> u64 {
    let count: u64;
    // SAFETY: reads a counter. Not `nomem`: what is to be counted stays where it is.
    unsafe { asm!("isb", "mrs {}, pmevcntr0_el0", "isb", out(reg) count, options(nostack, preserves_flags)) };
    count
}

/// Instructions between two readings of [`instructions`] on one CPU.
pub(crate) fn between(before: u64, after: u64) -> u64 {
    let difference = after.wrapping_sub(before);
    if is_64_bit() { difference } else { difference & u64::from(u32::MAX) }
}
