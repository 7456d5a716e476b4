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

//!
//! A [`Kept`] value has one [`Keeper`], who alone replaces it and so may look at it without being pinned, and sleep.

use super::{Pinned, quiesce};
use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

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

/// A published value that one [`Keeper`] replaces.
pub(crate) struct Kept<T: Send + Sync + 'static> {
    value: Published<T>,
    has_keeper: AtomicBool,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Nothing published, no keeper yet.
    pub(crate) const fn empty() -> Self {
        Self { value: Published::empty(), has_keeper: AtomicBool::new(false) }
    }

    /// The present value. It stays while `_pinned` does, whatever the keeper does meanwhile.
    #[inline(always)]
    pub(crate) fn read<'p>(&self, pinned: &'p impl Pinned) -> Option<&'p T> {
        self.value.read(pinned)
    }

    /// The keeper, to whoever asks first, with a first value.
    pub(crate) fn keep(&'static self, value: Box<T>) -> Option<Keeper<T>> {
        if self.has_keeper.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.value.swap(Some(value));
        Some(Keeper(self))
    }
}

/// The right to replace a [`Kept`] value, of which there is one.
pub(crate) struct Keeper<T: Send + Sync + 'static>(&'static Kept<T>);

impl<T: Send + Sync + 'static> Keeper<T> {
    /// The present value.
    pub(crate) fn get(&self) -> &T {
        // SAFETY: from a Box, put there by `keep` or `swap`. Only the keeper takes it out, which it cannot while this
        // borrow of it lives.
        unsafe { &*self.0.value.value.load(Ordering::Acquire) }
    }

    /// Puts another value in its place. Readers may look at the old one until what is returned has been
    /// [waited](Leaving::wait) for. Does not sleep.
    pub(crate) fn swap(&mut self, new: Box<T>) -> Leaving<T> {
        Leaving(Some(Retired(self.0.value.swap(Some(new)))))
    }
}

/// A value that is published no more but may still be looked at. Dropped, it is dropped later.
pub(crate) struct Leaving<T: Send + 'static>(Option<Retired<T>>);

impl<T: Send + 'static> Leaving<T> {
    /// Waits until nobody can see it, and gives it back. Sleeps.
    pub(crate) fn wait(mut self) -> Option<Box<T>> {
        let old = self.0.take()?;
        quiesce::synchronize();
        let pointer = old.0;
        core::mem::forget(old);
        // SAFETY: made by `Box::into_raw`, taken out by exactly one swap, and no reader is left.
        Some(unsafe { Box::from_raw(pointer) })
    }
}

impl<T: Send + 'static> Drop for Leaving<T> {
    fn drop(&mut self) {
        if let Some(old) = self.0.take() {
            quiesce::defer(Box::new(move || drop(old)));
        }
    }
}
