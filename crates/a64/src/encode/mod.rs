//! Making words: what the kernel writes into text, slots and trampolines.
//!
//! A constructor whose operands always fit gives an [`Insn`](crate::Insn); one with an offset or an immediate that may not
//! fit gives a `Result`, and the error says what was asked and what the encoding can hold. No constructor
//! truncates.
//!
//! Ranges of the PC-relative forms (offset from the address of the word itself):
//!
//! | word | offset | limit |
//! |---|---|---|
//! | `b`, `bl` | imm26 × 4 | [`B_RANGE`] ±128 MiB |
//! | `b.cond`, `cbz`, `ldr` literal | imm19 × 4 | [`IMM19_RANGE`] ±1 MiB |
//! | `tbz` | imm14 × 4 | [`TB_RANGE`] ±32 KiB |
//! | `adr` | imm21 | [`ADR_RANGE`] ±1 MiB |
//! | `adrp` | imm21 × 4096 | ±4 GiB, between pages |
//!
//! The files: [`branch`] (flow and exceptions), [`data`] (moves, addresses, what a trampoline adds), [`memory`] (loads and
//! stores of eight bytes), [`system`] (hints, barriers, system registers); and for compilers [`arith`] (computing, in both widths)
//! and [`sized`] (loads, stores and atomics of every size).

pub mod arith;
pub mod branch;
pub mod data;
pub mod memory;
pub mod sized;
pub mod system;

use core::fmt;

pub use branch::{
    b, b_cond, b_to, bl, bl_to, blr, br, brk, cbnz, cbnz_w, cbz, cbz_w, eret, hlt, hvc, ret, smc, svc, tbnz,
    tbz,
};
pub use data::{add_imm, adr, adrp, mov, mov_imm, mov_sp, movk, movn, movz, sub_imm};
pub use memory::{ldp, ldp_post, ldr, ldr_literal, ldr_w_literal, ldrsw_literal, stp, stp_pre, str};
pub use system::{dmb, dsb, hint, isb, mrs, msr, nop};

/// Reach of `b` and `bl`: offsets from `-B_RANGE` to `B_RANGE - 4`.
pub const B_RANGE: i64 = 1 << 27;
/// Reach of `b.cond`, `cbz`, `cbnz` and the literal loads: offsets from `-IMM19_RANGE` to `IMM19_RANGE - 4`.
pub const IMM19_RANGE: i64 = 1 << 20;
/// Reach of `tbz` and `tbnz`: offsets from `-TB_RANGE` to `TB_RANGE - 4`.
pub const TB_RANGE: i64 = 1 << 15;
/// Reach of `adr`: offsets from `-ADR_RANGE` to `ADR_RANGE - 1`.
pub const ADR_RANGE: i64 = 1 << 20;

/// Why a word cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The value lies outside `min ..= max`.
    Range {
        /// What was asked for.
        value: i64,
        /// The least the encoding holds.
        min: i64,
        /// The most the encoding holds.
        max: i64,
    },
    /// The value is no multiple of what the encoding scales by.
    Unaligned {
        /// What was asked for.
        value: i64,
        /// The scale.
        align: i64,
    },
    /// No logical immediate: not one run of ones again and again.
    Mask {
        /// What was asked for.
        value: u64,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EncodeError::Range { value, min, max } => write!(f, "{value} is not within {min}..={max}"),
            EncodeError::Unaligned { value, align } => write!(f, "{value} is not a multiple of {align}"),
            EncodeError::Mask { value } => write!(f, "{value:#x} is no logical immediate"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// A register number in an operand, 0 to 31. What 31 means, the zero register or SP, is the operand's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gpr(u8);

impl Gpr {
    /// The zero register, where the operand takes one.
    pub const ZR: Gpr = Gpr(31);
    /// The stack pointer, where the operand takes it.
    pub const SP: Gpr = Gpr(31);
    /// The frame pointer.
    pub const FP: Gpr = Gpr(29);
    /// The link register.
    pub const LR: Gpr = Gpr(30);

    /// Register number `n`, 0 to 31.
    pub const fn new(n: u8) -> Option<Gpr> {
        if n <= 31 { Some(Gpr(n)) } else { None }
    }

    /// The number as a field of a word.
    pub(crate) const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Named registers, so that `encode::{movz, regs::X9}` reads as assembly does.
pub mod regs {
    use super::Gpr;

    macro_rules! names {
        ($($name:ident $n:literal)*) => { $(
            #[doc = concat!("Register x", $n, ".")]
            pub const $name: Gpr = Gpr($n);
        )* };
    }

    names! {
        X0 0 X1 1 X2 2 X3 3 X4 4 X5 5 X6 6 X7 7 X8 8 X9 9 X10 10 X11 11 X12 12 X13 13 X14 14 X15 15
        X16 16 X17 17 X18 18 X19 19 X20 20 X21 21 X22 22 X23 23 X24 24 X25 25 X26 26 X27 27 X28 28 X29 29 X30 30
    }
}

/// The offset from one address to another, as the PC-relative constructors take it.
pub const fn offset(from: u64, to: u64) -> i64 {
    to.wrapping_sub(from) as i64
}

/// A signed multiple of `1 << scale` in a field of `width` bits, as bits.
const fn signed(value: i64, width: u32, scale: u32) -> Result<u32, EncodeError> {
    let align = 1i64 << scale;
    if value & (align - 1) != 0 {
        return Err(EncodeError::Unaligned { value, align });
    }
    let half = 1i64 << (width - 1 + scale);
    if value < -half || value >= half {
        return Err(EncodeError::Range { value, min: -half, max: half - align });
    }
    Ok(((value >> scale) as u32) & ((1 << width) - 1))
}

/// An unsigned multiple of `1 << scale` in a field of `width` bits, as bits.
const fn unsigned(value: u64, width: u32, scale: u32) -> Result<u32, EncodeError> {
    let align = 1u64 << scale;
    if value & (align - 1) != 0 {
        return Err(EncodeError::Unaligned { value: value as i64, align: align as i64 });
    }
    let end = 1u64 << (width + scale);
    if value >= end {
        return Err(EncodeError::Range { value: value as i64, min: 0, max: (end - align) as i64 });
    }
    Ok((value >> scale) as u32)
}

#[cfg(test)]
mod compiler_tests;
#[cfg(test)]
mod tests;
