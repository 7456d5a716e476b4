//! Reading memory that may not be there.
//!
//! Each load that may fault is declared beside itself, in `__ex_table`, with the place where the CPU goes on after the
//! fault. The abort's hook ([`fixup`]) looks the PC up and moves it there. So a bad pointer in a probe's argument costs
//! one exception and is reported as a fault, from any context.
//!
//! ```text
//!     mov  err, #1
//! 1:  ldr  value, [addr]        faults: the hook sets PC to 2
//!     mov  err, #0
//! 2:                            err says which way
//! ```

use core::arch::asm;

use crate::exception::{Handled, PtRegs, SlotTaken, register_fault};

/// There is nothing readable at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault;

/// An entry of the table: both as distances from themselves, so that the table needs no relocation.
#[repr(C)]
struct Entry {
    load: i32,
    resume: i32,
}

impl Entry {
    #[inline(always)]
    fn target(field: &i32) -> u64 {
        (field as *const i32 as u64).wrapping_add_signed(i64::from(*field))
    }
}

macro_rules! load {
    ($instruction:literal, $addr:expr) => {{
        let (value, error): (u64, u64);
        // SAFETY: a load has no effect on what Rust knows, and a fault of it is caught by `fixup`.
        unsafe {
            asm!(
                "mov {error}, #1",
                concat!("1: ", $instruction),
                "mov {error}, #0",
                "2:",
                ".pushsection __ex_table, \"a\"",
                ".balign 4",
                ".long 1b - .",
                ".long 2b - .",
                ".popsection",
                value = out(reg) value,
                error = out(reg) error,
                addr = in(reg) $addr,
                options(nostack, readonly, preserves_flags),
            );
        }
        if error == 0 { Ok(value) } else { Err(Fault) }
    }};
}

/// The 8 bytes at `addr`.
#[inline(always)]
pub(crate) fn read_u64(addr: u64) -> Result<u64, Fault> {
    load!("ldr {value}, [{addr}]", addr)
}

/// The 4 bytes at `addr`.
#[inline(always)]
pub(crate) fn read_u32(addr: u64) -> Result<u32, Fault> {
    load!("ldr {value:w}, [{addr}]", addr).map(|value| value as u32)
}

/// The 2 bytes at `addr`.
#[inline(always)]
pub(crate) fn read_u16(addr: u64) -> Result<u16, Fault> {
    load!("ldrh {value:w}, [{addr}]", addr).map(|value| value as u16)
}

/// The byte at `addr`.
#[inline(always)]
pub(crate) fn read_u8(addr: u64) -> Result<u8, Fault> {
    load!("ldrb {value:w}, [{addr}]", addr).map(|value| value as u8)
}

/// Fills `to` from the bytes at `addr`, or says that they are not all there; then `to` holds those before the fault.
pub(crate) fn read(mut addr: u64, to: &mut [u8]) -> Result<(), Fault> {
    let (words, rest) = to.as_chunks_mut::<8>();
    for word in words {
        *word = read_u64(addr)?.to_ne_bytes();
        addr = addr.wrapping_add(8);
    }
    for byte in rest {
        *byte = read_u8(addr)?;
        addr = addr.wrapping_add(1);
    }
    Ok(())
}

/// The addresses of all loads that may fault.
pub(crate) fn loads() -> impl Iterator<Item = usize> {
    table().iter().map(|entry| Entry::target(&entry.load) as usize)
}

fn table() -> &'static [Entry] {
    let (start, end) = (&raw const __ex_table_start, &raw const __ex_table_end);
    // SAFETY: the linker script gathers entries between the two symbols, and nothing else.
    unsafe { core::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<Entry>()) }
}

unsafe extern "C" {
    static __ex_table_start: Entry;
    static __ex_table_end: Entry;
}

/// Takes a fault slot. Once, at boot.
pub(crate) fn init() -> Result<(), SlotTaken> {
    register_fault(fixup)
}

noinstr! {
    /// The abort's hook: resumes behind a load that was declared.
    fn fixup(regs: &mut PtRegs, _esr: u64, _far: u64) -> Handled {
        let end = &raw const __ex_table_end;
        let mut at = &raw const __ex_table_start;
        while at != end {
            // SAFETY: the linker script gathers entries between the two symbols, and nothing else.
            let entry = unsafe { &*at };
            if Entry::target(&entry.load) == regs.pc() {
                regs.set_pc(Entry::target(&entry.resume));
                return Handled::Yes;
            }
            // SAFETY: as above: at most one behind the last entry.
            at = unsafe { at.add(1) };
        }
        Handled::No
    }
}
