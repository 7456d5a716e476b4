//! Reserving, crossing from page to page, publishing.
//!
//! # A crossing
//!
//! Level A finds that its record does not fit into page `s`. At any point of what follows an inner level B
//! may come, do all of it itself, and write and commit on page `s + 1` or far beyond; or A may itself be the inner
//! level of a C that stands at any such point. So:
//!
//! ```text
//!  read    position · slot · old tag, commit, base, padding of the page in the slot
//!  check   position unchanged?  ── no ──▶ again          from here on every step is
//!    │                                                   compare-exchange(value read → new value):
//!    ▼                                                   it fails if some level has been there,
//!  claim   slot: seq s+1-n → s+1      (won: old events = overrun)      and then there is nothing to do
//!  tag     page: old seq → s+1        then a release fence: from here on readers refuse the page
//!  clear   commit → position 0 of s+1 · padding → 0 of s+1
//!  base    old base → time taken after the position was read
//!  move    position: (s, off) → (s+1, behind the record)     (lost: again, with a new time)
//!  end     position of leaving is noted on page s: only the one who moved knows it
//! ```
//!
//! All those words only grow (position, tag, commit) or carry the page's number (slot, padding), so an exchange
//! that comes late finds another value and does nothing. The base is a bare time: if it comes late and finds the same
//! value, then the clock has not moved, and it writes that value again.
//!
//! The page that was left is closed (its last commit published, the next page opened) by the outermost level:
//! at once if that is A, else when the outermost commits, for all pages that were left meanwhile.

use core::marker::PhantomData;

use super::{
    CpuRing, Mode, Refused, level_fence,
    page::{FIRST, MAX_PAYLOAD_BYTES, Page, no_padding},
    reservation::Reservation,
    word::{DELTA_SHIFT, ENTRY, GUARD, Header, Kind, MAX_DELTA, PAGE_WORDS, Pos, Slot},
};
use crate::ring_env::{
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    fence,
};

/// How often a reservation is tried. Each failure is a record of an interrupting level that went in between.
const MAX_TRIES: usize = 64;

/// One try at a reservation that was not decided.
enum Miss {
    /// Another level was faster: read everything again.
    Again,
    /// It cannot be.
    Refused(Refused),
}

impl CpuRing {
    /// Makes room for a record of `len` bytes, stamped with the time that `now` gives while it is reserved.
    ///
    /// To be called on the ring's own CPU, with preemption held off until the record is committed or dropped;
    /// interrupts may come. `now` must not run backwards on one CPU; it may be called several times.
    pub fn reserve(&self, len: usize, now: fn() -> u64) -> Result<Reservation<'_>, Refused> {
        self.reserve_here(len, now)
    }

    /// [`reserve`](Self::reserve), compiled into the caller: a third fewer instructions where `len` and `now` are
    /// constants. For recorders that are themselves neither traced nor probed, since the code is theirs then.
    #[inline(always)]
    pub fn reserve_here(&self, len: usize, now: fn() -> u64) -> Result<Reservation<'_>, Refused> {
        match self.reserve_first(len, now) {
            Some(record) => Ok(record),
            None => self.reserve_slowly(len, now),
        }
    }

    /// The first try alone, which nearly always is enough. A recorder that fills its record in a branch of its own
    /// for each of the two ways is spared the merging of their results; the other way is
    /// [`reserve`](Self::reserve).
    #[inline(always)]
    pub(crate) fn reserve_first(&self, len: usize, now: impl FnOnce() -> u64) -> Option<Reservation<'_>> {
        // The way of nearly all records; what it does not decide is done again from the start, out of line.
        if (len as u64) < self.limit.load(Relaxed) {
            let start = Pos(self.write.load(Relaxed));
            level_fence();
            let time = now();
            if let Some(page) = self.page(start.page()) {
                // A time before the base gives a huge difference, which is not decided here either.
                let delta = time.wrapping_sub(page.base().load(Relaxed));
                let end = start.0.wrapping_add(((len + 15) >> 3) as u64 | ENTRY);
                // Relaxed: `write` is the business of this CPU alone.
                if delta <= MAX_DELTA
                    && end & GUARD == 0
                    && self.write.compare_exchange_weak(start.0, end, Relaxed, Relaxed).is_ok()
                {
                    let off = start.off();
                    page.word(off).store(delta << DELTA_SHIFT | len as u64, Relaxed);
                    return Some(Reservation {
                        ring: self,
                        page,
                        start,
                        end: Pos(end),
                        len,
                        stays: PhantomData,
                    });
                }
            }
        }
        None
    }

    /// Reserves, fills and commits a record of whole words.
    pub fn write_words(&self, words: &[u64], now: fn() -> u64) -> Result<(), Refused> {
        match self.reserve_first(words.len() * 8, now) {
            Some(record) => {
                record.put_words(words);
                record.commit();
                Ok(())
            }
            None => self.write_words_slowly(words, now),
        }
    }

    /// [`write_words`](Self::write_words), compiled into the caller: for as many words as are known there. For recorders
    /// that are themselves neither traced nor probed, since the code is theirs then.
    #[inline(always)]
    pub fn write_words_here<const N: usize>(
        &self,
        words: &[u64; N],
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        self.fill(self.reserve_first(N * 8, now), words, now)
    }

    /// The same for a recorder that nothing on its CPU interrupts, and that has just taken the time, `at`, for a use of its
    /// own.
    #[inline(always)]
    pub fn write_words_at<const N: usize>(
        &self,
        words: &[u64; N],
        at: u64,
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        self.fill(self.reserve_first(N * 8, || at), words, now)
    }

    #[inline(always)]
    fn fill<const N: usize>(
        &self,
        reserved: Option<Reservation<'_>>,
        words: &[u64; N],
        now: fn() -> u64,
    ) -> Result<(), Refused> {
        match reserved {
            Some(record) => {
                for (index, word) in words.iter().enumerate() {
                    record.put_own(index, *word);
                }
                record.commit();
                Ok(())
            }
            None => self.write_words_slowly(words, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn write_words_slowly(&self, words: &[u64], now: fn() -> u64) -> Result<(), Refused> {
        let record = self.reserve_slowly(words.len() * 8, now)?;
        record.put_words(words);
        record.commit();
        Ok(())
    }

    /// Reserves, fills and commits a record.
    pub fn write(&self, bytes: &[u8], now: fn() -> u64) -> Result<(), Refused> {
        let record = self.reserve(bytes.len(), now)?;
        record.put_bytes(0, bytes);
        record.commit();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn reserve_slowly(&self, len: usize, now: fn() -> u64) -> Result<Reservation<'_>, Refused> {
        if self.is_on() {
            self.disarm();
        }
        let refused = if !self.is_on() {
            Refused::Off
        } else if self.is_closed() {
            Refused::Moved
        } else if len > MAX_PAYLOAD_BYTES {
            Refused::TooLong
        } else {
            let tries = (0..MAX_TRIES).map(|_| self.reserve_once(len, now));
            let decided = |tried: &Result<_, Miss>| !matches!(tried, Err(Miss::Again));
            match tries.into_iter().find(decided) {
                Some(Ok(record)) => return Ok(record),
                Some(Err(Miss::Refused(refused))) => refused,
                Some(Err(Miss::Again)) | None => Refused::Contended,
            }
        };
        match refused {
            Refused::Off => {}
            Refused::Moved => self.counters.moved.add(1),
            Refused::TooLong => self.counters.too_long.add(1),
            Refused::Full => self.counters.dropped.add(1),
            Refused::CommitPending => self.counters.commit_overrun.add(1),
            Refused::Contended => self.counters.contended.add(1),
        }
        Err(refused)
    }

    /// One try, in every form a record can have.
    fn reserve_once(&self, len: usize, now: fn() -> u64) -> Result<Reservation<'_>, Miss> {
        let at = Pos(self.write.load(Relaxed));
        let page = self.page(at.page()).ok_or(Miss::Again)?;
        level_fence();
        let time = now();
        let base = page.base().load(Relaxed);
        // A clock that ran backwards: the record gets the time of its page, so that no reader sees time go back.
        let header = match time.saturating_sub(base) {
            delta @ ..=MAX_DELTA => Header::new(Kind::Delta, len, delta),
            _ => Header::new(Kind::Absolute, len, 0),
        };
        // The last word of a page is not for records.
        if at.off() + header.words() >= PAGE_WORDS {
            return self.cross(at, page, len, now);
        }
        let end = Pos(at.0 + (header.words() as u64 | ENTRY));
        self.write.compare_exchange(at.0, end.0, Relaxed, Relaxed).map_err(|_| Miss::Again)?;
        page.word(at.off()).store(header.0, Relaxed);
        if header.kind() == Kind::Absolute {
            page.word(at.off() + header.time_at()).store(time, Relaxed);
        }
        Ok(Reservation { ring: self, page, start: at, end, len, stays: PhantomData })
    }

    /// Reserves a record as the first of the next page. See the head of this file.
    fn cross(&self, at: Pos, left: Page<'_>, len: usize, now: fn() -> u64) -> Result<Reservation<'_>, Miss> {
        let seq = left.seq().load(Relaxed) + 1;
        let slot = self.slot(seq).ok_or(Miss::Again)?;
        // Acquire: the reader that left this page has done its last read of it.
        let found = Slot(slot.load(Acquire));
        let page = self.page(found.page()).ok_or(Miss::Again)?;
        let old_seq = page.seq().load(Relaxed);
        let old_commit = Pos(page.commit().load(Relaxed));
        let old_base = page.base().load(Relaxed);
        let old_padding = page.padding().load(Relaxed);
        level_fence();
        if self.write.load(Relaxed) != at.0 {
            return Err(Miss::Again);
        }
        if found.seq() != seq {
            if !found.taken() {
                if self.mode() == Mode::DiscardNewest {
                    return Err(Miss::Refused(Refused::Full));
                }
                // Closed pages only: the outermost level is still on this one, or before it.
                if found.seq() >= self.commit_seq.load(Relaxed) {
                    return Err(Miss::Refused(Refused::CommitPending));
                }
            }
            // What would be lost is read before, since with the exchange the page may be another level's.
            let lost = page.events(old_commit);
            let claimed = Slot::new(seq, found.page(), false);
            slot.compare_exchange(found.0, claimed.0, AcqRel, Relaxed).map_err(|_| Miss::Again)?;
            if !found.taken() {
                self.counters.overrun.add(lost);
            }
        }
        let clear = Pos::new(seq, found.page(), 0, 0);
        // Each step may have been done by another level, which is as well: no result is looked at.
        if old_seq != seq {
            // Release: whoever sees that this page is gone sees how far the commit position has come.
            let _ = page.seq().compare_exchange(old_seq, seq, Release, Relaxed);
        }
        // Release fence: whoever sees one of the stores below sees the tag above.
        fence(Release);
        if old_commit != clear {
            let _ = page.commit().compare_exchange(old_commit.0, clear.0, Relaxed, Relaxed);
        }
        if old_padding != no_padding(seq) {
            let _ = page.padding().compare_exchange(old_padding, no_padding(seq), Relaxed, Relaxed);
        }
        let time = now().max(left.base().load(Relaxed));
        let _ = page.base().compare_exchange(old_base, time, Relaxed, Relaxed);
        level_fence();

        let header = Header::new(Kind::Delta, len, 0);
        let start = Pos::new(seq, found.page(), 0, FIRST);
        let end = Pos(start.0 + (header.words() as u64 | ENTRY));
        self.write.compare_exchange(at.0, end.0, Relaxed, Relaxed).map_err(|_| Miss::Again)?;
        left.end().store(at.0, Relaxed);
        page.word(FIRST).store(header.0, Relaxed);
        if left.commit().load(Relaxed) == at.0 {
            // Nobody is below us: the page we left is complete.
            self.open(left, at, page, start, seq);
        }
        Ok(Reservation { ring: self, page, start, end, len, stays: PhantomData })
    }

    /// Moves the commit position from the end of a page to the start of the next. Outermost level only.
    fn open(&self, left: Page<'_>, end: Pos, page: Page<'_>, start: Pos, seq: u64) {
        page.index().store(left.events_before(end), Relaxed);
        // Release: a reader that sees the new number sees the last commit of the page before and this index.
        self.commit_seq.store(seq, Release);
        level_fence();
        // Last: as soon as this equals `write`, an inner level publishes for itself.
        page.commit().store(start.0, Release);
    }

    /// Publishes what inner levels left behind `done`, to which the caller, the outermost level, has published.
    #[cold]
    #[inline(never)]
    pub(super) fn publish_rest<'a>(&'a self, mut page: Page<'a>, mut done: Pos) {
        // Each round publishes more; it ends when no inner level came during the last.
        loop {
            // The position first: if it is ahead and, looked at after that, the commit is still ours, then it was ahead
            // of the commit, and from then on no inner level can be the outermost. The other way round, one
            // could come in between, publish everything itself, and be published once more.
            let at = Pos(self.write.load(Relaxed));
            if at == done {
                return;
            }
            level_fence();
            let seq = page.seq().load(Relaxed);
            if page.commit().load(Relaxed) != done.0 || self.commit_seq.load(Relaxed) != seq {
                return;
            }
            if at.same_page(done) {
                page.commit().store(at.0, Release);
                done = at;
            } else {
                // Left by an inner level, which has long returned: its note is there.
                let end = Pos(page.end().load(Relaxed));
                page.commit().store(end.0, Release);
                // Readers take no page behind the commit position: the next one is still in its slot.
                let Some(id) = self.slot(seq + 1).map(|slot| Slot(slot.load(Relaxed)).page()) else { return };
                let Some(next) = self.page(id) else { return };
                done = Pos::new(seq + 1, id, 0, FIRST);
                self.open(page, end, next, done, seq + 1);
                page = next;
            }
            level_fence();
        }
    }
}
