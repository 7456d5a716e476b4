//! Loads and stores of every size, and atomics (Arm ARM, C4.1.94). A base of 31 is SP, data of 31 the zero register.
//!
//! | form | offset |
//! |---|---|
//! | [`load`], [`store`] | 0 to 4095 times the size |
//! | [`load_near`], [`store_near`] | −256 to 255 bytes |
//! | [`load_at`], [`store_at`] | a register |

use super::{EncodeError, Gpr, signed, unsigned};
use crate::insn::Insn;

/// How many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bytes {
    /// 1
    B,
    /// 2
    H,
    /// 4
    W,
    /// 8
    X,
}

impl Bytes {
    /// The power of two.
    const fn log2(self) -> u32 {
        self as u32
    }

    /// The field `size`, in place.
    const fn field(self) -> u32 {
        self.log2() << 30
    }
}

/// What a load makes of the bits above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extend {
    /// Zeros.
    Zero,
    /// Copies of the sign, up to 64 bits. Eight bytes have nothing to extend.
    Sign,
}

/// Size and operation of a load. `ldrs…` of eight bytes is `ldr`: there its place in the table is `prfm`'s.
const fn loads(bytes: Bytes, extend: Extend) -> u32 {
    let operation = match (extend, bytes) {
        (Extend::Zero, _) | (_, Bytes::X) => 1,
        (Extend::Sign, _) => 2,
    };
    bytes.field() | operation << 22
}

const fn scaled(base: u32, bytes: Bytes, rt: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    if offset < 0 {
        let max = 0xfff << bytes.log2();
        return Err(EncodeError::Range { value: offset, min: 0, max });
    }
    match unsigned(offset as u64, 12, bytes.log2()) {
        Ok(imm) => Ok(Insn(base | imm << 10 | rn.bits() << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}

const fn unscaled(base: u32, rt: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    match signed(offset, 9, 0) {
        Ok(imm) => Ok(Insn(base | imm << 12 | rn.bits() << 5 | rt.bits())),
        Err(error) => Err(error),
    }
}

const fn three(base: u32, rt: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    Insn(base | rm.bits() << 16 | rn.bits() << 5 | rt.bits())
}

/// `ldr`, `ldrh`, `ldrsb` …: `rt, [xn, #offset]`
pub const fn load(bytes: Bytes, extend: Extend, rt: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    scaled(0x3900_0000 | loads(bytes, extend), bytes, rt, rn, offset)
}

/// `str`, `strh`, `strb`: `rt, [xn, #offset]`
pub const fn store(bytes: Bytes, rt: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    scaled(0x3900_0000 | bytes.field(), bytes, rt, rn, offset)
}

/// `ldur`, `ldursh` …: `rt, [xn, #offset]`
pub const fn load_near(
    bytes: Bytes,
    extend: Extend,
    rt: Gpr,
    rn: Gpr,
    offset: i64,
) -> Result<Insn, EncodeError> {
    unscaled(0x3800_0000 | loads(bytes, extend), rt, rn, offset)
}

/// `stur`, `sturb` …: `rt, [xn, #offset]`
pub const fn store_near(bytes: Bytes, rt: Gpr, rn: Gpr, offset: i64) -> Result<Insn, EncodeError> {
    unscaled(0x3800_0000 | bytes.field(), rt, rn, offset)
}

/// `ldr`, `ldrh`, `ldrsb` …: `rt, [xn, xm]`
pub const fn load_at(bytes: Bytes, extend: Extend, rt: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x3820_6800 | loads(bytes, extend), rt, rn, rm)
}

/// `str`, `strh`, `strb`: `rt, [xn, xm]`
pub const fn store_at(bytes: Bytes, rt: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x3820_6800 | bytes.field(), rt, rn, rm)
}

/// What an atomic of FEAT_LSE does to memory with the register `rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// `ldadd`
    Add,
    /// `ldclr`: clears the bits that are set in the register.
    Clear,
    /// `ldeor`
    Eor,
    /// `ldset`: sets them.
    Set,
    /// `swp`
    Swap,
}

/// `ldadd`, `ldclr`, `ldeor`, `ldset`, `swp` of 1 to 8 bytes: `rs, rt, [xn]`; `ordered`: with acquire and release
/// (`ldaddal`). With the zero register for rt it is `stadd` and so on.
pub const fn atomic(op: AtomicOp, bytes: Bytes, ordered: bool, rs: Gpr, rt: Gpr, rn: Gpr) -> Insn {
    let code = match op {
        AtomicOp::Add => 0x0000,
        AtomicOp::Clear => 0x1000,
        AtomicOp::Eor => 0x2000,
        AtomicOp::Set => 0x3000,
        AtomicOp::Swap => 0x8000,
    };
    let order = if ordered { 0x00c0_0000 } else { 0 };
    three(0x3820_0000 | bytes.field() | code | order, rt, rn, rs)
}

/// `casal rs, rt, [xn]`: stores rt if rs is what is there; rs gets what was there.
pub const fn casal(bytes: Bytes, rs: Gpr, rt: Gpr, rn: Gpr) -> Insn {
    three(0x08e0_fc00 | bytes.field(), rt, rn, rs)
}

/// `ldxr rt, [xn]`
pub const fn ldxr(bytes: Bytes, rt: Gpr, rn: Gpr) -> Insn {
    Insn(0x085f_7c00 | bytes.field() | rn.bits() << 5 | rt.bits())
}

/// `stxr ws, rt, [xn]`: ws gets 0, or 1 if nothing was stored.
pub const fn stxr(bytes: Bytes, rs: Gpr, rt: Gpr, rn: Gpr) -> Insn {
    three(0x0800_7c00 | bytes.field(), rt, rn, rs)
}

/// `stlxr ws, rt, [xn]`: the same, and a release.
pub const fn stlxr(bytes: Bytes, rs: Gpr, rt: Gpr, rn: Gpr) -> Insn {
    three(0x0800_fc00 | bytes.field(), rt, rn, rs)
}
