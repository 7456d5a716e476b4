//! The shell's tasks: how they end, and how they are told to.
//!
//! Every task that a shell starts keeps a [`Job`] with it. Two things can be asked of it from outside:
//!
//! ```text
//!   Ctrl-C  ── INTERRUPTS + 1 ──▶ every job is woken; each compares the count with the one it was told last
//!   kill    ── job.signal = n ──▶ that job is woken; the signal stays, since it is about to end
//! ```
//!
//! A job that is not concerned (one in the background) takes note of the new count and goes on waiting. Because
//! what is compared is a number and not a flag, no Ctrl-C can be lost between two commands or strike twice.

use crate::fs::{tty, wait};
use crate::sync::SpinLock;
use crate::task::{self, Prio, TaskRef, WaitQueue, work};
use crate::time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tracecore::errno::Errno;

static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

/// The signal of a write that nobody can read.
const SIGPIPE: u8 = 13;
/// The largest signal number.
const NSIG: u8 = 64;
/// Signals that do nothing to a task that does not ask for them: CHLD, CONT, URG, WINCH.
const IGNORED: [u8; 4] = [17, 18, 23, 28];
/// Signals that stop a task until it is continued: there is no such state here.
const STOPPING: [u8; 4] = [19, 20, 21, 22];

/// What a shell's task keeps with itself.
struct Job {
    /// The count of Ctrl-C that the task has seen.
    told: AtomicU64,
    /// The signal that ends it; 0: none.
    signal: AtomicU8,
    /// Does a write that nobody can read end it? (Not a shell that talks to a person or runs a script.)
    ends_of_broken_pipe: bool,
    status: SpinLock<Option<i32>>,
    done: WaitQueue,
}

impl Job {
    fn new(ends_of_broken_pipe: bool) -> Arc<Self> {
        Arc::new(Self {
            told: AtomicU64::new(INTERRUPTS.load(Ordering::Acquire)),
            signal: AtomicU8::new(0),
            ends_of_broken_pipe,
            status: SpinLock::new(None),
            done: WaitQueue::new(),
        })
    }

    fn of(task: &task::Task) -> Option<Arc<Self>> {
        task.local()?.downcast().ok()
    }

    fn mine() -> Option<Arc<Self>> {
        Self::of(&task::current())
    }
}

/// Makes the running task one of the shell's, and Ctrl-C something that concerns it.
pub(super) fn adopt() {
    task::current().set_local(Some(Job::new(false)));
    tty::set_interrupt_hook(interrupt);
    wait::set_stopped(stopped);
}

/// Ctrl-C was pressed. In interrupt context; tasks are woken by a worker.
fn interrupt() {
    INTERRUPTS.fetch_add(1, Ordering::AcqRel);
    // Should there be no room for the work, tasks still see the count when they look next.
    let _ = work::SYSTEM.queue(Box::new(wake_jobs));
}

/// Has every job look at what it waits for.
fn wake_jobs() {
    for task in task::list().unwrap_or_default() {
        if Job::of(&task).is_some() {
            task.nudge();
        }
    }
}

/// Is the running task to stop waiting? A new Ctrl-C is told once.
fn stopped() -> bool {
    let Some(job) = Job::mine() else { return false };
    let now = INTERRUPTS.load(Ordering::Acquire);
    job.told.swap(now, Ordering::AcqRel) != now || job.signal.load(Ordering::Acquire) != 0
}

/// How often Ctrl-C was pressed; the running task has been told.
pub(super) fn interrupts() -> u64 {
    let now = INTERRUPTS.load(Ordering::Acquire);
    if let Some(job) = Job::mine() {
        job.told.store(now, Ordering::Release);
    }
    now
}

/// The signal that the running task is to end of.
pub(super) fn pending_signal() -> Option<u8> {
    Some(Job::mine()?.signal.load(Ordering::Acquire)).filter(|signal| *signal != 0)
}

/// The running task has written to a pipe that nobody can read: a loop that does nothing else ends of it.
pub(super) fn broken_pipe() {
    if let Some(job) = Job::mine().filter(|job| job.ends_of_broken_pipe) {
        // Another signal that came before stays.
        let _ = job.signal.compare_exchange(0, SIGPIPE, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Sends a signal, as `kill(2)`: ESRCH when there is no such task, EINVAL when there is no such signal, ENOSYS for
/// those that would stop a task. Tasks that are not a shell's take no notice, like Linux's kernel threads.
pub(super) fn kill(pid: u32, signal: u8) -> Result<(), Errno> {
    if signal > NSIG {
        return Err(Errno::EINVAL);
    }
    let task = task::find(pid).ok_or(Errno::ESRCH)?;
    if signal == 0 || IGNORED.contains(&signal) {
        return Ok(());
    }
    if STOPPING.contains(&signal) {
        return Err(Errno::ENOSYS);
    }
    if let Some(job) = Job::of(&task) {
        job.signal.store(signal, Ordering::Release);
        task.nudge();
    }
    Ok(())
}

/// Sleeps; EINTR when the task is told to stop before the time is over.
pub(super) fn sleep_ns(ns: u64) -> Result<(), Errno> {
    wait::sleep_until(time::now_ns().saturating_add(ns))
}

/// A task that was started, for who waits for it.
pub(super) struct Started {
    task: TaskRef,
    job: Arc<Job>,
}

/// Starts a task that runs `body`; the status counts once `body` is gone, with all that it held.
pub(super) fn spawn(name: &str, body: Box<dyn FnOnce() -> i32 + Send>) -> Result<Started, Errno> {
    let job = Job::new(true);
    let mine = job.clone();
    let run = move || {
        task::current().set_local(Some(mine.clone()));
        let status = body();
        *mine.status.lock() = Some(status);
        mine.done.wake_all();
    };
    let task = task::spawn(name, Prio::NORMAL, Box::new(run))?;
    // Both set it, so that neither a signal sent now nor a question asked there comes too early.
    task.set_local(Some(job.clone()));
    Ok(Started { task, job })
}

impl sh::Task for Started {
    fn pid(&self) -> u32 {
        self.task.pid()
    }

    fn wait(&self) -> Result<i32, Errno> {
        wait::wait_until(&self.job.done, || self.job.status.lock().is_some())?;
        self.try_wait().ok_or(Errno::ECHILD)
    }

    fn try_wait(&self) -> Option<i32> {
        *self.job.status.lock()
    }
}
