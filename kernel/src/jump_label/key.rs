//! The key: a count of those who want it on, and the flip when the count leaves or reaches zero.
//!
//! ```text
//!              inc: flip on            inc
//!        0 ────────────────────▶ 1 ─────────▶ 2 …      MAX_COUNT: inc is refused
//!          ◀────────────────────   ◀─────────
//!   dec is     dec: flip off           dec
//!   refused
//! ```
//!
//! The count says 1 only behind a flip on, and 0 already before a flip off: so whoever finds it above 0 may add to
//! it without a lock, and the sites are on. All flips take one lock, which leaves interrupts on
//! ([`PreemptLock`]), because the flip synchronises CPUs that may be waiting for it.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tracecore::errno::Errno;

use super::sites;
use crate::arch::{cpu, daif};
use crate::sync::{PreemptLock, PreemptLockGuard};
use crate::text::{self, PatchError, Transaction};

/// How many may want a key on.
pub(crate) const MAX_COUNT: u32 = i32::MAX as u32;

/// Why a key was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The count would go below zero.
    Below,
    /// The count would go above [`MAX_COUNT`].
    Above,
    /// Several users count on it; it is not for one to switch.
    Counted(u32),
    /// Called with interrupts masked, where CPUs cannot be synchronised.
    Context,
    /// The text is not what it should be.
    Text(PatchError),
}

impl Refusal {
    /// The error number for a user.
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::Below => Errno::EINVAL,
            Self::Above => Errno::EOVERFLOW,
            Self::Counted(_) => Errno::EBUSY,
            Self::Context => Errno::EWOULDBLOCK,
            Self::Text(e) => e.errno(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below => f.write_str("nobody has it on"),
            Self::Above => write!(f, "more than {MAX_COUNT} users"),
            Self::Counted(users) => write!(f, "{users} users have it on"),
            Self::Context => f.write_str("keys are not flipped with interrupts masked"),
            Self::Text(e) => e.fmt(f),
        }
    }
}

/// A switch whose readers are patched. Always a `static`.
#[derive(Debug)]
pub(crate) struct StaticKey {
    name: &'static str,
    starts_on: bool,
    by_hand: bool,
    /// Who want it on.
    pub(super) count: AtomicU32,
    /// Its sites in the index: where they begin, and above [`sites::Run::LEN_SHIFT`] how many.
    pub(super) run: AtomicU64,
}

const _: () = assert!(align_of::<StaticKey>() > 1, "bit 0 of a key's address is the branch bit");

/// One flips at a time, and the index is made.
static FLIPPING: PreemptLock<()> = PreemptLock::new(());

/// Takes the lock of all flips.
pub(super) fn lock() -> Result<PreemptLockGuard<'static, ()>, Refusal> {
    // Who waits here with interrupts masked would not answer the holder, who waits for all CPUs.
    if daif::irqs_masked() && cpu::online() > 1 {
        return Err(Refusal::Context);
    }
    Ok(FLIPPING.lock())
}

impl StaticKey {
    /// A key that starts on or off. Its name is for people.
    pub(crate) const fn new(name: &'static str, starts_on: bool) -> Self {
        let count = AtomicU32::new(starts_on as u32);
        Self { name, starts_on, by_hand: false, count, run: AtomicU64::new(0) }
    }

    /// The same key, which users may flip by `/sys/kernel/debug/static_keys`.
    pub(crate) const fn by_hand(self) -> Self {
        Self { by_hand: true, ..self }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Does it start on?
    pub(crate) fn starts_on(&self) -> bool {
        self.starts_on
    }

    /// May users flip it?
    pub(crate) fn is_by_hand(&self) -> bool {
        self.by_hand
    }

    /// How many want it on.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Is it on? For those who ask rarely; a branch asks the code.
    pub(crate) fn is_enabled(&self) -> bool {
        self.count() > 0
    }

    /// Switches it on, for a key with one user; nothing happens when it is on.
    ///
    /// # Errors
    /// `Counted` when several have it on; those of the patch, and nothing has changed then.
    pub(crate) fn enable(&'static self) -> Result<(), Refusal> {
        self.set(true)
    }

    /// Switches it off, for a key with one user; nothing happens when it is off.
    ///
    /// # Errors
    /// As [`StaticKey::enable`].
    pub(crate) fn disable(&'static self) -> Result<(), Refusal> {
        self.set(false)
    }

    fn set(&'static self, on: bool) -> Result<(), Refusal> {
        let _flipping = lock()?;
        match (self.count(), on) {
            (0, true) => self.turn_on(),
            (1, false) => self.last_off().unwrap_or(Err(Refusal::Counted(2))),
            (0, false) | (1, true) => Ok(()),
            (users, _) => Err(Refusal::Counted(users)),
        }
    }

    /// One more wants it on; for the first it is flipped.
    ///
    /// # Errors
    /// `Above` at the limit; those of the patch, and nothing has changed then.
    pub(crate) fn inc(&'static self) -> Result<(), Refusal> {
        if let Some(done) = self.add() {
            return done;
        }
        let _flipping = lock()?;
        // Another may have been first meanwhile.
        self.add().unwrap_or_else(|| self.turn_on())
    }

    /// One less wants it on; for the last it is flipped.
    ///
    /// # Errors
    /// `Below` when nobody does; those of the patch, and nothing has changed then.
    pub(crate) fn dec(&'static self) -> Result<(), Refusal> {
        loop {
            if self.take_but_last() {
                return Ok(());
            }
            let _flipping = lock()?;
            if self.count() == 0 {
                return Err(Refusal::Below);
            }
            if let Some(done) = self.last_off() {
                return done;
            }
        }
    }

    /// Adds one where that is no flip; nothing when it is.
    fn add(&self) -> Option<Result<(), Refusal>> {
        let more = |n: u32| (n > 0 && n < MAX_COUNT).then(|| n + 1);
        match self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Some(Ok(())),
            Err(0) => None,
            Err(_) => Some(Err(Refusal::Above)),
        }
    }

    /// Takes one away unless it is the last.
    pub(super) fn take_but_last(&self) -> bool {
        let less = |n: u32| (n > 1).then(|| n - 1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
    }

    /// From 0 to 1. The lock is held.
    fn turn_on(&'static self) -> Result<(), Refusal> {
        self.flip(true)?;
        self.count.store(1, Ordering::Release);
        Ok(())
    }

    /// From 1 to 0; nothing when somebody has added to it meanwhile. The lock is held.
    fn last_off(&'static self) -> Option<Result<(), Refusal>> {
        self.count.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let flipped = self.flip(false);
        if flipped.is_err() {
            // At 0 nobody changes it without the lock.
            self.count.store(1, Ordering::Release);
        }
        Some(flipped)
    }

    /// All sites as one batch.
    fn flip(&'static self, on: bool) -> Result<(), Refusal> {
        match sites::of(self) {
            [] => Ok(()),
            // The usual case: no memory needed.
            [site] => text::commit(&mut [site.patch(on)]),
            sites => Transaction::with_capacity(sites.len()).and_then(|mut batch| {
                for site in sites {
                    let patch = site.patch(on);
                    batch.push(patch.addr, patch.expected, patch.new)?;
                }
                batch.commit()
            }),
        }
        .map_err(Refusal::Text)
    }
}
