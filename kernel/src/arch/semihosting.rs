//! Semihosting: calls to the debugger or emulator that runs the machine (Arm "Semihosting for AArch32 and AArch64").
//!
//! QEMU's `-semihosting-config enable=on` answers `hlt #0xf000`. Without it the instruction is undefined, so nothing
//! is called before the boot arguments have said that somebody listens ([`enable`]).

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

static ENABLED: AtomicBool = AtomicBool::new(false);

const SYS_OPEN: u64 = 0x01;
const SYS_WRITE: u64 = 0x05;
const SYS_EXIT_EXTENDED: u64 = 0x20;
/// "The application exited as it wanted to", with a status beside it.
const ADP_STOPPED_APPLICATION_EXIT: u64 = 0x20026;
/// Open mode "w". For the special name `:tt` it means the host's standard output.
const MODE_W: u64 = 4;

/// A stream of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle(u64);

/// Says that the host answers.
pub(crate) fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

fn call(operation: u64, parameters: &[u64]) -> Option<u64> {
    if !ENABLED.load(Ordering::Relaxed) {
        return None;
    }
    let result: u64;
    // SAFETY: the host reads the parameter block (and what it points to, which callers borrow) and returns x0; the
    // calls made here write no guest memory.
    unsafe {
        asm!("hlt #0xf000", inout("x0") operation => result, in("x1") parameters.as_ptr(), options(nostack));
    }
    Some(result)
}

/// The host's standard output.
pub(crate) fn stdout() -> Option<Handle> {
    let name = c":tt";
    let handle =
        call(SYS_OPEN, &[name.as_ptr().expose_provenance() as u64, MODE_W, name.count_bytes() as u64])?;
    (handle != u64::MAX).then_some(Handle(handle))
}

/// Writes all of `bytes`, or says how many are left.
pub(crate) fn write(handle: Handle, bytes: &[u8]) -> Result<(), usize> {
    match call(SYS_WRITE, &[handle.0, bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64]) {
        Some(0) => Ok(()),
        Some(left) => Err((left as usize).min(bytes.len())),
        None => Err(bytes.len()),
    }
}

/// Ends the machine with a status, if the host listens.
pub(crate) fn exit(code: u8) {
    let _ = call(SYS_EXIT_EXTENDED, &[ADP_STOPPED_APPLICATION_EXIT, u64::from(code)]);
}
