//! A value that exception handlers read without a lock while tasks replace it.
//!
//! ```text
//!   Published ──▶ old value  ◀── a reader, pinned to its CPU
//!   replace(new):
//!   Published ──▶ new value       (1) swap the pointer: new readers see `new`
//!                 old value  ◀──  (2) wait until every CPU has passed a quiet point: no reader is left
//!                                 (3) give `old` back, or drop it
//! ```
//!
//! A reader loads one pointer, and writes nothing. It must be pinned (a guard, or a handler), since a pinned reader
//! keeps its CPU from passing a quiet point: that is the whole proof. See [`super::quiesce`].

use super::{Pinned, quiesce};
use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A pointer to the present value, or to none.
pub(crate) struct Published<T: Send + Sync + 'static> {
    value: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

impl<T: Send + Sync + 'static> Published<T> {
    /// Nothing published.
    pub(crate) const fn empty() -> Self {
        Self { value: AtomicPtr::new(null_mut()), owns: PhantomData }
    }

    /// The present value. It stays while `_pinned` does, whatever writers do meanwhile.
    #[inline(always)]
    pub(crate) fn read<'p>(&self, _pinned: &'p impl Pinned) -> Option<&'p T> {
        // SAFETY: the pointer came from a Box; its owner drops it only after this CPU has passed a quiet point,
        // which it cannot while the reader is pinned.
        unsafe { self.value.load(Ordering::Acquire).as_ref() }
    }

    /// Replaces the value, waits until nobody can see the old one, and gives it back. Sleeps.
    pub(crate) fn replace(&self, new: Option<Box<T>>) -> Option<Box<T>> {
        let old = self.swap(new);
        if old.is_null() {
            return None;
        }
        quiesce::synchronize();
        // SAFETY: made by `Box::into_raw`, taken out by exactly one swap, and no reader is left.
        Some(unsafe { Box::from_raw(old) })
    }

    /// Replaces the value; the old one is dropped later, when nobody can see it. Does not sleep.
    pub(crate) fn publish(&self, new: Option<Box<T>>) {
        let old = self.swap(new);
        if !old.is_null() {
            let old = Retired(old);
            quiesce::defer(Box::new(move || drop(old)));
        }
    }

    fn swap(&self, new: Option<Box<T>>) -> *mut T {
        self.value.swap(new.map_or(null_mut(), Box::into_raw), Ordering::AcqRel)
    }
}

impl<T: Send + Sync + 'static> Drop for Published<T> {
    fn drop(&mut self) {
        // Readers borrow through a pin, not through `self`: one may still look at the value.
        self.publish(None);
    }
}

/// A value that is published no more, on its way to be dropped.
struct Retired<T>(*mut T);

// SAFETY: it is a Box in all but name, and `T` is Send.
unsafe impl<T: Send> Send for Retired<T> {}

impl<T> Drop for Retired<T> {
    fn drop(&mut self) {
        // SAFETY: as in `Published::replace`; the quiet point is behind us.
        drop(unsafe { Box::from_raw(self.0) });
    }
}
