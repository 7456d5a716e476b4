//! Which element has not been used for long: a clock.
//!
//! ```text
//!        ┌─ hand
//!        ▼
//!   │ 1 │ 0 │ 1 │ 1 │ 0 │ …    used since the hand came by?      1: it gets another round      0: it goes
//! ```
//!
//! The second chance of Corbató's clock: a lookup only sets a bit, and an eviction clears some. Linux keeps two lists and moves elements
//! between them, which comes to the same and needs a lock. After [`CHANCES`] elements the hand takes what it finds: bounded
//! work counts more than justice.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::error::MapError;

/// How many used elements the hand passes at most.
pub(crate) const CHANCES: usize = 64;
/// How many elements it looks at in all: some are just being changed.
const LOOKS: usize = CHANCES + 64;

pub(crate) struct Clock {
    used: Box<[AtomicBool]>,
    hand: AtomicUsize,
}

impl Clock {
    pub(crate) fn new(count: usize) -> Result<Self, MapError> {
        let mut used = Vec::new();
        used.try_reserve_exact(count).map_err(|_| MapError::NoMemory)?;
        used.resize_with(count, || AtomicBool::new(false));
        Ok(Self { used: used.into_boxed_slice(), hand: AtomicUsize::new(0) })
    }

    /// It is used.
    #[inline(always)]
    pub(crate) fn used(&self, n: usize) {
        if let Some(used) = self.used.get(n)
            && !used.load(Ordering::Relaxed)
        {
            used.store(true, Ordering::Relaxed);
        }
    }

    /// It is new: not used yet.
    pub(crate) fn fresh(&self, n: usize) {
        if let Some(used) = self.used.get(n) {
            used.store(false, Ordering::Relaxed);
        }
    }

    /// Moves the hand until `unlink` has taken out an element, of `count`.
    pub(crate) fn evict(&self, count: usize, unlink: impl Fn(usize) -> bool) -> Option<usize> {
        for look in 0..LOOKS {
            let n = self.hand.fetch_add(1, Ordering::Relaxed) % count.max(1);
            let used = self.used.get(n)?.swap(false, Ordering::Relaxed);
            if (!used || look >= CHANCES) && unlink(n) {
                return Some(n);
            }
        }
        None
    }
}
