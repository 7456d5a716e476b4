//! A lock that is waited for and held with preemption off and interrupts on.
//!
//! For tasks that stop or interrupt other CPUs while they hold it (text patching): a CPU that waits here still takes the
//! holder's interrupt, which one that waits for a `SpinLock` would not. Interrupt handlers must not take it.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::{Pinned, PreemptGuard, events};
use crate::arch::cpu;
use crate::tracepoint::trace;

/// A value behind such a lock.
pub(crate) struct PreemptLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the value to one holder at a time.
unsafe impl<T: Send> Sync for PreemptLock<T> {}

impl<T> PreemptLock<T> {
    /// A free lock.
    pub(crate) const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub(crate) fn lock(&self) -> PreemptLockGuard<'_, T> {
        let pinned = PreemptGuard::new();
        if !self.try_take() {
            contended(&self.taken, || self.try_take());
        }
        PreemptLockGuard { lock: self, _pinned: pinned }
    }

    fn try_take(&self) -> bool {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// The way that is seldom taken, kept out of line.
#[cold]
#[inline(never)]
fn contended(taken: &AtomicBool, mut try_take: impl FnMut() -> bool) {
    let lock = core::ptr::from_ref(taken).cast();
    trace!(events::contention_begin(lock, events::SPIN));
    while taken.load(Ordering::Relaxed) || !try_take() {
        cpu::relax();
    }
    trace!(events::contention_end(lock, 0));
}

/// The lock is held, and the task pinned to its CPU, while this lives.
pub(crate) struct PreemptLockGuard<'a, T> {
    lock: &'a PreemptLock<T>,
    _pinned: PreemptGuard,
}

// SAFETY: preemption is off while the guard lives.
unsafe impl<T> Pinned for PreemptLockGuard<'_, T> {}

impl<T> Deref for PreemptLockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the holder is the only one.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for PreemptLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the holder is the only one.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for PreemptLockGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.taken.store(false, Ordering::Release);
    }
}
