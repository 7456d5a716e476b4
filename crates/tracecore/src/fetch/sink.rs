//! Where a record's bytes go.
//!
//! The program below is written once over [`Sink`] and offered for the two sinks there are: room reserved in the
//! ring, and a plain slice. The trait stays inside, so that no copy of the program is compiled into the kernel.

use crate::ring::Reservation;

/// Bytes of one record. What does not fit is dropped; the offsets are proven to fit when a program is compiled.
pub(super) trait Sink {
    /// Bytes that there are.
    fn len(&self) -> usize;
    /// Puts eight bytes at a place that is counted in words.
    fn put_word(&mut self, word: usize, value: u64);
    /// Puts bytes.
    fn put_bytes(&mut self, at: usize, bytes: &[u8]);
}

impl Sink for &Reservation<'_> {
    fn len(&self) -> usize {
        Reservation::len(self)
    }

    #[inline(always)]
    fn put_word(&mut self, word: usize, value: u64) {
        Reservation::put_u64(self, word * 8, value);
    }

    fn put_bytes(&mut self, at: usize, bytes: &[u8]) {
        Reservation::put_bytes(self, at, bytes);
    }
}

impl Sink for &mut [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    #[inline(always)]
    fn put_word(&mut self, word: usize, value: u64) {
        self.put_bytes(word * 8, &value.to_le_bytes());
    }

    #[inline(always)]
    fn put_bytes(&mut self, at: usize, bytes: &[u8]) {
        if let Some(room) = at.checked_add(bytes.len()).and_then(|end| self.get_mut(at..end)) {
            room.copy_from_slice(bytes);
        }
    }
}
