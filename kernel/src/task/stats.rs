//! How long tasks wait for a CPU: measured while somebody wants to know.
//!
//! ```text
//!   put on a queue ──── waits ────▶ chosen by the scheduler
//!   [`queued`]                      [`chosen`]: run_delay_ns += now − queued_ns
//! ```
//!
//! It would cost a reading of the clock at each wake-up. So both places are branches on the key [`SCHED_STATS`], a NOP
//! each while it is off. It starts off; `/proc/sys/kernel/sched_schedstats` switches it, as on Linux, and
//! `/proc/<pid>/schedstat` shows what was measured.

use super::{Task, table};
use crate::jump_label::{StaticKey, static_branch_unlikely};
use crate::time;
use core::sync::atomic::Ordering;
use tracecore::errno::Errno;

static SCHED_STATS: StaticKey = StaticKey::new("sched_schedstats", false);

/// A task was put on a queue, whose lock is held.
#[inline(always)]
pub(super) fn queued(task: &Task) {
    if static_branch_unlikely!(SCHED_STATS) {
        task.queued_ns.store(time::local_clock_ns(), Ordering::Relaxed);
    }
}

/// A task was taken off a queue to run, whose lock is held.
#[inline(always)]
pub(super) fn chosen(task: &Task, now: u64) {
    if static_branch_unlikely!(SCHED_STATS) {
        let since = task.queued_ns.swap(0, Ordering::Relaxed);
        if since != 0 {
            // Clocks of two CPUs may differ by a little.
            task.run_delay_ns.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
        }
    }
}

/// Is it measured?
pub(crate) fn enabled() -> bool {
    SCHED_STATS.is_enabled()
}

/// Begins or ends measuring.
///
/// # Errors
/// ENOMEM; those of the patch.
pub(crate) fn set_enabled(on: bool) -> Result<(), Errno> {
    if on && !enabled() {
        // What was left from the last time is no beginning of a wait.
        for task in table::list()? {
            task.queued_ns.store(0, Ordering::Relaxed);
        }
    }
    let switched = if on { SCHED_STATS.enable() } else { SCHED_STATS.disable() };
    switched.map_err(|refusal| refusal.errno())
}

impl Task {
    /// How long it waited for a CPU while that was measured.
    pub(crate) fn run_delay_ns(&self) -> u64 {
        self.run_delay_ns.load(Ordering::Relaxed)
    }
}
