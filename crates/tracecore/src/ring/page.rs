//! One page of ring memory.
//!
//! ```text
//! word 0    commit: the position up to which every record is complete; offset 0 = not opened yet
//!      1    sequence number of the page; the tag by which a reader sees that the page was used again
//!      2    base: the time that the deltas of this page are added to
//!      3    index: how many events of this ring were complete before this page
//!      4    end: the position at which the writer left the page
//!      5 …  records, each a header word and its payload
//!   last    padding: sequence number and count of discarded records on this page
//! ```

use super::word::{MAX_PAGE_IDS, PAGE_WORDS, Pos};
use crate::ring_env::{Ordering::Relaxed, Word};

/// Where records begin.
pub(crate) const FIRST: usize = 5;
/// The longest payload: what an otherwise empty page holds, beside a header and an absolute time.
pub(crate) const MAX_PAYLOAD_BYTES: usize = (PAGE_WORDS - 1 - FIRST - 2) * 8;
/// How many padding records a page can count.
const PADDING_BITS: u32 = 16;

/// The memory of one page.
pub(crate) type PageWords = [Word; PAGE_WORDS];

/// One page, by its words.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a>(pub(crate) &'a PageWords);

impl<'a> Page<'a> {
    pub(crate) fn commit(self) -> &'a Word {
        &self.0[0]
    }

    pub(crate) fn seq(self) -> &'a Word {
        &self.0[1]
    }

    pub(crate) fn base(self) -> &'a Word {
        &self.0[2]
    }

    pub(crate) fn index(self) -> &'a Word {
        &self.0[3]
    }

    pub(crate) fn end(self) -> &'a Word {
        &self.0[4]
    }

    pub(crate) fn padding(self) -> &'a Word {
        &self.0[PAGE_WORDS - 1]
    }

    /// A word by its offset. Masked, so that no offset read from memory can be out of bounds.
    pub(crate) fn word(self, off: usize) -> &'a Word {
        &self.0[off & (PAGE_WORDS - 1)]
    }

    /// Padding records on this page.
    pub(crate) fn paddings(self) -> u64 {
        self.padding().load(Relaxed) & ((1 << PADDING_BITS) - 1)
    }

    /// Events among the records up to `commit`.
    pub(crate) fn events(self, commit: Pos) -> u64 {
        commit.entries().saturating_sub(self.paddings())
    }

    /// Events of the ring up to `commit` on this page.
    pub(crate) fn events_before(self, commit: Pos) -> u64 {
        self.index().load(Relaxed).wrapping_add(self.events(commit))
    }
}

/// The padding word of a page that has just been opened.
pub(crate) const fn no_padding(seq: u64) -> u64 {
    seq << PADDING_BITS
}

const _: () = assert!(MAX_PAGE_IDS <= 1 << 16 && PAGE_WORDS < 1 << PADDING_BITS);
