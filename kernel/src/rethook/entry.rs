//! What is known at a function's entry, whichever way in led there.

use a64::{Reg, Registers};

use crate::exception::PtRegs;
use crate::ftrace::FtraceRegs;
use crate::ftrace::regs::Entry;

/// The registers at an entry, of which an exception has all and a trampoline those of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRegs<'a>(Registers<'a>);

impl EntryRegs<'_> {
    /// Argument `n`, counted from 0, of those that are passed in registers (AAPCS64 6.8.2).
    #[inline(always)]
    pub(crate) fn arg(self, n: u8) -> u64 {
        if n < 8 { self.0.x(n) } else { 0 }
    }

    /// The caller's stack pointer: the ninth argument lies there.
    #[inline(always)]
    pub(crate) fn sp(self) -> u64 {
        self.0.get(Reg::SP)
    }
}

impl<'a> From<&'a FtraceRegs<Entry>> for EntryRegs<'a> {
    #[inline(always)]
    fn from(regs: &'a FtraceRegs<Entry>) -> Self {
        Self(regs.registers())
    }
}

impl<'a> From<&'a PtRegs> for EntryRegs<'a> {
    #[inline(always)]
    fn from(regs: &'a PtRegs) -> Self {
        Self(Registers::All(regs.user()))
    }
}
