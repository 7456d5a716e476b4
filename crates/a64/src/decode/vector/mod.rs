//! Advanced SIMD (C4.1.96), up to the extensions of Armv8.7: what came later (8-bit floats, look-up tables) is
//! not decoded.
//!
//! Pictures: `q` is the length, 64 or 128 bits, `ss` the size of an element (`size`), `z` the size of a float
//! (`sz`). Shapes that an operation has are a mask over `size:Q`:
//!
//! ```text
//!  bit    7   6   5   4   3   2   1   0
//!        2d  1d  4s  2s  8h  4h 16b  8b
//! ```

pub(super) mod crypto;
pub(super) mod different;
pub(super) mod immediate;
pub(super) mod misc;
pub(super) mod permute;
pub(super) mod same;
pub(super) mod scalar;
pub(super) mod structures;

/// Every shape but one element of 64 bits.
const ANY: u8 = 0b1011_1111;
/// Bytes, halves, words.
const BHS: u8 = 0b0011_1111;
/// Halves, words.
const HS: u8 = 0b0011_1100;
/// Bytes, halves.
const BH: u8 = 0b0000_1111;
/// Bytes.
const B: u8 = 0b0000_0011;
/// More than two elements, so that there is something to reduce: 8b, 16b, 4h, 8h, 4s.
const ACROSS: u8 = 0b0010_1111;
