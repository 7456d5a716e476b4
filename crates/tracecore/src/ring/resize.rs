//! Another size.
//!
//! A ring does not change its size: a new one takes over the events and counts of the old one, and the owner of
//! both publishes the new one in its place.
//!
//! ```text
//!   owner, on the ring's CPU, in a task, interrupts masked: the writer stands still
//!     close old          what comes now is refused by the old ring and counted there
//!     copy               page by page, each under its old number; what does not fit is overwritten, oldest first
//!     publish new        what comes now goes into the new ring
//!   owner, after a quiet point: nobody knows the old ring any more
//!     settle             the new ring counts what the old one has refused since the copy
//!     free old
//! ```
//!
//! The pages keep their numbers, so whoever stands somewhere in the old ring ([`Cursor`](super::Cursor), the reader)
//! stands there in the new one.

use super::{
    CpuRing, SizeError,
    page::Page,
    read::{Place, Reader},
    word::{Pos, Slot},
};
use crate::ring_env::Ordering::{Acquire, Relaxed};

impl CpuRing {
    /// Takes over everything from `old`, while nobody writes to it, and closes it; `self` is new and not yet used.
    /// Switches itself on or off as the old one is.
    ///
    /// `Busy` if a record of the old ring is not complete. Then both are as they were.
    pub fn adopt(&mut self, old: &Reader<'_>) -> Result<(), SizeError> {
        let ring = old.ring;
        let last = ring.commit_seq.load(Acquire);
        let write = Pos(ring.write.load(Relaxed));
        if old.page_of(last).is_none_or(|page| page.commit().load(Acquire) != write.0) {
            return Err(SizeError::Busy);
        }
        ring.close();
        let pages = self.pages() as u64;
        self.counters.copy_from(&ring.counters);

        let at = old.at;
        // The reader's page goes to the reader's, the rest where its number says.
        let place = Place { page: self.pages(), ..at };
        self.clear_slots(last);
        if at.seq != 0
            && let (Some(from), Some(to)) = (ring.page(at.page), self.page(place.page))
        {
            copy_page(from, to, at.seq, place.page);
            if at.seq == last {
                self.write.store(to.commit().load(Relaxed), Relaxed);
            }
        }
        let first = if at.seq != 0 { at.seq + 1 } else { at.next };
        for seq in first..=last {
            // No page there: it had been overwritten before.
            let Some(from) = old.page_of(seq) else { continue };
            if last - seq >= pages {
                self.counters.overrun.add(from.events(Pos(from.commit().load(Acquire))));
                continue;
            }
            let Some(slot) = self.slot(seq) else { continue };
            let id = Slot(slot.load(Relaxed)).page();
            let Some(to) = self.page(id) else { continue };
            slot.store(Slot::new(seq, id, false).0, Relaxed);
            copy_page(from, to, seq, id);
            if seq == last {
                self.write.store(to.commit().load(Relaxed), Relaxed);
            }
        }
        self.commit_seq.store(last, Relaxed);
        self.reading.store(place);
        self.set_mode(ring.mode());
        self.set_on(ring.is_on());
        Ok(())
    }

    /// Counts what `old`, which this ring has replaced, refused since; when nobody can write to it any more.
    pub fn settle(&self, old: &CpuRing) {
        self.counters.dropped.add(old.counters.moved.get());
    }
}

/// Copies a page to another place in memory, under another number.
fn copy_page(from: Page<'_>, to: Page<'_>, seq: u64, id: usize) {
    for (to, from) in to.0.iter().zip(from.0) {
        to.store(from.load(Relaxed), Relaxed);
    }
    let commit = Pos(from.commit().load(Relaxed));
    to.seq().store(seq, Relaxed);
    to.commit().store(Pos::new(seq, id, commit.entries(), commit.off()).0, Relaxed);
    to.padding().store(super::page::no_padding(seq) + from.paddings(), Relaxed);
}
