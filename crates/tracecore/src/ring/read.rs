//! Consuming: taking pages out of the ring and handing out their events.

use core::fmt;

use super::{
    CpuRing, SizeError,
    page::{FIRST, MAX_PAYLOAD_BYTES, Page},
    word::{Header, Kind, Pos, Slot},
};
use crate::ring_env::{
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    Word, fence,
};

/// No page of the sequence: numbers begin with the count of pages, which is not 0.
const NONE: u64 = 0;

/// An event as it is handed out. Kept by the caller and used again and again, since it is as large as a page.
pub struct Record {
    /// Its time.
    pub ts: u64,
    /// Events that were lost right before it.
    pub lost: u64,
    len: usize,
    bytes: [u8; MAX_PAYLOAD_BYTES],
}

impl Record {
    /// An empty record, to be filled by a reader.
    pub const fn new() -> Self {
        Self { ts: 0, lost: 0, len: 0, bytes: [0; MAX_PAYLOAD_BYTES] }
    }

    /// What was put into it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Copies the record at `off`. The page may change meanwhile: the caller checks, and nothing here believes
    /// a length.
    pub(super) fn copy(&mut self, page: Page<'_>, off: usize, header: Header) {
        self.len = header.len().min(MAX_PAYLOAD_BYTES);
        for (i, chunk) in self.bytes.chunks_mut(8).take(self.len.div_ceil(8)).enumerate() {
            let word = page.word(off + 1 + i).load(Relaxed).to_ne_bytes();
            for (to, from) in chunk.iter_mut().zip(word) {
                *to = from;
            }
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ts, lost, .. } = self;
        f.debug_struct("Record").field("ts", ts).field("lost", lost).field("bytes", &self.bytes()).finish()
    }
}

/// The time of the record at `off`.
pub(super) fn time_of(page: Page<'_>, off: usize, header: Header) -> u64 {
    match header.kind() {
        Kind::Absolute => page.word(off + header.time_at()).load(Relaxed),
        _ => page.base().load(Relaxed).wrapping_add(header.delta()),
    }
}

/// Where the reader stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The reader's page in memory.
    pub(super) page: usize,
    /// Which page of the sequence that is; [`NONE`] when it is empty and there to be exchanged.
    pub(super) seq: u64,
    /// Offset of the next record on it.
    pub(super) off: usize,
    /// Events of it already read or erased.
    pub(super) seen: u64,
    /// The page of the sequence to take next.
    pub(super) next: u64,
    /// The index that page has if nothing was lost.
    pub(super) expected: u64,
    /// Lost right before the next record.
    pub(super) lost: u64,
}

/// The place between two readings, and the lock.
pub(super) struct ReadState {
    pub(super) lock: Word,
    place: [Word; 7],
}

impl ReadState {
    pub(super) fn new(page: usize, next: u64) -> Self {
        let state = Self { lock: Word::new(0), place: core::array::from_fn(|_| Word::new(0)) };
        state.store(Place { page, seq: NONE, off: FIRST, seen: 0, next, expected: 0, lost: 0 });
        state
    }

    /// Relaxed, as below: ordered by the lock.
    pub(super) fn load(&self) -> Place {
        let [page, seq, off, seen, next, expected, lost] =
            self.place.each_ref().map(|word| word.load(Relaxed));
        Place { page: page as usize, seq, off: off as usize, seen, next, expected, lost }
    }

    pub(super) fn store(&self, place: Place) {
        let Place { page, seq, off, seen, next, expected, lost } = place;
        for (word, value) in self.place.iter().zip([page as u64, seq, off as u64, seen, next, expected, lost])
        {
            word.store(value, Relaxed);
        }
    }
}

/// The right to read a ring, from any CPU, while its writer goes on.
pub struct Reader<'a> {
    pub(super) ring: &'a CpuRing,
    pub(super) at: Place,
}

impl<'a> Reader<'a> {
    /// For whoever has the lock.
    pub(super) fn new(ring: &'a CpuRing) -> Self {
        Self { ring, at: ring.reading.load() }
    }

    /// Takes the next event out of the ring. False, and the record is as it was, if there is none.
    pub fn read(&mut self, record: &mut Record) -> bool {
        let Some((page, header)) = self.settle() else { return false };
        record.ts = time_of(page, self.at.off, header);
        record.lost = core::mem::take(&mut self.at.lost);
        record.copy(page, self.at.off, header);
        self.step(header);
        self.ring.counters.read.add(1);
        true
    }

    /// Time of the event that [`read`](Self::read) would take. From then on that event cannot be overwritten.
    pub fn peek_ts(&mut self) -> Option<u64> {
        let (page, header) = self.settle()?;
        Some(time_of(page, self.at.off, header))
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&mut self) -> bool {
        self.settle().is_none()
    }

    /// Throws away all events that are there now and sets the counts of [`stats`](Self::stats) to 0. The writer may
    /// go on: what it commits meanwhile is thrown away or kept.
    pub fn reset(&mut self) {
        let last = self.ring.commit_seq.load(Acquire);
        // Up to the page that the writer was on, and of that as much as there was when we came to it.
        while let Some((page, _)) = self.settle() {
            let closed = self.ring.commit_seq.load(Acquire) > self.at.seq;
            let commit = Pos(page.commit().load(Acquire));
            let left = if closed { page.events(commit) - self.at.seen } else { self.count(page, commit) };
            self.at.seen += left;
            self.at.off = commit.off();
            self.ring.counters.erased.add(left);
            if self.at.seq >= last {
                break;
            }
        }
        self.at.lost = 0;
        self.ring.counters.reset();
    }

    /// [`reset`](Self::reset) for another clock: what is there goes, and what comes is stamped from `now` on. While the
    /// writer stands still; `Busy`, and only the events are gone, if a record is not complete.
    pub fn restart(&mut self, now: u64) -> Result<(), SizeError> {
        self.reset();
        let write = Pos(self.ring.write.load(Relaxed));
        let page = self.ring.page(write.page()).ok_or(SizeError::Busy)?;
        if page.commit().load(Acquire) != write.0 {
            return Err(SizeError::Busy);
        }
        // Nothing on this page will be read any more that this time belongs to.
        page.base().store(now, Relaxed);
        Ok(())
    }

    /// Events from the reader's place up to `commit`, one by one: the count of padding is of the whole page only.
    fn count(&self, page: Page<'_>, commit: Pos) -> u64 {
        let mut off = self.at.off;
        let mut events = 0;
        while off < commit.off() {
            let header = Header(page.word(off).load(Relaxed));
            events += (header.kind() != Kind::Padding) as u64;
            off += header.words();
        }
        events
    }

    /// Past the record at the place.
    fn step(&mut self, header: Header) {
        self.at.off += header.words();
        self.at.seen += 1;
    }

    /// Goes to the next event that is there, page by page.
    fn settle(&mut self) -> Option<(Page<'a>, Header)> {
        loop {
            if self.at.seq == NONE && !self.take() {
                return None;
            }
            let page = self.ring.page(self.at.page)?;
            // In this order: if the page was closed, the commit read after that is the last one.
            let closed = self.ring.commit_seq.load(Acquire) > self.at.seq;
            let commit = Pos(page.commit().load(Acquire));
            while self.at.off < commit.off() {
                let header = Header(page.word(self.at.off).load(Relaxed));
                if header.kind() != Kind::Padding {
                    return Some((page, header));
                }
                self.at.off += header.words();
            }
            if !closed {
                return None;
            }
            // Used up: from now on this page is the one to exchange.
            self.at.expected = page.events_before(commit);
            self.at.next = self.at.seq + 1;
            self.at.seq = NONE;
        }
    }

    /// Exchanges the reader's empty page for the oldest one with events in it.
    fn take(&mut self) -> bool {
        let ring = self.ring;
        loop {
            let seq = self.at.next;
            let current = ring.commit_seq.load(Acquire);
            if seq > current {
                return false;
            }
            let (Some(slot), pages) = (ring.slot(seq), ring.pages() as u64) else { return false };
            let found = Slot(slot.load(Acquire));
            if found.seq() != seq || found.taken() {
                // Overwritten, and so is all that is a round behind the writer.
                self.at.next = (seq + 1).max((current + 1).saturating_sub(pages));
                continue;
            }
            let Some(page) = ring.page(found.page()) else { return false };
            if seq == current && Pos(page.commit().load(Acquire)).off() <= FIRST {
                if ring.commit_seq.load(Acquire) == seq {
                    return false;
                }
                continue;
            }
            let empty = Slot::new(seq, self.at.page, true);
            // Release: our last read of the page that we leave comes before the writer's first use of it.
            if slot.compare_exchange(found.0, empty.0, AcqRel, Relaxed).is_ok() {
                let lost = page.index().load(Relaxed).wrapping_sub(self.at.expected);
                self.at = Place {
                    page: found.page(),
                    seq,
                    off: FIRST,
                    seen: 0,
                    lost: self.at.lost + lost,
                    ..self.at
                };
                return true;
            }
        }
    }

    /// A page of the sequence, if it is in the ring or with the reader.
    pub(super) fn page_of(&self, seq: u64) -> Option<Page<'a>> {
        if seq == self.at.seq {
            return self.ring.page(self.at.page);
        }
        let slot = Slot(self.ring.slot(seq)?.load(Acquire));
        if slot.seq() == seq && !slot.taken() { self.ring.page(slot.page()) } else { None }
    }

    /// Whether what was read from the page since it was found was of that page of the sequence.
    pub(super) fn still(&self, page: Page<'_>, seq: u64) -> bool {
        // Pairs with the fence after the tag was changed: having read anything newer, we see the newer tag.
        fence(Acquire);
        // Acquire: with a newer tag comes the commit position that was reached before it, so that whoever goes on from
        // here does not take the ring for empty.
        page.seq().load(Acquire) == seq
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.ring.reading.store(self.at);
        self.ring.reading.lock.store(0, Release);
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("ring", self.ring).finish_non_exhaustive()
    }
}
