//! Quiet points: knowing that no CPU still looks at something.
//!
//! What exception handlers read without a lock may be freed only when no CPU can be in the middle of reading it.
//! A reader is pinned: it holds off preemption, masks interrupts, or is a handler. So a CPU that switches tasks,
//! idles, or returns from an interrupt to a task that held off nothing has no reader: that is a *quiet point*.
//! (Linux calls the scheme RCU; see `Documentation/RCU/whatisRCU.rst`.)
//!
//! ```text
//!   PERIOD        a counter; `synchronize` adds one and waits
//!   SEEN, per CPU the period this CPU saw at its last quiet point, or IDLE
//!
//!   writer                         a busy CPU                     an idle CPU
//!   unlink value                   … reads value …                SEEN = IDLE
//!   PERIOD = 7                     context switch: SEEN = 7       wfi: has no reader, is not woken
//!   wait until every SEEN ≥ 7      reads: finds the new value     wakes: SEEN = 0, barrier, then reads
//!   free value
//! ```
//!
//! Order. `note` loads PERIOD (acquire) and stores SEEN (release): reads before it are complete when SEEN is seen,
//! reads after it see what was unlinked before PERIOD grew. Idle is the pattern of Dekker: the writer unlinks,
//! has a full barrier, and reads SEEN; the waking CPU writes SEEN, has a full barrier, and reads values. At least
//! one of them sees the other.
//!
//! A CPU that is busy in a task is sent through its scheduler by an interrupt: at the interrupt's return, or when the
//! task lets its last guard go. The caller's own CPU is quiet by the call: it may sleep, so no guard is held there.

use super::{IrqGuard, Once, Pinned, SpinLock, may_sleep, online_cpus, per_cpu};
use crate::arch;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// SEEN of a CPU that idles or is not online: beyond every period.
const IDLE: u64 = u64::MAX;

/// How many times to look before sleeping, and how long to sleep before interrupting a CPU again.
const LOOKS_BEFORE_SLEEP: u32 = 200;
const SLEEP_NS: u64 = 200_000;

static PERIOD: AtomicU64 = AtomicU64::new(1);

per_cpu! {
    static SEEN: AtomicU64 = AtomicU64::new(IDLE);
}

/// A function to be run after a quiet period.
type Deferred = Box<dyn FnOnce() + Send>;

static DEFERRED: SpinLock<Vec<Deferred>> = SpinLock::new(Vec::new());

/// What the scheduler lends to this room.
pub(crate) struct Hooks {
    /// Sleeps about so many nanoseconds.
    pub(crate) sleep_ns: fn(u64),
    /// Wakes whoever calls [`run_deferred`].
    pub(crate) wake_worker: fn(),
}

static HOOKS: Once<Hooks> = Once::new();

/// Filled once by the scheduler. Before that waiting is spinning, and what is deferred waits for a worker.
pub(crate) fn set_hooks(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// A quiet point of this CPU: the caller, and whatever it interrupted, looks at nothing published.
#[inline(always)]
pub(crate) fn note(pinned: &impl Pinned) {
    let seen = SEEN.this_cpu(pinned);
    let period = PERIOD.load(Ordering::Acquire);
    if seen.load(Ordering::Relaxed) != period {
        seen.store(period, Ordering::Release);
    }
}

/// This CPU is about to wait for an interrupt, with interrupts masked.
#[inline(always)]
pub(crate) fn enter_idle(irq: &IrqGuard) {
    SEEN.this_cpu(irq).store(IDLE, Ordering::Release);
}

/// This CPU woke; interrupts are still masked, so no reader has begun.
#[inline(always)]
pub(crate) fn exit_idle(irq: &IrqGuard) {
    SEEN.this_cpu(irq).store(0, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Waits until every CPU has passed a quiet point after this call began. Sleeps, so it is called by tasks only,
/// without a guard.
pub(crate) fn synchronize() {
    if HOOKS.get().is_none() {
        // No scheduler yet: one CPU runs, and this is it.
        return;
    }
    assert!(may_sleep(), "synchronize() where a reader may be");
    fence(Ordering::SeqCst);
    let target = PERIOD.fetch_add(1, Ordering::AcqRel) + 1;
    fence(Ordering::SeqCst);
    let mut waiting = {
        let here = IrqGuard::new();
        note(&here);
        online_cpus() & !(1 << arch::cpu::id())
    };
    let mut looks = 0;
    while waiting != 0 {
        waiting &= !passed(waiting, target);
        if waiting == 0 {
            break;
        }
        match (looks % LOOKS_BEFORE_SLEEP, HOOKS.get()) {
            (0, hooks) => {
                if looks > 0
                    && let Some(hooks) = hooks
                {
                    (hooks.sleep_ns)(SLEEP_NS);
                }
                super::cross::kick(waiting);
            }
            _ => arch::cpu::relax(),
        }
        looks += 1;
    }
    fence(Ordering::SeqCst);
}

/// Which of `cpus` have passed a quiet point since `target` began.
fn passed(cpus: u32, target: u64) -> u32 {
    (0..arch::MAX_CPUS)
        .filter(|&cpu| cpus & (1 << cpu) != 0 && SEEN.on(cpu).load(Ordering::Acquire) >= target)
        .fold(0, |mask, cpu| mask | 1 << cpu)
}

/// Runs `f` in a task after every CPU has passed a quiet point. May be called wherever allocation may.
pub(crate) fn defer(f: Deferred) {
    DEFERRED.lock().push(f);
    if let Some(hooks) = HOOKS.get() {
        (hooks.wake_worker)();
    }
}

/// True when something waits for [`run_deferred`].
pub(crate) fn has_deferred() -> bool {
    !DEFERRED.lock().is_empty()
}

/// One quiet period for all that was deferred up to now. Sleeps; called by the worker task.
pub(crate) fn run_deferred() {
    let batch = core::mem::take(&mut *DEFERRED.lock());
    if batch.is_empty() {
        return;
    }
    synchronize();
    for f in batch {
        f();
    }
}
