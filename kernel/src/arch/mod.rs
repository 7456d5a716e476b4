//! F1, the machine: what is true of every arm64 CPU and of QEMU's `virt` board.
//!
//! Nearly all assembly and `unsafe` of the kernel is in this room, in `boot` and in `exception`. What leaves it is
//! safe to call, or says in its `# Safety` what the caller must promise.
//!
//! | file | what |
//! |---|---|
//! | `cpu`    | this CPU's number, hints, identification |
//! | `daif`   | interrupt masks |
//! | `mmu`    | page tables, kernel memory map, address arithmetic |
//! | `cache`  | making written code visible to instruction fetch |
//! | `gic`    | interrupt controller (v3, v2) |
//! | `timer`  | the generic timer |
//! | `uart`   | the PL011 |
//! | `pmu`    | the instruction counter |
//! | `probe_read` | reading memory that may not be there |
//! | `power`  | PSCI: CPUs on, machine off |
//! | `semihosting` | calls to the host: standard output, exit status |
//! | `thread` | the part of a task that the exception path touches |

pub(crate) mod cache;
pub(crate) mod cpu;
pub(crate) mod daif;
pub(crate) mod gic;
pub(crate) mod mmu;
pub(crate) mod pmu;
pub(crate) mod power;
pub(crate) mod probe_read;
pub(crate) mod semihosting;
pub(crate) mod thread;
pub(crate) mod timer;
pub(crate) mod uart;

/// CPUs the kernel has room for; the linker script reserves as many per-CPU areas.
pub(crate) const MAX_CPUS: usize = 16;

/// log2 of a kernel stack's size. A stack is aligned to twice its size, so that this very bit of SP is clear inside
/// it and set just below it: the test for an overflow at exception entry (`exception.S`).
pub(crate) const STACK_SHIFT: usize = 15;

/// Bytes of a kernel stack; `linker.ld` uses the same for the boot stack.
pub(crate) const STACK_SIZE: usize = 1 << STACK_SHIFT;

/// Bytes of a page (4 KiB granule, the only one that the kernel uses).
pub(crate) const PAGE_SIZE: usize = 4096;
