//! A lock, a count of changes and the beginning of a list, in one word.
//!
//! ```text
//!    63          40 39      32 31                 0
//!   ┌──────────────┬──────────┬────────────────────┐
//!   │   changes    │  owner   │   head             │      owner: 0 = free, else the CPU's number + 1
//!   └──────────────┴──────────┴────────────────────┘
//!   take:     owner = me              one compare-and-exchange
//!   release:  changes + 1, owner = 0, head = what it is to be now      one store
//! ```
//!
//! Who only looks takes no lock. It loads the word, follows the list, and if it has not found what it wants, it loads the
//! word again: the same word says that nothing was inserted or removed in between, so that it really is not there. That needs
//! two things of those who change the list: what is linked is complete before the store that links it, and what was
//! unlinked is reused only after the release.
//!
//! Who takes the lock has interrupts masked. Only a breakpoint inside can bring this CPU here again: it finds itself
//! as the owner, and that is [`MapError::Busy`] at once. An owner on another CPU is soon done, unless its own breakpoint
//! waits for a lock of ours: so waiting has an end too, [`SPINS`].

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::error::MapError;

/// How often the lock is looked at before giving up.
pub(crate) const SPINS: u32 = 1 << 20;

const OWNER: u64 = 0xff << 32;
const CHANGE: u64 = 1 << 40;

/// The word.
#[repr(transparent)]
pub(crate) struct Head(AtomicU64);

/// The lock taken, and the word as it was.
#[must_use]
pub(crate) struct Taken<'a> {
    head: &'a Head,
    word: u64,
}

impl Head {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The word now; what its list links is complete.
    #[inline(always)]
    pub(crate) fn look(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Has nothing been linked or unlinked since the word was `word`?
    #[inline(always)]
    pub(crate) fn unchanged(&self, word: u64) -> bool {
        fence(Ordering::Acquire);
        self.0.load(Ordering::Relaxed) & !OWNER == word & !OWNER
    }

    /// Takes the lock as CPU `cpu`.
    ///
    /// # Errors
    /// [`MapError::Busy`]: this CPU has it, or it was not to be had.
    #[inline(always)]
    pub(crate) fn take(&self, cpu: usize) -> Result<Taken<'_>, MapError> {
        let me = owner(cpu);
        let word = self.0.load(Ordering::Relaxed);
        if word & OWNER == 0
            && self.0.compare_exchange(word, word | me, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            // Readers must see the owner before anything that is changed under it: see `unchanged`.
            return Ok(Taken { head: self, word });
        }
        self.take_slowly(me)
    }

    #[cold]
    fn take_slowly(&self, me: u64) -> Result<Taken<'_>, MapError> {
        for _ in 0..SPINS {
            let word = self.0.load(Ordering::Relaxed);
            if word & OWNER == me {
                return Err(MapError::Busy);
            }
            if word & OWNER == 0
                && self.0.compare_exchange_weak(word, word | me, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Ok(Taken { head: self, word });
            }
            spin_loop();
        }
        Err(MapError::Busy)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_take(&self, cpu: usize) -> Option<Taken<'_>> {
        let word = self.0.load(Ordering::Relaxed);
        let free = word & OWNER == 0
            && self.0.compare_exchange(word, word | owner(cpu), Ordering::Acquire, Ordering::Relaxed).is_ok();
        free.then_some(Taken { head: self, word })
    }
}

#[inline(always)]
fn owner(cpu: usize) -> u64 {
    (cpu as u64 + 1) << 32 & OWNER
}

impl Taken<'_> {
    /// The head.
    #[inline(always)]
    pub(crate) fn first(&self) -> u32 {
        self.word as u32
    }

    /// Lets it go: nothing was linked or unlinked.
    #[inline(always)]
    pub(crate) fn release(self) {
        self.head.0.store(self.word, Ordering::Release);
    }

    /// Lets it go with a change, and with this head.
    #[inline(always)]
    pub(crate) fn release_with(self, first: u32) {
        let word = (self.word & !(OWNER | u64::from(u32::MAX))).wrapping_add(CHANGE) | u64::from(first);
        self.head.0.store(word, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time_and_no_deadlock() {
        let head = Head::new();
        let Ok(taken) = head.take(3) else { panic!("it was free") };
        assert!(head.take(3).is_err_and(|e| e == MapError::Busy));
        assert!(head.try_take(0).is_none());
        let seen = head.look();
        assert!(head.unchanged(seen));
        taken.release_with(7);
        assert!(!head.unchanged(seen));
        let seen = head.look();
        let Ok(taken) = head.take(0) else { panic!("it is free again") };
        assert_eq!(taken.first(), 7);
        taken.release();
        assert!(head.unchanged(seen));
    }
}
