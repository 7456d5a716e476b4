//! The way in: `entry.S` beside this file.

use core::arch::global_asm;

use super::ops::{Entry, Ops};
use super::regs::layout;
use super::{fprobe, graph};

global_asm!(
    include_str!("entry.S"),
    size = const layout::SIZE,
    x = const layout::X,
    fp = const layout::FP,
    link = const layout::LINK,
    pc = const layout::PC,
    entry = const Ops::ENTRY_AT,
    direct_of = const Ops::DIRECT_OF_AT,
    direct = const Ops::DIRECT_AT,
    graph_enter = sym graph::enter,
    fprobe_enter = sym fprobe::enter,
);

/// For ops of the graph: masks interrupts, then [`graph::enter`].
pub(super) const fn masked() -> Entry {
    unsafe extern "C" {
        fn ftrace_masked();
    }
    // SAFETY: it passes its arguments on to a function that takes these, and the masks, which are always sound to set.
    unsafe { core::mem::transmute::<unsafe extern "C" fn(), Entry>(ftrace_masked) }
}

/// For ops of fprobes that want entries alone: masks interrupts, then [`fprobe::enter`].
pub(super) const fn masked_fprobe() -> Entry {
    unsafe extern "C" {
        fn ftrace_masked_fprobe();
    }
    // SAFETY: as above.
    unsafe { core::mem::transmute::<unsafe extern "C" fn(), Entry>(ftrace_masked_fprobe) }
}

/// Where the branch of a traced site leads.
pub(super) fn ftrace_caller() -> usize {
    unsafe extern "C" {
        fn ftrace_caller();
    }
    (ftrace_caller as *const ()).addr()
}

/// The same where a direct call comes behind the callbacks.
pub(super) fn ftrace_direct_caller() -> usize {
    unsafe extern "C" {
        fn ftrace_direct_caller();
    }
    (ftrace_direct_caller as *const ()).addr()
}
