//! How a read or a write waits, and how it is told to stop.
//!
//! A wait on a [`WaitQueue`] ends when what it waits for is there. A task may also be asked to end while it
//! waits: by Ctrl-C, by a signal, by the scheduler. Who asks that is above this room, and puts the question into a
//! slot here:
//!
//! ```text
//!   read ── wait_until(queue, ready) ──▶ asleep ◀── wake: bytes came        ready()  ──▶ Ok
//!                                               ◀── wake: Ctrl-C, kill      stopped() ─▶ EINTR
//! ```

use crate::sync::Once;
use crate::task::{self, Wait, WaitQueue};
use tracecore::errno::Errno;

static STOPPED: Once<fn() -> bool> = Once::new();

/// Says how to find out whether the running task is to stop waiting. It is asked once per wait that ends so.
pub(crate) fn set_stopped(stopped: fn() -> bool) {
    // One room above decides about interrupts; a second one would be a mistake and changes nothing.
    let _ = STOPPED.set(stopped);
}

/// Is the running task to stop waiting?
pub(crate) fn stopped() -> bool {
    task::current().interrupted() || STOPPED.get().is_some_and(|stopped| stopped())
}

/// Waits on `queue` until `ready` says yes, or with EINTR until the task is to stop.
pub(crate) fn wait_until(queue: &WaitQueue, mut ready: impl FnMut() -> bool) -> Result<(), Errno> {
    let mut stop = false;
    let waited = queue.wait_interruptible(|| {
        let now = ready();
        stop = !now && stopped();
        now || stop
    });
    if stop { Err(Errno::EINTR) } else { waited }
}

/// Sleeps until `deadline_ns`, or with EINTR until the task is to stop.
pub(crate) fn sleep_until(deadline_ns: u64) -> Result<(), Errno> {
    match WaitQueue::new().wait(true, Some(deadline_ns), stopped) {
        Wait::TimedOut => Ok(()),
        Wait::Done | Wait::Interrupted => Err(Errno::EINTR),
    }
}
