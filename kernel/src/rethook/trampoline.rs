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

/// The same, for code that lies beside it in `.noinstr.text`.
#[inline(always)]
pub(super) fn addr_near() -> u64 {
    let addr: u64;
    // SAFETY: makes an address; the linker refuses one out of reach.
    unsafe {
        core::arch::asm!("adr {}, return_trampoline", out(reg) addr, options(pure, nomem, nostack, preserves_flags))
    };
    addr
}

noinstr! {
    /// A hooked function has returned; `regs.pc` becomes the address that it should have returned to.
    #[unsafe(no_mangle)]
    extern "C" fn rethook_return(regs: &mut FtraceRegs<Return>) {
        let daif = daif::mask_irq();
        regs.note_masks(daif);
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        let Some(shadow) = Shadow::current(&pin) else { lost(regs) };
        let last = shadow.top();
        // SAFETY: the entry is on this task's stack.
        let (sp, returns_to) = unsafe { ((*last).sp, (*last).returns_to) };
        if sp == regs.sp() && returns_to != addr_near() {
            regs.set_return_ip(returns_to);
            // SAFETY: it is the last, and one of a call.
            unsafe { finish(shadow, last, regs, &pin) };
        } else {
            several(shadow, regs, &pin);
        }
        daif::restore(daif);
    }

    /// The same where the last entry is not the only one of this return.
    #[cold]
    #[inline(never)]
    fn several(shadow: &Shadow, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
        // Entries of deeper calls belong to functions whose stack was given up without a return.
        while let Some(last) = shadow.last() {
            // SAFETY: the entry is on this task's stack, its hook lives, and it is the last.
            unsafe {
                if (*last).sp >= regs.sp() {
                    break;
                }
                (*(*last).hook).drop_call(pin);
                shadow.pop(last);
            }
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
            // SAFETY: the entry is on this task's stack, the last, and one of a call.
            let lowest = unsafe {
                let lowest = (*last).returns_to != addr();
                finish(shadow, last, regs, pin);
                lowest
            };
            if lowest {
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

/// Tells the listener of the last entry, and takes the entry away.
///
/// # Safety
/// `last` is the last entry of this stack, and one of a call.
#[inline(always)]
unsafe fn finish(shadow: &Shadow, last: *mut Entry, regs: &mut FtraceRegs<Return>, pin: &CpuPin) {
    // Read again behind the call: to keep it would take the stack as well.
    // SAFETY: the count of calls under way keeps the hook alive; interrupts are masked, so it is not freed before the next
    // quiet point even where this call was the last.
    unsafe {
        (*(*last).hook).exit(last, regs, pin);
        (*(*last).hook).over();
        shadow.pop(last);
    }
}

global_asm!(
    include_str!("trampoline.S"),
    size = const layout::SIZE,
    x = const layout::X,
    pc = const layout::PC,
    frame = const layout::FP,
    return = sym rethook_return,
);
