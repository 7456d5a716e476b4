//! Pages: a buddy allocator over the linear map.
//!
//! A block of order `n` is 2^n pages, aligned to its size; its free neighbour of the same order, its buddy, differs
//! in one address bit. The `buddy_system_allocator` crate keeps the free lists inside the free blocks.
//!
//! The last pages are a reserve ([`Use::Core`]): for slabs, hence for everybody who cannot cope with running out. Who
//! asks for pages, stacks or large blocks is told ENOMEM earlier.
//!
//! Single pages are asked for most (slabs, tables); each CPU keeps a few, so that the common case takes no lock and
//! the crate's search for a buddy is seldom.

use super::events;
use crate::arch::{self, PAGE_SIZE};
use crate::sync::{IrqGuard, SpinLock, per_cpu};
use crate::tracepoint::trace;
use buddy_system_allocator::Heap;
use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tracecore::errno::Errno;

/// The largest block is 2^MAX_ORDER pages (4 MiB).
pub(crate) const MAX_ORDER: u32 = 10;

/// Free lists by size in bytes: the largest has 2^(LISTS-1).
const LISTS: usize = PAGE_SIZE.trailing_zeros() as usize + MAX_ORDER as usize + 1;

/// The reserve: this part of the RAM, but at most so many bytes.
const RESERVE_PART: usize = 64;
const RESERVE_MAX: usize = 8 << 20;

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The caller can cope without.
    Ordinary,
    /// Small objects and page tables: they may use the reserve.
    Core,
}

/// How many single pages a CPU keeps at most.
const KEPT_PAGES: usize = 32;

static BUDDIES: SpinLock<Heap<LISTS>> = SpinLock::new(Heap::empty());
static TOTAL: AtomicUsize = AtomicUsize::new(0);
static FREE: AtomicUsize = AtomicUsize::new(0);
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// A CPU's own free pages: a stack, linked through the first word of each page. Touched with interrupts masked.
struct Kept {
    first: AtomicUsize,
    count: AtomicUsize,
}

per_cpu! {
    static KEPT: Kept = Kept { first: AtomicUsize::new(0), count: AtomicUsize::new(0) };
}

/// Takes over `ram` (physical addresses).
pub(super) fn init(ram: &[Range<usize>]) {
    let mut buddies = BUDDIES.lock();
    for range in ram {
        let start = range.start.next_multiple_of(PAGE_SIZE);
        let end = range.end & !(PAGE_SIZE - 1);
        if start >= end {
            continue;
        }
        // SAFETY: boot says that this RAM is unused and mapped in the linear map, and calls this once.
        unsafe { buddies.add_to_heap(arch::mmu::phys_to_virt(start), arch::mmu::phys_to_virt(end)) };
        TOTAL.fetch_add(end - start, Ordering::Relaxed);
        FREE.fetch_add(end - start, Ordering::Relaxed);
    }
}

/// Total and free bytes, and failed requests.
pub(super) fn counts() -> (usize, usize, u64) {
    (TOTAL.load(Ordering::Relaxed), FREE.load(Ordering::Relaxed), FAILURES.load(Ordering::Relaxed))
}

/// The smallest order whose block holds `bytes`; none when no block does.
pub(crate) const fn order_for(bytes: usize) -> Option<u32> {
    if bytes > PAGE_SIZE << MAX_ORDER {
        return None;
    }
    let pages = bytes.div_ceil(PAGE_SIZE);
    Some(if pages <= 1 { 0 } else { (pages - 1).ilog2() + 1 })
}

const fn layout(order: u32) -> Layout {
    let bytes = PAGE_SIZE << order;
    match Layout::from_size_align(bytes, bytes) {
        Ok(layout) => layout,
        Err(_) => panic!("an order within MAX_ORDER"),
    }
}

/// Takes `bytes` off the count of free bytes, if that leaves enough.
fn reserve(bytes: usize, usage: Use) -> bool {
    let kept = match usage {
        Use::Ordinary => (TOTAL.load(Ordering::Relaxed) / RESERVE_PART).min(RESERVE_MAX),
        Use::Core => 0,
    };
    FREE.try_update(Ordering::Relaxed, Ordering::Relaxed, |free| (free >= bytes + kept).then(|| free - bytes))
        .is_ok()
}

/// A block at its address in the linear map.
pub(super) fn alloc_block(order: u32, usage: Use) -> Option<NonNull<u8>> {
    if order > MAX_ORDER || !reserve(PAGE_SIZE << order, usage) {
        FAILURES.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let kept = if order == 0 { take_kept() } else { None };
    let block = kept.or_else(|| BUDDIES.lock().alloc(layout(order)).ok());
    if block.is_none() {
        // Enough is free, but not in one piece, or kept by other CPUs.
        FREE.fetch_add(PAGE_SIZE << order, Ordering::Relaxed);
        FAILURES.fetch_add(1, Ordering::Relaxed);
    }
    trace!(events::mm_page_alloc(block.map_or(NO_FRAME, frame), order));
    block
}

/// What an event tells in place of a frame's number when there was none.
const NO_FRAME: u64 = u64::MAX;

/// The number of a block's first page frame.
fn frame(block: NonNull<u8>) -> u64 {
    ((block.addr().get() - arch::mmu::LINEAR_BASE) / PAGE_SIZE) as u64
}

/// Gives a block back.
///
/// # Safety
/// It came from [`alloc_block`] with the same order, and nobody uses it any more.
pub(super) unsafe fn free_block(block: NonNull<u8>, order: u32) {
    trace!(events::mm_page_free(frame(block), order));
    if order != 0 || !keep(block) {
        // SAFETY: the caller's promise.
        unsafe { BUDDIES.lock().dealloc(block, layout(order)) };
    }
    FREE.fetch_add(PAGE_SIZE << order, Ordering::Relaxed);
}

fn take_kept() -> Option<NonNull<u8>> {
    let here = IrqGuard::new();
    let kept = KEPT.this_cpu(&here);
    let page =
        NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(kept.first.load(Ordering::Relaxed)))?;
    // SAFETY: pages on the stack are free and hold the next one's address in their first word.
    let next = unsafe { page.cast::<usize>().read() };
    kept.first.store(next, Ordering::Relaxed);
    kept.count.store(kept.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    Some(page)
}

fn keep(page: NonNull<u8>) -> bool {
    let here = IrqGuard::new();
    let kept = KEPT.this_cpu(&here);
    let count = kept.count.load(Ordering::Relaxed);
    if count >= KEPT_PAGES {
        return false;
    }
    // SAFETY: the page is free (the promise to `free_block`).
    unsafe { page.cast::<usize>().write(kept.first.load(Ordering::Relaxed)) };
    kept.first.store(page.as_ptr().expose_provenance(), Ordering::Relaxed);
    kept.count.store(count + 1, Ordering::Relaxed);
    true
}

/// A block of pages, free again when dropped.
#[derive(Debug)]
pub(crate) struct PhysPages {
    block: NonNull<u8>,
    order: u32,
}

// SAFETY: a block belongs to its owner alone, whichever CPU that runs on.
unsafe impl Send for PhysPages {}
// SAFETY: `&PhysPages` only tells addresses.
unsafe impl Sync for PhysPages {}

/// A page that is never given back, from the reserve too: its physical address.
pub(super) fn table_page() -> Option<usize> {
    alloc_block(0, Use::Core).map(|block| PhysPages { block, order: 0 }.leak())
}

/// A block of 2^`order` pages, with whatever they held before. ENOMEM when there is none.
pub(crate) fn alloc_pages(order: u32) -> Result<PhysPages, Errno> {
    alloc_block(order, Use::Ordinary).map(|block| PhysPages { block, order }).ok_or(Errno::ENOMEM)
}

impl PhysPages {
    /// Address in the linear map.
    pub(crate) fn virt(&self) -> NonNull<u8> {
        self.block
    }

    /// Physical address.
    pub(crate) fn phys(&self) -> usize {
        self.block.addr().get() - arch::mmu::LINEAR_BASE
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        PAGE_SIZE << self.order
    }

    /// Keeps the block for ever; its physical address.
    pub(crate) fn leak(self) -> usize {
        let phys = self.phys();
        core::mem::forget(self);
        phys
    }

    /// Takes back what [`PhysPages::leak`] gave away.
    ///
    /// # Safety
    /// `phys` came from `leak` of a block of this order, and nobody uses the block any more.
    pub(crate) unsafe fn from_leaked(phys: usize, order: u32) -> Self {
        let block = core::ptr::with_exposed_provenance_mut(arch::mmu::phys_to_virt(phys));
        // SAFETY: the linear map does not begin at address 0.
        Self { block: unsafe { NonNull::new_unchecked(block) }, order }
    }
}

impl Drop for PhysPages {
    fn drop(&mut self) {
        // SAFETY: owned, and made by `alloc_block` with this order.
        unsafe { free_block(self.block, self.order) };
    }
}
