//! From one task's stack to another's.
//!
//! A switch is a call that returns on another stack. Only what the AAPCS64 lets a call preserve has to be saved,
//! since all else was saved by the caller or, for a preempted task, lies in the `PtRegs` further up its stack. The
//! assembly half is switch.S.

use super::Task;
use core::arch::global_asm;
use core::mem::offset_of;

/// What a switch saves, in the order in which switch.S stores it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    /// x19 to x28.
    pub(crate) x19_x28: [u64; 10],
    /// The frame pointer: where an unwinder begins.
    pub(crate) fp: u64,
    /// The stack pointer.
    pub(crate) sp: u64,
    /// Where the task goes on.
    pub(crate) pc: u64,
}

const _: () = {
    assert!(offset_of!(Context, fp) == 80 && offset_of!(Context, sp) == 88 && offset_of!(Context, pc) == 96);
    assert!(offset_of!(Task, head) == 0);
};

global_asm!(
    include_str!("switch.S"),
    context = const offset_of!(Task, context),
    begin = sym super::life::begin,
);

#[expect(improper_ctypes, reason = "switch.S knows the offset of one field, given to it, and no more")]
unsafe extern "C" {
    /// Leaves `prev`, goes on in `next`; returns, when `prev` runs again, the task that left then.
    ///
    /// # Safety
    /// Interrupts are masked, `prev` is the running task, and `next` is one that left or is new, and runs nowhere.
    pub(super) fn task_switch(prev: *const Task, next: *const Task) -> *const Task;
    fn task_first();
}

impl Context {
    /// The context of a task that has not run: it begins in `life::begin` on an empty stack.
    pub(super) fn first(stack_top: usize) -> Self {
        Self { sp: stack_top as u64, pc: task_first as *const () as u64, ..Self::default() }
    }
}
