//! One A64 word.
//!
//! Every A64 instruction is 32 bits, little-endian in memory whatever the data endianness, and aligned to 4
//! bytes. [`Insn`] is that word as a type of its own, so that it is not mixed up with the other 32-bit numbers
//! of a kernel. The register fields lie at the same place in nearly every encoding (Arm ARM, C4.1):
//!
//! ```text
//!  31        24 23   21 20    16 15    10 9      5 4      0
//! ┌────────────┬───────┬────────┬────────┬────────┬────────┐
//! │   …        │       │   Rm   │  … Ra  │   Rn   │ Rd/Rt  │
//! └────────────┴───────┴────────┴────────┴────────┴────────┘
//! ```

use core::fmt;

/// A 32-bit A64 instruction word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Insn(pub u32);

/// Bytes per instruction.
pub const INSN_BYTES: u64 = 4;

impl Insn {
    /// The word stored at four bytes of text.
    #[inline]
    pub const fn from_le_bytes(bytes: [u8; 4]) -> Insn {
        Insn(u32::from_le_bytes(bytes))
    }

    /// The bytes as they lie in text.
    #[inline]
    pub const fn to_le_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// Bits `lo .. lo + width`, unsigned. `width` is 1 to 31.
    #[inline]
    pub const fn field(self, lo: u32, width: u32) -> u32 {
        (self.0 >> lo) & ((1 << width) - 1)
    }

    /// Bits `lo .. lo + width` as a two's complement number.
    #[inline]
    pub const fn signed_field(self, lo: u32, width: u32) -> i64 {
        sign_extend(self.field(lo, width) as u64, width)
    }

    /// One bit.
    #[inline]
    pub const fn bit(self, n: u32) -> bool {
        (self.0 >> n) & 1 != 0
    }

    /// Are the bits under `mask` those of `value`?
    #[inline]
    pub const fn matches(self, mask: u32, value: u32) -> bool {
        self.0 & mask == value
    }

    /// Field `Rd` or `Rt`, bits 0 to 4.
    #[inline]
    pub const fn rd(self) -> u8 {
        self.field(0, 5) as u8
    }

    /// Field `Rn`, bits 5 to 9.
    #[inline]
    pub const fn rn(self) -> u8 {
        self.field(5, 5) as u8
    }

    /// Field `Ra` or `Rt2`, bits 10 to 14.
    #[inline]
    pub const fn ra(self) -> u8 {
        self.field(10, 5) as u8
    }

    /// Field `Rm` or `Rs`, bits 16 to 20.
    #[inline]
    pub const fn rm(self) -> u8 {
        self.field(16, 5) as u8
    }
}

/// The low `width` bits of `value` (1 to 64) as a two's complement number.
#[inline]
pub(crate) const fn sign_extend(value: u64, width: u32) -> i64 {
    let unused = 64 - width;
    ((value << unused) as i64) >> unused
}

impl fmt::Debug for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Insn({:#010x})", self.0)
    }
}

impl fmt::LowerHex for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl From<u32> for Insn {
    fn from(word: u32) -> Insn {
        Insn(word)
    }
}

impl From<Insn> for u32 {
    fn from(insn: Insn) -> u32 {
        insn.0
    }
}
