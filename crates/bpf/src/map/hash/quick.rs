//! The short way through a plain hash whose keys are one word.
//!
//! ```text
//!   word × factor ─▶ bucket ─▶ element ─▶ its key is the word?  ─yes─▶ the address behind it
//!                                             │ no, and so for the next ones
//!                                             ▼
//!                                    the long way: it may be there all the same
//! ```
//!
//! These functions are compiled into who calls them, a helper of the kernel: what they need of the map are a few loads. What the
//! short way finds is right, as with a first look of [`Hash::find`]; that it finds nothing means nothing.

use core::sync::atomic::Ordering;

use super::{FREE, Hash, MapError, Walk};
use crate::map::{EXIST, NOEXIST};

/// How many elements it goes along.
const QUICK: usize = 8;

impl Hash {
    /// The address of the value of a key of one word, if a quick look finds it: of a plain hash only.
    #[inline(always)]
    pub(crate) fn quick(&self, word: u64) -> Option<u64> {
        if !self.is_quick {
            return None;
        }
        let mut at = self.bucket(word.wrapping_mul(self.factor))?.look() as u32;
        for _ in 0..QUICK {
            if at == 0 {
                return None;
            }
            let base = at as usize * self.stride;
            if self.cells.get(base)?.load(Ordering::Acquire) == word {
                return Some(self.cells.addr(base + 1));
            }
            at = self.pool.link(at as usize - 1)?.load(Ordering::Acquire) as u32;
            if at & FREE != 0 {
                return None;
            }
        }
        None
    }

    /// As [`Hash::lookup`], with the key as a word.
    pub(crate) fn lookup_word(&self, cpu: usize, word: u64) -> Option<u64> {
        let n = self.find(cpu, &self.of_word(&[], word))?;
        if let Some(clock) = &self.clock {
            clock.used(n);
        }
        Some(self.value_addr(n, cpu))
    }

    /// An update of a plain hash with a key of one word and a value of whole words. `None`: it takes more than that.
    #[inline(always)]
    pub(crate) fn update_words(
        &self,
        cpu: usize,
        word: u64,
        value: &[u64],
        flags: u64,
    ) -> Option<Result<(), MapError>> {
        if !self.is_quick || flags > EXIST || value.len() != self.value_words || self.special.any() {
            return None;
        }
        let key = self.of_word(&[], word);
        let taken = match self.bucket(key.hash)?.take(cpu) {
            Ok(taken) => taken,
            Err(busy) => return Some(Err(busy)),
        };
        let (n, done) = match self.walk(taken.first(), &key) {
            Walk::Found(n, _) => (n, if flags == NOEXIST { Err(MapError::Exists) } else { Ok(true) }),
            _ if flags == EXIST => (0, Err(MapError::NoEntry)),
            _ => match self.pool.take() {
                Some(n) => (n, Ok(false)),
                None => (0, Err(MapError::TooBig)),
            },
        };
        match done {
            Ok(there) => {
                self.cells.write_words(self.base(n) + 1, value);
                if there {
                    taken.release();
                } else {
                    self.publish(n, &key, &[word], taken);
                }
                Some(Ok(()))
            }
            Err(error) => {
                taken.release();
                Some(Err(error))
            }
        }
    }
}
