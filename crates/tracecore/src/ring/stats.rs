//! The counts of a ring.

use super::read::Reader;
use crate::ring_env::{
    Ordering::{Acquire, Relaxed},
    Word,
};

/// A count that several levels of one CPU, or a reader, add to.
#[derive(Default)]
pub(crate) struct Count(Word);

impl Count {
    /// One instruction pair, so that a level in between is not forgotten.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }
}

/// All that a ring counts since it was made, and where the counts stood at the last reset.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) overrun: Count,
    pub(crate) commit_overrun: Count,
    pub(crate) dropped: Count,
    /// Refused after another ring has copied these counts.
    pub(crate) moved: Count,
    pub(crate) too_long: Count,
    pub(crate) contended: Count,
    pub(crate) discarded: Count,
    pub(crate) read: Count,
    pub(crate) erased: Count,
    pub(crate) at_reset: AtReset,
}

/// Counts that a reset sets back for those who look, while the writer only ever adds to them.
#[derive(Default)]
pub(crate) struct AtReset {
    overrun: Count,
    commit_overrun: Count,
    dropped: Count,
    read: Count,
}

impl Counters {
    /// Makes `stats` start from 0.
    pub(crate) fn reset(&self) {
        self.at_reset.overrun.set(self.overrun.get());
        self.at_reset.commit_overrun.set(self.commit_overrun.get());
        self.at_reset.dropped.set(self.dropped.get());
        self.at_reset.read.set(self.read.get());
    }

    /// Takes over the counts of another ring.
    pub(crate) fn copy_from(&self, old: &Self) {
        let pairs = [
            (&self.overrun, &old.overrun),
            (&self.commit_overrun, &old.commit_overrun),
            (&self.dropped, &old.dropped),
            (&self.too_long, &old.too_long),
            (&self.contended, &old.contended),
            (&self.discarded, &old.discarded),
            (&self.read, &old.read),
            (&self.erased, &old.erased),
            (&self.at_reset.overrun, &old.at_reset.overrun),
            (&self.at_reset.commit_overrun, &old.at_reset.commit_overrun),
            (&self.at_reset.dropped, &old.at_reset.dropped),
            (&self.at_reset.read, &old.at_reset.read),
        ];
        for (new, old) in pairs {
            new.set(old.get());
        }
    }
}

/// What `per_cpu/cpuN/stats` shows. Counts are since the last reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Events in the ring, not yet read.
    pub entries: u64,
    /// Events overwritten before they were read.
    pub overrun: u64,
    /// Events refused because nested levels had filled the ring while an outer record was not complete.
    pub commit_overrun: u64,
    /// Bytes that the entries take, headers included.
    pub bytes: u64,
    /// Time of the oldest event in the ring.
    pub oldest_ts: Option<u64>,
    /// The time of asking.
    pub now_ts: u64,
    /// Events refused because the ring was full, in discard-newest mode.
    pub dropped_events: u64,
    /// Events read.
    pub read_events: u64,
}

/// Every event that this ring was ever asked to take: `written = read + overrun + erased + entries`, and what was
/// asked for is `written` and the five below it. Exact whenever the writer stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Events committed and visible.
    pub written: u64,
    /// Refused: ring full.
    pub dropped: u64,
    /// Refused: an outer record pending.
    pub commit_overrun: u64,
    /// Refused: too long.
    pub too_long: u64,
    /// Refused: out of tries.
    pub contended: u64,
    /// Reserved, then given up.
    pub discarded: u64,
    /// Events consumed by a reader.
    pub read: u64,
    /// Events overwritten unread.
    pub overrun: u64,
    /// Events thrown away unread by a reset.
    pub erased: u64,
    /// Events still there.
    pub entries: u64,
}

impl Reader<'_> {
    /// The counts since the ring was made.
    pub fn totals(&self) -> Totals {
        let c = &self.ring.counters;
        let mut t = Totals {
            written: 0,
            dropped: c.dropped.get(),
            commit_overrun: c.commit_overrun.get(),
            too_long: c.too_long.get(),
            contended: c.contended.get(),
            discarded: c.discarded.get(),
            read: c.read.get(),
            overrun: c.overrun.get(),
            erased: c.erased.get(),
            entries: 0,
        };
        // After the others: what grows meanwhile shows as entries that were there for a moment.
        t.written = self.written();
        t.entries = t.written.saturating_sub(t.read + t.overrun + t.erased);
        t
    }

    /// Events published so far.
    fn written(&self) -> u64 {
        loop {
            let seq = self.ring.commit_seq.load(Acquire);
            let page = self.page_of(seq);
            let written =
                page.map(|page| (page, page.events_before(super::Pos(page.commit().load(Acquire)))));
            if let Some((page, written)) = written
                && self.still(page, seq)
            {
                return written;
            }
            // The writer has been around the whole ring: look again. No page of the sequence can be missing
            // while the commit position stands on it.
            if self.ring.commit_seq.load(Acquire) == seq {
                return 0;
            }
        }
    }

    /// The counts since the last reset; `now` is the time to show as such.
    pub fn stats(&self, now: u64) -> Stats {
        let c = &self.ring.counters;
        let mut from = self.cursor();
        Stats {
            entries: self.totals().entries,
            overrun: c.overrun.get() - c.at_reset.overrun.get(),
            commit_overrun: c.commit_overrun.get() - c.at_reset.commit_overrun.get(),
            bytes: self.bytes(),
            oldest_ts: self.look_ts(&mut from),
            now_ts: now,
            dropped_events: c.dropped.get() - c.at_reset.dropped.get(),
            read_events: c.read.get() - c.at_reset.read.get(),
        }
    }
}
