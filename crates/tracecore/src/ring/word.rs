//! The three packed words: a writer's position, a slot of the ring, the header of a record.
//!
//! ```text
//! Pos     63            35 34          19 18         10  9  8           0
//!        ┌────────────────┬──────────────┬─────────────┬───┬─────────────┐
//!        │ lap (low bits  │ page in      │ entries in  │ 0 │ offset in   │   the field widths of 4 KiB pages;
//!        │ of page seq.)  │ memory       │ this page   │   │ words       │   smaller pages have smaller ones
//!        └────────────────┴──────────────┴─────────────┴───┴─────────────┘
//! Slot    sequence number of the page : 47 │ page in memory : 16 │ taken by the reader : 1
//! Header  time since the page's base : 50 │ kind : 2 │ payload length in bytes : 12
//! ```
//!
//! A position is one word so that one compare-exchange moves the offset and counts the entry. Bit 9 is a guard:
//! adding a record that does not fit carries into it, and one bit test is the whole bounds check. The last word
//! of a page is therefore never part of a record, and the page keeps a counter there.

use crate::ring_env::OFF_BITS;

/// Words in a page.
pub(crate) const PAGE_WORDS: usize = 1 << OFF_BITS;
const OFF_MASK: u64 = (1 << OFF_BITS) - 1;
/// Set in a sum of position and record size when the record does not fit.
pub(crate) const GUARD: u64 = 1 << OFF_BITS;
const ENTRY_SHIFT: u32 = OFF_BITS + 1;
/// What one entry adds to a position, beside its size in words.
pub(crate) const ENTRY: u64 = 1 << ENTRY_SHIFT;
const PAGE_SHIFT: u32 = ENTRY_SHIFT + OFF_BITS;
const PAGE_BITS: u32 = 16;
const PAGE_MASK: u64 = (1 << PAGE_BITS) - 1;
const LAP_SHIFT: u32 = PAGE_SHIFT + PAGE_BITS;
/// Pages that one ring can have, the reader's included.
pub(crate) const MAX_PAGE_IDS: usize = 1 << PAGE_BITS;

/// A writer's position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pos(pub(crate) u64);

impl Pos {
    pub(crate) const fn new(seq: u64, page: usize, entries: u64, off: usize) -> Self {
        Self(seq << LAP_SHIFT | (page as u64) << PAGE_SHIFT | entries << ENTRY_SHIFT | off as u64)
    }

    pub(crate) const fn off(self) -> usize {
        (self.0 & OFF_MASK) as usize
    }

    pub(crate) const fn entries(self) -> u64 {
        self.0 >> ENTRY_SHIFT & OFF_MASK
    }

    pub(crate) const fn page(self) -> usize {
        (self.0 >> PAGE_SHIFT & PAGE_MASK) as usize
    }

    pub(crate) const fn same_page(self, other: Self) -> bool {
        (self.0 ^ other.0) >> PAGE_SHIFT == 0
    }
}

/// A slot: which page of the sequence it holds, where in memory that is, and whether the reader has taken the
/// events away and left an empty page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    pub(crate) const fn new(seq: u64, page: usize, taken: bool) -> Self {
        Self(seq << (PAGE_BITS + 1) | (page as u64) << 1 | taken as u64)
    }

    pub(crate) const fn seq(self) -> u64 {
        self.0 >> (PAGE_BITS + 1)
    }

    pub(crate) const fn page(self) -> usize {
        (self.0 >> 1 & PAGE_MASK) as usize
    }

    pub(crate) const fn taken(self) -> bool {
        self.0 & 1 != 0
    }
}

const LEN_BITS: u32 = 12;
const LEN_MASK: u64 = (1 << LEN_BITS) - 1;
const KIND_SHIFT: u32 = LEN_BITS;
/// Where the time delta lies in a header.
pub(crate) const DELTA_SHIFT: u32 = LEN_BITS + 2;
/// The largest delta a header can hold: 13 days of nanoseconds.
pub(crate) const MAX_DELTA: u64 = u64::MAX >> DELTA_SHIFT;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An event; its time is the page's base plus the delta.
    Delta = 0,
    /// An event whose time follows the payload, whole.
    Absolute = 1,
    /// A discarded event that could not be taken back because others lie behind it.
    Padding = 2,
}

/// The first word of a record.
#[derive(Clone, Copy)]
pub(crate) struct Header(pub(crate) u64);

impl Header {
    pub(crate) const fn new(kind: Kind, len: usize, delta: u64) -> Self {
        Self(delta << DELTA_SHIFT | (kind as u64) << KIND_SHIFT | len as u64)
    }

    pub(crate) const fn kind(self) -> Kind {
        match self.0 >> KIND_SHIFT & 3 {
            0 => Kind::Delta,
            1 => Kind::Absolute,
            _ => Kind::Padding,
        }
    }

    /// The same record as padding; an absolute time becomes part of the bytes to skip.
    pub(crate) const fn to_padding(self) -> Self {
        let words = self.words();
        Self::new(Kind::Padding, (words - 1) * 8, 0)
    }

    pub(crate) const fn len(self) -> usize {
        (self.0 & LEN_MASK) as usize
    }

    pub(crate) const fn delta(self) -> u64 {
        self.0 >> DELTA_SHIFT
    }

    /// Where an absolute time lies in its record, in words: behind header and payload.
    pub(crate) const fn time_at(self) -> usize {
        1 + self.len().div_ceil(8)
    }

    /// Size of the whole record in words.
    pub(crate) const fn words(self) -> usize {
        self.time_at() + matches!(self.kind(), Kind::Absolute) as usize
    }
}
