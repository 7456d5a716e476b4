//! Words that compute: moves, addresses, additions (Arm ARM, C4.1.92 and C4.1.95).

use super::{EncodeError, Gpr, signed, unsigned};
use crate::insn::Insn;

/// `mov xd, xm` (that is `orr xd, xzr, xm`; 31 is the zero register)
pub const fn mov(rd: Gpr, rm: Gpr) -> Insn {
    Insn(0xaa00_03e0 | rm.bits() << 16 | rd.bits())
}

/// `mov xd, xn` where 31 is SP (that is `add xd, xn, #0`)
pub const fn mov_sp(rd: Gpr, rn: Gpr) -> Insn {
    Insn(0x9100_0000 | rn.bits() << 5 | rd.bits())
}

/// A wide move of `imm16 << shift`.
const fn wide(base: u32, rd: Gpr, imm16: u16, shift: u32) -> Result<Insn, EncodeError> {
    match unsigned(shift as u64, 2, 4) {
        Ok(hw) => Ok(Insn(base | hw << 21 | (imm16 as u32) << 5 | rd.bits())),
        Err(error) => Err(error),
    }
}

/// `movz xd, #imm16, lsl #shift`; the shift is 0, 16, 32 or 48.
pub const fn movz(rd: Gpr, imm16: u16, shift: u32) -> Result<Insn, EncodeError> {
    wide(0xd280_0000, rd, imm16, shift)
}

/// `movk xd, #imm16, lsl #shift`: the other bits of xd stay.
pub const fn movk(rd: Gpr, imm16: u16, shift: u32) -> Result<Insn, EncodeError> {
    wide(0xf280_0000, rd, imm16, shift)
}

/// `movn xd, #imm16, lsl #shift`: the complement.
pub const fn movn(rd: Gpr, imm16: u16, shift: u32) -> Result<Insn, EncodeError> {
    wide(0x9280_0000, rd, imm16, shift)
}

/// `movz` and three `movk`: any 64-bit value, in four words always, so that a slot can be rewritten in place.
pub const fn mov_imm(rd: Gpr, value: u64) -> [Insn; 4] {
    const fn part(base: u32, rd: Gpr, value: u64, hw: u32) -> Insn {
        Insn(base | hw << 21 | ((value >> (16 * hw)) as u32 & 0xffff) << 5 | rd.bits())
    }
    [
        part(0xd280_0000, rd, value, 0),
        part(0xf280_0000, rd, value, 1),
        part(0xf280_0000, rd, value, 2),
        part(0xf280_0000, rd, value, 3),
    ]
}

/// A word with the split imm21 of the address forms: immhi in 23..5, immlo in 30..29.
const fn address(base: u32, rd: Gpr, imm: u32) -> Insn {
    Insn(base | (imm & 3) << 29 | (imm >> 2) << 5 | rd.bits())
}

/// `adr xd, #offset`
pub const fn adr(rd: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    match signed(offset, 21, 0) {
        Ok(imm) => Ok(address(0x1000_0000, rd, imm)),
        Err(error) => Err(error),
    }
}

/// The `adrp` at address `from` that gives the 4 KiB page of `to`.
pub const fn adrp(rd: Gpr, from: u64, to: u64) -> Result<Insn, EncodeError> {
    match signed(((to & !0xfff).wrapping_sub(from & !0xfff)) as i64, 21, 12) {
        Ok(imm) => Ok(address(0x9000_0000, rd, imm)),
        Err(error) => Err(error),
    }
}

/// An addition of imm12, or of imm12 << 12 where the value needs it.
const fn add_sub_imm(base: u32, rd: Gpr, rn: Gpr, imm: u32) -> Result<Insn, EncodeError> {
    let shifted = imm > 0xfff && imm & 0xfff == 0;
    let scale = if shifted { 12 } else { 0 };
    match unsigned(imm as u64, 12, scale) {
        Ok(imm12) => Ok(Insn(base | (shifted as u32) << 22 | imm12 << 10 | rn.bits() << 5 | rd.bits())),
        Err(error) => Err(error),
    }
}

/// `add xd, xn, #imm`; 31 is SP in both.
pub const fn add_imm(rd: Gpr, rn: Gpr, imm: u32) -> Result<Insn, EncodeError> {
    add_sub_imm(0x9100_0000, rd, rn, imm)
}

/// `sub xd, xn, #imm`; 31 is SP in both.
pub const fn sub_imm(rd: Gpr, rn: Gpr, imm: u32) -> Result<Insn, EncodeError> {
    add_sub_imm(0xd100_0000, rd, rn, imm)
}
