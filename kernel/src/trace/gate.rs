//! Before a record of an event is made: is it wanted at all?
//!
//! Two may say no: [`pids`], for the task, and the event itself, while it is [muted](super::events). Both are rare. So they are
//! asked behind one static key that counts who guards: while nobody does, the question costs one NOP.

use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::errno::Errno;
use tracecore::misses::{Cause, Layer, Table};

use super::filters::EventFilter;
use super::{pids, rings};
use crate::jump_label::{StaticKey, static_branch_unlikely};
use crate::sync::{Pinned, per_cpu};

/// Somebody guards.
static GUARDED: StaticKey = StaticKey::new("event_gate", false);

per_cpu! {
    /// Records that muted events did not make.
    static MUTED: AtomicU64 = AtomicU64::new(0);
}

/// Begins to guard, or ends it; as many times one as the other.
pub(super) fn guard(on: bool) -> Result<(), Errno> {
    let flipped = if on { GUARDED.inc() } else { GUARDED.dec() };
    flipped.map_err(|refusal| refusal.errno())
}

/// Is a record to be made? `other` names another task that the event is about. One that is not is counted.
#[inline(always)]
pub(super) fn is_open(pin: &impl Pinned, filter: &EventFilter, other: impl FnOnce() -> Option<u32>) -> bool {
    if static_branch_unlikely!(GUARDED) {
        if filter.is_muted() {
            MUTED.this_cpu(pin).fetch_add(1, Ordering::Relaxed);
            return false;
        }
        return pids::wanted(pin, other());
    }
    true
}

/// Adds the records that were not made.
pub(super) fn misses(table: &mut Table) {
    let muted = rings::cpus().map(|cpu| MUTED.on(cpu).load(Ordering::Relaxed)).sum();
    if muted > 0 {
        table.add(Layer::Event, "soft-disabled", Cause::Filtered, muted);
    }
    pids::misses(table);
}
