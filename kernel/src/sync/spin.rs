//! A lock for short sections, usable from tasks and interrupt handlers alike.
//!
//! Interrupts are masked before the lock is tried and stay so until it is free again; thus its holder is never
//! interrupted by someone who wants the same lock, is never preempted, and is never stopped by `stop_machine`.
//! The word holds the owner's CPU number plus one: a CPU that waits for itself is found at once, not after a
//! silent hang.

use super::{IrqGuard, Pinned, events};
use crate::arch;
use crate::tracepoint::trace;
use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

/// Nobody holds the lock.
const FREE: u32 = 0;

/// A value behind a lock that masks interrupts and spins.
pub(crate) struct SpinLock<T: ?Sized> {
    owner: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the value to one CPU at a time.
unsafe impl<T: ?Sized + Send> Sync for SpinLock<T> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: ?Sized + Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self { owner: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Waits until the lock is free and takes it.
    #[inline(always)]
    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        let irq = IrqGuard::new();
        let me = arch::cpu::id() as u32 + 1;
        if self.owner.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            contended(&self.owner, me);
        }
        SpinGuard { lock: self, irq: ManuallyDrop::new(irq) }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        let irq = IrqGuard::new();
        let me = arch::cpu::id() as u32 + 1;
        match self.owner.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(SpinGuard { lock: self, irq: ManuallyDrop::new(irq) }),
            Err(_) => None,
        }
    }

    /// Opens a lock whose guard was forgotten.
    ///
    /// # Safety
    /// This CPU holds the lock and no guard of it is left; interrupts stay masked as they are.
    #[inline(always)]
    pub(crate) unsafe fn force_unlock(&self) {
        self.owner.store(FREE, Ordering::Release);
    }
}

/// The way that is seldom taken, kept out of line.
#[cold]
#[inline(never)]
fn contended(owner: &AtomicU32, me: u32) {
    let lock = core::ptr::from_ref(owner).cast();
    trace!(events::contention_begin(lock, events::SPIN));
    wait(owner, me);
    trace!(events::contention_end(lock, 0));
}

fn wait(owner: &AtomicU32, me: u32) {
    loop {
        let holder = owner.load(Ordering::Relaxed);
        if holder == FREE {
            if owner.compare_exchange_weak(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return;
            }
        } else if holder == me {
            panic!("CPU {} waits for a spin lock that it holds", me - 1);
        }
        arch::cpu::relax();
    }
}

/// The lock is held while this lives.
pub(crate) struct SpinGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T>,
    irq: ManuallyDrop<IrqGuard>,
}

// SAFETY: interrupts are masked while the lock is held.
unsafe impl<T: ?Sized> Pinned for SpinGuard<'_, T> {}

impl<T: ?Sized> Deref for SpinGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for SpinGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and `&mut self` makes this the only reference made through the guard.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for SpinGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the guard proves that this CPU holds the lock. The order matters: open, then unmask.
        unsafe {
            self.lock.force_unlock();
            ManuallyDrop::drop(&mut self.irq);
        }
    }
}
