//! Ending and starting: PSCI (Arm DEN0022) and semihosting (Arm "Semihosting for AArch32 and AArch64").

use core::sync::atomic::{AtomicU8, Ordering};

use smccc::{Call, Hvc, Smc, psci};

/// How PSCI is called: the DTB says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Conduit {
    /// No PSCI.
    None,
    /// HVC: a hypervisor answers.
    Hvc,
    /// SMC: firmware answers.
    Smc,
}

static CONDUIT: AtomicU8 = AtomicU8::new(Conduit::None as u8);

/// Sets the conduit. Once, at boot.
pub(crate) fn set_conduit(conduit: Conduit) {
    CONDUIT.store(conduit as u8, Ordering::Relaxed);
}

fn with_conduit<T>(none: T, hvc: impl FnOnce() -> T, smc: impl FnOnce() -> T) -> T {
    match CONDUIT.load(Ordering::Relaxed) {
        1 => hvc(),
        2 => smc(),
        _ => none,
    }
}

/// Starts the CPU whose MPIDR affinity is `mpidr` at physical address `entry`, with x0 = `context`.
pub(crate) fn cpu_on(mpidr: u64, entry: usize, context: u64) -> Result<(), psci::Error> {
    fn call<C: Call>(mpidr: u64, entry: usize, context: u64) -> Result<(), psci::Error> {
        psci::cpu_on::<C>(mpidr, entry as u64, context)
    }
    with_conduit(
        Err(psci::Error::NotSupported),
        || call::<Hvc>(mpidr, entry, context),
        || call::<Smc>(mpidr, entry, context),
    )
}

/// Ends the machine with exit status `code`, where the host can be told one; else just ends it.
pub(crate) fn off(code: u8) -> ! {
    super::semihosting::exit(code);
    // PSCI has no status to give. A refusal leaves nothing to do but wait.
    let _ = with_conduit(Ok(()), psci::system_off::<Hvc>, psci::system_off::<Smc>);
    halt()
}

/// Starts the machine anew.
pub(crate) fn reset() -> ! {
    let _ = with_conduit(Ok(()), psci::system_reset::<Hvc>, psci::system_reset::<Smc>);
    halt()
}

/// Stops this CPU for good.
pub(crate) fn halt() -> ! {
    super::daif::mask_irq();
    loop {
        super::cpu::wfi();
    }
}
