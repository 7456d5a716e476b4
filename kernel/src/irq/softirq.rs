//! Softirqs: what an interrupt leaves to be done right after it, with interrupts on.
//!
//! An interrupt handler keeps everybody else waiting, so it does what cannot wait and *raises* a softirq for the rest:
//! a bit in a word of this CPU. When the interrupt is about to return to a task, the bits are looked at and their
//! actions run, on the same stack, with interrupts on again. So there are three levels, and each interrupts those
//! before it:
//!
//! ```text
//!              ┌ interrupt ┐                         ┌ interrupt ┐
//!              │   raise   │                         │   raise   │
//!      ┌ exit ─┘           └─┬───── softirq ─────────┘           └──────────┬─ again: 1 of 10 ─┐
//!      │                     │ count + 1 << 8, interrupts on    no softirq  │                  │
//!  task                                                         on a softirq                   task, or another one
//! ```
//!
//! **When they run.** Where an interrupt returns to code that is in none (the preempt count has no hardirq, softirq or
//! NMI bits); where the last [`SoftirqGuard`] goes; and in `ksoftirqd/N`, a task of each CPU. Raised by a task that
//! holds off nothing, a softirq has no interrupt to follow: the CPU sends itself one, which is allowed under any lock.
//!
//! **The bound.** An action may raise again, and so may the interrupts on top of it. After [`MAX_ROUNDS`] rounds, after
//! [`MAX_NS`], or when a task is to be scheduled, the rest is left to `ksoftirqd/N`, which takes turns with the other
//! tasks. (Linux: `kernel/softirq.c`, with the same vectors, names, numbers and bounds.)
//!
//! An action is a handler: it may take spin locks and wake tasks; it may not sleep. One vector runs on several CPUs at a
//! time, but never twice on one.

use super::{Ipi, events, send_ipi};
use crate::arch::thread::{HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET};
use crate::arch::{cpu, daif};
use crate::exception;
use crate::sync::{CpuPin, IrqGuard, Once, Pinned, head, per_cpu, preempt_point};
use crate::tracepoint::trace;
use crate::{task, time};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};
use tracecore::errno::Errno;

/// What can be raised: Linux's numbers, less is sooner. Only those with an action are ever raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(dead_code, reason = "the numbers and names are one table; vectors get users as rooms are built")]
pub(crate) enum Vector {
    /// Before all others.
    Hi = 0,
    /// Timers that are due (`time::Timer`).
    Timer = 1,
    /// Network, sending.
    NetTx = 2,
    /// Network, receiving.
    NetRx = 3,
    /// Requests that a block device has finished.
    Block = 4,
    /// Devices that are polled.
    IrqPoll = 5,
    /// After the devices.
    Tasklet = 6,
    /// Spreading of load.
    Sched = 7,
    /// Timers of high resolution.
    Hrtimer = 8,
    /// What waits for a quiet period.
    Rcu = 9,
}

/// How many vectors there are.
pub(crate) const VECTORS: usize = 10;

/// Their names, as `/proc/softirqs` and the events have them.
pub(crate) const NAMES: [&str; VECTORS] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

/// Rounds over what is pending before `ksoftirqd` takes over.
pub(crate) const MAX_ROUNDS: u32 = 10;
/// Nanoseconds before it does.
const MAX_NS: u64 = 2 * time::NS_PER_MS;

/// What a [`SoftirqGuard`] adds to the preempt count: an even number of softirqs, so that bit 8 alone says "in one".
const GUARD_OFFSET: u32 = 2 * SOFTIRQ_OFFSET;
/// Contexts that an interrupt returns to without running softirqs.
const IN_INTERRUPT: u32 = HARDIRQ_MASK | SOFTIRQ_MASK | NMI_MASK;

static ACTIONS: [Once<fn()>; VECTORS] = [const { Once::new() }; VECTORS];

per_cpu! {
    static COUNTS: [AtomicU32; VECTORS] = [const { AtomicU32::new(0) }; VECTORS];
}

/// Takes the slot of the interrupt's exit.
pub(super) fn init() -> Result<(), Errno> {
    exception::set_softirq(run).map_err(|_| Errno::EBUSY)
}

/// Gives `vector` its action. EBUSY when it has one.
pub(crate) fn register(vector: Vector, action: fn()) -> Result<(), Errno> {
    ACTIONS[vector as usize].set(action).map_err(|_| Errno::EBUSY)
}

/// Has the action of `vector` run on this CPU, soon and once, however often it is raised before it begins. From any
/// context.
pub(crate) fn raise(vector: Vector) {
    let irq = IrqGuard::new();
    trace!(events::softirq_raise(vector as u32));
    exception::pending_softirqs().fetch_or(1 << vector as u32, Ordering::Relaxed);
    if head().count() & IN_INTERRUPT == 0 {
        // No exit of an interrupt and no guard will look: make one.
        send_ipi(cpu::id(), Ipi::IrqWork);
    }
    drop(irq);
}

/// True while a softirq's action runs here, interrupts on top of it included.
pub(crate) fn in_softirq() -> bool {
    head().count() & SOFTIRQ_OFFSET != 0
}

/// How often the action of `vector` ran on CPU `cpu`.
pub(crate) fn count(vector: usize, cpu: usize) -> u32 {
    COUNTS.on(cpu).get(vector).map_or(0, |count| count.load(Ordering::Relaxed))
}

/// True when something is pending on this CPU, of which the caller is not moved.
fn is_pending() -> bool {
    exception::pending_softirqs().load(Ordering::Relaxed) != 0
}

/// Runs what is pending, within the bound. Interrupts are masked before and after, and the CPU is in no interrupt.
fn run() {
    let head = head();
    head.add(SOFTIRQ_OFFSET);
    // SAFETY: interrupts are masked, or the preempt count is not 0, until this function returns.
    let here = unsafe { CpuPin::assume() };
    let end_ns = time::local_clock_ns() + MAX_NS;
    let mut rounds = MAX_ROUNDS;
    loop {
        let pending = exception::pending_softirqs().swap(0, Ordering::Relaxed);
        daif::unmask_irq();
        act(pending, &here);
        daif::mask_irq();
        if !is_pending() {
            break;
        }
        rounds -= 1;
        let wanted = head.need_resched.load(Ordering::Relaxed) != 0;
        if rounds == 0 || wanted || time::local_clock_ns() >= end_ns {
            task::ksoftirqd::wake(&here);
            break;
        }
    }
    head.sub(SOFTIRQ_OFFSET);
}

/// Calls the action of each vector in `pending`.
fn act(mut pending: u32, here: &impl Pinned) {
    let counts = COUNTS.this_cpu(here);
    while pending != 0 {
        let number = pending.trailing_zeros() as usize;
        pending &= pending - 1;
        if let (Some(count), Some(action)) = (counts.get(number), ACTIONS.get(number).and_then(Once::get)) {
            // This CPU alone writes it, one softirq at a time.
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            trace!(events::softirq_entry(number as u32));
            action();
            trace!(events::softirq_exit(number as u32));
        }
    }
}

/// What `ksoftirqd` does: one run, as after an interrupt, if anything is pending. Says whether more is.
pub(crate) fn run_in_task() -> bool {
    let irq = IrqGuard::new();
    if is_pending() {
        run();
    }
    let more = is_pending();
    drop(irq);
    preempt_point();
    more
}

/// No softirq on this CPU while it lives, nor preemption; interrupts go on. For data that a softirq's action uses, too,
/// but no interrupt handler. Guards nest; where the last one goes, what has been raised meanwhile runs.
pub(crate) struct SoftirqGuard(PhantomData<*mut ()>);

// SAFETY: the scheduler does not switch while the preempt count is not 0.
unsafe impl Pinned for SoftirqGuard {}

impl SoftirqGuard {
    /// Holds softirqs off.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        head().add(GUARD_OFFSET);
        compiler_fence(Ordering::SeqCst);
        Self(PhantomData)
    }
}

impl Drop for SoftirqGuard {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        // One count stays, so that the look below is at this CPU's word.
        let left = head().sub(GUARD_OFFSET - PREEMPT_OFFSET);
        if is_pending() && left & IN_INTERRUPT == 0 {
            run_now();
        }
        head().sub(PREEMPT_OFFSET);
        preempt_point();
    }
}

/// Runs what was held off; where interrupts are masked it has to wait until they are not.
#[cold]
fn run_now() {
    if daif::irqs_masked() {
        send_ipi(cpu::id(), Ipi::IrqWork);
        return;
    }
    let irq = IrqGuard::new();
    run();
    drop(irq);
}
