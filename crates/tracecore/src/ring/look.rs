//! Looking without taking: cursors over a ring that its writer may be overwriting.

use super::{
    page::{FIRST, Page},
    read::{Reader, Record, time_of},
    word::{Header, Kind, Pos},
};
use crate::ring_env::Ordering::{Acquire, Relaxed};

/// A place in a ring. It holds nothing fast: what it points at may be read or overwritten meanwhile, and then it
/// goes on with the oldest event after it and says how many were missed.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    seq: u64,
    off: usize,
    /// Index of the next event if nothing is missed; not known at first, when nothing can be missed.
    next: Option<u64>,
    missed: u64,
}

/// An event that a cursor found: where, and what was seen there.
struct Found<'a> {
    page: Page<'a>,
    header: Header,
    ts: u64,
}

impl<'a> Reader<'a> {
    /// A cursor at the oldest event.
    pub fn cursor(&self) -> Cursor {
        let mut cursor = Cursor { seq: self.at.next, off: FIRST, next: None, missed: 0 };
        if self.at.seq != 0 {
            self.to_reader(&mut cursor);
        }
        cursor
    }

    /// Moves a cursor to the reader's place on the reader's page.
    fn to_reader(&self, cursor: &mut Cursor) {
        let next =
            self.page_of(self.at.seq).map(|page| page.index().load(Relaxed).wrapping_add(self.at.seen));
        if let (Some(before), Some(next)) = (cursor.next, next) {
            cursor.missed = cursor.missed.wrapping_add(next.wrapping_sub(before));
        }
        *cursor = Cursor { seq: self.at.seq, off: self.at.off, next, ..*cursor };
    }

    /// Copies the event at the cursor and moves behind it. False, and the record means nothing, if there is none.
    pub fn look(&self, cursor: &mut Cursor, record: &mut Record) -> bool {
        while let Some(Found { page, header, ts }) = self.find(cursor) {
            record.ts = ts;
            record.copy(page, cursor.off, header);
            if !self.still(page, cursor.seq) {
                continue;
            }
            record.lost = core::mem::take(&mut cursor.missed);
            cursor.off += header.words();
            cursor.next = cursor.next.map(|next| next.wrapping_add(1));
            return true;
        }
        false
    }

    /// Time of the event at the cursor.
    pub fn look_ts(&self, cursor: &mut Cursor) -> Option<u64> {
        self.find(cursor).map(|found| found.ts)
    }

    /// Moves the cursor to the next event that is there.
    fn find(&self, cursor: &mut Cursor) -> Option<Found<'a>> {
        loop {
            // In this order: if the page was closed, the commit read after that is the last one.
            let current = self.ring.commit_seq.load(Acquire);
            if cursor.seq > current {
                return None;
            }
            let Some(page) = self.page_of(cursor.seq) else {
                self.skip(cursor, current);
                continue;
            };
            let commit = Pos(page.commit().load(Acquire));
            let off = cursor.off;
            let header = Header(page.word(off).load(Relaxed));
            let ts = time_of(page, off, header);
            let index = page.index().load(Relaxed);
            let events = page.events_before(commit);
            if !self.still(page, cursor.seq) {
                self.skip(cursor, current);
                continue;
            }
            if off == FIRST {
                let next = cursor.next.replace(index).unwrap_or(index);
                cursor.missed = cursor.missed.wrapping_add(index.wrapping_sub(next));
            }
            if off < commit.off() {
                if header.kind() != Kind::Padding {
                    return Some(Found { page, header, ts });
                }
                cursor.off += header.words();
            } else if cursor.seq < current {
                *cursor = Cursor { seq: cursor.seq + 1, off: FIRST, next: Some(events), ..*cursor };
            } else {
                return None;
            }
        }
    }

    /// To the oldest page after one that is gone.
    fn skip(&self, cursor: &mut Cursor, current: u64) {
        let oldest = (current + 1).saturating_sub(self.ring.pages() as u64);
        let reader = if self.at.seq != 0 { self.at.seq } else { self.at.next };
        let seq = (cursor.seq + 1).max(oldest).max(reader);
        if seq == self.at.seq {
            self.to_reader(cursor);
        } else {
            *cursor = Cursor { seq, off: FIRST, ..*cursor };
        }
    }

    /// Bytes of all records that are there.
    pub(super) fn bytes(&self) -> u64 {
        let mut at = self.cursor();
        let mut words = 0;
        loop {
            let current = self.ring.commit_seq.load(Acquire);
            if at.seq > current {
                return words as u64 * 8;
            }
            if let Some(page) = self.page_of(at.seq) {
                let end = Pos(page.commit().load(Acquire)).off();
                if self.still(page, at.seq) {
                    words += end.saturating_sub(at.off);
                }
            }
            self.skip(&mut at, current);
        }
    }
}
