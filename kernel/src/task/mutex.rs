//! A lock for long sections: who waits, sleeps.
//!
//! The word holds the owner, so that a task which waits for itself is found at once. An uncontended lock and unlock
//! are one exchange each.

use super::tcb::current;
use super::wait::WaitQueue;
use crate::sync::events;
use crate::tracepoint::trace;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Nobody holds it.
const FREE: usize = 0;

/// A value behind a lock that sleeps. Tasks only.
pub(crate) struct Mutex<T: ?Sized> {
    owner: AtomicUsize,
    waiters: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the value to one task at a time.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self { owner: AtomicUsize::new(FREE), waiters: WaitQueue::new(), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free and takes it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let me = current().as_ptr().addr();
        assert!(self.owner.load(Ordering::Relaxed) != me, "a task waits for a mutex that it holds");
        if !self.try_take(me) {
            let lock = (&raw const self.owner).cast();
            trace!(events::contention_begin(lock, events::MUTEX));
            self.waiters.wait_until(|| self.try_take(me));
            trace!(events::contention_end(lock, 0));
        }
        MutexGuard { mutex: self, not_send: PhantomData }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.try_take(current().as_ptr().addr()).then_some(MutexGuard { mutex: self, not_send: PhantomData })
    }

    fn try_take(&self, me: usize) -> bool {
        self.owner.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// The lock is held while this lives; it is given back by the task that took it.
pub(crate) struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    not_send: PhantomData<*mut ()>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and `&mut self` makes this the only reference through the guard.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.owner.store(FREE, Ordering::Release);
        self.mutex.waiters.wake_one();
    }
}
