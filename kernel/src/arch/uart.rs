//! The PL011 UART: the console's wire.
//!
//! Two ways to write. [`write()`] takes the lock. [`write_panicking`] does not wait for it: a CPU that dies while another
//! one prints must still be heard, at the price of mixed letters.

use core::ptr::NonNull;

use arm_pl011_uart::{Interrupts, PL011Registers, Uart, UniqueMmioPointer};
use spin::mutex::SpinMutex;

use super::mmu::{Yield, phys_to_virt};

static UART: SpinMutex<Option<Uart<'static>>, Yield> = SpinMutex::new(None);

/// Takes the UART at physical address `base`, whose registers are mapped. QEMU's needs no line setting; on a board the
/// boot loader has set it.
///
/// # Safety
/// `base` is a PL011, mapped as device memory in the linear map, and this is the only call.
pub(crate) unsafe fn init(base: usize) {
    let Some(registers) =
        NonNull::new(core::ptr::with_exposed_provenance_mut::<PL011Registers>(phys_to_virt(base)))
    else {
        return;
    };
    // SAFETY: the caller's promise.
    *UART.lock() = Some(Uart::new(unsafe { UniqueMmioPointer::new(registers) }));
}

fn put(uart: &mut Uart<'_>, bytes: &[u8]) {
    for &byte in bytes {
        while uart.is_tx_fifo_full() {
            super::cpu::relax();
        }
        uart.write_word(byte);
    }
}

/// Writes bytes as they are, waiting for room in the FIFO.
pub(crate) fn write(bytes: &[u8]) {
    let daif = super::daif::mask_irq();
    if let Some(uart) = UART.lock().as_mut() {
        put(uart, bytes);
    }
    super::daif::restore(daif);
}

/// Writes the pieces of one line without another CPU's in between, unless the lock is held by what this very CPU was
/// doing when it was interrupted; then the line is mixed into that one.
pub(crate) fn write_lines(pieces: &[&[u8]]) {
    let daif = super::daif::mask_irq();
    for _ in 0..PANIC_LOCK_TRIES {
        if let Some(mut uart) = UART.try_lock() {
            if let Some(uart) = uart.as_mut() {
                pieces.iter().for_each(|piece| put(uart, piece));
            }
            break;
        }
        super::cpu::relax();
    }
    super::daif::restore(daif);
}

/// Tries of [`write_panicking`] before it writes all the same.
const PANIC_LOCK_TRIES: u32 = 10_000;

/// Writes even if the lock is held for ever.
pub(crate) fn write_panicking(bytes: &[u8]) {
    for _ in 0..PANIC_LOCK_TRIES {
        if let Some(mut uart) = UART.try_lock() {
            if let Some(uart) = uart.as_mut() {
                put(uart, bytes);
            }
            return;
        }
        super::cpu::relax();
    }
    // SAFETY: the holder is stopped or stuck; this CPU is about to power the machine off, and a register written
    // twice can only garble text.
    unsafe { UART.force_unlock() };
    write(bytes);
}

/// Lets the UART interrupt when it has received something.
pub(crate) fn enable_rx_interrupt() {
    if let Some(uart) = UART.lock().as_mut() {
        uart.set_interrupt_masks(Interrupts::RXI | Interrupts::RTI);
    }
}

/// One received byte, if there is one; clears the interrupt when there is none left. Broken bytes are passed over.
pub(crate) fn read() -> Option<u8> {
    let daif = super::daif::mask_irq();
    let byte = UART.lock().as_mut().and_then(|uart| {
        loop {
            match uart.read_word() {
                Ok(Some(byte)) => break Some(byte),
                Ok(None) => {
                    uart.clear_interrupts(Interrupts::RXI | Interrupts::RTI);
                    break None;
                }
                Err(_) => {}
            }
        }
    });
    super::daif::restore(daif);
    byte
}
