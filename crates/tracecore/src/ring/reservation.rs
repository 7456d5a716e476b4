//! A record between reserve and commit.

use core::{fmt, marker::PhantomData, mem};

use super::{
    CpuRing, level_fence,
    page::Page,
    word::{Header, Pos},
};
use crate::ring_env::Ordering::{Relaxed, Release};

/// Room in the ring for one record. Filled with the `put` functions, then [committed](Self::commit); dropped
/// without that, it is discarded.
///
/// Bytes that are not put are whatever an older record left there.
///
/// It must be committed or dropped on the CPU that reserved it, before anything that was reserved earlier
/// on that CPU is, and with preemption held off in between.
#[must_use = "a record that is not committed is discarded"]
pub struct Reservation<'a> {
    pub(super) ring: &'a CpuRing,
    pub(super) page: Page<'a>,
    /// The position before the record, on the record's page.
    pub(super) start: Pos,
    /// The position behind it.
    pub(super) end: Pos,
    /// Length of the payload in bytes.
    pub(super) len: usize,
    /// Levels are a matter of one CPU: not `Send`.
    pub(super) stays: PhantomData<*const ()>,
}

impl Reservation<'_> {
    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to fill.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Offset of the payload in its page, in words.
    #[inline(always)]
    fn payload(&self) -> usize {
        self.start.off() + 1
    }

    /// Puts a little-endian word at a byte offset. False, and nothing is put, if it does not lie inside.
    #[inline(always)]
    pub fn put_u64(&self, offset: usize, value: u64) -> bool {
        if !offset.is_multiple_of(8) {
            return self.put_bytes(offset, &value.to_le_bytes());
        }
        let inside = offset.checked_add(8).is_some_and(|end| end <= self.len);
        if inside {
            self.page.word(self.payload() + offset / 8).store(value.to_le(), Relaxed);
        }
        inside
    }

    /// Puts a little-endian half word at a byte offset. False, and nothing is put, if it does not lie inside.
    pub fn put_u32(&self, offset: usize, value: u32) -> bool {
        self.put_bytes(offset, &value.to_le_bytes())
    }

    /// Puts words from the start on. False, and nothing is put, if they do not fit.
    #[inline(always)]
    pub fn put_words(&self, words: &[u64]) -> bool {
        let fits = words.len() <= self.len / 8;
        if fits {
            for (i, word) in words.iter().enumerate() {
                self.page.word(self.payload() + i).store(word.to_le(), Relaxed);
            }
        }
        fits
    }

    /// Puts bytes at a byte offset. False, and nothing is put, if they do not lie inside.
    pub fn put_bytes(&self, offset: usize, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.len) {
            return false;
        }
        let mut word = self.payload() + offset / 8;
        // Up to a word boundary, whole words, and the rest; the partial words keep their other bytes.
        let (head, bytes) = bytes.split_at(bytes.len().min((8 - offset % 8) % 8));
        if !head.is_empty() {
            self.merge(word, offset % 8, head);
            word += 1;
        }
        let (chunks, tail) = bytes.as_chunks::<8>();
        for chunk in chunks {
            self.page.word(word).store(u64::from_ne_bytes(*chunk), Relaxed);
            word += 1;
        }
        if !tail.is_empty() {
            self.merge(word, 0, tail);
        }
        true
    }

    /// Puts a word at an offset in words, for a caller that has reserved as many: only this is not checked again.
    #[inline(always)]
    pub(crate) fn put_own(&self, index: usize, value: u64) {
        debug_assert!(index < self.len / 8);
        self.page.word(self.payload() + index).store(value.to_le(), Relaxed);
    }

    /// Puts the low `len` bytes of a value, at most eight, at a byte offset. False, and nothing is put, if they do not
    /// lie inside.
    #[inline(always)]
    pub fn put_low(&self, offset: usize, len: usize, value: u64) -> bool {
        if len > 8 || offset.checked_add(len).is_none_or(|end| end > self.len) {
            return false;
        }
        let mask = u64::MAX.checked_shr(64 - 8 * len as u32).unwrap_or(0);
        let (word, shift) = (self.payload() + offset / 8, offset % 8 * 8);
        self.put_masked(word, value << shift, mask << shift);
        if shift + 8 * len > 64 {
            self.put_masked(word + 1, value >> (64 - shift), mask >> (64 - shift));
        }
        true
    }

    /// Replaces the bits of a word that the mask has. Nobody else writes there: the record is ours.
    #[inline(always)]
    fn put_masked(&self, word: usize, value: u64, mask: u64) {
        let word = self.page.word(word);
        let old = u64::from_le(word.load(Relaxed));
        word.store((old & !mask | value & mask).to_le(), Relaxed);
    }

    /// Puts a text from a word's offset on, a line end if it has none, and a NUL: by words, of which the last is filled up
    /// with NULs. False, and nothing is put, if that does not lie inside.
    pub fn put_line(&self, offset: usize, text: &[u8]) -> bool {
        let line_end = !text.ends_with(b"\n");
        let len = text.len() + usize::from(line_end) + 1;
        if !offset.is_multiple_of(8) || offset.checked_add(len).is_none_or(|end| end > self.len) {
            return false;
        }
        let mut at = self.payload() + offset / 8;
        let (chunks, rest) = text.as_chunks::<8>();
        for chunk in chunks {
            self.page.word(at).store(u64::from_ne_bytes(*chunk), Relaxed);
            at += 1;
        }
        let mut last = if line_end { u64::from(b'\n') } else { 0 };
        for byte in rest.iter().rev() {
            last = last << 8 | u64::from(*byte);
        }
        self.page.word(at).store(last.to_le(), Relaxed);
        if rest.len() == 7 && line_end {
            self.page.word(at + 1).store(0, Relaxed);
        }
        true
    }

    /// Replaces some bytes of a word. Nobody else writes there: the record is ours.
    fn merge(&self, word: usize, at: usize, bytes: &[u8]) {
        let word = self.page.word(word);
        let mut all = word.load(Relaxed).to_ne_bytes();
        for (old, new) in all.iter_mut().skip(at).zip(bytes) {
            *old = *new;
        }
        word.store(u64::from_ne_bytes(all), Relaxed);
    }

    /// The word that was put at a word's offset; 0 behind the end.
    #[inline(always)]
    pub fn get_word(&self, index: usize) -> u64 {
        if index < self.len.div_ceil(8) {
            u64::from_le(self.page.word(self.payload() + index).load(Relaxed))
        } else {
            0
        }
    }

    /// Takes the record back: as if it had been dropped, but nobody misses it, so it is not counted as discarded.
    #[inline(always)]
    pub fn withdraw(self) {
        self.take_back();
        mem::forget(self);
    }

    /// Makes the record complete.
    #[inline(always)]
    pub fn commit(self) {
        self.publish();
        mem::forget(self);
    }

    /// Makes room for others again.
    #[inline(always)]
    fn take_back(&self) {
        // Nothing behind it: as if it had never been. Its page was not left, so `start` is a position that `write`
        // had, and no level that is still running has seen another in between without failing its exchange later.
        if self.ring.write.compare_exchange(self.end.0, self.start.0, Relaxed, Relaxed).is_ok() {
            // On a fresh page after a crossing by an inner level there may be nothing to publish, or records of
            // levels that relied on this one.
            return;
        }
        let header = self.page.word(self.start.off());
        header.store(Header(header.load(Relaxed)).to_padding().0, Relaxed);
        self.page.padding().fetch_add(1, Relaxed);
        self.publish();
    }

    /// See [the module](super): only the outermost level publishes.
    #[inline(always)]
    fn publish(&self) {
        // Relaxed: this CPU's levels alone write commit words.
        if self.page.commit().load(Relaxed) != self.start.0 {
            return;
        }
        // Release: a reader that sees this position sees the records before it.
        self.page.commit().store(self.end.0, Release);
        // A level that came before the store saw that it was not the outermost and left its records to us; one
        // that comes after it publishes its own. So the position is looked at after the store.
        level_fence();
        if self.ring.write.load(Relaxed) != self.end.0 {
            self.ring.publish_rest(self.page, self.end);
        }
    }
}

impl Drop for Reservation<'_> {
    /// Discards the record.
    fn drop(&mut self) {
        self.ring.counters.discarded.add(1);
        self.take_back();
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("len", &self.len).finish_non_exhaustive()
    }
}
