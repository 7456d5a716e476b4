//! Timers: a function to be called once, at or after a time, on the CPU that armed it.
//!
//! ```text
//!            arm                 due                    callback returns
//!   idle ───────────▶ queued ───────────▶ running ───────────────────▶ idle
//!     ▲                 │  cancel → true     │  may arm again
//!     └─────────────────┘                    │  cancel_sync waits for the end
//! ```
//!
//! A node belongs to the queue of CPU `node.cpu` while it is queued; who cancels it takes that queue's lock and
//! looks again. The callback runs without the lock, so it may arm and cancel timers, its own too, and wake tasks.
//!
//! There are two kinds, and a CPU keeps a heap of each:
//!
//! | | callback runs | for |
//! |---|---|---|
//! | [`TimerNode`] | in the interrupt, interrupts masked | the wake-ups of sleepers, which do no more than that |
//! | [`Timer`] | in the TIMER softirq, interrupts on | everybody else: it may take a while, but not sleep |
//!
//! The comparator is told the earlier of the two. When the interrupt finds that a `Timer` is due it raises the softirq,
//! and until that has run the second heap waits.

use super::clock::{now_ns, to_ticks};
use super::events;
use super::heap::{Heap, Node};
use crate::arch;
use crate::irq::softirq::{self, Vector};
use crate::sync::{CpuPin, IrqGuard, Pinned, SpinGuard, SpinLock, per_cpu};
use crate::tracepoint::trace;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::Cell;
use core::ptr::null;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No deadline.
const NEVER: u64 = u64::MAX;

/// Timers of one context: those whose callbacks run in the interrupt, or those whose callbacks run in the softirq.
struct Base {
    heap: Heap,
    /// The node whose callback runs, to be compared only.
    running: *const TimerNode,
    /// While callbacks run: what is due by then belongs to this run. A timer armed by a callback belongs to a
    /// later one, whatever its deadline: a callback that arms itself for the past must not hold the CPU for ever.
    due_until: u64,
}

impl Base {
    const fn new() -> Self {
        Self { heap: Heap::new(), running: null(), due_until: 0 }
    }

    fn first(&self) -> u64 {
        self.heap.first().map_or(NEVER, Node::deadline)
    }
}

struct Queue {
    hard: Base,
    soft: Base,
    /// The softirq has been raised for what is due in `soft`: the comparator need not be told of it again.
    raised: bool,
    /// What the comparator was told; NEVER when it is stopped.
    programmed: u64,
}

impl Queue {
    fn base(&mut self, soft: bool) -> &mut Base {
        if soft { &mut self.soft } else { &mut self.hard }
    }
}

// SAFETY: the pointers are only compared.
unsafe impl Send for Queue {}

per_cpu! {
    static TIMERS: SpinLock<Queue> =
        SpinLock::new(Queue { hard: Base::new(), soft: Base::new(), raised: false, programmed: NEVER });
    static SLICE_END: AtomicU64 = AtomicU64::new(NEVER);
    static EXPIRED: AtomicU64 = AtomicU64::new(0);
}

/// A timer without an owner: part of something that says when it may go away.
#[repr(C)]
pub(crate) struct TimerNode {
    /// First, so that a node of the heap is its timer.
    node: Node,
    cpu: AtomicU32,
    queued: Cell<bool>,
    /// Its callback runs in the softirq.
    soft: bool,
    callback: unsafe fn(*const TimerNode),
    /// What events tell of: the callback, or what its timer calls.
    function: *const (),
}

// SAFETY: all but `cpu` is touched under the lock of the queue that `cpu` names.
unsafe impl Sync for TimerNode {}
// SAFETY: an idle node is plain data; moving a queued one is excluded by `arm`'s promise.
unsafe impl Send for TimerNode {}

impl TimerNode {
    /// A timer that will call `callback` with its own address, in the timer's interrupt.
    pub(crate) const fn new(callback: unsafe fn(*const TimerNode)) -> Self {
        Self::with(callback, callback as *const (), false)
    }

    /// A timer that will call `callback` with its own address, in the TIMER softirq.
    const fn new_soft(callback: unsafe fn(*const TimerNode), function: *const ()) -> Self {
        Self::with(callback, function, true)
    }

    const fn with(callback: unsafe fn(*const TimerNode), function: *const (), soft: bool) -> Self {
        let (cpu, queued) = (AtomicU32::new(0), Cell::new(false));
        Self { node: Node::new(), cpu, queued, soft, callback, function }
    }

    /// The queue this node belongs to, locked.
    fn queue(&self) -> SpinGuard<'static, Queue> {
        loop {
            let cpu = self.cpu.load(Ordering::Relaxed);
            let queue = TIMERS.on(cpu as usize).lock();
            if self.cpu.load(Ordering::Relaxed) == cpu {
                return queue;
            }
        }
    }

    /// Arms the timer, or arms it anew; true when it was queued before.
    ///
    /// # Safety
    /// The node neither moves nor dies before it is idle again, and the callback may be called with it.
    pub(crate) unsafe fn arm(&self, deadline_ns: u64) -> bool {
        let here = IrqGuard::new();
        let me = arch::cpu::id() as u32;
        let was_queued = {
            let mut queue = self.queue();
            let was_queued = self.queued.replace(false);
            if was_queued {
                // SAFETY: queued, and this is its queue.
                unsafe { queue.base(self.soft).heap.remove(&raw const self.node) };
            }
            // While it is nobody's, only its owner touches it: two that arm one timer at once must agree themselves,
            // which `Timer` does.
            self.cpu.store(me, Ordering::Relaxed);
            was_queued
        };
        let mut queue = TIMERS.this_cpu(&here).lock();
        let base = queue.base(self.soft);
        let deadline_ns = deadline_ns.max(base.due_until);
        if self.soft {
            trace!(events::timer_start(self, self.function, deadline_ns, now_ns(), me));
        } else {
            trace!(events::hrtimer_start(self, self.function, deadline_ns, was_queued));
        }
        // SAFETY: in no heap now; the caller keeps it in place.
        unsafe { base.heap.insert(&raw const self.node, deadline_ns) };
        self.queued.set(true);
        program(&mut queue, &here);
        was_queued
    }

    /// Takes the timer back; true when it was queued. The callback may be running still.
    pub(crate) fn cancel(&self) -> bool {
        let mut queue = self.queue();
        let was_queued = self.queued.replace(false);
        if was_queued {
            // SAFETY: queued, and this is its queue.
            unsafe { queue.base(self.soft).heap.remove(&raw const self.node) };
            if self.soft {
                trace!(events::timer_cancel(self));
            } else {
                trace!(events::hrtimer_cancel(self));
            }
        }
        was_queued
    }

    /// Takes the timer back and waits for the end of a running callback. Not from the callback itself, and only for
    /// a timer that is armed once.
    pub(crate) fn cancel_sync(&self) -> bool {
        let was_queued = self.cancel();
        while core::ptr::eq(self.queue().base(self.soft).running, self) {
            arch::cpu::relax();
        }
        was_queued
    }

    /// True while the timer is queued.
    pub(crate) fn is_queued(&self) -> bool {
        let _queue = self.queue();
        self.queued.get()
    }
}

/// Tells the comparator the earliest deadline, if that is news.
fn program(queue: &mut Queue, here: &impl Pinned) {
    let soft = if queue.raised { NEVER } else { queue.soft.first() };
    let deadline = queue.hard.first().min(soft).min(SLICE_END.this_cpu(here).load(Ordering::Relaxed));
    if deadline == queue.programmed {
        return;
    }
    queue.programmed = deadline;
    if deadline == NEVER {
        arch::timer::stop();
    } else {
        arch::timer::set_deadline(to_ticks(deadline));
    }
}

/// Sets or clears the end of the running task's slice on this CPU.
pub(crate) fn set_slice(end_ns: Option<u64>, here: &impl Pinned) {
    let end = end_ns.unwrap_or(NEVER);
    let slice = SLICE_END.this_cpu(here);
    if slice.load(Ordering::Relaxed) != end {
        slice.store(end, Ordering::Relaxed);
        // A slice that was cleared costs at most one interrupt for nothing; setting the comparator costs as much.
        if end != NEVER {
            program(&mut TIMERS.this_cpu(here).lock(), here);
        }
    }
}

/// The timer's interrupt: runs what is due on this CPU, has the softirq run the rest, and programs the next deadline.
pub(super) fn run_due() {
    let here = IrqGuard::new();
    let timers = TIMERS.this_cpu(&here);
    let mut queue = timers.lock();
    queue.programmed = NEVER;
    arch::timer::stop();
    let now = now_ns();
    queue = run_base(timers, queue, false, now, &here);
    if !queue.raised && queue.soft.first() <= now {
        queue.raised = true;
        softirq::raise(Vector::Timer);
    }
    let slice = SLICE_END.this_cpu(&here);
    let slice_over = slice.load(Ordering::Relaxed) <= now_ns();
    if slice_over {
        slice.store(NEVER, Ordering::Relaxed);
    }
    program(&mut queue, &here);
    drop(queue);
    if slice_over {
        crate::task::slice_expired();
    }
}

/// The action of the TIMER softirq.
pub(super) fn run_soft() {
    // SAFETY: softirqs are not preempted.
    let here = unsafe { CpuPin::assume() };
    let timers = TIMERS.this_cpu(&here);
    let mut queue = run_base(timers, timers.lock(), true, now_ns(), &here);
    queue.raised = false;
    program(&mut queue, &here);
}

/// Runs what is due at `now` in one base, each callback without the lock.
fn run_base<'a>(
    timers: &'a SpinLock<Queue>,
    mut queue: SpinGuard<'a, Queue>,
    soft: bool,
    now: u64,
    here: &impl Pinned,
) -> SpinGuard<'a, Queue> {
    queue.base(soft).due_until = now + 1;
    while queue.base(soft).first() <= now
        && let Some(node) = queue.base(soft).heap.pop()
    {
        let timer = node.cast::<TimerNode>();
        // SAFETY: a queued node is valid, and `node` is the first field of its timer. The callback may free it.
        let (callback, function) = unsafe {
            (*timer).queued.set(false);
            ((*timer).callback, (*timer).function)
        };
        queue.base(soft).running = timer;
        let expired = EXPIRED.this_cpu(here);
        expired.store(expired.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        drop(queue);
        if soft {
            trace!(events::timer_expire_entry(timer, function, now));
        } else {
            trace!(events::hrtimer_expire_entry(timer, function, now));
        }
        // SAFETY: promised to `arm`.
        unsafe { callback(timer) };
        if soft {
            trace!(events::timer_expire_exit(timer));
        } else {
            trace!(events::hrtimer_expire_exit(timer));
        }
        queue = timers.lock();
        queue.base(soft).running = null();
    }
    queue.base(soft).due_until = 0;
    queue
}

/// Callbacks run, all CPUs together.
pub(super) fn expired() -> u64 {
    (0..arch::MAX_CPUS).map(|cpu| EXPIRED.on(cpu).load(Ordering::Relaxed)).sum()
}

/// A timer that owns what it calls.
///
/// While it is queued the queue holds one reference, so that dropping the last handle does not pull a running
/// callback's ground away.
#[repr(C)]
pub(crate) struct Timer {
    /// First, so that a node is its timer.
    node: TimerNode,
    /// Serialises `arm` and `cancel` of different tasks.
    handle: SpinLock<()>,
    callback: Box<dyn Fn() + Send + Sync>,
}

impl Timer {
    /// A timer that calls `callback` in the TIMER softirq: interrupts are on, and it must not sleep.
    pub(crate) fn new<F: Fn() + Send + Sync + 'static>(callback: F) -> Arc<Self> {
        /// The callback as a function with a symbol, for events to name.
        fn run<F: Fn()>(callback: &F) {
            callback();
        }
        let timer = Arc::new(Self {
            node: TimerNode::new_soft(Self::due, run::<F> as fn(&F) as *const ()),
            handle: SpinLock::new(()),
            callback: Box::new(callback),
        });
        trace!(events::timer_init(&raw const timer.node));
        timer
    }

    /// Arms the timer for `deadline_ns` of [`now_ns`]; an earlier deadline is replaced. True when there was one.
    pub(crate) fn arm(self: &Arc<Self>, deadline_ns: u64) -> bool {
        let _one = self.handle.lock();
        let reference = Arc::into_raw(self.clone());
        // SAFETY: the queue's reference keeps the node in place.
        let was_queued = unsafe { self.node.arm(deadline_ns) };
        if was_queued {
            // SAFETY: made by `into_raw` above; the earlier arming's reference serves the new one.
            drop(unsafe { Arc::from_raw(reference) });
        }
        was_queued
    }

    /// Takes the timer back; true when it had not begun.
    pub(crate) fn cancel(self: &Arc<Self>) -> bool {
        let _one = self.handle.lock();
        let was_queued = self.node.cancel();
        if was_queued {
            // SAFETY: the queue's reference, which nobody else will drop now.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        }
        was_queued
    }

    /// Takes the timer back and waits for the end of a running callback. Not from the callback itself, nor from an
    /// interrupt handler, which may lie on top of it.
    pub(crate) fn cancel_sync(self: &Arc<Self>) -> bool {
        let was_queued = self.cancel();
        // It may have been armed on another CPU while its callback ran here: look at all.
        let node = &raw const self.node;
        while (0..arch::MAX_CPUS).any(|cpu| core::ptr::eq(TIMERS.on(cpu).lock().soft.running, node)) {
            arch::cpu::relax();
        }
        was_queued
    }

    /// True while it waits for its deadline.
    pub(crate) fn is_queued(&self) -> bool {
        self.node.is_queued()
    }

    unsafe fn due(node: *const TimerNode) {
        // SAFETY: only nodes inside an Arc<Timer> have this callback; this is the queue's reference.
        let timer = unsafe { Arc::from_raw(node.cast::<Self>()) };
        (timer.callback)();
    }
}
