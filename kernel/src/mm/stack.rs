//! Kernel stacks, each with a hole below it.
//!
//! ```text
//!   VMAP_BASE + n · 2·STACK_SIZE ─▶ ┌──────────────┐ base   bit STACK_SHIFT of an address in here: 0
//!                                   │ stack, RW    │  ▲ grows down
//!                                   ├──────────────┤ top
//!                                   │ not mapped   │        bit STACK_SHIFT: 1
//!                                   └──────────────┘        the hole below the next stack
//! ```
//!
//! A stack that overflows runs into the hole below it, and the exception entry sees that by one bit of SP before
//! it would store there (`exception.S`); it goes on on a separate stack. Place 0 stays empty, so that the first
//! stack has a hole too.
//!
//! Stacks of finished tasks are kept, mapped, for the next ones: mapping costs page table walks, and unmapping an
//! interrupt-like broadcast to all CPUs.

use super::{PhysPages, alloc_pages};
use crate::arch::mmu::{self, Perm, VMAP_BASE, VMAP_END};
use crate::arch::{PAGE_SIZE, STACK_SIZE};
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicUsize, Ordering};
use tracecore::errno::Errno;

const STRIDE: usize = 2 * STACK_SIZE;
const PLACES: usize = (VMAP_END - VMAP_BASE) / STRIDE;
const PAGES: usize = STACK_SIZE / PAGE_SIZE;

/// How many unused stacks are kept; more are unmapped and their pages freed.
const KEPT_STACKS: usize = 64;

struct Places {
    /// Mapped and unused, linked through the lowest word of each stack.
    kept: usize,
    kept_count: usize,
    /// Places that were never used begin here.
    next: usize,
    /// Places whose pages were freed again.
    holes: [usize; HOLES],
    holes_count: usize,
}

/// How many such places are remembered. More are forgotten: that costs address space only, of which there is plenty.
const HOLES: usize = 1024;

static PLACES_IN_USE: SpinLock<Places> =
    SpinLock::new(Places { kept: 0, kept_count: 0, next: 1, holes: [0; HOLES], holes_count: 0 });

static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes in stacks, in use or kept.
pub(super) fn bytes() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// A kernel stack; recycled when dropped.
#[derive(Debug)]
pub(crate) struct Stack {
    base: usize,
}

impl Stack {
    /// A stack. ENOMEM when there are no pages or no place.
    pub(crate) fn new() -> Result<Self, Errno> {
        if let Some(base) = take_kept() {
            return Ok(Self { base });
        }
        let base = take_place().ok_or(Errno::ENOMEM)?;
        for page in 0..PAGES {
            let mapped = alloc_pages(0).and_then(|pages| {
                let phys = pages.leak();
                mmu::map_page(base + page * PAGE_SIZE, phys, Perm::ReadWrite).map_err(|_| {
                    // SAFETY: leaked just now, and not mapped.
                    drop(unsafe { PhysPages::from_leaked(phys, 0) });
                    Errno::ENOMEM
                })
            });
            if let Err(error) = mapped {
                unmap(base, page);
                give_place(base);
                return Err(error);
            }
        }
        BYTES.fetch_add(STACK_SIZE, Ordering::Relaxed);
        Ok(Self { base })
    }

    /// Lowest address.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// One past the highest address; SP of an empty stack.
    pub(crate) fn top(&self) -> usize {
        self.base + STACK_SIZE
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        {
            let mut places = PLACES_IN_USE.lock();
            if places.kept_count < KEPT_STACKS {
                // SAFETY: the stack is mapped and nobody uses it any more.
                unsafe { core::ptr::with_exposed_provenance_mut::<usize>(self.base).write(places.kept) };
                places.kept = self.base;
                places.kept_count += 1;
                return;
            }
        }
        unmap(self.base, PAGES);
        give_place(self.base);
        BYTES.fetch_sub(STACK_SIZE, Ordering::Relaxed);
    }
}

fn take_kept() -> Option<usize> {
    let mut places = PLACES_IN_USE.lock();
    let base = places.kept;
    if base == 0 {
        return None;
    }
    // SAFETY: kept stacks are mapped and hold the next one's base in their lowest word.
    places.kept = unsafe { core::ptr::with_exposed_provenance::<usize>(base).read() };
    places.kept_count -= 1;
    Some(base)
}

fn take_place() -> Option<usize> {
    let mut places = PLACES_IN_USE.lock();
    if places.holes_count > 0 {
        places.holes_count -= 1;
        return places.holes.get(places.holes_count).copied();
    }
    if places.next >= PLACES {
        return None;
    }
    places.next += 1;
    Some(VMAP_BASE + (places.next - 1) * STRIDE)
}

fn give_place(base: usize) {
    let mut places = PLACES_IN_USE.lock();
    let count = places.holes_count;
    if let Some(hole) = places.holes.get_mut(count) {
        *hole = base;
        places.holes_count += 1;
    }
}

fn unmap(base: usize, pages: usize) {
    for page in 0..pages {
        if let Some(phys) = mmu::unmap_page(base + page * PAGE_SIZE) {
            // SAFETY: mapped by `Stack::new` from a leaked page, and unmapped on every CPU now.
            drop(unsafe { PhysPages::from_leaked(phys, 0) });
        }
    }
}
