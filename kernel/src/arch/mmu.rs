//! Page tables and the kernel's memory map.
//!
//! | virtual | what | rights |
//! |---|---|---|
//! | 0 … 2^48 (TTBR0) | user programs; nothing mapped in kernel threads | |
//! | `LINEAR_BASE + pa` | all RAM but the kernel image; device registers | RW, never executable |
//! | `KIMAGE_VADDR` | the image: text, rodata, data, boot stack, symbols | RX · R · RW · RW · R |
//! | `FIXMAP` | pages through which text is written, mapped only while it is | RW |
//! | `VMAP_BASE` … `VMAP_END` | kernel stacks, each with an unmapped page below | RW |
//!
//! No page is writable and executable, by rights and by SCTLR_EL1.WXN. The image is not in the linear map: its text
//! has no writable alias but the fixmap's, for the few instructions of a patch.
//!
//! The tables are built by the `aarch64-paging` crate. Table pages come from a static pool until the page allocator
//! offers its own (`set_table_source`).

use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{PAR_EL1, Readable, TTBR0_EL1, TTBR1_EL1, Writeable};
use aarch64_paging::Mapping;
use aarch64_paging::descriptor::{El1Attributes, PhysicalAddress};
use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, PageTable, Translation, VaRange};

use super::PAGE_SIZE;

/// Where the image is linked (`linker.ld` has the same number).
pub(crate) const KIMAGE_VADDR: usize = 0xffff_8000_8000_0000;
/// Virtual address of physical address 0.
pub(crate) const LINEAR_BASE: usize = 0xffff_0000_0000_0000;
/// Kernel stacks live here.
pub(crate) const VMAP_BASE: usize = 0xffff_8001_0000_0000;
/// End of the vmap area (1 GiB).
pub(crate) const VMAP_END: usize = VMAP_BASE + (1 << 30);
/// Pages through which `text` writes code.
pub(crate) const FIXMAP: usize = 0xffff_8000_f000_0000;
/// How many such pages there are.
pub(crate) const FIXMAP_PAGES: usize = 2;

/// Translation tables for the first image (16 MiB), made by boot.S.
pub(crate) const BOOT_L3_TABLES: usize = 8;

/// MAIR_EL1: index 0 device nGnRE, 1 normal write-back, 2 normal non-cacheable (Arm ARM D19.2.97).
pub(crate) const MAIR: u64 = 0x04 | 0xff << 8 | 0x44 << 16;
/// TCR_EL1 but for IPS: 48-bit halves, 4 KiB granule, inner shareable, write-back walks.
pub(crate) const TCR: u64 =
    16 | 16 << 16 | 0b01 << 8 | 0b01 << 10 | 0b11 << 12 | 0b01 << 24 | 0b01 << 26 | 0b11 << 28 | 0b10 << 30;
/// SCTLR_EL1 with everything off: only the bits that are RES1 on the oldest CPUs (Arm ARM D19.2.121).
pub(crate) const SCTLR_BOOT: u64 = 0x30d0_0800;
/// SCTLR_EL1 in force: MMU, caches, stack alignment check, WXN.
pub(crate) const SCTLR_ON: u64 = SCTLR_BOOT | 1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 19;

/// Rights of a mapping. There is no writable and executable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Perm {
    /// Kernel code.
    TextRx,
    /// Constants.
    ReadOnly,
    /// Data.
    ReadWrite,
    /// Device registers.
    Device,
}

impl Perm {
    fn attributes(self) -> El1Attributes {
        let normal = El1Attributes::VALID
            | El1Attributes::ACCESSED
            | El1Attributes::INNER_SHAREABLE
            | El1Attributes::ATTRIBUTE_INDEX_1
            | El1Attributes::UXN;
        match self {
            Self::TextRx => normal | El1Attributes::READ_ONLY,
            Self::ReadOnly => normal | El1Attributes::READ_ONLY | El1Attributes::PXN,
            Self::ReadWrite => normal | El1Attributes::PXN,
            Self::Device => {
                El1Attributes::VALID
                    | El1Attributes::ACCESSED
                    | El1Attributes::ATTRIBUTE_INDEX_0
                    | El1Attributes::UXN
                    | El1Attributes::PXN
            }
        }
    }
}

/// Why a mapping was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapError {
    /// Not a page address, or outside what may be mapped.
    BadAddress,
    /// Something is mapped there.
    InUse,
    /// No page for a translation table.
    NoMemory,
}

/// Physical address of the image's first byte; set once by [`init`].
static IMAGE_PHYS: AtomicUsize = AtomicUsize::new(0);

/// Linear-map address of a physical address.
#[inline(always)]
pub(crate) fn phys_to_virt(pa: usize) -> usize {
    LINEAR_BASE + pa
}

/// Physical address behind a kernel address, if it is mapped (by the MMU's own answer, AT S1E1R).
pub(crate) fn virt_to_phys(va: usize) -> Option<usize> {
    let daif = super::daif::mask_irq();
    // SAFETY: AT only writes PAR_EL1, which nobody else uses while interrupts are masked.
    unsafe { core::arch::asm!("at s1e1r, {}", "isb", in(reg) va, options(nostack, preserves_flags)) };
    let par = PAR_EL1.get();
    super::daif::restore(daif);
    (par & 1 == 0).then_some((par & 0x000f_ffff_ffff_f000) as usize | va & (PAGE_SIZE - 1))
}

/// Physical address of something in the image.
pub(crate) fn image_phys(va: usize) -> usize {
    va - KIMAGE_VADDR + IMAGE_PHYS.load(Ordering::Relaxed)
}

/// Pages for tables before there is a page allocator.
const POOL_PAGES: usize = 48;
/// The deepest mapping of one page needs a table at levels 1, 2 and 3.
const TABLES_PER_PAGE: usize = 3;
static mut POOL: [PageTable<El1Attributes>; POOL_PAGES] = [PageTable::EMPTY; POOL_PAGES];

/// Free table pages, by physical address.
#[derive(Debug)]
struct FreeTables {
    pages: [usize; POOL_PAGES],
    len: usize,
    source: Option<fn() -> Option<usize>>,
}

static FREE: spin::mutex::SpinMutex<FreeTables, Yield> =
    spin::mutex::SpinMutex::new(FreeTables { pages: [0; POOL_PAGES], len: 0, source: None });

impl FreeTables {
    fn push(&mut self, pa: usize) {
        // A full list loses the page: tables are freed one at a time and the list is refilled only when short.
        if let Some(slot) = self.pages.get_mut(self.len) {
            *slot = pa;
            self.len += 1;
        }
    }
}

/// Sees to it that one page can be mapped without running out of tables half way.
fn reserve_tables() -> Result<(), MapError> {
    loop {
        let source = {
            let free = FREE.lock();
            if free.len >= TABLES_PER_PAGE {
                return Ok(());
            }
            free.source
        };
        // Not under the lock: the allocator may have locks of its own.
        let page = source.and_then(|page| page()).ok_or(MapError::NoMemory)?;
        FREE.lock().push(page);
    }
}

/// Lets tables come from the page allocator: `page` returns the physical address of a free page, or none.
pub(crate) fn set_table_source(page: fn() -> Option<usize>) {
    FREE.lock().source = Some(page);
}

/// How the paging crate gets at table pages.
#[derive(Debug)]
struct Tables;

impl Translation<El1Attributes> for Tables {
    fn allocate_table(&mut self) -> (NonNull<PageTable<El1Attributes>>, PhysicalAddress) {
        let mut free = FREE.lock();
        // `reserve_tables` ran before every mapping of a page; boot maps from the pool.
        assert!(free.len > 0, "no page for a translation table");
        free.len -= 1;
        let pa = PhysicalAddress(free.pages[free.len]);
        let table = self.physical_to_virtual(pa);
        // SAFETY: a mapped page that nobody else knows.
        unsafe { table.write(PageTable::EMPTY) };
        (table, pa)
    }

    unsafe fn deallocate_table(&mut self, table: NonNull<PageTable<El1Attributes>>) {
        if let Some(pa) = virt_to_phys(table.as_ptr() as usize) {
            FREE.lock().push(pa);
        }
    }

    fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<PageTable<El1Attributes>> {
        let pool = (&raw const POOL).addr();
        let pool_pa = image_phys(pool);
        let in_pool = (pool_pa..pool_pa + POOL_PAGES * PAGE_SIZE).contains(&pa.0);
        let va = if in_pool { pa.0 - pool_pa + pool } else { phys_to_virt(pa.0) };
        // Neither of the two is ever 0: both lie in the upper half.
        NonNull::new(core::ptr::with_exposed_provenance_mut(va)).unwrap_or(NonNull::dangling())
    }
}

/// The one kernel mapping, and the lock for it.
static KERNEL: spin::mutex::SpinMutex<Option<Mapping<Tables, El1And0>>, Yield> =
    spin::mutex::SpinMutex::new(None);

/// Spinning as this machine wants it: with `yield`.
#[derive(Debug)]
pub(crate) struct Yield;

impl spin::RelaxStrategy for Yield {
    fn relax() {
        super::cpu::relax();
    }
}

fn with_kernel<T>(
    f: impl FnOnce(&mut Mapping<Tables, El1And0>) -> Result<T, MapError>,
) -> Result<T, MapError> {
    let daif = super::daif::mask_irq();
    let result = match KERNEL.lock().as_mut() {
        Some(mapping) => f(mapping),
        None => Err(MapError::NoMemory),
    };
    super::daif::restore(daif);
    result
}

fn map_in(
    mapping: &mut Mapping<Tables, El1And0>,
    va: Range<usize>,
    pa: usize,
    perm: Perm,
) -> Result<(), MapError> {
    mapping
        .map_range(
            &MemoryRegion::new(va.start, va.end),
            PhysicalAddress(pa),
            perm.attributes(),
            Constraints::NO_CONTIGUOUS_HINT,
        )
        .map_err(|_| MapError::BadAddress)
}

/// The borders of the image, as the linker set them and the loader filled them.
fn image_segments(image_len: usize) -> [(Range<usize>, Perm); 5] {
    let at = |s: *const u8| s as usize;
    [
        (KIMAGE_VADDR..at(&raw const __rx_end), Perm::TextRx),
        (at(&raw const __rodata_start)..at(&raw const __rodata_end), Perm::ReadOnly),
        (at(&raw const __data_start)..at(&raw const __data_end), Perm::ReadWrite),
        (at(&raw const __boot_stack_start)..at(&raw const __boot_stack_end), Perm::ReadWrite),
        (at(&raw const __ksyms_start)..KIMAGE_VADDR + image_len, Perm::ReadOnly),
    ]
}

/// Builds the kernel's tables (the image, `early` in the linear map) and switches to them; the identity map stays
/// for the secondary CPUs' first steps and is left by this one.
///
/// # Safety
/// Once, on the boot CPU, with the tables of boot.S in force, `image_phys` where the image is, and `early` RAM.
pub(crate) unsafe fn init(image_phys: usize, image_len: usize, early: Range<usize>) -> Result<(), MapError> {
    IMAGE_PHYS.store(image_phys, Ordering::Relaxed);
    let pool_pa = self::image_phys(&raw const POOL as usize);
    for i in 0..POOL_PAGES {
        FREE.lock().push(pool_pa + i * PAGE_SIZE);
    }
    let mut mapping = Mapping::with_asid_and_va_range(Tables, 0, 0, El1And0, VaRange::Upper);
    for (va, perm) in image_segments(image_len) {
        if !va.is_empty() {
            let pa = self::image_phys(va.start);
            map_in(&mut mapping, va, pa, perm)?;
        }
    }
    map_in(&mut mapping, phys_to_virt(early.start)..phys_to_virt(early.end), early.start, Perm::ReadWrite)?;
    // Tables for the fixmap, whose entries `text` writes by itself; then the entries are cleared again.
    let fixmap = MemoryRegion::new(FIXMAP, FIXMAP + FIXMAP_PAGES * PAGE_SIZE);
    map_in(&mut mapping, FIXMAP..FIXMAP + FIXMAP_PAGES * PAGE_SIZE, image_phys, Perm::ReadOnly)?;
    mapping
        .map_range(&fixmap, PhysicalAddress(0), El1Attributes::empty(), Constraints::empty())
        .map_err(|_| MapError::BadAddress)?;
    let root = mapping.root_address().0 as u64;
    SECONDARY_TTBR1.store(root, Ordering::Release);
    super::cache::clean_to_memory(&raw const SECONDARY_TTBR1 as usize);
    // SAFETY: the new tables map everything the old ones did, with the same rights; the empty lower half holds
    // nothing that Rust uses. The tables live in a static.
    unsafe {
        let empty = self::image_phys(&raw const EMPTY_TABLE as usize) as u64;
        EMPTY_TTBR0.store(empty, Ordering::Release);
        TTBR1_EL1.set(root);
        TTBR0_EL1.set(empty);
        core::arch::asm!("isb", "tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags));
        mapping.mark_active();
    }
    *KERNEL.lock() = Some(mapping);
    Ok(())
}

/// Adds a range of physical memory to the linear map. What is mapped there already keeps its mapping's rights only if
/// they are the same.
pub(crate) fn map_linear(pa: Range<usize>, perm: Perm) -> Result<(), MapError> {
    with_kernel(|mapping| map_in(mapping, phys_to_virt(pa.start)..phys_to_virt(pa.end), pa.start, perm))
}

/// Maps one page of the vmap area.
pub(crate) fn map_page(va: usize, pa: usize, perm: Perm) -> Result<(), MapError> {
    if !va.is_multiple_of(PAGE_SIZE) || !pa.is_multiple_of(PAGE_SIZE) || !(VMAP_BASE..VMAP_END).contains(&va)
    {
        return Err(MapError::BadAddress);
    }
    with_kernel(|mapping| {
        if virt_to_phys(va).is_some() {
            return Err(MapError::InUse);
        }
        // The crate panics when it finds no table, so let it never look in vain.
        reserve_tables()?;
        map_in(mapping, va..va + PAGE_SIZE, pa, perm)
    })
}

/// Unmaps a page of the vmap area on all CPUs and returns what was behind it.
pub(crate) fn unmap_page(va: usize) -> Option<usize> {
    if !va.is_multiple_of(PAGE_SIZE) || !(VMAP_BASE..VMAP_END).contains(&va) {
        return None;
    }
    with_kernel(|mapping| {
        let pa = virt_to_phys(va).ok_or(MapError::BadAddress)?;
        mapping
            .map_range(
                &MemoryRegion::new(va, va + PAGE_SIZE),
                PhysicalAddress(0),
                El1Attributes::empty(),
                Constraints::empty(),
            )
            .map_err(|_| MapError::BadAddress)?;
        Ok(pa)
    })
    .ok()
}

/// The level 3 entry of a page whose tables exist.
fn leaf_entry(va: usize) -> Option<NonNull<AtomicU64>> {
    let mut table = TTBR1_EL1.get() & 0x0000_ffff_ffff_f000;
    for shift in [39, 30, 21, 12] {
        let base = Tables.physical_to_virtual(PhysicalAddress(table as usize)).cast::<AtomicU64>();
        // SAFETY: a table has 512 entries; tables of the kernel's half are never freed under the fixmap.
        let entry = unsafe { base.add(va >> shift & 511) };
        if shift == 12 {
            return Some(entry);
        }
        // SAFETY: as above.
        let value = unsafe { entry.as_ref() }.load(Ordering::Acquire);
        if value & 3 != 3 {
            return None;
        }
        table = value & 0x0000_ffff_ffff_f000;
    }
    None
}

/// The level 3 entries of the fixmap's pages, once looked up; they never move.
static FIXMAP_ENTRIES: [AtomicPtr<AtomicU64>; FIXMAP_PAGES] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; FIXMAP_PAGES];

/// A page of the fixmap that shows some physical page, writable, until dropped.
///
/// Only `text` has one, under its lock; there are [`FIXMAP_PAGES`] of them, told apart by `index`.
#[derive(Debug)]
pub(crate) struct Alias {
    entry: NonNull<AtomicU64>,
    va: usize,
}

impl Alias {
    /// Maps the page of physical address `pa` as fixmap page `index`.
    ///
    /// # Safety
    /// The caller alone uses fixmap page `index`, and writes through it only what may be written to that memory.
    pub(crate) unsafe fn map(index: usize, pa: usize) -> Option<Self> {
        if index >= FIXMAP_PAGES {
            return None;
        }
        let va = FIXMAP + index * PAGE_SIZE;
        let known = NonNull::new(FIXMAP_ENTRIES[index].load(Ordering::Relaxed));
        let entry = match known {
            Some(entry) => entry,
            None => {
                let entry = leaf_entry(va)?;
                FIXMAP_ENTRIES[index].store(entry.as_ptr(), Ordering::Relaxed);
                entry
            }
        };
        let flags = Perm::ReadWrite.attributes() | El1Attributes::TABLE_OR_PAGE;
        // SAFETY: `entry` is the fixmap's own; nobody else writes it (this function's promise).
        unsafe { entry.as_ref() }
            .store((pa & !(PAGE_SIZE - 1)) as u64 | flags.bits() as u64, Ordering::Relaxed);
        barrier::dsb(barrier::ISHST);
        barrier::isb(barrier::SY);
        Some(Self { entry, va })
    }

    /// Address of the alias of byte `offset` of the page.
    #[inline(always)]
    pub(crate) fn at(&self, offset: usize) -> usize {
        self.va + (offset & (PAGE_SIZE - 1))
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        // SAFETY: as in `map`.
        unsafe { self.entry.as_ref() }.store(0, Ordering::Relaxed);
        barrier::dsb(barrier::ISHST);
        // SAFETY: drops a translation that nothing uses any more.
        unsafe {
            core::arch::asm!("tlbi vaae1is, {}", in(reg) self.va >> 12 & 0xfff_ffff_ffff, options(nostack, preserves_flags));
        }
        barrier::dsb(barrier::ISH);
        barrier::isb(barrier::SY);
    }
}

/// Translation table base of the kernel's half, read by boot.S with the MMU off.
#[unsafe(no_mangle)]
static SECONDARY_TTBR1: AtomicU64 = AtomicU64::new(0);

/// Physical address of [`EMPTY_TABLE`], once the identity map is no longer needed by the CPU that reads it.
pub(crate) static EMPTY_TTBR0: AtomicU64 = AtomicU64::new(0);

/// What TTBR0 points to when there is no user program: nothing is mapped, null least of all.
static EMPTY_TABLE: PageTable<El1Attributes> = PageTable::EMPTY;

/// The addresses of the image's constants.
pub(crate) fn constants() -> Range<usize> {
    (&raw const __rodata_start).addr()..(&raw const __rodata_end).addr()
}

unsafe extern "C" {
    static __rx_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __boot_stack_start: u8;
    static __boot_stack_end: u8;
    static __ksyms_start: u8;
}
