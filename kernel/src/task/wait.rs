//! Waiting for something that another task or an interrupt brings about.
//!
//! ```text
//!   waiter                                   waker
//!   enter the list, state = Sleeping         make the condition true
//!   look at the condition ── true ─▶ leave   full barrier
//!   schedule                                 anybody in the list? wake
//!   look again …
//! ```
//!
//! The list's entries lie on the waiters' stacks. A waiter leaves the list under its lock, and is woken under it too,
//! so an entry is never looked at after its stack is gone. Conditions are looked at by the waiter alone, without the
//! lock: they may take locks of their own.

use super::run_queue;
use super::tcb::{State, current};
use super::{Task, schedule};
use crate::sync::{Link, Linked, List, SpinLock};
use crate::time::{TimerNode, now_ns};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use tracecore::errno::Errno;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The condition holds.
    Done,
    /// The deadline came first.
    TimedOut,
    /// The task was killed first.
    Interrupted,
}

/// One sleeper of a queue.
struct Waiter {
    link: Link<Waiter>,
    task: *const Task,
}

// SAFETY: the link is the one link, touched under the queue's lock; the task outlives the entry.
unsafe impl Sync for Waiter {}
// SAFETY: as above.
unsafe impl Linked for Waiter {
    fn link(&self) -> &Link<Self> {
        &self.link
    }
}

/// Tasks that wait for the same thing.
pub(crate) struct WaitQueue {
    waiters: SpinLock<List<Waiter>>,
    /// How many tasks are between their first look at the condition and their last: a waker that sees none need not
    /// take the lock.
    count: AtomicU32,
}

impl WaitQueue {
    /// Nobody waits.
    pub(crate) const fn new() -> Self {
        Self { waiters: SpinLock::new(List::new()), count: AtomicU32::new(0) }
    }

    /// Sleeps until `condition` holds.
    pub(crate) fn wait_until(&self, condition: impl FnMut() -> bool) {
        self.wait(false, None, condition);
    }

    /// As [`WaitQueue::wait_until`], for workers.
    pub(crate) fn wait_for_work(&self, mut condition: impl FnMut() -> bool) {
        if !condition() {
            self.sleep(State::Idle, None, &mut condition);
        }
    }

    /// Sleeps until `condition` holds; EINTR when the task is killed first.
    pub(crate) fn wait_interruptible(&self, condition: impl FnMut() -> bool) -> Result<(), Errno> {
        match self.wait(true, None, condition) {
            Wait::Interrupted => Err(Errno::EINTR),
            _ => Ok(()),
        }
    }

    /// Sleeps until `condition` holds or `deadline_ns` is reached, or, if asked for, until the task is killed.
    pub(crate) fn wait(
        &self,
        interruptible: bool,
        deadline_ns: Option<u64>,
        mut condition: impl FnMut() -> bool,
    ) -> Wait {
        let state = if interruptible { State::Sleeping } else { State::Blocked };
        if condition() { Wait::Done } else { self.sleep(state, deadline_ns, &mut condition) }
    }

    fn sleep(&self, state: State, deadline_ns: Option<u64>, condition: &mut dyn FnMut() -> bool) -> Wait {
        let task = current();
        let waiter = Waiter { link: Link::new(), task: task.as_ptr() };
        let alarm = Alarm::new(task.as_ptr());
        if let Some(deadline_ns) = deadline_ns {
            alarm.arm(deadline_ns);
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        let end = loop {
            {
                let mut waiters = self.waiters.lock();
                if !waiter.link.is_linked() {
                    // SAFETY: it leaves the list below, before it goes away.
                    unsafe { waiters.push_back(&raw const waiter) };
                }
                task.set_state(state);
            }
            // The state is set, now look: see `run_queue`.
            fence(Ordering::SeqCst);
            if condition() {
                break Wait::Done;
            }
            if state == State::Sleeping && task.interrupted() {
                break Wait::Interrupted;
            }
            if alarm.has_fired() {
                break Wait::TimedOut;
            }
            schedule();
        };
        task.set_state(State::Running);
        self.count.fetch_sub(1, Ordering::Relaxed);
        let was_chosen = {
            let mut waiters = self.waiters.lock();
            let linked = waiter.link.is_linked();
            if linked {
                // SAFETY: linked, in this list.
                unsafe { waiters.remove(&raw const waiter) };
            }
            !linked
        };
        if was_chosen && end != Wait::Done {
            // A wake-up meant for one of us hit one that leaves for another reason: pass it on.
            self.wake_one();
        }
        end
    }

    /// Wakes the one that waits longest. True when there was one.
    pub(crate) fn wake_one(&self) -> bool {
        let woken = self.wake(1);
        run_queue::look();
        woken > 0
    }

    /// Wakes all; how many there were.
    pub(crate) fn wake_all(&self) -> usize {
        let woken = self.wake_all_quietly();
        run_queue::look();
        woken
    }

    /// As [`WaitQueue::wake_all`], without letting a woken task take this CPU at once.
    pub(super) fn wake_all_quietly(&self) -> usize {
        self.wake(usize::MAX)
    }

    fn wake(&self, at_most: usize) -> usize {
        // The condition was made true before this call: that store, then the load of the count.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut waiters = self.waiters.lock();
        let mut woken = 0;
        while woken < at_most
            && let Some(waiter) = waiters.pop_front()
        {
            // SAFETY: entries stay until their waiter has had the lock, which is held here.
            let task = unsafe { &*(*waiter).task };
            run_queue::wake_quietly(task, &[State::Sleeping, State::Blocked, State::Idle]);
            woken += 1;
        }
        woken
    }

    /// True when some task waits.
    pub(crate) fn has_waiters(&self) -> bool {
        !self.waiters.lock().is_empty()
    }
}

/// A timer on a sleeper's stack that wakes it.
#[repr(C)]
struct Alarm {
    /// First, so that the node is the alarm.
    timer: TimerNode,
    task: *const Task,
    armed: core::cell::Cell<bool>,
    fired: AtomicBool,
}

impl Alarm {
    fn new(task: *const Task) -> Self {
        Self {
            timer: TimerNode::new(Self::due),
            task,
            armed: core::cell::Cell::new(false),
            fired: AtomicBool::new(false),
        }
    }

    fn arm(&self, deadline_ns: u64) {
        self.armed.set(true);
        // SAFETY: `drop` waits until the timer is idle, and the alarm is not moved after this: it is only borrowed.
        unsafe { self.timer.arm(deadline_ns) };
    }

    fn has_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    unsafe fn due(timer: *const TimerNode) {
        // SAFETY: the node is the first field of an alarm, which waits for this callback's end; its task sleeps on it.
        unsafe {
            let alarm = &*timer.cast::<Self>();
            alarm.fired.store(true, Ordering::Release);
            run_queue::wake_quietly(&*alarm.task, &[State::Sleeping, State::Blocked, State::Idle]);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.armed.get() {
            self.timer.cancel_sync();
        }
    }
}

/// Sleeps until `deadline_ns` of `time::now_ns`.
pub(crate) fn sleep_until(deadline_ns: u64) {
    sleep_alone(deadline_ns, false);
}

/// Sleeps `ns` nanoseconds.
pub(crate) fn sleep_ns(ns: u64) {
    sleep_alone(now_ns().saturating_add(ns), false);
}

/// Sleeps `ns` nanoseconds; EINTR when the task is killed first.
pub(crate) fn sleep_interruptible(ns: u64) -> Result<(), Errno> {
    match sleep_alone(now_ns().saturating_add(ns), true) {
        Wait::Interrupted => Err(Errno::EINTR),
        _ => Ok(()),
    }
}

/// As [`WaitQueue::sleep`] without a queue.
fn sleep_alone(deadline_ns: u64, interruptible: bool) -> Wait {
    let task = current();
    let alarm = Alarm::new(task.as_ptr());
    alarm.arm(deadline_ns);
    let end = loop {
        task.set_state(if interruptible { State::Sleeping } else { State::Blocked });
        fence(Ordering::SeqCst);
        if alarm.has_fired() {
            break Wait::TimedOut;
        }
        if interruptible && task.interrupted() {
            break Wait::Interrupted;
        }
        schedule();
    };
    task.set_state(State::Running);
    end
}
