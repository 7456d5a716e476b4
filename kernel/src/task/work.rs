//! Work queues: functions that somebody else runs, later, as a task.
//!
//! For what is found to be necessary where it cannot be done: in an interrupt handler, under a lock. Works of one
//! queue run one after the other, oldest first.

use super::tcb::Prio;
use super::wait::WaitQueue;
use super::{TaskRef, events, spawn};
use crate::arch::{cpu, probe_read};
use crate::jump_label::DeferredKey;
use crate::sync::SpinLock;
use crate::time::{NS_PER_MS, Timer, now_ns};
use crate::tracepoint::{trace, trace_enabled};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU64, Ordering};
use tracecore::errno::Errno;

/// How many works may wait in one queue.
pub(crate) const MAX_PENDING: usize = 4096;

/// A work.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Works that wait, and the task that runs them.
pub(crate) struct WorkQueue {
    name: &'static str,
    pending: SpinLock<VecDeque<Work>>,
    queued: AtomicU64,
    done: AtomicU64,
    worker: WaitQueue,
    flushers: WaitQueue,
}

/// The queue for everybody who needs none of their own; named as Linux's.
pub(crate) static SYSTEM: WorkQueue = WorkQueue::new("events");

impl WorkQueue {
    /// An empty queue; [`WorkQueue::start`] gives it a worker. The name is for events.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            pending: SpinLock::new(VecDeque::new()),
            queued: AtomicU64::new(0),
            done: AtomicU64::new(0),
            worker: WaitQueue::new(),
            flushers: WaitQueue::new(),
        }
    }

    /// Makes the task that runs the works.
    pub(crate) fn start(&'static self, name: &str, prio: Prio) -> Result<TaskRef, Errno> {
        spawn(name, prio, Box::new(move || self.run()))
    }

    /// Adds a work; may be called in interrupt handlers. EAGAIN when MAX_PENDING wait, ENOMEM when there is no memory.
    pub(crate) fn queue(&self, work: Work) -> Result<(), Errno> {
        {
            let mut pending = self.pending.lock();
            if pending.len() >= MAX_PENDING {
                return Err(Errno::EAGAIN);
            }
            pending.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let (id, function) = identity(&work);
            trace!(events::workqueue_queue_work(id, function, self.name, cpu::id()));
            if pending.is_empty() {
                trace!(events::workqueue_activate_work(id, function));
            }
            pending.push_back(work);
            self.queued.fetch_add(1, Ordering::Relaxed);
        }
        self.worker.wake_one();
        Ok(())
    }

    /// Waits until all works that were added before this call are done. Not from a work of this queue.
    pub(crate) fn flush(&self) {
        let target = {
            let _pending = self.pending.lock();
            self.queued.load(Ordering::Relaxed)
        };
        self.flushers.wait_until(|| self.done.load(Ordering::Acquire) >= target);
    }

    fn run(&self) {
        loop {
            let mut work = None;
            self.worker.wait_for_work(|| {
                let mut pending = self.pending.lock();
                work = pending.pop_front();
                if let (Some(_), Some(next)) = (&work, pending.front()) {
                    let (id, function) = identity(next);
                    trace!(events::workqueue_activate_work(id, function));
                }
                work.is_some()
            });
            if let Some(work) = work {
                let (id, function) = identity(&work);
                trace!(events::workqueue_execute_start(id, function));
                work();
                trace!(events::workqueue_execute_end(id, function));
                self.done.fetch_add(1, Ordering::Release);
                self.flushers.wake_all();
            }
        }
    }
}

/// What events tell a work by: where it lies, and the function that it is. The function's address stands in the table of
/// its type behind drop, size and align. That is no promise of the compiler's: with another layout the event would name
/// something else, and nothing else would happen.
#[inline(always)]
fn identity(work: &Work) -> (usize, usize) {
    const FUNCTION: u64 = 24;
    let wide: *const (dyn FnOnce() + Send) = &**work;
    // SAFETY: a wide pointer is two words.
    let [data, table] = unsafe { core::mem::transmute::<*const (dyn FnOnce() + Send), [usize; 2]>(wide) };
    let function = if trace_enabled!(events::workqueue_queue_work)
        || trace_enabled!(events::workqueue_activate_work)
        || trace_enabled!(events::workqueue_execute_start)
        || trace_enabled!(events::workqueue_execute_end)
    {
        probe_read::read_u64(table as u64 + FUNCTION).unwrap_or(0)
    } else {
        0
    };
    (data, function as usize)
}

/// How long a key's disabling waits for room in the queue.
const RETRY_NS: u64 = 10 * NS_PER_MS;

/// Runs `disable` with `key` as a work, `delay_ns` from now: what static keys need to go off late.
pub(super) fn disable_later(delay_ns: u64, disable: fn(&'static DeferredKey), key: &'static DeferredKey) {
    let timer = Timer::new(move || {
        if SYSTEM.queue(Box::new(move || disable(key))).is_err() {
            disable_later(RETRY_NS, disable, key);
        }
    });
    timer.arm(now_ns().saturating_add(delay_ns));
}
