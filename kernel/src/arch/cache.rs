//! Making written code visible to instruction fetch (Arm ARM B2.7.4.2, "Concurrent modification and execution").
//!
//! The writer cleans the data cache to the point of unification, invalidates the instruction caches of all CPUs, and
//! waits. A CPU that runs the old word of an instruction that may be changed while executed sees the old or the
//! new one; after its next context synchronisation event it sees the new one.

use core::arch::asm;

/// Puts a word that was written through the data address `written` where instruction fetch looks. A batch of these, then
/// [`complete`]; then a batch of [`forget_word`], then [`complete_code`].
#[inline(always)]
pub(crate) fn clean_word(written: usize) {
    // SAFETY: cache maintenance of mapped memory does not change what a program sees of it.
    unsafe { asm!("dc cvau, {}", in(reg) written, options(nostack, preserves_flags)) };
}

/// Lets no instruction cache keep the word executed at `executed`.
#[inline(always)]
pub(crate) fn forget_word(executed: usize) {
    // SAFETY: as above.
    unsafe { asm!("ic ivau, {}", in(reg) executed, options(nostack, preserves_flags)) };
}

/// Waits until the maintenance before it is done, for all CPUs.
#[inline(always)]
pub(crate) fn complete() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
}

/// The same, and this CPU fetches anew.
#[inline(always)]
pub(crate) fn complete_code() {
    // SAFETY: barriers.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Makes the `len` bytes of code written through the data address `written` visible at the address `executed`, for
/// all CPUs. The same memory, or two mappings of it.
#[inline(always)]
pub(crate) fn sync_icache(written: usize, executed: usize, len: usize) {
    // CTR_EL0.{DminLine, IminLine} may be as small as 4 words.
    const LINE: usize = 16;
    let mut at = written & !(LINE - 1);
    while at < written + len {
        // SAFETY: cache maintenance of mapped memory does not change what a program sees of it.
        unsafe { asm!("dc cvau, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += LINE;
    }
    // SAFETY: as above.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    let mut at = executed & !(LINE - 1);
    while at < executed + len {
        // SAFETY: as above.
        unsafe { asm!("ic ivau, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += LINE;
    }
    // SAFETY: as above.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// A context synchronisation event for this CPU.
#[inline(always)]
pub(crate) fn isb() {
    // SAFETY: a barrier.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}

/// What was stored before is seen, by all CPUs, before what is stored after; also by instruction fetch.
#[inline(always)]
pub(crate) fn stores_done() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
}

/// Cleans the line of `addr` to memory, for a reader whose MMU is off.
pub(crate) fn clean_to_memory(addr: usize) {
    // SAFETY: cache maintenance of mapped memory does not change what a program sees of it.
    unsafe { asm!("dc cvac, {}", "dsb sy", in(reg) addr, options(nostack, preserves_flags)) };
}
