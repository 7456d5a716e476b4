//! Counts that handlers keep.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::{MAX_CPUS, cpu};

/// A count that each CPU keeps for itself.
pub(super) struct Counter(Box<[AtomicU64]>);

impl Counter {
    pub(super) fn new() -> Self {
        Self((0..MAX_CPUS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Counts one on this CPU; only ever called with interrupts masked, so nothing comes between load and store.
    #[inline(always)]
    pub(super) fn count(&self) {
        if let Some(mine) = self.0.get(cpu::id()) {
            mine.store(mine.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Counts one on this CPU, where an interrupt may do the same.
    #[inline(always)]
    pub(super) fn count_anywhere(&self) {
        if let Some(mine) = self.0.get(cpu::id()) {
            mine.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|one| one.load(Ordering::Relaxed)).sum()
    }
}
