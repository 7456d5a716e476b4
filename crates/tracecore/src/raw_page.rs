//! Pages for programs: what `trace_pipe_raw` gives.
//!
//! The ring's own pages are laid out for its writer. A program that takes a trace as bytes expects pages as Linux makes
//! them, which `events/header_page` and `events/header_event` describe; so records are put into such pages as they are
//! taken out of the ring:
//!
//! ```text
//!   0   u64   time of the first event
//!   8   u64   bytes of events │ bit 31: events were lost before this page │ bit 30: how many follows the events
//!   16  event: u32 = time since the event before << 5 │ type     data, in units of four bytes
//!                    type 1..28: so many units   0: a u32 with the length and itself first   30: the time goes on in a u32
//! ```
//!
//! (Linux: `include/linux/ring_buffer.h`, `kernel/trace/ring_buffer.c`.)

use alloc::vec::Vec;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;
/// Where its events begin.
const DATA: usize = 16;
/// Data of more than this does not say its length in the type.
const MAX_SMALL: usize = 28 * 4;
const DELTA_BITS: u32 = 27;
/// The type of an event that only moves the time on.
const TIME_EXTEND: u32 = 30;
const MISSED: u64 = 1 << 31;
const MISSED_STORED: u64 = 1 << 30;

/// The text of `events/header_page`.
pub const HEADER_PAGE: &str = "\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: char overwrite;\toffset:8;\tsize:1;\tsigned:0;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
";

/// The text of `events/header_event`.
pub const HEADER_EVENT: &str = "\
# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
";

/// A page that is being filled.
#[derive(Debug, Default)]
pub struct RawPage {
    events: Vec<u8>,
    first: u64,
    last: u64,
    missed: u64,
}

impl RawPage {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Puts an event of the ring; `lost` were lost right before it. False, and nothing is put, if it belongs on the
    /// next page: there is no room, or something was lost in the middle of this one.
    pub fn push(&mut self, time: u64, lost: u64, record: &[u8]) -> bool {
        let units = record.len().div_ceil(4);
        let small = (1..=MAX_SMALL / 4).contains(&units);
        let fresh = self.is_empty();
        let delta = if fresh { 0 } else { time.saturating_sub(self.last) };
        let extended = delta >> DELTA_BITS != 0;
        let size = 4 + units * 4 + if small { 0 } else { 4 } + if extended { 8 } else { 0 };
        if !fresh && (lost > 0 || DATA + self.events.len() + size > PAGE_BYTES) {
            return false;
        }
        if fresh {
            (self.first, self.missed) = (time, lost);
        }
        self.last = time;
        let word = |delta: u64, kind: u32| (((delta as u32) << 5) | kind).to_le_bytes();
        if extended {
            self.events.extend(word(delta & ((1 << DELTA_BITS) - 1), TIME_EXTEND));
            self.events.extend(((delta >> DELTA_BITS) as u32).to_le_bytes());
        }
        self.events.extend(word(if extended { 0 } else { delta }, if small { units as u32 } else { 0 }));
        if !small {
            self.events.extend((units as u32 * 4 + 4).to_le_bytes());
        }
        self.events.extend(record);
        self.events.resize(self.events.len().next_multiple_of(4), 0);
        true
    }

    /// Puts the whole page at the end of `out`, and is empty again.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let end = out.len() + PAGE_BYTES;
        let mut commit = self.events.len() as u64;
        let stored = DATA + self.events.len() + 8 <= PAGE_BYTES;
        if self.missed > 0 {
            commit |= MISSED | if stored { MISSED_STORED } else { 0 };
        }
        out.extend(self.first.to_le_bytes());
        out.extend(commit.to_le_bytes());
        out.append(&mut self.events);
        if self.missed > 0 && stored {
            out.extend(self.missed.to_le_bytes());
        }
        out.resize(end, 0);
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    /// A page as a program reads it: lost before it, and its events.
    fn read(page: &[u8]) -> (u64, Vec<(u64, Vec<u8>)>) {
        let u32_at = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().unwrap());
        assert_eq!(page.len(), PAGE_BYTES);
        let commit = u64_at(8);
        let end = DATA + (commit & 0xfffff) as usize;
        let lost = match (commit & MISSED, commit & MISSED_STORED) {
            (0, _) => 0,
            (_, 0) => u64::MAX,
            _ => u64_at(end),
        };
        let (mut at, mut time, mut events) = (DATA, u64_at(0), vec![]);
        while at < end {
            let (kind, delta) = (u32_at(at) & 31, u64::from(u32_at(at) >> 5));
            at += 4;
            let len = match kind {
                TIME_EXTEND => {
                    time += delta | u64::from(u32_at(at)) << DELTA_BITS;
                    at += 4;
                    continue;
                }
                0 => {
                    at += 4;
                    u32_at(at - 4) as usize - 4
                }
                _ => kind as usize * 4,
            };
            time += delta;
            events.push((time, page[at..at + len].to_vec()));
            at += len;
        }
        assert_eq!(at, end);
        (lost, events)
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let (mut page, mut out, mut want, mut time) = (RawPage::default(), Vec::new(), vec![], 1000);
        let mut lost_before = vec![];
        for i in 0..2000u64 {
            let len = if i % 300 == 7 { 3000 } else { (i % 160) as usize };
            let record: Vec<u8> = (0..len).map(|b| (b as u64 * 7 + i) as u8).collect();
            time += if i % 50 == 3 { 1 << (20 + i % 20) } else { i };
            let lost = if i % 400 == 5 { i } else { 0 };
            if !page.push(time, lost, &record) {
                page.finish(&mut out);
                assert!(page.push(time, lost, &record));
            }
            if lost > 0 {
                lost_before.push((lost, time));
            }
            let mut padded = record;
            padded.resize(padded.len().next_multiple_of(4), 0);
            want.push((time, padded));
        }
        page.finish(&mut out);
        assert!(page.is_empty());
        let (mut got, mut lost) = (vec![], vec![]);
        for page in out.chunks(PAGE_BYTES) {
            let (before, events) = read(page);
            if before > 0 {
                lost.push((before, events[0].0));
            }
            got.extend(events);
        }
        assert!(got == want);
        assert_eq!(lost, lost_before);
    }

    #[test]
    fn a_page_without_room_for_the_count_says_only_that_some_were_lost() {
        let (mut page, mut out) = (RawPage::default(), Vec::new());
        assert!(page.push(5, 3, &[1; 4072]));
        assert!(!page.push(6, 0, &[1; 4]));
        page.finish(&mut out);
        assert_eq!(read(&out), (u64::MAX, vec![(5, vec![1; 4072])]));
    }
}
