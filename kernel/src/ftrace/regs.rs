//! What a patched branch can honestly save.
//!
//! At a function's entry the caller has put its arguments into x0–x7, the place of a large result into x8, and the
//! return address into x30; x9–x17 hold nothing that anybody may count on, and x19–x28 belong to the caller, who gets
//! them back untouched because the callback, being a function, keeps them (AAPCS64 6.1.1). So these are all the
//! registers that a listener at an entry can ask for, and saving more would be a tax on every hit. There is no PSTATE: a
//! branch saves none, and whoever made one up would lie about the flags and the interrupt masks.

/// The registers of a function at its entry (or, from the return hook, at its return). Made by the trampolines alone: no
/// constructor, not `Clone`, not `Default`.
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
#[repr(C, align(16))]
#[derive(Debug)]
pub(crate) struct FtraceRegs {
    pub(super) x: [u64; 9],
    pub(super) sp: u64,
    pub(super) fp: u64,
    pub(super) lr: u64,
    pub(super) link: u64,
    pub(super) pc: u64,
}

/// Arguments that are passed in registers (AAPCS64 6.8.2).
const ARGUMENT_REGS: usize = 8;

impl FtraceRegs {
    /// Argument `n` of the function, for the first eight; at a return, what is left of it is the return value in 0 and 1.
    #[inline(always)]
    pub(crate) fn arg(&self, n: usize) -> Option<u64> {
        self.x.get(n).filter(|_| n < ARGUMENT_REGS).copied()
    }

    /// Changes an argument (or return value); false if there is none of this number.
    #[inline(always)]
    pub(crate) fn set_arg(&mut self, n: usize, value: u64) -> bool {
        match self.x.get_mut(n) {
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
        self.lr
    }

    /// Where the function goes on.
    #[inline(always)]
    pub(crate) fn pc(&self) -> u64 {
        self.pc
    }

    /// Lets another function of the same signature run in its place.
    #[inline(always)]
    pub(crate) fn set_pc(&mut self, pc: u64) {
        self.pc = pc;
    }
}
