//! A value that is set once, at boot, and read for ever after.
//!
//! ```text
//!   EMPTY ──set, get_or_init──▶ BUSY ──value written──▶ READY
//! ```
//!
//! A lower room owns a `Once<fn()>` and a higher room fills it: that is how a floor calls upwards without naming
//! who lives there.

use super::PreemptGuard;
use crate::arch;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const READY: u8 = 2;

/// A cell that goes from empty to full once.
pub(crate) struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is written by the one thread that moved EMPTY to BUSY, and shared only after READY.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// An empty cell.
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if there is one.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) == READY {
            // SAFETY: READY was stored after the value, and nothing writes to it again.
            Some(unsafe { (*self.value.get()).assume_init_ref() })
        } else {
            None
        }
    }

    /// Fills the cell; gives the value back when it is full already.
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _pinned = PreemptGuard::new();
        if self.state.compare_exchange(EMPTY, BUSY, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: BUSY makes this the only writer, and there is no reader before READY.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(READY, Ordering::Release);
        Ok(())
    }

    /// The value; the first caller makes it, others wait for that. `make` does not sleep: preemption is held off, or a
    /// more urgent task could wait here for one that it does not let run.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let _pinned = PreemptGuard::new();
        if self.state.compare_exchange(EMPTY, BUSY, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let value = make();
            // SAFETY: as in `set`.
            unsafe { (*self.value.get()).write(value) };
            self.state.store(READY, Ordering::Release);
        }
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            arch::cpu::relax();
        }
    }
}
