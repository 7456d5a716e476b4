//! Another size.
//!
//! A ring does not change its size: a new one takes over the events and counts of the old one, and the owner of
//! both publishes the new one in its place. That needs a moment in which the writer stands still (its own CPU in
//! task context with interrupts masked, or recording off and a quiet point passed), for the copy; memory is taken
//! before. What does not fit is overwritten, oldest first, and counted so.

use super::{
    CpuRing, SizeError,
    page::Page,
    read::{Place, Reader},
    word::{Pos, Slot},
};
use crate::ring_env::Ordering::{Acquire, Relaxed};

impl CpuRing {
    /// Takes over everything from `old`, while nobody writes to it; `self` is new and not yet used. Switches
    /// itself on or off as the old one is.
    ///
    /// `Busy` if a record of the old ring is not complete. Then `self` is as it was.
    pub fn adopt(&mut self, old: &Reader<'_>) -> Result<(), SizeError> {
        let ring = old.ring;
        let last = ring.commit_seq.load(Acquire);
        let write = Pos(ring.write.load(Relaxed));
        if old.page_of(last).is_none_or(|page| page.commit().load(Acquire) != write.0) {
            return Err(SizeError::Busy);
        }
        let pages = self.pages() as u64;
        // Numbers must have room for "one round before".
        let shift = pages.saturating_sub(last);
        self.counters.copy_from(&ring.counters);

        let at = old.at;
        // The reader's page goes to the reader's, the rest where its number says.
        let mut place = Place { page: self.pages(), next: at.next + shift, ..at };
        // Each slot is empty and at the number that the last round gave it, until something is put there.
        for (id, seq) in (last + shift + 1 - pages..=last + shift).enumerate() {
            let Some(slot) = self.slot(seq) else { continue };
            slot.store(Slot::new(seq, id, true).0, Relaxed);
        }
        if at.seq != 0
            && let (Some(from), Some(to)) = (ring.page(at.page), self.page(place.page))
        {
            place.seq = at.seq + shift;
            copy_page(from, to, place.seq, place.page);
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
            let Some(slot) = self.slot(seq + shift) else { continue };
            let id = Slot(slot.load(Relaxed)).page();
            let Some(to) = self.page(id) else { continue };
            slot.store(Slot::new(seq + shift, id, false).0, Relaxed);
            copy_page(from, to, seq + shift, id);
            if seq == last {
                self.write.store(to.commit().load(Relaxed), Relaxed);
            }
        }
        self.commit_seq.store(last + shift, Relaxed);
        self.reading.store(place);
        self.set_mode(ring.mode());
        self.set_on(ring.is_on());
        Ok(())
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
