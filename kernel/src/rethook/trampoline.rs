//! Where hooked functions return to: the assembly half is trampoline.S.

use core::arch::global_asm;

use super::shadow::{Entry, Shadow};
use crate::arch::{daif, power};
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::{Return, layout};
use crate::sync::CpuPin;

unsafe extern "C" {
    fn return_trampoline();
}

/// The trampoline's address.
#[inline(always)]
pub(super) fn addr() -> u64 {
    (return_trampoline as *const ()).expose_provenance() as u64
}

noinstr! {
    /// A hooked function has returned; `regs.pc` becomes the address that it should have returned to.
    #[unsafe(no_mangle)]
    extern "C" fn rethook_return(regs: &mut FtraceRegs<Return>) {
        let daif = daif::mask_irq();
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        let Some(shadow) = Shadow::current(&pin) else { lost(regs) };
        match shadow.last() {
            // SAFETY: the entry is on this task's stack.
            Some(last) if unsafe { (*last).sp == regs.sp() && (*last).returns_to != addr() } => {
                // SAFETY: as above; it stays until it is popped here.
                let entry = unsafe { *last };
                regs.set_return_ip(entry.returns_to);
                finish(shadow, last, &entry, regs, &pin);
            }
            _ => several(shadow, regs, &pin),
        }
        daif::restore(daif);
    }

    /// The same where the last entry is not the only one of this return.
    #[cold]
    #[inline(never)]
    fn several(shadow: &Shadow, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        // Entries of deeper calls belong to functions whose stack was given up without a return.
        while let Some(last) = shadow.last() {
            // SAFETY: the entry is on this task's stack, and so is that its hook lives.
            let entry = unsafe { *last };
            if entry.sp >= regs.sp() {
                break;
            }
            // SAFETY: as above.
            unsafe { &*entry.hook }.drop_call(pin);
            shadow.pop(&entry);
        }
        let mut at = shadow.last();
        let returns_to = loop {
            let Some(entry) = at else { lost(regs) };
            // SAFETY: the entry is on this task's stack.
            let Entry { returns_to, sp, .. } = unsafe { *entry };
            if sp != regs.sp() {
                lost(regs);
            }
            if returns_to != addr() {
                break returns_to;
            }
            at = shadow.below(entry);
        };
        regs.set_return_ip(returns_to);
        while let Some(last) = shadow.last() {
            // SAFETY: the entry is on this task's stack.
            let entry = unsafe { *last };
            finish(shadow, last, &entry, regs, pin);
            if entry.returns_to != addr() {
                break;
            }
        }
    }

    /// Nobody knows where to go on.
    #[cold]
    #[inline(never)]
    fn lost(regs: &FtraceRegs<Return>) -> ! {
        log::error!("rethook: a return at SP {:#x} that no entry of the shadow stack is about", regs.sp());
        panic!("a hooked function returned to nowhere");
        #[expect(unreachable_code, reason = "a panic that returned would run into the weeds")]
        power::halt()
    }
}

/// Tells the listener of an entry, and takes the entry away.
#[inline(always)]
fn finish(shadow: &Shadow, at: *mut Entry, entry: &Entry, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
    // SAFETY: the count of calls under way keeps the hook alive; interrupts are masked, so it is not freed before the next
    // quiet point even where this call was the last.
    unsafe { &*entry.hook }.exit(at, regs, pin);
    shadow.pop(entry);
}

global_asm!(
    include_str!("trampoline.S"),
    size = const layout::SIZE,
    x = const layout::X,
    pc = const layout::PC,
    frame = const layout::FP,
    return = sym rethook_return,
);
