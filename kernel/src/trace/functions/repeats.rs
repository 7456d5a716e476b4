//! `func-no-repeats`: a call from the same place as the call before it is counted instead of recorded.
//!
//! ```text
//!   calls      f←a  f←a  f←a  f←a  g←a
//!   records    f←a                 f←a (repeats: 3, last_ts: …)  g←a
//! ```
//!
//! So a record of repeats comes before the record of the next other call. Each CPU counts for itself, and each level of a CPU: what
//! interrupts does not end a row of repeats, nor is it part of one.

use core::sync::atomic::{AtomicU64, Ordering};

use tracecore::event::REPEATS_ID;

use crate::ftrace::{Hit, LEVELS, level_of};
use crate::sync::per_cpu;
use crate::trace::{buffer, clock, rings};

/// The call before, on one level of a CPU. Only code of that level writes it.
struct Last {
    ip: AtomicU64,
    parent_ip: AtomicU64,
    /// How often it has come again, and when it did last.
    again: AtomicU64,
    time: AtomicU64,
}

impl Last {
    const fn none() -> Self {
        Self {
            ip: AtomicU64::new(0),
            parent_ip: AtomicU64::new(0),
            again: AtomicU64::new(0),
            time: AtomicU64::new(0),
        }
    }
}

per_cpu! {
    static LAST: [Last; LEVELS] = [const { Last::none() }; LEVELS];
}

/// Is it the call before once more? Else what is known of that is recorded.
#[inline(always)]
pub(super) fn is_one(hit: &Hit<'_>) -> bool {
    let Some(last) = LAST.this_cpu(hit).get(level_of(hit)) else { return false };
    let (ip, parent_ip) = (hit.ip as u64, hit.parent_ip as u64);
    let again = last.again.load(Ordering::Relaxed);
    if last.ip.load(Ordering::Relaxed) == ip && last.parent_ip.load(Ordering::Relaxed) == parent_ip {
        last.again.store(again + 1, Ordering::Relaxed);
        last.time.store(clock::now(), Ordering::Relaxed);
        return true;
    }
    if again > 0 {
        let words = [
            buffer::header_before_guard(REPEATS_ID),
            last.ip.load(Ordering::Relaxed),
            last.parent_ip.load(Ordering::Relaxed),
            again,
            last.time.load(Ordering::Relaxed),
        ];
        // A record that is not taken is counted by the ring.
        let _ = buffer::write_words_here(hit, &words);
        last.again.store(0, Ordering::Relaxed);
    }
    last.ip.store(ip, Ordering::Relaxed);
    last.parent_ip.store(parent_ip, Ordering::Relaxed);
    false
}

/// Repeats that no record tells of yet.
pub(super) fn untold() -> u64 {
    let on = |cpu| LAST.on(cpu).iter().map(|last| last.again.load(Ordering::Relaxed)).sum::<u64>();
    rings::cpus().map(on).sum()
}
