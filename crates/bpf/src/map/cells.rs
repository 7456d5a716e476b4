//! The memory of a map: words that anyone may read and write at any moment.
//!
//! Keys and values are bytes to those who use them and atomic words here: many CPUs access them at once, and so do programs, by
//! the address that a lookup has given them. A copy takes word by word; each word is whole, several need not be of one
//! moment.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::def::Special;
use super::error::MapError;

/// Some words, all 0 at first, which stay where they are.
pub(crate) struct Cells(Box<[AtomicU64]>);

/// `bytes` in whole words.
pub(crate) const fn words(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

impl Cells {
    pub(crate) fn new(count: usize) -> Result<Self, MapError> {
        let mut words = Vec::new();
        words.try_reserve_exact(count).map_err(|_| MapError::NoMemory)?;
        words.resize_with(count, || AtomicU64::new(0));
        Ok(Self(words.into_boxed_slice()))
    }

    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> Option<&AtomicU64> {
        self.0.get(at)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The address of a word.
    #[inline(always)]
    pub(crate) fn addr(&self, at: usize) -> u64 {
        self.0.as_ptr() as u64 + 8 * at as u64
    }

    /// Where the `len` bytes at `addr` lie, if all of them are here: the offset of the first.
    pub(crate) fn offset_of(&self, addr: u64, len: usize) -> Option<usize> {
        let offset = usize::try_from(addr.checked_sub(self.addr(0))?).ok()?;
        (offset.checked_add(len)? <= 8 * self.0.len()).then_some(offset)
    }

    /// `count` words from `at`; fewer at the end.
    pub(crate) fn slice(&self, at: usize, count: usize) -> &[AtomicU64] {
        let end = at.saturating_add(count).min(self.0.len());
        self.0.get(at..end).unwrap_or(&[])
    }

    /// Stores bytes from the word `at` on; a last word that they do not fill is filled with zeros.
    #[inline(always)]
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        for (cell, word) in self.slice(at, whole.len()).iter().zip(whole) {
            cell.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty()
            && let Some(cell) = self.get(at + whole.len())
        {
            cell.store(partial(rest), Ordering::Relaxed);
        }
    }

    /// Stores words from `at` on.
    #[inline(always)]
    pub(crate) fn write_words(&self, at: usize, words: &[u64]) {
        for (cell, word) in self.slice(at, words.len()).iter().zip(words) {
            cell.store(*word, Ordering::Relaxed);
        }
    }

    /// The same, but what the kernel owns of the value stays.
    pub(crate) fn write_value(&self, at: usize, bytes: &[u8], special: &Special) {
        if special.any() { self.write_around(at, bytes, special) } else { self.write(at, bytes) }
    }

    // A function of its own: tests put a breakpoint here.
    #[inline(never)]
    fn write_around(&self, at: usize, bytes: &[u8], special: &Special) {
        for (n, part) in bytes.chunks(8).enumerate() {
            let Some(cell) = self.get(at + n) else { return };
            let keep =
                (0..8).filter(|i| special.owns((8 * n + i) as u32)).fold(0, |mask, i| mask | 0xff << (8 * i));
            let new = partial(part) & !keep;
            if keep == 0 {
                cell.store(new, Ordering::Relaxed);
            } else {
                let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(old & keep | new));
            }
        }
    }

    /// Sets `count` words from `at` on to 0.
    pub(crate) fn clear(&self, at: usize, count: usize) {
        for cell in self.slice(at, count) {
            cell.store(0, Ordering::Relaxed);
        }
    }

    /// Fills `out` from the word `at` on.
    #[inline(always)]
    pub(crate) fn read(&self, at: usize, out: &mut [u8]) {
        let (whole, rest) = out.as_chunks_mut::<8>();
        let count = whole.len();
        for (cell, word) in self.slice(at, count).iter().zip(whole) {
            *word = cell.load(Ordering::Relaxed).to_le_bytes();
        }
        if !rest.is_empty()
            && let Some(cell) = self.get(at + count)
        {
            let word = cell.load(Ordering::Relaxed).to_le_bytes();
            for (to, from) in rest.iter_mut().zip(word) {
                *to = from;
            }
        }
    }

    /// Are the bytes from the word `at` on these? What follows them in the last word is 0.
    #[inline(always)]
    pub(crate) fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        let (whole, rest) = bytes.as_chunks::<8>();
        let cells = self.slice(at, whole.len());
        if cells.len() < whole.len() {
            return false;
        }
        for (cell, word) in cells.iter().zip(whole) {
            if cell.load(Ordering::Relaxed) != u64::from_le_bytes(*word) {
                return false;
            }
        }
        rest.is_empty()
            || self.get(at + whole.len()).is_some_and(|cell| cell.load(Ordering::Relaxed) == partial(rest))
    }
}

/// At most 8 bytes as a word, zeros behind them.
#[inline(always)]
pub(crate) fn partial(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}
