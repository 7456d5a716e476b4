//! What trampolines call: the programs of a function, before and after it.
//!
//! ```text
//!   enter   fentry programs, in order ─▶ fmod_ret programs, until one gives a result ─▶ the function, or not
//!   leave   the result behind the arguments ─▶ fexit programs, in order
//! ```
//!
//! Interrupts are masked; neither of the two can be traced or probed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use ::bpf::kind::Attach;

use super::code::{CONTEXT_WORDS, RESULTS_AT};
use crate::bpf::attach::Hooked;
use crate::bpf::run::Way;
use crate::sync::{CpuPin, IrqWork, Published, quiesce};

/// The programs of a function.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) entry: Vec<Arc<Hooked>>,
    pub(super) modify: Vec<Arc<Hooked>>,
    pub(super) exit: Vec<Arc<Hooked>>,
}

impl Lists {
    /// The list of a way to attach.
    pub(super) fn of(&mut self, attach: Attach) -> &mut Vec<Arc<Hooked>> {
        match attach {
            Attach::Fexit => &mut self.exit,
            Attach::FmodRet => &mut self.modify,
            _ => &mut self.entry,
        }
    }

    pub(super) fn copy(&self) -> Self {
        Self { entry: self.entry.clone(), modify: self.modify.clone(), exit: self.exit.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entry.is_empty() && self.modify.is_empty() && self.exit.is_empty()
    }
}

/// What a trampoline names. Lives for ever, as its function does.
pub(super) struct Target {
    /// The function.
    pub(super) function: u64,
    /// How many arguments it has.
    pub(super) args: usize,
    /// The program at the entry, if there is no other.
    only: AtomicPtr<Hooked>,
    lists: Published<Lists>,
    /// Calls that are under way in a trampoline around them.
    inside: AtomicU32,
    /// Somebody waits for the last of them, which asks for a look and says so no more.
    pub(super) waited_for: AtomicBool,
}

/// Has those looked through that wait for calls under way.
static SWEEP: IrqWork = IrqWork::new(|| quiesce::defer(alloc::boxed::Box::new(super::retire::sweep)));

impl Target {
    pub(super) fn new(function: u64, args: usize) -> Self {
        Self {
            function,
            args,
            only: AtomicPtr::new(core::ptr::null_mut()),
            lists: Published::empty(),
            inside: AtomicU32::new(0),
            waited_for: AtomicBool::new(false),
        }
    }

    /// Has hits run these programs. What was published before is freed after a quiet point.
    pub(super) fn publish(&self, lists: Lists) {
        let only = match (lists.entry.as_slice(), lists.modify.is_empty()) {
            ([one], true) => Arc::as_ptr(one).cast_mut(),
            _ => core::ptr::null_mut(),
        };
        // Whoever finds one program that is not in the list any more has it from before the quiet point.
        self.only.store(only, Ordering::Release);
        self.lists.publish((!lists.is_empty()).then(|| alloc::boxed::Box::new(lists)));
    }

    /// Is a call under way in a trampoline around it?
    pub(super) fn is_inside(&self) -> bool {
        self.inside.load(Ordering::SeqCst) != 0
    }
}

#[inline(always)]
fn run(hooked: &Hooked, context: *const u64, target: &Target, result: bool, pin: &CpuPin) -> u64 {
    hooked.run_at(context, pin, || {
        (Way::Args { count: target.args as u8, result }, hooked.cookie(), target.function)
    })
}

/// Where a frame keeps the first result.
#[inline(always)]
fn result_of(frame: *mut u64) -> *mut u64 {
    frame.wrapping_byte_add(RESULTS_AT as usize)
}

noinstr! {
    /// Before a function with programs at its entry alone.
    pub(super) extern "C" fn enter(frame: *mut u64, target: &'static Target) {
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        // SAFETY: programs are let go after a quiet point.
        match unsafe { target.only.load(Ordering::Relaxed).as_ref() } {
            Some(only) => {
                run(only, frame, target, false, &pin);
            }
            None => all(frame, target, &pin),
        }
    }

    /// Several.
    #[inline(never)]
    fn all(frame: *mut u64, target: &Target, pin: &CpuPin) {
        let Some(lists) = target.lists.read(pin) else { return };
        for hooked in &lists.entry {
            run(hooked, frame, target, false, pin);
        }
    }

    /// Before a function that is called from the trampoline. Not 0: a program has given the result, and the function is not
    /// called.
    pub(super) extern "C" fn enter_around(frame: *mut u64, target: &'static Target) -> u64 {
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        target.inside.fetch_add(1, Ordering::SeqCst);
        let Some(lists) = target.lists.read(&pin) else { return 0 };
        for hooked in &lists.entry {
            run(hooked, frame, target, false, &pin);
        }
        if lists.modify.is_empty() {
            return 0;
        }
        let at = frame.wrapping_add(target.args.min(CONTEXT_WORDS - 1));
        for hooked in &lists.modify {
            // SAFETY: a word of the trampoline's frame, which is this task's; it may be a register of the function's.
            let kept = unsafe { at.replace(0) };
            let result = run(hooked, frame, target, true, &pin);
            // SAFETY: as above.
            unsafe { at.write(kept) };
            if result != 0 {
                // SAFETY: the frame of this form has room for results.
                unsafe { result_of(frame).write(result) };
                return 1;
            }
        }
        0
    }

    /// Behind it.
    pub(super) extern "C" fn leave(frame: *mut u64, target: &'static Target) {
        // SAFETY: interrupts are masked.
        let pin = unsafe { CpuPin::assume() };
        if let Some(lists) = target.lists.read(&pin)
            && !lists.exit.is_empty()
        {
            // SAFETY: words of the trampoline's frame; the registers of arguments are of no use any more.
            unsafe { frame.wrapping_add(target.args.min(CONTEXT_WORDS - 1)).write(result_of(frame).read()) };
            for hooked in &lists.exit {
                run(hooked, frame, target, true, &pin);
            }
        }
        // The first one asks for a look, which says whether to ask again.
        if target.inside.fetch_sub(1, Ordering::SeqCst) == 1
            && target.waited_for.load(Ordering::SeqCst)
            && target.waited_for.swap(false, Ordering::SeqCst)
        {
            SWEEP.queue(&pin);
        }
    }
}
