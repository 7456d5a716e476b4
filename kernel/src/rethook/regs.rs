//! `FtraceRegs`: the registers that a trampoline saves, and no others.
//!
//! Where this view is made, a type says: at a function's entry the arguments and the link register are there, at its
//! return the results are. To read a result at the entry does not compile.
//!
//! | | entry | return |
//! |---|---|---|
//! | x0–x8 | arguments, and where a large result goes | results |
//! | sp, x29 | the caller's | the caller's |
//! | x30 | where the function will return to | not there: the `ret` may have used any register |
//! | pc | in the function | where the caller goes on |
//! | x9–x28, PSTATE | nobody saved them | nobody saved them |
//!
//! Only trampolines make one, on their own stack: it has no constructor, is neither `Clone` nor `Default`, and its fields
//! are private to this room.

use core::marker::PhantomData;
use core::mem::offset_of;

use a64::{CallRegs, Reg, RegSet, Registers};

use crate::exception::PtRegs;

/// The view was made at a function's entry.
#[derive(Debug)]
pub(crate) enum Entry {}

/// The view was made where a function returned.
#[derive(Debug)]
pub(crate) enum Return {}

/// What a trampoline saved, at an [`Entry`] or a [`Return`].
#[repr(C)]
#[derive(Debug)]
pub(crate) struct FtraceRegs<At> {
    regs: CallRegs,
    at: PhantomData<At>,
}

/// Where the trampoline puts what. The stack pointer stays a multiple of 16.
pub(super) mod layout {
    use super::{CallRegs, FtraceRegs, Return, offset_of};

    pub(crate) const SIZE: usize = size_of::<FtraceRegs<Return>>().next_multiple_of(16);
    pub(crate) const X: usize = offset_of!(CallRegs, x);
    pub(crate) const PC: usize = offset_of!(CallRegs, pc);
    pub(crate) const FRAME: usize = offset_of!(CallRegs, fp);
    // The trampoline stores these in pairs.
    const _: () = assert!(offset_of!(CallRegs, sp) == X + 9 * 8 && offset_of!(CallRegs, lr) == FRAME + 8);
}

impl<At> FtraceRegs<At> {
    /// The caller's stack pointer.
    #[inline(always)]
    pub(crate) fn sp(&self) -> u64 {
        self.regs.sp
    }

    /// For a fetch program, which says in `needs` what it reads.
    #[inline(always)]
    pub(crate) fn registers(&self) -> Registers<'_> {
        Registers::Call(&self.regs)
    }
}

impl FtraceRegs<Return> {
    /// The registers that there are.
    pub(crate) const PROVIDES: RegSet = CallRegs::ROOM.minus(RegSet::of(Reg::LR));

    /// What the function returned in x0.
    #[inline(always)]
    pub(crate) fn return_value(&self) -> u64 {
        self.regs.x[0]
    }

    /// Has the caller see another x0.
    #[inline(always)]
    pub(crate) fn set_return_value(&mut self, value: u64) {
        self.regs.x[0] = value;
    }

    /// Where the caller goes on.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.regs.pc
    }

    /// The trampoline goes on there. For this room: it is what the shadow stack says.
    #[inline(always)]
    pub(super) fn set_pc(&mut self, pc: u64) {
        self.regs.pc = pc;
    }
}

/// What is known at a function's entry, by whichever way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRegs<'a>(Registers<'a>);

impl<'a> EntryRegs<'a> {
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

    /// All that is there.
    pub(crate) fn registers(self) -> Registers<'a> {
        self.0
    }
}

impl<'a> From<&'a PtRegs> for EntryRegs<'a> {
    #[inline(always)]
    fn from(regs: &'a PtRegs) -> Self {
        Self(Registers::All(regs.user()))
    }
}

impl<'a> From<&'a FtraceRegs<Entry>> for EntryRegs<'a> {
    #[inline(always)]
    fn from(regs: &'a FtraceRegs<Entry>) -> Self {
        Self(regs.registers())
    }
}
