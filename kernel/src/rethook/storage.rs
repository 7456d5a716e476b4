//! Who has a shadow stack: nobody, until the first hook is made; then every task, and those that are made later.
//!
//! ```text
//!   first hook     WANTED, then a stack for each task there is, the idle tasks too
//!   spawn          the task is in the table; WANTED? then a stack, before it runs
//!   death          entries dropped, each counted at its hook
//!   last reference the stack is freed with the task
//! ```
//!
//! A task that is made while the first hook is made is seen by one of the two: it enters the table before it looks at
//! WANTED, and the table is read after WANTED is set. Whoever of them comes second finds the pointer set.
//!
//! Where there is no memory the task runs, and its calls are counted misses.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use tracecore::errno::Errno;

use super::shadow::{SHADOW_BYTES, Shadow};
use super::trampoline;
use crate::mm;
use crate::sync::{CpuPin, IrqGuard, Once};
use crate::task::{self, Task};
use crate::unwind;

static WANTED: AtomicBool = AtomicBool::new(false);
/// Shadow stacks that there are.
static STACKS: AtomicUsize = AtomicUsize::new(0);
/// Functions that ran unhooked for want of room, in tasks that are no more.
static EXHAUSTED: AtomicUsize = AtomicUsize::new(0);
static REGISTERED: Once<()> = Once::new();

/// Takes the slots of tasks and of the unwinder. Once, at boot.
pub(super) fn init() -> Result<(), Errno> {
    REGISTERED.set(()).map_err(|_| Errno::EBUSY)?;
    task::set_tracer(task::Tracer { born, died, freed })?;
    unwind::set_returns(returns)
}

/// Gives every task a shadow stack.
///
/// # Errors
/// ENOMEM: some have none.
pub(super) fn provide() -> Result<(), Errno> {
    if WANTED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    fence(Ordering::SeqCst);
    let all = (|| {
        task::idle_tasks().try_for_each(give)?;
        task::list()?.iter().try_for_each(|task| give(task))
    })();
    if all.is_err() {
        // The next hook tries again.
        WANTED.store(false, Ordering::SeqCst);
    }
    all
}

fn give(task: &Task) -> Result<(), Errno> {
    if !task.trace.load(Ordering::Acquire).is_null() {
        return Ok(());
    }
    let stack = mm::try_box(Shadow::new())?;
    stack.init();
    let stack = Box::into_raw(stack);
    match task.trace.compare_exchange(
        core::ptr::null_mut(),
        stack.cast(),
        Ordering::AcqRel,
        Ordering::Relaxed,
    ) {
        Ok(_) => {
            STACKS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: made above, and given to nobody.
        Err(_) => drop(unsafe { Box::from_raw(stack) }),
    }
    Ok(())
}

/// A task is in the table and has not run.
fn born(task: &Task) {
    fence(Ordering::SeqCst);
    if WANTED.load(Ordering::SeqCst) {
        // Without one its calls are misses.
        let _ = give(task);
    }
}

/// A task runs no more.
fn died(task: &Task) {
    let Some(shadow) = Shadow::of(task) else { return };
    let _here = IrqGuard::new();
    // SAFETY: interrupts are masked.
    let pin = unsafe { CpuPin::assume() };
    while let Some(last) = shadow.last() {
        // SAFETY: nobody else works on the stack of a dead task; hooks of entries live; it is the last.
        unsafe {
            (*(*last).hook).drop_call(&pin);
            shadow.pop(last);
        }
    }
}

/// Nobody can look at the task any more.
fn freed(trace: *mut ()) {
    // SAFETY: `give` made it, and the task that had it is gone.
    let stack = unsafe { Box::from_raw(trace.cast::<Shadow>()) };
    EXHAUSTED.fetch_add(stack.exhausted() as usize, Ordering::Relaxed);
    STACKS.fetch_sub(1, Ordering::Relaxed);
}

/// For the unwinder: where a function really returns to whose frame record names the trampoline.
fn returns(task: &Task, pc: u64, record: u64, next: u64) -> Option<u64> {
    if pc != trampoline::addr() {
        return None;
    }
    Shadow::of(task)?.peek(record, next, pc)
}

/// Entries on the shadow stack of the running task, for tests.
pub(super) fn depth() -> usize {
    let here = IrqGuard::new();
    Shadow::current(&here).map_or(0, Shadow::depth)
}

/// Memory that shadow stacks take.
pub(super) fn bytes() -> usize {
    STACKS.load(Ordering::Relaxed) * SHADOW_BYTES
}

/// Functions that ran unhooked because a shadow stack was full, in all tasks there are and were.
pub(super) fn exhausted() -> Result<u64, Errno> {
    let of = |task: &Task| Shadow::of(task).map_or(0, Shadow::exhausted);
    let now =
        task::idle_tasks().map(of).sum::<u64>() + task::list()?.iter().map(|task| of(task)).sum::<u64>();
    Ok(now + EXHAUSTED.load(Ordering::Relaxed) as u64)
}
