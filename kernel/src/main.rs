//! Trapline: a bare-metal arm64 kernel you can probe.
#![no_std]
#![no_main]
mod selftest;
#[expect(unsafe_code, reason = "C functions with symbols, hand-written instructions, raw arguments")]
mod workload;
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
