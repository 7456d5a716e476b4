//! A key that goes off late.
//!
//! Each flip interrupts every CPU. Where users come and go quickly, the last one's leaving is acted upon only after a
//! delay: if the next has come by then, nothing is flipped.
//!
//! ```text
//!   users    ──1────0─────1──0───────────────────
//!   count    ──1────1─────2──1──────────0────────
//!                   ├────── delay ──────┤            one count is owed; the work that is due takes it
//!   sites    ──on───────────────────────off──────
//! ```
//!
//! So a key goes off at most once in a delay. Time and work queues stand on a higher floor, which fills [`set_later`].

use core::sync::atomic::{AtomicBool, Ordering};

use tracecore::errno::Errno;

use super::key::{Refusal, StaticKey};
use crate::sync::Once;

/// Calls the function with the key, in a task, after so many nanoseconds.
pub(crate) type Later = fn(u64, fn(&'static DeferredKey), &'static DeferredKey);

static LATER: Once<Later> = Once::new();

/// Says how something is done later.
///
/// # Errors
/// EBUSY when that was said before.
pub(crate) fn set_later(later: Later) -> Result<(), Errno> {
    LATER.set(later).map_err(|_| Errno::EBUSY)
}

/// How a key is switched off late. Always a `static`; the branches name the key itself.
#[derive(Debug)]
pub(crate) struct DeferredKey {
    key: &'static StaticKey,
    delay_ns: u64,
    /// One count is owed: a work will take it.
    owed: AtomicBool,
}

impl DeferredKey {
    /// Lets `key` go off `delay_ns` after its last user left.
    pub(crate) const fn new(key: &'static StaticKey, delay_ns: u64) -> Self {
        Self { key, delay_ns, owed: AtomicBool::new(false) }
    }

    /// One more wants it on, at once.
    ///
    /// # Errors
    /// As [`StaticKey::inc`].
    pub(crate) fn inc(&'static self) -> Result<(), Refusal> {
        self.key.inc()
    }

    /// One less wants it on; if it was the last, the key goes off after the delay.
    ///
    /// # Errors
    /// `Below` when nobody does; without a clock, those of [`StaticKey::dec`].
    pub(crate) fn dec(&'static self) -> Result<(), Refusal> {
        if self.key.take_but_last() {
            return Ok(());
        }
        // The one that is left is owed already, or there is none.
        if self.key.count() == 0 || self.owed.swap(true, Ordering::AcqRel) {
            return Err(Refusal::Below);
        }
        let Some(later) = LATER.get() else {
            self.owed.store(false, Ordering::Release);
            return self.key.dec();
        };
        later(self.delay_ns, Self::due, self);
        Ok(())
    }

    /// Is a count owed?
    pub(crate) fn is_owed(&self) -> bool {
        self.owed.load(Ordering::Acquire)
    }

    fn due(&'static self) {
        self.owed.store(false, Ordering::Release);
        if let Err(refusal) = self.key.dec() {
            log::error!("static key {}: {refusal}", self.key.name());
        }
    }
}
