//! `FtraceRegs`: what a patched branch, or a hooked return, can honestly save.
//!
//! At a function's entry the caller has put its arguments into x0–x7, the place of a large result into x8, and the
//! return address into x30; at its return the results are in x0–x7. x9–x17 hold nothing that anybody may count on, and
//! x19–x28 belong to the caller, who gets them back untouched because a listener, being a function, keeps them (AAPCS64
//! 6.1.1). So these are all the registers that a listener can ask for, and saving more would be a tax on every hit. There
//! is no PSTATE: a branch saves none, and whoever made one up would lie about the flags and the interrupt masks.
//!
//! | | at an [`Entry`] | at a [`Return`] |
//! |---|---|---|
//! | x0–x8 | arguments, and where a large result goes | results |
//! | sp, x29 | the caller's | the caller's |
//! | x30 | where the function will return to | not there: its `ret` may have named any register |
//! | pc | behind the entry's branch | where the caller goes on |
//!
//! The type says where the view was made: to ask for a result at the entry does not compile.

use core::marker::PhantomData;

use crate::arch::daif::{Daif, I};

use a64::{CallRegs, Reg, RegSet, Registers};

/// The view was made at a function's entry.
#[derive(Debug)]
pub(crate) enum Entry {}

/// The view was made where a function returned.
#[derive(Debug)]
pub(crate) enum Return {}

/// The registers of a function at its [`Entry`] or its [`Return`]. Made by the trampolines alone: no constructor, not
/// `Clone`, not `Default`.
///
/// The last four words are two frame records (AAPCS64 6.4.6), so that a backtrace taken in a callback shows the traced
/// function and its caller; they are the saved registers at the same time:
///
/// ```text
///   x29 in the callback ──▶ { link, pc }      pc: behind the entry's branch, in the traced function
///                             │
///                             ▼
///                           { fp, lr }        as at the entry: the caller's frame, and the return address in the caller
/// ```
///
/// At a return there is one record, the second: the function is gone.
#[repr(C, align(16))]
#[derive(Debug)]
pub(crate) struct FtraceRegs<At = Entry> {
    regs: CallRegs,
    at: PhantomData<At>,
}

/// Where trampolines find what: at the same places in both views.
pub(crate) mod layout {
    use core::mem::offset_of;

    use super::{CallRegs, Entry, FtraceRegs};

    pub(crate) const SIZE: usize = size_of::<FtraceRegs<Entry>>();
    pub(crate) const X: usize = offset_of!(CallRegs, x);
    pub(crate) const FP: usize = offset_of!(CallRegs, fp);
    pub(crate) const LINK: usize = offset_of!(CallRegs, link);
    pub(crate) const PC: usize = offset_of!(CallRegs, pc);

    // The stack pointer stays aligned, these are stored as pairs, and x8 lies beside SP.
    const _: () = assert!(SIZE.is_multiple_of(16) && X == 0 && offset_of!(CallRegs, sp) == 9 * 8);
    const _: () = assert!(offset_of!(CallRegs, lr) == FP + 8 && PC == LINK + 8);
    // A backtrace goes up the stack, so the record of the callee lies below that of its caller.
    const _: () = assert!(LINK < FP);
}

/// Arguments that are passed in registers (AAPCS64 6.8.2).
const ARGUMENT_REGS: usize = 8;

impl<At> FtraceRegs<At> {
    /// The caller's stack pointer.
    #[inline(always)]
    pub(crate) fn sp(&self) -> u64 {
        self.regs.sp
    }

    /// Where the function, or its caller, goes on.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.regs.pc
    }

    /// Where it lies, for a program that is made for this layout (`CallRegs`).
    #[inline(always)]
    pub(crate) fn context(&self) -> *const u64 {
        (&raw const self.regs).cast()
    }

    /// For a fetch program. What it reads must be in `PROVIDES`.
    #[inline(always)]
    pub(crate) fn registers(&self) -> Registers<'_> {
        Registers::Call(&self.regs)
    }
}

impl FtraceRegs<Entry> {
    /// The registers that there are.
    pub(crate) const PROVIDES: RegSet = CallRegs::ROOM;

    /// Where a backtrace begins: the frame record of the function.
    #[inline(always)]
    pub(crate) fn frame(&self) -> u64 {
        (&raw const self.regs).addr() as u64 + layout::LINK as u64
    }

    /// What the registers of arguments hold.
    #[inline(always)]
    pub(crate) fn args(&self) -> &[u64; ARGUMENT_REGS] {
        let [args @ .., _] = &self.regs.x;
        args
    }

    /// Argument `n` of the function, for the first eight.
    #[inline(always)]
    pub(crate) fn arg(&self, n: usize) -> Option<u64> {
        self.regs.x.get(n).filter(|_| n < ARGUMENT_REGS).copied()
    }

    /// Changes an argument; false if there is none of this number.
    #[inline(always)]
    pub(crate) fn set_arg(&mut self, n: usize, value: u64) -> bool {
        match self.regs.x.get_mut(n) {
            Some(x) if n < ARGUMENT_REGS => {
                *x = value;
                true
            }
            _ => false,
        }
    }

    /// The return address of the function.
    #[inline(always)]
    pub(crate) fn lr(&self) -> u64 {
        self.regs.lr
    }

    /// For the return hook: has the function return elsewhere.
    #[inline(always)]
    pub(crate) fn set_lr(&mut self, lr: u64) {
        self.regs.lr = lr;
    }

    /// Lets another function of the same signature run in its place.
    #[inline(always)]
    pub(crate) fn set_pc(&mut self, pc: u64) {
        self.regs.pc = pc;
    }
}

impl FtraceRegs<Return> {
    /// The registers that there are.
    pub(crate) const PROVIDES: RegSet = CallRegs::ROOM.minus(RegSet::of(Reg::LR));

    /// Were interrupts masked when the function returned?
    #[inline(always)]
    pub(crate) fn irqs_were_masked(&self) -> bool {
        self.regs.link & I != 0
    }

    /// For the return hook, which masks them: notes what was masked, in a word that a return has no use for.
    #[inline(always)]
    pub(crate) fn note_masks(&mut self, masks: Daif) {
        self.regs.link = masks.bits();
    }

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

    /// For the return hook, which knows it: where the trampoline goes on.
    #[inline(always)]
    pub(crate) fn set_return_ip(&mut self, pc: u64) {
        self.regs.pc = pc;
    }
}
