//! Work queues: functions that somebody else runs, later, as a task.
//!
//! For what is found to be necessary where it cannot be done: in an interrupt handler, under a lock. Works of one
//! queue run one after the other, oldest first.

use super::tcb::Prio;
use super::wait::WaitQueue;
use super::{TaskRef, spawn};
use crate::jump_label::DeferredKey;
use crate::sync::SpinLock;
use crate::time::{NS_PER_MS, Timer, now_ns};
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
    pending: SpinLock<VecDeque<Work>>,
    queued: AtomicU64,
    done: AtomicU64,
    worker: WaitQueue,
    flushers: WaitQueue,
}

/// The queue for everybody who needs none of their own.
pub(crate) static SYSTEM: WorkQueue = WorkQueue::new();

impl WorkQueue {
    /// An empty queue; [`WorkQueue::start`] gives it a worker.
    pub(crate) const fn new() -> Self {
        Self {
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
                work = self.pending.lock().pop_front();
                work.is_some()
            });
            if let Some(work) = work {
                work();
                self.done.fetch_add(1, Ordering::Release);
                self.flushers.wake_all();
            }
        }
    }
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
