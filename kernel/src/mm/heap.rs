//! The heap behind `Box`, `Vec` and their like.
//!
//! | size | from |
//! |---|---|
//! | up to 2 KiB | the CPU's own stack of free objects of that class; when it is empty or full, half of it is exchanged with the class's slabs |
//! | up to 4 MiB | a block of pages of its own |
//! | more | refused |
//!
//! The common case is a handful of instructions with interrupts masked: no lock, no atomic exchange.

use super::{events, pages, slab};
use crate::arch::PAGE_SIZE;
use crate::arch::cpu::return_address;
use crate::sync::{IrqGuard, SpinLock, per_cpu};
use crate::tracepoint::trace;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use tracecore::errno::Errno;

const CLASSES: usize = slab::SIZES.len();

/// How many free objects of a class a CPU keeps at most, by size: about 8 KiB, at least 4, at most 64.
const fn kept_max(class: usize) -> u32 {
    match 8192 / slab::SIZES[class] {
        n if n > 64 => 64,
        n if n < 4 => 4,
        n => n as u32,
    }
}

static SLABS: [SpinLock<slab::Class>; CLASSES] = [const { SpinLock::new(slab::Class::new()) }; CLASSES];

/// Bytes in blocks that have pages of their own.
static LARGE: AtomicUsize = AtomicUsize::new(0);

/// A CPU's free objects of one class, linked through their first words. Touched with interrupts masked.
struct Kept {
    first: AtomicPtr<u8>,
    count: AtomicU32,
}

per_cpu! {
    static KEPT: [Kept; CLASSES] =
        [const { Kept { first: AtomicPtr::new(null_mut()), count: AtomicU32::new(0) } }; CLASSES];
}

impl Kept {
    #[inline(always)]
    fn pop(&self) -> Option<NonNull<u8>> {
        let object = NonNull::new(self.first.load(Ordering::Relaxed))?;
        // SAFETY: a free object's first word is the next one's address.
        self.first.store(unsafe { object.cast::<*mut u8>().read() }, Ordering::Relaxed);
        self.count.store(self.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        Some(object)
    }

    /// # Safety
    /// The object is free and of this class.
    #[inline(always)]
    unsafe fn push(&self, object: NonNull<u8>) -> u32 {
        // SAFETY: it is free and at least 16 bytes long.
        unsafe { object.cast::<*mut u8>().write(self.first.load(Ordering::Relaxed)) };
        self.first.store(object.as_ptr(), Ordering::Relaxed);
        let count = self.count.load(Ordering::Relaxed) + 1;
        self.count.store(count, Ordering::Relaxed);
        count
    }
}

/// Fills the CPU's empty stack by half, and takes one object.
#[cold]
fn refill(class: usize, kept: &Kept) -> Option<NonNull<u8>> {
    let mut slabs = SLABS[class].lock();
    let object = slabs.take(class)?;
    for _ in 0..kept_max(class) / 2 {
        let Some(more) = slabs.take(class) else { break };
        // SAFETY: fresh from the slab.
        unsafe { kept.push(more) };
    }
    Some(object)
}

/// Empties the CPU's full stack by half.
#[cold]
fn flush(class: usize, kept: &Kept) {
    let mut slabs = SLABS[class].lock();
    for _ in 0..kept_max(class) / 2 {
        let Some(object) = kept.pop() else { break };
        // SAFETY: objects on the stack are free and of this class.
        unsafe { slabs.give(class, object) };
    }
}

fn alloc_small(class: usize) -> Option<NonNull<u8>> {
    let here = IrqGuard::new();
    let kept = KEPT.this_cpu(&here).get(class)?;
    kept.pop().or_else(|| refill(class, kept))
}

/// # Safety
/// The object came from `alloc_small` of the same class, and nobody uses it any more.
unsafe fn free_small(class: usize, object: NonNull<u8>) {
    let here = IrqGuard::new();
    if let Some(kept) = KEPT.this_cpu(&here).get(class) {
        // SAFETY: the caller's promise.
        if unsafe { kept.push(object) } > kept_max(class) {
            flush(class, kept);
        }
    }
}

/// The order of a large block: pages are aligned to their block's size.
fn large_order(layout: Layout) -> Option<u32> {
    pages::order_for(layout.size().max(layout.align()))
}

/// Bytes of the block that a request gets.
fn given(layout: Layout) -> usize {
    match slab::class_for(layout.size(), layout.align()) {
        Some(class) => slab::SIZES.get(class).copied().unwrap_or(0),
        None => large_order(layout).map_or(0, |order| PAGE_SIZE << order),
    }
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: blocks are disjoint, live until freed and are as large and as aligned as asked for (`class_for`,
// `large_order`); nothing here unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = match slab::class_for(layout.size(), layout.align()) {
            Some(class) => alloc_small(class),
            None => large_order(layout).and_then(|order| {
                let block = pages::alloc_block(order, pages::Use::Ordinary)?;
                LARGE.fetch_add(PAGE_SIZE << order, Ordering::Relaxed);
                Some(block)
            }),
        };
        let block = block.map_or(null_mut(), NonNull::as_ptr);
        trace!(events::kmalloc(return_address(), block.addr(), layout.size(), given(layout)));
        block
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(ptr) else { return };
        trace!(events::kfree(return_address(), ptr.addr()));
        match slab::class_for(layout.size(), layout.align()) {
            // SAFETY: the same layout gave the same class in `alloc`.
            Some(class) => unsafe { free_small(class, block) },
            None => {
                if let Some(order) = large_order(layout) {
                    LARGE.fetch_sub(PAGE_SIZE << order, Ordering::Relaxed);
                    // SAFETY: likewise.
                    unsafe { pages::free_block(block, order) };
                }
            }
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, old: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, old.align()) else { return null_mut() };
        let class = |layout: Layout| slab::class_for(layout.size(), layout.align());
        let same = match (class(old), class(new)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => large_order(old) == large_order(new),
            _ => false,
        };
        if same {
            return ptr;
        }
        // SAFETY: `ptr` has the layout `old` (caller); both blocks hold the smaller of the two sizes.
        unsafe {
            let block = self.alloc(new);
            if !block.is_null() {
                block.copy_from_nonoverlapping(ptr, old.size().min(new_size));
                self.dealloc(ptr, old);
            }
            block
        }
    }
}

/// Bytes in slabs and in large blocks.
pub(super) fn counts() -> (usize, usize) {
    (SLABS.iter().map(|class| class.lock().bytes()).sum(), LARGE.load(Ordering::Relaxed))
}

/// `Box::new` for callers that can cope with ENOMEM.
pub(crate) fn try_box<T>(value: T) -> Result<Box<T>, Errno> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Ok(Box::new(value));
    }
    // SAFETY: the size is not 0. (Asked of the heap itself: the compiler may leave out a call of the allocator whose
    // block it sees freed again, and would take it to have succeeded.)
    let place = NonNull::new(unsafe { HEAP.alloc(layout) }).ok_or(Errno::ENOMEM)?.cast::<T>();
    // SAFETY: fresh memory of T's layout, from the global allocator, as Box wants it.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place.as_ptr()))
    }
}

/// `Arc::new` for callers that can cope with ENOMEM.
pub(crate) fn try_arc<T>(value: T) -> Result<Arc<T>, Errno> {
    // What an Arc allocates: two counts, then the value.
    let Ok((layout, _)) = Layout::new::<[usize; 2]>().extend(Layout::new::<T>()) else {
        return Err(Errno::ENOMEM);
    };
    let layout = layout.pad_to_align();
    // `Arc::new` has no way to fail. So see that there is a block, and give it back: with interrupts masked it is
    // the next one that this CPU hands out.
    let _here = IrqGuard::new();
    // SAFETY: the size is not 0; the block is freed with the layout it has. (Asked of the heap itself, as above.)
    unsafe {
        let block = HEAP.alloc(layout);
        if block.is_null() {
            return Err(Errno::ENOMEM);
        }
        HEAP.dealloc(block, layout);
    }
    Ok(Arc::new(value))
}
