//! This CPU: its number, hints, identification registers.

use core::sync::atomic::{AtomicUsize, Ordering};

use aarch64_cpu::registers::{CNTFRQ_EL0, MIDR_EL1, MPIDR_EL1, Readable};

/// The logical number of each CPU, in its own per-CPU copy. Written once in `boot`, before the CPU can be migrated to.
#[unsafe(link_section = ".percpu")]
static CPU_ID: AtomicUsize = AtomicUsize::new(0);

/// How many CPUs run; grows while booting, never shrinks.
static ONLINE: AtomicUsize = AtomicUsize::new(0);

/// The logical number of the CPU this runs on, from 0. Only meaningful while the caller cannot be migrated.
#[inline(always)]
pub(crate) fn id() -> usize {
    // SAFETY: `CPU_ID` lies in the per-CPU template, and TPIDR_EL1 holds the distance from the template to this CPU's
    // copy, which lives as long as the kernel.
    unsafe { &*this_cpu_ptr(&raw const CPU_ID) }.load(Ordering::Relaxed)
}

/// Where the function returns to into which this is compiled.
#[inline(always)]
pub(crate) fn return_address() -> usize {
    let address;
    // SAFETY: the frame pointer of a function points to its frame record, the caller's frame pointer and the return
    // address (AAPCS64 6.4.6); the kernel is compiled with them.
    unsafe {
        core::arch::asm!("ldr {}, [x29, #8]", out(reg) address, options(nostack, readonly, preserves_flags))
    };
    address
}

/// This CPU's copy of a variable of the per-CPU template.
///
/// The pointer is good for ever; it is *this* CPU's only as long as the caller cannot be migrated.
#[inline(always)]
pub(crate) fn this_cpu_ptr<T>(template: *const T) -> *const T {
    let offset: usize;
    // SAFETY: reads a register. Not `pure` or `nomem`-free to move across a migration: volatile by default.
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el1", out(reg) offset, options(nomem, nostack, preserves_flags))
    };
    template.wrapping_byte_add(offset)
}

/// Distance from the per-CPU template to the copy of CPU `cpu`.
pub(crate) fn percpu_offset(cpu: usize) -> usize {
    let (start, end, areas) = (
        &raw const __percpu_start as usize,
        &raw const __percpu_end as usize,
        &raw const __percpu_areas as usize,
    );
    areas + cpu * (end - start) - start
}

/// Fills every CPU's copy from the template and numbers them. Once, on the boot CPU, before anything is per CPU.
///
/// # Safety
/// No per-CPU variable has been used yet and no other CPU runs.
pub(crate) unsafe fn init_percpu() {
    let start = &raw const __percpu_start;
    let len = &raw const __percpu_end as usize - start as usize;
    for cpu in 0..super::MAX_CPUS {
        let copy = start.wrapping_byte_add(percpu_offset(cpu)).cast_mut();
        // SAFETY: the linker script reserves MAX_CPUS areas of `len` bytes, apart from the template; nobody else
        // uses them yet (this function's promise).
        unsafe {
            core::ptr::copy_nonoverlapping(start, copy, len);
            (*(&raw const CPU_ID).wrapping_byte_add(percpu_offset(cpu))).store(cpu, Ordering::Relaxed);
        }
    }
}

/// Has this CPU atomics in single instructions (FEAT_LSE)? All CPUs are alike.
pub(crate) fn has_lse() -> bool {
    const ATOMIC: u64 = 20;
    let isar0: u64;
    // SAFETY: reads an identification register.
    unsafe {
        core::arch::asm!("mrs {}, id_aa64isar0_el1", out(reg) isar0, options(nomem, nostack, preserves_flags))
    };
    isar0 >> ATOMIC & 0xf >= 2
}

/// Counts this CPU as running.
pub(crate) fn set_online() {
    ONLINE.fetch_add(1, Ordering::Release);
}

/// How many CPUs run. They are numbered `0..online()`.
pub(crate) fn online() -> usize {
    ONLINE.load(Ordering::Acquire)
}

/// Waits for an interrupt.
#[inline(always)]
pub(crate) fn wfi() {
    aarch64_cpu::asm::wfi();
}

/// Says that this is a spin loop. Every one needs it: under `-icount` the CPUs take turns, and only this ends a turn.
#[inline(always)]
pub(crate) fn relax() {
    // SAFETY: a hint.
    unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) };
}

/// The frame pointer: where a backtrace of this very place starts.
#[inline(always)]
pub(crate) fn frame_pointer() -> u64 {
    let fp: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) fp, options(nomem, nostack, preserves_flags)) };
    fp
}

/// MIDR_EL1: implementer, part and revision.
pub(crate) fn midr() -> u64 {
    MIDR_EL1.get()
}

/// MPIDR_EL1's affinity fields, as the DTB's `reg` and PSCI name a CPU.
pub(crate) fn mpidr_affinity() -> u64 {
    MPIDR_EL1.get() & 0xff_00ff_ffff
}

/// Frequency of the generic timer in Hz.
pub(crate) fn counter_hz() -> u64 {
    CNTFRQ_EL0.get()
}

unsafe extern "C" {
    static __percpu_start: u8;
    static __percpu_end: u8;
    static __percpu_areas: u8;
}
