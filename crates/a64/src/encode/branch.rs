//! Words that change the flow: branches, returns, and those that generate exceptions (Arm ARM, C4.1.86).

use super::{EncodeError, Gpr, offset, signed, unsigned};
use crate::cond::Cond;
use crate::insn::Insn;

/// `b #offset`
pub const fn b(offset: i64) -> Result<Insn, EncodeError> {
    match signed(offset, 26, 2) {
        Ok(imm) => Ok(Insn(0x1400_0000 | imm)),
        Err(error) => Err(error),
    }
}

/// `bl #offset`
pub const fn bl(offset: i64) -> Result<Insn, EncodeError> {
    match signed(offset, 26, 2) {
        Ok(imm) => Ok(Insn(0x9400_0000 | imm)),
        Err(error) => Err(error),
    }
}

/// The `b` at address `from` that goes to `to`.
pub const fn b_to(from: u64, to: u64) -> Result<Insn, EncodeError> {
    b(offset(from, to))
}

/// The `bl` at address `from` that calls `to`.
pub const fn bl_to(from: u64, to: u64) -> Result<Insn, EncodeError> {
    bl(offset(from, to))
}

/// A word with imm19 in bits 23..5.
const fn imm19(base: u32, offset: i64, low: u32) -> Result<Insn, EncodeError> {
    match signed(offset, 19, 2) {
        Ok(imm) => Ok(Insn(base | imm << 5 | low)),
        Err(error) => Err(error),
    }
}

/// `b.cond #offset`
pub const fn b_cond(cond: Cond, offset: i64) -> Result<Insn, EncodeError> {
    imm19(0x5400_0000, offset, cond.bits())
}

/// `cbz xt, #offset`
pub const fn cbz(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    imm19(0xb400_0000, offset, rt.bits())
}

/// `cbnz xt, #offset`
pub const fn cbnz(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    imm19(0xb500_0000, offset, rt.bits())
}

/// `cbz wt, #offset`
pub const fn cbz_w(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    imm19(0x3400_0000, offset, rt.bits())
}

/// `cbnz wt, #offset`
pub const fn cbnz_w(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    imm19(0x3500_0000, offset, rt.bits())
}

/// A word with the number of a bit in b5:b40 and imm14.
const fn test_bit(base: u32, rt: Gpr, bit: u32, offset: i64) -> Result<Insn, EncodeError> {
    let bit = match unsigned(bit as u64, 6, 0) {
        Ok(bit) => bit,
        Err(error) => return Err(error),
    };
    match signed(offset, 14, 2) {
        Ok(imm) => Ok(Insn(base | (bit >> 5) << 31 | (bit & 31) << 19 | imm << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}

/// `tbz xt, #bit, #offset`
pub const fn tbz(rt: Gpr, bit: u32, offset: i64) -> Result<Insn, EncodeError> {
    test_bit(0x3600_0000, rt, bit, offset)
}

/// `tbnz xt, #bit, #offset`
pub const fn tbnz(rt: Gpr, bit: u32, offset: i64) -> Result<Insn, EncodeError> {
    test_bit(0x3700_0000, rt, bit, offset)
}

/// `br xn`
pub const fn br(rn: Gpr) -> Insn {
    Insn(0xd61f_0000 | rn.bits() << 5)
}

/// `blr xn`
pub const fn blr(rn: Gpr) -> Insn {
    Insn(0xd63f_0000 | rn.bits() << 5)
}

/// `ret` (through x30)
pub const fn ret() -> Insn {
    Insn(0xd65f_03c0)
}

/// `eret`
pub const fn eret() -> Insn {
    Insn(0xd69f_03e0)
}

/// `brk #imm`
pub const fn brk(imm: u16) -> Insn {
    Insn(0xd420_0000 | (imm as u32) << 5)
}

/// `hlt #imm`
pub const fn hlt(imm: u16) -> Insn {
    Insn(0xd440_0000 | (imm as u32) << 5)
}

/// `svc #imm`
pub const fn svc(imm: u16) -> Insn {
    Insn(0xd400_0001 | (imm as u32) << 5)
}

/// `hvc #imm`
pub const fn hvc(imm: u16) -> Insn {
    Insn(0xd400_0002 | (imm as u32) << 5)
}

/// `smc #imm`
pub const fn smc(imm: u16) -> Insn {
    Insn(0xd400_0003 | (imm as u32) << 5)
}
