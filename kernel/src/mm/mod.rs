//! Memory: pages, the heap on top of them, and stacks.
//!
//! ```text
//!   Box, Vec, …            task stacks
//!       │                      │
//!     heap ── slabs ──┐      stack ── mapped page by page, a hole below each
//!       │ large       │        │
//!       └─────────▶ pages ◀────┘    buddy allocator over the RAM that boot left free
//! ```
//!
//! All of it may be used with interrupts masked and in interrupt handlers; none of it in exception handlers that may
//! strike anywhere (a probe in the allocator would meet its own lock). Running out is an answer, not a panic:
//! [`alloc_pages`] returns ENOMEM, the heap a null pointer, which `try_reserve` and [`try_box`] turn into an error.

pub(crate) mod bench;
mod events;
mod heap;
mod pages;
pub(crate) mod selftest;
mod slab;
mod stack;

pub(crate) use heap::{try_arc, try_box};
pub(crate) use pages::{MAX_ORDER, PhysPages, alloc_pages, order_for};
pub(crate) use stack::Stack;

use crate::arch;
use crate::exception::{self, Handled};
use crate::tracepoint::trace;
use core::ops::Range;
use tracecore::errno::Errno;

/// Takes over the RAM that boot found. Once, on the boot CPU, before the first allocation.
pub(crate) fn init(ram: &[Range<usize>]) {
    pages::init(ram);
    // A table page is never given back: page tables only grow.
    arch::mmu::set_table_source(pages::table_page);
}

/// Tells of aborts. First of the fault hooks, so that it sees those that others handle.
pub(crate) fn watch_faults() -> Result<(), Errno> {
    exception::register_fault(|regs, esr, far| {
        trace!(events::page_fault_kernel(far, regs.pc(), esr));
        Handled::No
    })
    .map_err(|_| Errno::EBUSY)
}

/// Where the memory is; the source of /proc/meminfo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// RAM given to the page allocator, in bytes.
    pub(crate) total_bytes: usize,
    /// Of it, free.
    pub(crate) free_bytes: usize,
    /// In slabs (used or not).
    pub(crate) slab_bytes: usize,
    /// In heap blocks that have pages of their own.
    pub(crate) large_bytes: usize,
    /// In kernel stacks, in use or kept for the next task.
    pub(crate) stack_bytes: usize,
    /// Requests that could not be served, since boot.
    pub(crate) failures: u64,
}

/// The counts as they are now; each is right by itself.
pub(crate) fn stats() -> Stats {
    let (total_bytes, free_bytes, failures) = pages::counts();
    let (slab_bytes, large_bytes) = heap::counts();
    Stats { total_bytes, free_bytes, slab_bytes, large_bytes, stack_bytes: stack::bytes(), failures }
}
