//! The way in: `entry.S` beside this file.

use core::arch::global_asm;
use core::mem::offset_of;

use super::ops::Ops;
use super::regs::FtraceRegs;

// The trampoline stores these as pairs, and finds x8 beside SP.
const _: () = assert!(offset_of!(FtraceRegs, x) == 0 && offset_of!(FtraceRegs, sp) == 9 * 8);
const _: () = assert!(offset_of!(FtraceRegs, lr) == offset_of!(FtraceRegs, fp) + 8);
const _: () = assert!(offset_of!(FtraceRegs, pc) == offset_of!(FtraceRegs, link) + 8);

global_asm!(
    include_str!("entry.S"),
    size = const size_of::<FtraceRegs>(),
    x = const offset_of!(FtraceRegs, x),
    fp = const offset_of!(FtraceRegs, fp),
    link = const offset_of!(FtraceRegs, link),
    pc = const offset_of!(FtraceRegs, pc),
    entry = const Ops::ENTRY_AT,
);

/// Where the branch of a traced site leads.
pub(super) fn ftrace_caller() -> usize {
    unsafe extern "C" {
        fn ftrace_caller();
    }
    (ftrace_caller as *const ()).addr()
}
