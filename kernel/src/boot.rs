//! From boot.S to the init list: the device tree, the kernel's own page tables, the other CPUs.
//!
//! ```text
//! boot.S       Image header, EL2 → EL1, first tables, MMU on, stack, vectors            (primary and secondary)
//! primary      per-CPU copies, own page tables, DTB → BootInfo, RAM and devices mapped → main::kernel_main
//! start_cpus   PSCI CPU_ON for every CPU of the DTB, one at a time                      → main::secondary_main
//! ```

use core::arch::global_asm;
use core::mem::offset_of;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

use crate::arch::gic;
use crate::arch::mmu::{self, Perm};
use crate::arch::power::{self, Conduit};
use crate::arch::thread::ThreadHead;
use crate::arch::{MAX_CPUS, PAGE_SIZE, cpu, pmu, semihosting, timer, uart};

/// Ranges of RAM that can be told apart at most; more are passed over and counted.
const MAX_MEM_RANGES: usize = 16;

/// Slots of virtio-mmio that are remembered at most; QEMU's `virt` has as many.
pub(crate) const MAX_VIRTIO: usize = 32;

/// A place where a virtio device may be: physical address of its registers, their size, and its interrupt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VirtioSlot {
    /// Physical address.
    pub(crate) base: usize,
    /// Bytes.
    pub(crate) len: usize,
    /// Interrupt number.
    pub(crate) irq: u32,
}

/// What the boot loader told us.
pub(crate) struct BootInfo {
    mem: [Range<usize>; MAX_MEM_RANGES],
    mem_len: usize,
    cpus: [u64; MAX_CPUS],
    cpus_len: usize,
    virtio: [VirtioSlot; MAX_VIRTIO],
    virtio_len: usize,
    /// Ranges of RAM, CPUs and slots for which there was no room here.
    pub(crate) ignored: usize,
    /// Exception level of entry: 1 or 2.
    pub(crate) boot_el: u64,
    /// Physical range of the image with its symbols.
    pub(crate) image: Range<usize>,
    /// Physical range of the initial RAM file system.
    pub(crate) initrd: Option<Range<usize>>,
    /// The device tree blob, in the linear map.
    pub(crate) dtb: &'static [u8],
    /// The kernel command line.
    pub(crate) bootargs: &'static str,
    /// What the device tree calls the machine.
    pub(crate) model: &'static str,
    /// Physical address and interrupt of the console.
    pub(crate) uart: Option<(usize, u32)>,
    /// The interrupt controller.
    pub(crate) gic: Option<gic::Description>,
    /// Interrupt of the virtual timer.
    pub(crate) timer_irq: u32,
    /// Counter value when Rust began.
    pub(crate) start_ticks: u64,
}

impl BootInfo {
    /// Physical ranges of RAM that nothing occupies: without the image, the initrd and the DTB, whole pages.
    pub(crate) fn mem(&self) -> &[Range<usize>] {
        &self.mem[..self.mem_len]
    }

    /// MPIDR affinities of the CPUs, the boot CPU first.
    pub(crate) fn cpus(&self) -> &[u64] {
        &self.cpus[..self.cpus_len]
    }

    /// Where virtio devices may be.
    pub(crate) fn virtio(&self) -> &[VirtioSlot] {
        &self.virtio[..self.virtio_len]
    }

    /// The initial RAM file system, in the linear map.
    pub(crate) fn initrd(&self) -> Option<&'static [u8]> {
        let range = self.initrd.clone().filter(|range| !range.is_empty())?;
        let start = core::ptr::with_exposed_provenance(mmu::phys_to_virt(range.start));
        // SAFETY: RAM that the boot loader filled, mapped with all RAM, taken out of what is handed out (`primary`), and
        // written by nobody.
        Some(unsafe { core::slice::from_raw_parts(start, range.len()) })
    }

    /// The value of boot argument `name` (`name=value`), the last one given.
    pub(crate) fn arg(&self, name: &str) -> Option<&'static str> {
        let mut words = self.bootargs.split_ascii_whitespace();
        let value = |word: &'static str| word.strip_prefix(name)?.strip_prefix('=');
        words.by_ref().filter_map(value).last()
    }

    /// Whether `name` stands alone among the boot arguments.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.bootargs.split_ascii_whitespace().any(|word| word == name)
    }

    fn add_mem(&mut self, range: Range<usize>) {
        if range.start >= range.end {
            return;
        }
        match self.mem.get_mut(self.mem_len) {
            Some(slot) => {
                *slot = range;
                self.mem_len += 1;
            }
            None => self.ignored += 1,
        }
    }

    /// Takes `hole` out of the RAM ranges, page by page.
    fn remove_mem(&mut self, hole: Range<usize>) {
        let hole = hole.start & !(PAGE_SIZE - 1)..hole.end.next_multiple_of(PAGE_SIZE);
        for i in 0..self.mem_len {
            let range = self.mem[i].clone();
            if hole.start >= range.end || hole.end <= range.start {
                continue;
            }
            self.mem[i] = range.start..hole.start.max(range.start);
            self.add_mem(hole.end.min(range.end)..range.end);
        }
        // Keep only what is not empty.
        let mut kept = 0;
        for i in 0..self.mem_len {
            if !self.mem[i].is_empty() {
                self.mem.swap(kept, i);
                kept += 1;
            }
        }
        self.mem_len = kept;
    }
}

static INFO: spin::once::Once<BootInfo, mmu::Yield> = spin::once::Once::new();

/// What the boot loader told us. Callers run after [`primary`] has read it.
///
/// # Panics
/// Before that.
pub(crate) fn info() -> &'static BootInfo {
    match INFO.get() {
        Some(info) => info,
        None => panic!("boot information is not there yet"),
    }
}

/// Called by boot.S on the boot CPU: DTB and image by physical address, the exception level of entry.
extern "C" fn primary(dtb: usize, image: usize, boot_el: u64) -> ! {
    let start_ticks = timer::ticks();
    pmu::init();
    // SAFETY: first Rust on the only CPU that runs.
    unsafe { cpu::init_percpu() };
    cpu::set_online();
    // SAFETY: the header is the first thing in the image.
    let image_len = unsafe { IMAGE_SIZE_FIELD.as_ptr().read() } as usize;
    // The DTB says how long it is, so map a first block, then as much as it says.
    let early = early_dtb(dtb);
    // SAFETY: the tables of boot.S are in force, once; the boot protocol puts a DTB of at most 2 MiB into RAM.
    if unsafe { mmu::init(image, image_len, early) }.is_err() {
        power::halt();
    }
    // SAFETY: mapped just now, never written; `from_raw` checks the header. A broken one leaves nothing to say it with.
    let Ok(fdt) = (unsafe { Fdt::from_raw(core::ptr::with_exposed_provenance(mmu::phys_to_virt(dtb))) })
    else {
        power::halt()
    };
    let mut info = read_device_tree(fdt);
    info.boot_el = boot_el;
    info.start_ticks = start_ticks;
    info.image = image..image + image_len.next_multiple_of(PAGE_SIZE);
    map_machine(&info, dtb);
    info.remove_mem(info.image.clone());
    info.remove_mem(dtb..dtb + info.dtb.len());
    if let Some(initrd) = info.initrd.clone() {
        info.remove_mem(initrd);
    }
    let info = INFO.call_once(|| info);
    if let Some((base, _)) = info.uart {
        // SAFETY: the DTB says that it is a PL011, `map_machine` mapped it, and this is the only call.
        unsafe { uart::init(base) };
    }
    if info.flag("trapline.semihosting") || info.arg("trapline.script").is_some() {
        semihosting::enable();
    }
    crate::kernel_main()
}

/// Alignment and first size of the mapping through which the DTB is read (the boot protocol's limit for its size).
const EARLY_DTB_MAP: usize = 2 << 20;

/// The physical range of that mapping, for a DTB at `dtb`.
fn early_dtb(dtb: usize) -> Range<usize> {
    let start = dtb & !(EARLY_DTB_MAP - 1);
    start..start + 2 * EARLY_DTB_MAP
}

/// `image_size` of the Image header (boot.S), into which the build has added the symbols.
const IMAGE_SIZE_FIELD: core::ptr::NonNull<u64> =
    match core::ptr::NonNull::new(core::ptr::without_provenance_mut(mmu::KIMAGE_VADDR + 16)) {
        Some(field) => field,
        None => unreachable!(),
    };

fn first_reg(node: FdtNode<'static>, index: usize) -> Option<Range<usize>> {
    let reg = node.reg().ok()??.nth(index)?;
    let start: u64 = reg.address().ok()?;
    let len: u64 = reg.size().ok()?;
    Some(start as usize..start.checked_add(len)? as usize)
}

/// Interrupt number of the `index`th cell triple of a node's `interrupts` (GIC binding: type, number, flags).
fn interrupt(node: FdtNode<'static>, index: usize) -> Option<u32> {
    const SPI: u32 = 0;
    let property = node.property("interrupts")?;
    let mut cells = property.value().chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]));
    let kind = cells.nth(index * 3)?;
    let number = cells.next()?;
    number.checked_add(if kind == SPI { 32 } else { 16 })
}

fn number(property: &[u8]) -> Option<usize> {
    match property.len() {
        4 => Some(u32::from_be_bytes(property.try_into().ok()?) as usize),
        8 => Some(u64::from_be_bytes(property.try_into().ok()?) as usize),
        _ => None,
    }
}

fn text<'a>(node: FdtNode<'a>, name: &str) -> Option<&'a str> {
    let property = node.properties().find(|p| p.name() == name)?;
    property.value_as::<&str>().ok()
}

/// Reads what the kernel needs from the device tree (Devicetree Specification 0.4, chapters 2 and 3).
fn read_device_tree(fdt: Fdt<'static>) -> BootInfo {
    const NOTHING: Range<usize> = 0..0;
    /// The virtual timer's place among a timer node's interrupts: secure, non-secure, virtual, hypervisor.
    const VIRTUAL_TIMER: usize = 2;
    const DEFAULT_TIMER_IRQ: u32 = 27;
    let root = fdt.root();
    let mut info = BootInfo {
        mem: [NOTHING; MAX_MEM_RANGES],
        mem_len: 0,
        cpus: [0; MAX_CPUS],
        cpus_len: 0,
        virtio: [VirtioSlot::default(); MAX_VIRTIO],
        virtio_len: 0,
        ignored: 0,
        boot_el: 0,
        image: NOTHING,
        initrd: None,
        dtb: fdt.data(),
        bootargs: "",
        model: text(root, "model").unwrap_or("unknown"),
        uart: None,
        gic: None,
        timer_irq: DEFAULT_TIMER_IRQ,
        start_ticks: 0,
    };
    let boot_cpu = cpu::mpidr_affinity();
    info.cpus[0] = boot_cpu;
    info.cpus_len = 1;
    for node in root.children() {
        // By far the most: first.
        if node.is_compatible("virtio,mmio") {
            if let Some((range, irq)) = first_reg(node, 0).zip(interrupt(node, 0)) {
                match info.virtio.get_mut(info.virtio_len) {
                    Some(slot) => {
                        *slot = VirtioSlot { base: range.start, len: range.len(), irq };
                        info.virtio_len += 1;
                    }
                    None => info.ignored += 1,
                }
            }
        } else if text(node, "device_type") == Some("memory") {
            let mut index = 0;
            while let Some(range) = first_reg(node, index) {
                info.add_mem(range);
                index += 1;
            }
        } else if node.is_compatible("arm,pl011") && info.uart.is_none() {
            info.uart = first_reg(node, 0).map(|r| r.start).zip(interrupt(node, 0));
        } else if node.is_compatible("arm,gic-v3") {
            info.gic = first_reg(node, 0)
                .zip(first_reg(node, 1))
                .map(|(d, r)| gic::Description::V3 { gicd: d.start, gicr: r.start });
        } else if node.is_compatible("arm,cortex-a15-gic") || node.is_compatible("arm,gic-400") {
            info.gic = first_reg(node, 0)
                .zip(first_reg(node, 1))
                .map(|(d, c)| gic::Description::V2 { gicd: d.start, gicc: c.start });
        } else if node.is_compatible("arm,armv8-timer") {
            info.timer_irq = interrupt(node, VIRTUAL_TIMER).unwrap_or(DEFAULT_TIMER_IRQ);
        } else if node.name_without_address() == "psci" {
            power::set_conduit(match text(node, "method") {
                Some("hvc") => Conduit::Hvc,
                Some("smc") => Conduit::Smc,
                _ => Conduit::None,
            });
        } else if node.name_without_address() == "chosen" {
            info.bootargs = text(node, "bootargs").unwrap_or("");
            let value = |name| node.properties().find(|p| p.name() == name).and_then(|p| number(p.value()));
            if let Some((start, end)) = value("linux,initrd-start").zip(value("linux,initrd-end"))
                && start < end
            {
                info.initrd = Some(start..end);
            }
        } else if node.name_without_address() == "cpus" {
            for cpu in node.children().filter(|n| text(*n, "device_type") == Some("cpu")) {
                let mpidr = cpu.properties().find(|p| p.name() == "reg").and_then(|p| number(p.value()));
                match (mpidr, info.cpus.get_mut(info.cpus_len)) {
                    (Some(mpidr), _) if mpidr as u64 == boot_cpu => {}
                    (Some(mpidr), Some(slot)) => {
                        *slot = mpidr as u64;
                        info.cpus_len += 1;
                    }
                    _ => info.ignored += 1,
                }
            }
        }
    }
    info
}

/// Maps all RAM but the image, and the registers of the devices that are used.
fn map_machine(info: &BootInfo, dtb: usize) {
    /// Linear-map granules: what is next to the image is mapped by pages, the rest by blocks.
    const REDISTRIBUTOR: usize = 0x2_0000;
    const DISTRIBUTOR: usize = 0x1_0000;
    let early = early_dtb(dtb);
    let map = |range: Range<usize>, perm| {
        if !range.is_empty() && mmu::map_linear(range, perm).is_err() {
            // Nothing can be printed yet; a kernel without its memory cannot go on.
            power::halt();
        }
    };
    for range in info.mem() {
        // Around the image and around what the DTB's own mapping covers already.
        let (a, b) =
            if info.image.start < early.start { (&info.image, &early) } else { (&early, &info.image) };
        let clamp = |r: Range<usize>| r.start.max(range.start)..r.end.min(range.end);
        map(clamp(range.start..a.start), Perm::ReadWrite);
        map(clamp(a.end..b.start), Perm::ReadWrite);
        map(clamp(b.end..range.end), Perm::ReadWrite);
    }
    if let Some((base, _)) = info.uart {
        map(base..base + PAGE_SIZE, Perm::Device);
    }
    // Slots lie side by side, several to a page.
    let mut last = 0..0;
    for slot in info.virtio() {
        let pages = slot.base & !(PAGE_SIZE - 1)..(slot.base + slot.len).next_multiple_of(PAGE_SIZE);
        if pages != last {
            map(pages.clone(), Perm::Device);
            last = pages;
        }
    }
    match info.gic {
        Some(gic::Description::V3 { gicd, gicr }) => {
            map(gicd..gicd + DISTRIBUTOR, Perm::Device);
            map(gicr..gicr + REDISTRIBUTOR * info.cpus().len(), Perm::Device);
        }
        Some(gic::Description::V2 { gicd, gicc }) => {
            map(gicd..gicd + DISTRIBUTOR, Perm::Device);
            map(gicc..gicc + DISTRIBUTOR, Perm::Device);
        }
        None => {}
    }
}

/// What a secondary CPU needs before its first Rust; one at a time.
#[repr(C)]
#[derive(Debug)]
struct SecondaryBoot {
    stack_top: AtomicUsize,
    percpu_offset: AtomicUsize,
    thread: AtomicUsize,
}

static SECONDARY_BOOT: SecondaryBoot = SecondaryBoot {
    stack_top: AtomicUsize::new(0),
    percpu_offset: AtomicUsize::new(0),
    thread: AtomicUsize::new(0),
};

/// How long a CPU may take to come up.
const CPU_START_TIMEOUT_S: u64 = 5;

/// Starts every other CPU of the device tree and waits for each. `prepare(cpu)` gives the top of its first stack and
/// the head of its first task (its idle task). Returns how many run in the end, this one counted.
pub(crate) fn start_cpus(prepare: impl Fn(usize) -> Option<(usize, *const ThreadHead)>) -> usize {
    unsafe extern "C" {
        fn secondary_entry();
    }
    let entry = mmu::image_phys(secondary_entry as *const () as usize);
    for (number, &mpidr) in info().cpus().iter().enumerate().skip(1) {
        // CPUs are numbered without gaps: after one that does not come up, none is tried.
        let Some((stack_top, thread)) = prepare(number) else { break };
        SECONDARY_BOOT.stack_top.store(stack_top, Ordering::Relaxed);
        SECONDARY_BOOT.percpu_offset.store(cpu::percpu_offset(number), Ordering::Relaxed);
        SECONDARY_BOOT.thread.store(thread.expose_provenance(), Ordering::Release);
        if let Err(e) = power::cpu_on(mpidr, entry, number as u64) {
            log::error!("CPU{number} (mpidr {mpidr:#x}) does not start: {e}");
            break;
        }
        let deadline = timer::ticks() + CPU_START_TIMEOUT_S * timer::freq_hz();
        while cpu::online() <= number && timer::ticks() < deadline {
            cpu::relax();
        }
        if cpu::online() <= number {
            log::error!("CPU{number} (mpidr {mpidr:#x}) was started but does not answer");
            break;
        }
    }
    cpu::online()
}

/// Called by boot.S on a CPU that PSCI started: its logical number.
extern "C" fn secondary(number: usize) -> ! {
    crate::secondary_main(number)
}

global_asm!(
    ".equ KIMAGE_VADDR, {kimage_vaddr}",
    ".equ BOOT_L3_TABLES, {l3}",
    ".equ SCTLR_BOOT, {sctlr_boot}",
    ".equ SCTLR_ON, {sctlr_on}",
    ".equ MAIR_VALUE, {mair}",
    ".equ TCR_VALUE, {tcr}",
    include_str!("boot.S"),
    kimage_vaddr = const mmu::KIMAGE_VADDR,
    l3 = const mmu::BOOT_L3_TABLES,
    sctlr_boot = const mmu::SCTLR_BOOT,
    sctlr_on = const mmu::SCTLR_ON,
    mair = const mmu::MAIR,
    tcr = const mmu::TCR,
    boot_thread = sym crate::arch::thread::BOOT_THREAD,
    primary = sym primary,
    secondary = sym secondary,
    secondary_boot = sym SECONDARY_BOOT,
    sb_stack_top = const offset_of!(SecondaryBoot, stack_top),
    sb_percpu_offset = const offset_of!(SecondaryBoot, percpu_offset),
    sb_thread = const offset_of!(SecondaryBoot, thread),
    empty_table = sym mmu::EMPTY_TTBR0,
);
