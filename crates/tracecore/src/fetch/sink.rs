//! Where a record's bytes go.
//!
//! A program is written once over [`Sink`] and offered for the two sinks there are: room reserved in the
//! ring, and a plain slice. The trait stays inside, so that no copy of the program is compiled into the kernel.

use crate::ring::Reservation;

/// Bytes of one record. What does not fit is dropped; the offsets are proven to fit when a program is compiled.
pub(super) trait Sink {
    /// Bytes that there are.
    fn len(&self) -> usize;
    /// Puts eight bytes at a place that is counted in words.
    fn put_word(&mut self, word: usize, value: u64);
    /// Puts the low bytes of a value, at most eight, at any place.
    fn put_low(&mut self, at: usize, len: usize, value: u64);
}

impl Sink for &Reservation<'_> {
    fn len(&self) -> usize {
        Reservation::len(self)
    }

    #[inline(always)]
    fn put_word(&mut self, word: usize, value: u64) {
        Reservation::put_u64(self, word * 8, value);
    }

    #[inline(always)]
    fn put_low(&mut self, at: usize, len: usize, value: u64) {
        Reservation::put_low(self, at, len, value);
    }
}

impl Sink for &mut [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn put_word(&mut self, word: usize, value: u64) {
        self.put_low(word * 8, 8, value);
    }

    fn put_low(&mut self, at: usize, len: usize, value: u64) {
        let bytes = value.to_le_bytes();
        if let (Some(room), Some(bytes)) = (self.get_mut(at..at.saturating_add(len)), bytes.get(..len)) {
            room.copy_from_slice(bytes);
        }
    }
}
