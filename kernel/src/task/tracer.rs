//! What tracers keep with each task is one pointer, [`Task::trace`]. They live on a higher floor: here they are told of the
//! three moments that matter.
//!
//! ```text
//!   spawn ─ in the table ─▶ born ─▶ runs ─▶ died ─ last reference dropped ─▶ freed
//! ```

use super::Task;
use crate::sync::Once;
use core::sync::atomic::Ordering;
use tracecore::errno::Errno;

/// The tracers' functions.
pub(crate) struct Tracer {
    /// The task is in the table and has not run.
    pub(crate) born: fn(&Task),
    /// The task runs no more; interrupts may be masked.
    pub(crate) died: fn(&Task),
    /// Nobody can look at the task any more: what its pointer points to can go.
    pub(crate) freed: fn(*mut ()),
}

static TRACER: Once<Tracer> = Once::new();

/// Fills the slot. Once.
pub(crate) fn set_tracer(tracer: Tracer) -> Result<(), Errno> {
    TRACER.set(tracer).map_err(|_| Errno::EBUSY)
}

pub(super) fn born(task: &Task) {
    if let Some(tracer) = TRACER.get() {
        (tracer.born)(task);
    }
}

pub(super) fn died(task: &Task) {
    if let Some(tracer) = TRACER.get() {
        (tracer.died)(task);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let trace = self.trace.load(Ordering::Acquire);
        if !trace.is_null()
            && let Some(tracer) = TRACER.get()
        {
            (tracer.freed)(trace);
        }
    }
}
