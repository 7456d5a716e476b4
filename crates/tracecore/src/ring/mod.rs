//! The trace ring: what a probe writes into and every reader reads from. One per CPU.
//!
//! # Pages
//!
//! A ring of `n` slots holds `n` pages of 4 KiB, and the reader has one more. Pages are numbered as they are
//! opened, without end; page `s` of that sequence lies in slot `s mod n`. The writer fills a page, goes to the
//! next slot, and takes the page that it finds there, with the oldest events of the ring in it (overwrite) or
//! not at all (discard newest). The reader takes a whole page out of its slot and leaves its own, empty, in its
//! place. Each slot is one word that says which page it holds, so *one compare-exchange on that word* decides
//! whether the events of a page are read or overwritten. That is where the accounting gets exact: every
//! page is counted by the one who won it.
//!
//! ```text
//!            slot 0        slot 1        slot 2        slot 3              the reader
//!          ┌────────┐    ┌────────┐    ┌────────┐    ┌────────┐           ┌────────┐
//!          │ seq 12 │    │ seq 13 │    │ seq 10 │    │ seq 11 │           │ seq  9 │
//!          │ full   │    │ ▒▒▒    │    │ full   │    │ full   │           │ ▒▒▒▒▒  │
//!          └────────┘    └────────┘    └────────┘    └────────┘           └────────┘
//!                            ▲ write, commit ▲ the oldest                      ▲ reads on from here
//! ```
//!
//! The states of a slot, as the next user of it sees them (`s` is the page to be opened):
//!
//! ```text
//!                      ┌──── writer, 4 ────────────────────────────────┐
//!                      ▼                                               │
//!   ┌──────────┐ 1  ┌─────────┐ 2 ┌───────────┐ 3 ┌────────────┐    ┌──┴───────────────┐
//!   │ taken,   ├───▶│ claimed │──▶│ written,  │──▶│ closed,    │    │ closed, seq s    │
//!   │ seq s-n  │    │ seq s   │   │ committed │   │ seq s      ├───▶│ = s' - n, opened │
//!   └──────────┘    └─────────┘   └─────┬─────┘   └─────┬──────┘    │ again for s'     │
//!        ▲                              │ 5             │ 5         └──────────────────┘
//!        └──── reader: takes the page, leaves an empty one, tag stays ─┘
//!   1, 4  writer: compare-exchange of the slot word; 4 counts the events of the page as overrun
//!   2     writer: position moves to the page (compare-exchange); the first commit makes events visible
//!   3     writer: position has left the page and all of it is committed
//!   5     reader: compare-exchange of the slot word; the writer may still be writing on the page, and goes on
//! ```
//!
//! A page that the reader took while the writer was on it stays in use by both: the writer appends, the reader
//! follows the commit word. So a reader gets each event as soon as it is committed, not when a page is full.
//!
//! # The writer
//!
//! Only its own CPU writes to a ring, but in levels: a task is interrupted by a softirq, that by an interrupt,
//! that by an exception. Levels nest strictly, as a stack. No level can wait for one that it interrupted, so
//! nothing is locked. Two positions tell the whole story:
//!
//! ```text
//!      commit            task        irq          exception      write
//!        ▼                ▼ reserved  ▼ complete   ▼ complete     ▼
//!   ─────┬────────────────┬───────────┬────────────┬──────────────┬──────────────▶
//!        │ complete       │ not yet complete: nothing from here on is visible
//! ```
//!
//! * *reserve* moves `write` by one compare-exchange, from the value that was there before the time was taken.
//!   If another level reserved in between, the exchange fails and everything is done again, the time too. So the
//!   order of records is the order of their times.
//! * *commit*: a level that found `write == commit` when it reserved is the outermost. It alone moves `commit`,
//!   over its own record and all that were nested behind it: those are complete, since levels nest. If it finds
//!   that `write` moved on while it published, it publishes again. A level that is not the outermost has nothing
//!   to do at all. Which one it is can be seen at commit time: `commit` stands at the record's start for as long
//!   as the outermost is not done.
//! * *discard* moves `write` back if nothing lies behind the record, else makes the record padding.
//!
//! The number of tries is bounded; a failed try means that an interrupting level got its record in. A crossing
//! from page to page is prepared by steps that each level can do, in part or whole, over the head of another:
//! each is a compare-exchange against a value read before the position was, and the last is the move of the
//! position, with the crossing record already reserved (see the head of `write.rs`).
//!
//! # Time
//!
//! A header holds the time since the base of its page, not since the event before: so no event depends on
//! another one, and a nested level needs no account of what the levels below it were about to write. A delta has
//! 50 bits; a longer one (13 days of nanoseconds on one page) makes a record with an absolute time.
//!
//! # Memory ordering
//!
//! All levels run on one CPU, which sees its own accesses in program order; between levels `Relaxed` is enough
//! as long as the compiler keeps the order, which `level_fence` says where it matters. Other CPUs see
//! records only through these edges:
//!
//! | release | acquire | what is carried |
//! |---|---|---|
//! | commit word of a page, by the outermost level | reader's load of it | records before it |
//! | `commit_seq`, after a page was closed | reader's load of it | final commit word, index of the next page |
//! | slot word, by the reader leaving its page | writer's load of it | reader is done with that page |
//! | fence after the page's tag was changed | reader's fence before it looks at the tag again | a reader that saw anything of the new use sees the new tag |
//! | the page's tag | reader's load of it | how far the commit position had come when the page was used again |
//!
//! The last two lines are for [`Cursor`]s, which look at pages they do not own: they copy, then check the tag.
//!
//! # Accounting
//!
//! `written = read + overrun + erased + entries`, exactly, whenever the writer stands still; what was refused
//! is in `dropped_events` (ring full in discard-newest mode), `commit_overrun` (nested levels filled the whole
//! ring before the outermost was done), `too_long`, `contended` (out of tries) and `discarded`.
//!
//! # What it costs
//!
//! The way taken by nearly all events, [`CpuRing::reserve`] and [`Reservation::commit`], touches the position,
//! the page's base and its commit word, and has one exclusive pair; all else is behind one branch.

mod look;
mod merge;
mod page;
mod read;
mod reservation;
mod resize;
mod stats;
mod switch;
mod word;
mod write;

pub use look::Cursor;
pub use merge::{Lane, next_of};
pub use read::{Reader, Record};
pub use reservation::Reservation;
pub use stats::{Stats, Totals};

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::ring_env::{
    Ordering::{Acquire, Relaxed},
    Word,
};
use page::{FIRST, Page, PageWords};
use read::ReadState;
use stats::Counters;
use word::{MAX_PAGE_IDS, PAGE_WORDS, Pos, Slot};

/// Bytes in a page, the unit in which rings grow.
pub const PAGE_BYTES: usize = PAGE_WORDS * 8;
/// The longest record.
pub const MAX_RECORD_BYTES: usize = page::MAX_PAYLOAD_BYTES;
/// The fewest pages of a ring: one to write on while another one is kept.
pub const MIN_PAGES: usize = 2;
/// The most pages of a ring: 256 MiB. The reader's page takes one more number.
pub const MAX_PAGES: usize = MAX_PAGE_IDS - 1;
/// Number of the first page of every ring: the number of one round before is a number too, and the same in a ring of
/// another size.
const FIRST_SEQ: u64 = MAX_PAGES as u64;

/// What happens when the ring is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The oldest events make room.
    Overwrite,
    /// New events are dropped until a reader makes room.
    DiscardNewest,
}

/// Why nothing was reserved. Each but `Off` is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Recording is switched off.
    Off,
    /// Longer than [`MAX_RECORD_BYTES`].
    TooLong,
    /// The ring is full and keeps what it has.
    Full,
    /// Nested levels filled the ring while an outer record is not complete.
    CommitPending,
    /// Interrupting levels got their records in between at every try.
    Contended,
    /// The ring was just being replaced by one of another size, which counts this as dropped.
    Moved,
}

/// Why a ring was not made or resized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeError {
    /// Fewer than [`MIN_PAGES`] or more than [`MAX_PAGES`].
    OutOfRange,
    /// No memory.
    NoMemory,
    /// A record is being written.
    Busy,
}

/// The ring of one CPU. Only that CPU reserves, from any level; anyone may read.
#[repr(C)] // `write` first: an exclusive access has no offset, and this saves the instruction that would add one.
pub struct CpuRing {
    /// Where the next record goes; a [`Pos`]. Only the ring's own CPU uses it while records are written.
    write: Word,
    /// One more than the longest record while recording is on and nobody is to be woken, else 0: one comparison asks
    /// all three questions.
    limit: Word,
    /// What `limit` follows from: bits of `switch`.
    state: Word,
    /// Called when there is something to read for one who waits.
    wake: Option<fn()>,
    /// All pages, the reader's too, each an allocation of its own: a ring needs no large piece of memory.
    memory: Box<[Box<PageWords>]>,
    /// Sequence number of the page in which the commit position stands.
    commit_seq: Word,
    /// Nonzero: discard newest.
    discard: Word,
    /// A [`Slot`] for each page but the reader's.
    slots: Box<[Word]>,
    counters: Counters,
    reading: ReadState,
}

/// Keeps the compiler from moving accesses across. For the levels of one CPU that is all there is to order.
#[inline(always)]
fn level_fence() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// `len` zeroed words.
fn zeroed(len: usize) -> Result<Box<[Word]>, SizeError> {
    let mut words = Vec::new();
    words.try_reserve_exact(len).map_err(|_| SizeError::NoMemory)?;
    words.extend((0..len).map(|_| Word::new(0)));
    Ok(words.into_boxed_slice())
}

/// `count` pages of zeroes.
fn pages_of_memory(count: usize) -> Result<Box<[Box<PageWords>]>, SizeError> {
    let mut pages = Vec::new();
    pages.try_reserve_exact(count).map_err(|_| SizeError::NoMemory)?;
    for _ in 0..count {
        pages.push(zeroed(PAGE_WORDS)?.try_into().map_err(|_| SizeError::NoMemory)?);
    }
    Ok(pages.into_boxed_slice())
}

impl CpuRing {
    /// A ring of `pages` pages, empty and switched on. Takes one page more, for the reader.
    pub fn new(pages: usize, mode: Mode) -> Result<Self, SizeError> {
        if !(MIN_PAGES..=MAX_PAGES).contains(&pages) {
            return Err(SizeError::OutOfRange);
        }
        let first = FIRST_SEQ;
        let ring = Self {
            limit: Word::new(0),
            state: Word::new(0),
            wake: None,
            write: Word::new(Pos::new(first, 0, 0, FIRST).0),
            memory: pages_of_memory(pages + 1)?,
            commit_seq: Word::new(first),
            discard: Word::new(0),
            slots: zeroed(pages)?,
            counters: Counters::default(),
            reading: ReadState::new(pages, first),
        };
        ring.clear_slots(first);
        if let (Some(slot), Some(page)) = (ring.slot(first), ring.page(0)) {
            slot.store(Slot::new(first, 0, false).0, Relaxed);
            page.seq().store(first, Relaxed);
            page.commit().store(Pos::new(first, 0, 0, FIRST).0, Relaxed);
        }
        ring.set_mode(mode);
        ring.set_on(true);
        Ok(ring)
    }

    /// Makes every slot empty, at the number that the round before gave it; page `last` will lie in the first page of
    /// memory.
    fn clear_slots(&self, last: u64) {
        let pages = self.slots.len() as u64;
        for (id, seq) in (last..last + pages).enumerate() {
            let Some(slot) = self.slot(seq) else { continue };
            slot.store(Slot::new(if seq == last { last } else { seq - pages }, id, true).0, Relaxed);
        }
    }

    /// Sets what happens when the ring is full; counts from the next crossing of a page.
    pub fn set_mode(&self, mode: Mode) {
        self.discard.store((mode == Mode::DiscardNewest) as u64, Relaxed);
    }

    /// What happens when the ring is full.
    pub fn mode(&self) -> Mode {
        if self.discard.load(Relaxed) == 0 { Mode::Overwrite } else { Mode::DiscardNewest }
    }

    /// Size in pages, without the reader's.
    pub fn pages(&self) -> usize {
        self.slots.len()
    }

    /// The page of that number in memory. Numbers come from positions and slots and are never out of range;
    /// should one be, the caller refuses or ends, and nothing panics.
    #[inline(always)]
    fn page(&self, id: usize) -> Option<Page<'_>> {
        self.memory.get(id).map(|page| Page(page))
    }

    /// The slot of a page of the sequence.
    fn slot(&self, seq: u64) -> Option<&Word> {
        self.slots.get(seq.checked_rem(self.slots.len() as u64)? as usize)
    }

    /// The right to read, of which there is one: `None` while someone else has it.
    pub fn reader(&self) -> Option<Reader<'_>> {
        self.reading.lock.compare_exchange(0, 1, Acquire, Relaxed).is_ok().then(|| Reader::new(self))
    }
}

impl fmt::Debug for CpuRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuRing")
            .field("pages", &self.pages())
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}
