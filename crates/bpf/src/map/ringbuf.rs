//! Ring buffers: records of any length from all CPUs, in the order in which they were begun.
//!
//! ```text
//!            consumer                     producer                (positions grow without end)
//!               ▼                            ▼
//!   │ free      │ record │ record │ BUSY …   │ free         │ run-over …  │
//!   0           each: │ length, BUSY, DISCARD : 32 │ place : 32 │ data … │  size        2 × size
//! ```
//!
//! | step | does |
//! |---|---|
//! | reserve | moves `producer` on by one compare-and-exchange; the header says BUSY |
//! | submit, discard | stores the header without BUSY |
//! | take | reads the record at `consumer` unless it is BUSY, sets its words to 0, moves `consumer` on |
//!
//! Positions, headers and flags are those of Linux's `bpf_ringbuf`. It has a lock around reserve; here a header of 0 says that its
//! record was just begun, for which the reader leaves zeros behind. So nothing waits, and a breakpoint in the middle of a
//! reserve can reserve too.
//!
//! A record lies in one piece: one that begins before the end of the ring runs over it. Linux maps the ring twice for
//! that; here the memory behind it is there and used by nothing else.

use core::sync::atomic::{AtomicU64, Ordering};

use super::cells::Cells;
use super::def::MapDef;
use super::error::MapError;

/// In a header: not submitted yet.
pub const BUSY: u32 = 1 << 31;
/// In a header: to be skipped.
pub const DISCARD: u32 = 1 << 30;
/// Bytes of a header.
pub const HEADER_BYTES: u64 = 8;
/// Bytes of a record at most: what a header can say.
pub const RECORD_MAX: u64 = (DISCARD as u64 - 1) & !7;

/// What `ringbuf_query` is asked (`BPF_RB_*`).
pub mod query {
    /// Bytes not read yet.
    pub const AVAIL_DATA: u64 = 0;
    /// Its size.
    pub const RING_SIZE: u64 = 1;
    /// The reader's position.
    pub const CONS_POS: u64 = 2;
    /// The writers' position.
    pub const PROD_POS: u64 = 3;
}

/// Words before the data.
const FRONT: usize = 8;
const CONSUMER: usize = 0;
const PRODUCER: usize = 1;
const DROPPED: usize = 2;
const READER: usize = 3;

pub(crate) struct Ring {
    mask: u64,
    pub(super) cells: Cells,
}

/// The header of a record that is done with: what to store in its place, with `Release`.
#[inline(always)]
pub const fn finished(header: u64, discard: bool) -> u64 {
    let header = header & !(BUSY as u64);
    if discard { header | DISCARD as u64 } else { header }
}

/// Words of memory for a ring of so many bytes.
pub(crate) const fn words_for(size: u32) -> usize {
    FRONT + 2 * (size as usize / 8)
}

impl Ring {
    pub(crate) fn new(def: &MapDef) -> Result<Self, MapError> {
        Ok(Self { mask: u64::from(def.max_entries) - 1, cells: Cells::new(words_for(def.max_entries))? })
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.cells.get(at)
    }

    /// Where the header at this position lies.
    #[inline(always)]
    fn place(&self, position: u64) -> usize {
        FRONT + ((position & self.mask) >> 3) as usize
    }

    /// A place for `size` bytes: the word where its data begin, behind its header.
    #[inline(always)]
    fn begin(&self, size: u64) -> Option<usize> {
        if size > RECORD_MAX {
            return self.drop_one();
        }
        let length = (size + HEADER_BYTES + 7) & !7;
        let (consumer, producer) = (self.word(CONSUMER)?, self.word(PRODUCER)?);
        loop {
            // In this order: the producer is never behind a consumer that was seen before.
            let read = consumer.load(Ordering::Acquire);
            let written = producer.load(Ordering::Relaxed);
            if written.wrapping_sub(read) + length > self.mask {
                return self.drop_one();
            }
            let next = written.wrapping_add(length);
            if producer.compare_exchange_weak(written, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                let at = self.place(written);
                let header = (at as u64) << 32 | u64::from(BUSY) | size;
                self.word(at)?.store(header, Ordering::Relaxed);
                return Some(at + 1);
            }
        }
    }

    // Not generic: it is compiled here, and not into who calls it.
    #[cold]
    #[inline(never)]
    fn drop_one(&self) -> Option<usize> {
        self.word(DROPPED)?.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// The address of `size` bytes for a record.
    #[inline(always)]
    pub(crate) fn reserve(&self, size: u64) -> Option<u64> {
        self.begin(size).map(|at| self.cells.addr(at))
    }

    /// A whole record.
    #[inline(always)]
    pub(crate) fn output(&self, data: &[u8]) -> Result<(), MapError> {
        let at = self.begin(data.len() as u64).ok_or(MapError::NoSpace)?;
        self.cells.write(at, data);
        self.finish(at - 1, false);
        Ok(())
    }

    /// A whole record of words.
    #[inline(always)]
    pub(crate) fn output_words(&self, data: &[u64]) -> Result<(), MapError> {
        let at = self.begin(8 * data.len() as u64).ok_or(MapError::NoSpace)?;
        self.cells.write_words(at, data);
        self.finish(at - 1, false);
        Ok(())
    }

    /// A whole record: a word, and then data.
    #[inline(always)]
    pub(crate) fn output_stamped(&self, stamp: u64, data: &[u8]) -> Result<(), MapError> {
        let at = self.begin((data.len() as u64).saturating_add(8)).ok_or(MapError::NoSpace)?;
        if let Some(word) = self.word(at) {
            word.store(stamp, Ordering::Relaxed);
        }
        self.cells.write(at + 1, data);
        self.finish(at - 1, false);
        Ok(())
    }

    #[inline(always)]
    fn finish(&self, header: usize, discard: bool) {
        if let Some(word) = self.word(header) {
            word.store(finished(word.load(Ordering::Relaxed), discard), Ordering::Release);
        }
    }

    /// Ends the record whose data are at this address, if there is one under way.
    pub(crate) fn end(&self, addr: u64, discard: bool) -> Result<(), MapError> {
        let offset = self.cells.offset_of(addr, 0).ok_or(MapError::Invalid)?;
        let header = (offset / 8).checked_sub(1).filter(|at| *at >= FRONT).ok_or(MapError::Invalid)?;
        let word = self.word(header).ok_or(MapError::Invalid)?.load(Ordering::Relaxed);
        if !offset.is_multiple_of(8) || word >> 32 != header as u64 || word as u32 & BUSY == 0 {
            return Err(MapError::Invalid);
        }
        self.finish(header, discard);
        Ok(())
    }

    fn position(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    pub(crate) fn query(&self, what: u64) -> u64 {
        match what {
            query::AVAIL_DATA => {
                let read = self.position(CONSUMER);
                self.position(PRODUCER).wrapping_sub(read)
            }
            query::RING_SIZE => self.mask + 1,
            query::CONS_POS => self.position(CONSUMER),
            query::PROD_POS => self.position(PRODUCER),
            _ => 0,
        }
    }

    /// How many records were not written for want of room.
    pub(crate) fn dropped(&self) -> u64 {
        self.position(DROPPED)
    }

    /// Takes the next record out: as much of it as `out` has room for, and its length. None when there is none that is
    /// complete; [`MapError::Busy`] when somebody else reads.
    pub(crate) fn take(&self, out: &mut [u8]) -> Result<Option<usize>, MapError> {
        let Some(reader) = self.word(READER) else { return Ok(None) };
        if reader.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(MapError::Busy);
        }
        let taken = self.take_alone(out);
        reader.store(0, Ordering::Release);
        Ok(taken)
    }

    fn take_alone(&self, out: &mut [u8]) -> Option<usize> {
        loop {
            let read = self.position(CONSUMER);
            if read == self.position(PRODUCER) {
                return None;
            }
            let at = self.place(read);
            let header = self.word(at)?.load(Ordering::Acquire);
            if header == 0 || header as u32 & BUSY != 0 {
                return None;
            }
            let size = u64::from(header as u32 & !DISCARD) as usize;
            let length = (size + HEADER_BYTES as usize + 7) & !7;
            let wanted = header as u32 & DISCARD == 0;
            if wanted {
                let room = out.len().min(size);
                self.cells.read(at + 1, out.get_mut(..room)?);
            }
            self.cells.clear(at, length / 8);
            self.word(CONSUMER)?.store(read.wrapping_add(length as u64), Ordering::Release);
            if wanted {
                return Some(size);
            }
        }
    }
}
