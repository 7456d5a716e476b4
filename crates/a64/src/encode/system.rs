//! Hints, barriers and system registers (Arm ARM, C4.1.93).

use super::{EncodeError, Gpr, unsigned};
use crate::insn::Insn;

/// `nop`
pub const fn nop() -> Insn {
    Insn(0xd503_201f)
}

/// Names of the hints that the kernel writes, for [`hint`].
pub mod hints {
    /// `nop`
    pub const NOP: u32 = 0;
    /// `yield`
    pub const YIELD: u32 = 1;
    /// `wfe`
    pub const WFE: u32 = 2;
    /// `wfi`
    pub const WFI: u32 = 3;
    /// `sev`
    pub const SEV: u32 = 4;
    /// `bti c`: what an indirect call may land on.
    pub const BTI_C: u32 = 34;
    /// `bti j`: what an indirect jump may land on.
    pub const BTI_J: u32 = 36;
}

/// `hint #imm`, 0 to 127.
pub const fn hint(imm: u32) -> Result<Insn, EncodeError> {
    match unsigned(imm as u64, 7, 0) {
        Ok(imm) => Ok(Insn(0xd503_201f | imm << 5)),
        Err(error) => Err(error),
    }
}

/// The domain and kind of a `dsb` or `dmb` (its CRm field).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Barrier {
    /// Inner shareable, loads.
    IshLd = 9,
    /// Inner shareable, stores.
    IshSt = 10,
    /// Inner shareable.
    Ish = 11,
    /// Full system, loads.
    Ld = 13,
    /// Full system, stores.
    St = 14,
    /// Full system.
    Sy = 15,
}

/// `dsb kind`
pub const fn dsb(kind: Barrier) -> Insn {
    Insn(0xd503_309f | (kind as u32) << 8)
}

/// `dmb kind`
pub const fn dmb(kind: Barrier) -> Insn {
    Insn(0xd503_30bf | (kind as u32) << 8)
}

/// `isb`
pub const fn isb() -> Insn {
    Insn(0xd503_3fdf)
}

/// `mrs xt, reg`
pub const fn mrs(rt: Gpr, reg: crate::sysreg::SysReg) -> Insn {
    Insn(0xd530_0000 | reg.field() << 5 | rt.bits())
}

/// `msr reg, xt`
pub const fn msr(reg: crate::sysreg::SysReg, rt: Gpr) -> Insn {
    Insn(0xd510_0000 | reg.field() << 5 | rt.bits())
}
