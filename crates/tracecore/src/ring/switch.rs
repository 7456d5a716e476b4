//! On, off, and woken: what stands between a writer and the fast way.
//!
//! ```text
//!   state            limit       what a writer finds
//!   on               longest+1   the fast way
//!   on, armed        0           the slow way: disarms, asks to wake the reader, goes on
//!   off              0           the slow way: refused
//!   closed           0           the slow way: refused and counted; records go to another ring now
//! ```
//!
//! So a writer pays nothing for a reader that waits: the one comparison of `limit` that refuses what is too long
//! sends the first record after [`arm`](CpuRing::arm) to where there is time to wake somebody.
//!
//! `state` is changed by one exchange at a time and `limit` follows it. Two changers may store to `limit` in the wrong
//! order; so each looks at `state` once more after its store, and stores again if that has changed. Whoever stores
//! last has seen the last state. Between the store and the look stands a fence: an emulator may let the look pass a
//! store that is only sequentially consistent (QEMU on x86 does), and a limit that came too late would stay.

use super::{CpuRing, MAX_RECORD_BYTES};
use crate::ring_env::Ordering::{Relaxed, SeqCst};
use crate::ring_env::fence;

const ON: u64 = 1;
/// Somebody waits for a record.
const ARMED: u64 = 1 << 1;
/// Another ring has taken this one's place.
const CLOSED: u64 = 1 << 2;

impl CpuRing {
    /// The ring, calling `wake` when there is a record for one who [waits](Self::arm). It is called by the writer, in
    /// whatever context that runs, *before* its record is complete.
    pub fn with_wake(mut self, wake: fn()) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Switches recording on or off. Records begun before are completed.
    pub fn set_on(&self, on: bool) {
        if on {
            self.state.fetch_or(ON, SeqCst);
        } else {
            self.state.fetch_and(!ON, SeqCst);
        }
        self.follow();
    }

    /// Whether recording is on.
    pub fn is_on(&self) -> bool {
        self.state.load(SeqCst) & ON != 0
    }

    /// Asks to be woken by the next record. Records for which the writer looked at the ring before this call come
    /// without: so arm, wait until no CPU can be in the middle of a record (a quiet point), look, and then sleep.
    pub fn arm(&self) {
        self.state.fetch_or(ARMED, SeqCst);
        self.follow();
    }

    /// From now on refuses records and counts them as dropped; for a ring that is being replaced.
    pub(super) fn close(&self) {
        self.state.fetch_or(CLOSED, SeqCst);
        self.follow();
    }

    /// Has another ring taken this one's place?
    pub(super) fn is_closed(&self) -> bool {
        self.state.load(SeqCst) & CLOSED != 0
    }

    /// Wakes who waits. On the slow way of every record.
    pub(super) fn disarm(&self) {
        if self.state.load(SeqCst) & ARMED == 0 || self.state.fetch_and(!ARMED, SeqCst) & ARMED == 0 {
            return;
        }
        self.follow();
        if let Some(wake) = self.wake {
            wake();
        }
    }

    /// Sets the limit as the state says.
    fn follow(&self) {
        let mut state = self.state.load(SeqCst);
        loop {
            self.limit.store(if state == ON { MAX_RECORD_BYTES as u64 + 1 } else { 0 }, Relaxed);
            fence(SeqCst);
            let now = self.state.load(SeqCst);
            // Each further round is another's change.
            if now == state {
                return;
            }
            state = now;
        }
    }
}
