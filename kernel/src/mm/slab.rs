//! Slabs: blocks of pages cut into objects of one size.
//!
//! ```text
//!   one slab, aligned to its size
//!   ┌────────┬─────┬─────┬─────┬─────┬─ … ┐
//!   │ header │ obj │free─┼────▶│free─┼─▶  │   free objects are linked through their first word
//!   └────────┴─────┴─────┴─────┴─────┴─ … ┘
//! ```
//!
//! Since a slab is aligned to its size, the slab of an object is found by masking its address. Slabs with free
//! objects are in their class's list; one with all objects free goes back to the pages, but one is kept so that a
//! program at the border does not ask for pages each time.

use super::pages;
use crate::arch::PAGE_SIZE;
use crate::sync::{Link, Linked, List};
use core::cell::Cell;
use core::ptr::{NonNull, null_mut};

/// Sizes of objects. Each is a multiple of 16; a power of two is aligned to itself.
pub(super) const SIZES: [usize; 14] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];

/// The largest object that lives in a slab.
pub(super) const MAX_SIZE: usize = SIZES[SIZES.len() - 1];

/// Sizes are looked up by how many 16s they have.
const GRAIN: usize = 16;

static CLASS_OF: [u8; MAX_SIZE / GRAIN + 1] = {
    let mut table = [0; MAX_SIZE / GRAIN + 1];
    let mut class = 0;
    let mut grains = 0;
    while grains < table.len() {
        if grains * GRAIN > SIZES[class] {
            class += 1;
        }
        table[grains] = class as u8;
        grains += 1;
    }
    table
};

/// The class of objects that hold `size` bytes at `align`; none when that is no matter for slabs.
#[inline]
pub(super) fn class_for(size: usize, align: usize) -> Option<usize> {
    // A class that is no power of two keeps only 16-byte alignment; a larger one asks for the next power of two.
    let size = if align <= GRAIN { size } else { size.max(align).next_power_of_two() };
    CLASS_OF.get(size.div_ceil(GRAIN)).map(|&class| usize::from(class))
}

/// The order of a class's slabs: eight objects at least.
const fn order(class: usize) -> u32 {
    match SIZES[class] {
        0..=256 => 0,
        257..=768 => 1,
        _ => 2,
    }
}

const fn slab_bytes(class: usize) -> usize {
    PAGE_SIZE << order(class)
}

/// A free object: the address of the next one.
type Free = *mut u8;

struct Slab {
    link: Link<Slab>,
    free: Cell<Free>,
    used: Cell<usize>,
}

// SAFETY: `link` is the one link.
unsafe impl Linked for Slab {
    fn link(&self) -> &Link<Self> {
        &self.link
    }
}

// SAFETY: a slab's header is touched under its class's lock alone.
unsafe impl Sync for Slab {}

/// Where the first object lies: after the header, at an address that the class's alignment divides.
const fn first_object(class: usize) -> usize {
    let header = size_of::<Slab>();
    let size = SIZES[class];
    if size.is_power_of_two() { header.next_multiple_of(size) } else { header.next_multiple_of(GRAIN) }
}

const fn objects(class: usize) -> usize {
    (slab_bytes(class) - first_object(class)) / SIZES[class]
}

/// The slabs of one class.
pub(super) struct Class {
    /// Slabs with at least one free object.
    partial: List<Slab>,
    /// How many of them have all objects free.
    empty: usize,
    /// Bytes in slabs.
    bytes: usize,
}

impl Class {
    pub(super) const fn new() -> Self {
        Self { partial: List::new(), empty: 0, bytes: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes one object of class `class` (the same for each call on `self`).
    pub(super) fn take(&mut self, class: usize) -> Option<NonNull<u8>> {
        if self.partial.is_empty() {
            self.grow(class)?;
        }
        let slab = self.partial.first()?;
        let object = NonNull::new(slab.free.get())?;
        // SAFETY: a free object holds the next one's address.
        slab.free.set(unsafe { object.cast::<Free>().read() });
        if slab.used.get() == 0 {
            self.empty -= 1;
        }
        slab.used.set(slab.used.get() + 1);
        if slab.free.get().is_null() {
            let slab = core::ptr::from_ref(slab);
            // SAFETY: it is this list's first.
            unsafe { self.partial.remove(slab) };
        }
        Some(object)
    }

    /// Gives one object back.
    ///
    /// # Safety
    /// It came from `take` of the same class, and nobody uses it any more.
    pub(super) unsafe fn give(&mut self, class: usize, object: NonNull<u8>) {
        let at = object.as_ptr().map_addr(|addr| addr & !(slab_bytes(class) - 1));
        // SAFETY: objects lie in slabs that are aligned to their size and begin with the header.
        let slab = unsafe { &*at.cast::<Slab>() };
        // SAFETY: the object is free now, at least 16 bytes long and as aligned.
        unsafe { object.cast::<Free>().write(slab.free.get()) };
        if slab.free.get().is_null() {
            // SAFETY: a slab without free objects is in no list, and lives until it is taken out below.
            unsafe { self.partial.push_front(slab) };
        }
        slab.free.set(object.as_ptr());
        slab.used.set(slab.used.get() - 1);
        if slab.used.get() > 0 {
            return;
        }
        if self.empty == 0 {
            self.empty = 1;
            return;
        }
        // SAFETY: it is in the list, since it has free objects; all are free, so its pages have no user.
        unsafe {
            self.partial.remove(slab);
            self.bytes -= slab_bytes(class);
            pages::free_block(NonNull::new_unchecked(at), order(class));
        }
    }

    fn grow(&mut self, class: usize) -> Option<()> {
        let block = pages::alloc_block(order(class), pages::Use::Core)?;
        let mut free: Free = null_mut();
        for i in (0..objects(class)).rev() {
            // SAFETY: `objects` objects fit into the block after the header.
            unsafe {
                let object = block.add(first_object(class) + i * SIZES[class]);
                object.cast::<Free>().write(free);
                free = object.as_ptr();
            }
        }
        let slab = block.cast::<Slab>();
        // SAFETY: the header has its place at the block's begin; the slab stays until it is taken out of the list.
        unsafe {
            slab.write(Slab { link: Link::new(), free: Cell::new(free), used: Cell::new(0) });
            self.partial.push_back(slab.as_ptr());
        }
        self.empty += 1;
        self.bytes += slab_bytes(class);
        Some(())
    }
}
