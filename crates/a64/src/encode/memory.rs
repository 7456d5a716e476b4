//! Words that load and store (Arm ARM, C4.1.94). A base of 31 is SP, data of 31 the zero register.

use super::{EncodeError, Gpr, signed, unsigned};
use crate::insn::Insn;

/// A literal load.
const fn literal(base: u32, rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    match signed(offset, 19, 2) {
        Ok(imm) => Ok(Insn(base | imm << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}

/// `ldr xt, #offset`: eight bytes from beside the code.
pub const fn ldr_literal(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    literal(0x5800_0000, rt, offset)
}

/// `ldr wt, #offset`: four bytes, zero-extended.
pub const fn ldr_w_literal(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    literal(0x1800_0000, rt, offset)
}

/// `ldrsw xt, #offset`: four bytes, sign-extended.
pub const fn ldrsw_literal(rt: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    literal(0x9800_0000, rt, offset)
}

/// A pair of 64-bit registers with imm7 × 8.
const fn pair(base: u32, rt: Gpr, rt2: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    match signed(offset, 7, 3) {
        Ok(imm) => Ok(Insn(base | imm << 15 | rt2.bits() << 10 | rn.bits() << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}

/// `ldp xt, xt2, [xn, #offset]`
pub const fn ldp(rt: Gpr, rt2: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    pair(0xa940_0000, rt, rt2, rn, offset)
}

/// `ldp xt, xt2, [xn], #offset`: the way a frame is left.
pub const fn ldp_post(rt: Gpr, rt2: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    pair(0xa8c0_0000, rt, rt2, rn, offset)
}

/// `stp xt, xt2, [xn, #offset]`
pub const fn stp(rt: Gpr, rt2: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    pair(0xa900_0000, rt, rt2, rn, offset)
}

/// `stp xt, xt2, [xn, #offset]!`: the way a frame is made.
pub const fn stp_pre(rt: Gpr, rt2: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    pair(0xa980_0000, rt, rt2, rn, offset)
}

/// `ldr xt, [xn, #offset]`; the offset is 0 to 32760, a multiple of 8.
pub const fn ldr(rt: Gpr, rn: Gpr, offset: u64) -> Result<Insn, EncodeError> {
    match unsigned(offset, 12, 3) {
        Ok(imm) => Ok(Insn(0xf940_0000 | imm << 10 | rn.bits() << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}

/// `str xt, [xn, #offset]`; the offset is 0 to 32760, a multiple of 8.
pub const fn str(rt: Gpr, rn: Gpr, offset: u64) -> Result<Insn, EncodeError> {
    match unsigned(offset, 12, 3) {
        Ok(imm) => Ok(Insn(0xf900_0000 | imm << 10 | rn.bits() << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}
