//! Giving trampolines back: when no task can be inside.
//!
//! A function's branch does not lead there any more. Three things may still be:
//!
//! | a task | is known by |
//! |---|---|
//! | runs in the trampoline, or in what it calls with interrupts masked | its CPU's next quiet point |
//! | was preempted in it, or with its address in hand | `text::programs` counts those that are stopped so, and how often one was |
//! | is in the function, and will return to it | the target's count of calls under way |
//!
//! So after a quiet point nobody may be stopped and no call under way, and after one more nobody may have been stopped in
//! between: who had just been let go on at the first look has left, or was stopped again, or is in the function. (The slots of
//! probes are given back by the same two looks: `text::slots`.)

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use super::hit::Target;
use crate::sync::{SpinLock, quiesce};
use crate::text::programs::{self, Code};

/// A trampoline that no branch leads to.
struct Waiting {
    code: Code,
    target: &'static Target,
    /// How often tasks had been stopped when nobody was inside.
    seen: Option<u32>,
}

static WAITING: SpinLock<Vec<Waiting>> = SpinLock::new(Vec::new());

/// How many wait.
pub(super) fn waiting() -> usize {
    WAITING.lock().len()
}

/// Gives the memory back as soon as that can be.
pub(super) fn retire(code: Code, target: &'static Target) {
    programs::wait_for_stopped(true, look);
    WAITING.lock().push(Waiting { code, target, seen: None });
    look();
}

fn look() {
    quiesce::defer(Box::new(sweep));
}

/// Looks at all that wait, a quiet point after somebody asked for it.
pub(super) fn sweep() {
    // Those that are stopped first: who is stopped counts itself in the other number before.
    let (stopped, stops) = programs::stopped();
    let (mut gone, mut again) = (Vec::new(), false);
    let mut waiting = WAITING.lock();
    let mut at = 0;
    while let Some(one) = waiting.get_mut(at) {
        at += 1;
        // Before the look: who leaves after it asks for the next.
        one.target.waited_for.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if stopped != 0 || one.target.is_inside() {
            // The last to leave calls for the next look.
            one.seen = None;
        } else if one.seen == Some(stops) {
            at -= 1;
            gone.push(waiting.swap_remove(at));
        } else {
            one.seen = Some(stops);
            again = true;
        }
    }
    for one in &gone {
        if !waiting.iter().any(|other| core::ptr::eq(other.target, one.target)) {
            one.target.waited_for.store(false, Ordering::SeqCst);
        }
    }
    drop(waiting);
    for one in gone {
        programs::wait_for_stopped(false, look);
        drop(one.code);
    }
    if again {
        look();
    }
}
