//! What the options `funcgraph-retval` and `funcgraph-retaddr` put into comments.

use crate::event::print::put;
use crate::symbolize::{Symbolizer, WithOffset};
use alloc::vec::Vec;

/// The largest error number that a pointer or a word can be (Linux's `MAX_ERRNO`).
const MAX_ERRNO: i64 = 4095;

/// Puts what a function returned: an error as such, everything else in hexadecimal.
pub(super) fn value(value: u64, hex: bool, out: &mut Vec<u8>) {
    // An `int` that is negative has nothing in the upper half.
    let signed = if value >> 31 == 1 { i64::from(value as u32 as i32) } else { value as i64 };
    if !hex && (-MAX_ERRNO..0).contains(&signed) {
        put!(out, " ret={signed}");
    } else {
        put!(out, " ret={value:#x}");
    }
}

/// Puts where a function will return to.
pub(super) fn caller(address: u64, symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
    put!(out, " <-{}", WithOffset(symbols, address));
}
