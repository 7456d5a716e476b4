//! Interrupt masks: PSTATE.DAIF (Arm ARM D1.3.3).

use core::arch::asm;

/// A saved DAIF, to be restored.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Daif(u64);

impl Daif {
    /// The register's value.
    #[inline(always)]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// Are IRQs masked in this state?
    #[inline(always)]
    pub(crate) fn masks_irqs(self) -> bool {
        self.0 & I != 0
    }
}

/// PSTATE.I within DAIF and SPSR.
pub(crate) const I: u64 = 1 << 7;
/// All of D, A, I and F.
pub(crate) const ALL: u64 = 0xf << 6;

/// The masks as they are.
#[inline(always)]
pub(crate) fn save() -> Daif {
    let daif: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, daif", out(reg) daif, options(nomem, nostack, preserves_flags)) };
    Daif(daif)
}

/// Masks IRQs (and FIQs, which the kernel never uses) and returns the masks as they were.
#[inline(always)]
pub(crate) fn mask_irq() -> Daif {
    let old = save();
    // SAFETY: masking interrupts is always sound. No `nomem`: what follows must not move above it.
    unsafe { asm!("msr daifset, #3", options(nostack, preserves_flags)) };
    old
}

/// Puts back masks that [`save`] or [`mask_irq`] returned.
#[inline(always)]
pub(crate) fn restore(daif: Daif) {
    // SAFETY: a state that was in force before; no `nomem`, so that nothing of the masked part moves below.
    unsafe { asm!("msr daif, {}", in(reg) daif.0, options(nostack, preserves_flags)) };
}

/// Lets IRQs in. For threads and the idle loop at their start; everybody else restores what was.
#[inline(always)]
pub(crate) fn unmask_irq() {
    // SAFETY: vectors are set before the first caller runs.
    unsafe { asm!("msr daifclr, #3", options(nostack, preserves_flags)) };
}

/// Lets debug exceptions and SError in: the normal state of kernel code.
pub(crate) fn unmask_debug_and_serror() {
    // SAFETY: both have vectors.
    unsafe { asm!("msr daifclr, #0xc", options(nostack, preserves_flags)) };
}

/// Whether IRQs are masked on this CPU.
#[inline(always)]
pub(crate) fn irqs_masked() -> bool {
    save().masks_irqs()
}
