//! Trapline: a bare-metal arm64 kernel you can probe.
#![no_std]
#![no_main]
#![feature(patchable_function_entry)]

#[macro_use]
mod noinstr;

// F1: the machine.
#[expect(unsafe_code, reason = "registers, page tables, devices")]
mod arch;
#[expect(unsafe_code, reason = "from the boot loader to Rust")]
mod boot;
#[expect(unsafe_code, reason = "vectors and the slots behind them")]
mod exception;

// F3: services.
#[expect(unsafe_code, reason = "calls handlers through untyped slots")]
mod irq;

// F6: surface.
#[expect(unsafe_code, reason = "exceptions on purpose, an opaque loop")]
mod bench;
mod selftest;
#[expect(unsafe_code, reason = "C functions with symbols, hand-written instructions, raw arguments")]
mod workload;

use core::fmt::Write;

/// Writes to the UART.
struct Early;

impl Write for Early {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        arch::uart::write(s.as_bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Early, "{info}");
    arch::power::off(101)
}

/// There is no heap yet: every allocation fails.
struct NoHeap;

#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
// SAFETY: null is always an allowed answer, so nothing is ever freed.
unsafe impl core::alloc::GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

/// The boot CPU, with its memory map and boot information in place: the rooms of the house, in order.
fn kernel_main() -> ! {
    let info = boot::info();
    let _ = writeln!(Early, "Trapline on {}, entered at EL{}", info.model, info.boot_el);
    // Interrupt controller, IPIs.
    if let Err(e) = irq::init() {
        let _ = writeln!(Early, "no interrupt controller: {e:?}");
    }
    arch::daif::unmask_debug_and_serror();
    arch::daif::unmask_irq();
    arch::power::off(0)
}

/// A CPU that `boot::start_cpus` started: its share of each room.
fn secondary_main(_number: usize) -> ! {
    arch::power::halt()
}
