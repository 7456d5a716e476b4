//! Trapline: a bare-metal arm64 kernel you can probe.
#![no_std]
#![no_main]
mod selftest;
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
