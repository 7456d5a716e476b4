//! Words that compute with registers and immediates of both widths (Arm ARM, C4.1.92 and C4.1.95): what a compiler needs.
//!
//! Register 31 is the zero register, but for [`add_i`] and [`sub_i`], where it is SP. Where two immediates are possible the
//! constructor takes the value, not its field: [`add_i`] shifts by 12 where that fits, [`and_i`] finds the three fields of a
//! logical immediate ([`bitmask`]).

use super::{EncodeError, Gpr, unsigned};
use crate::cond::Cond;
use crate::insn::Insn;

/// The bit `sf` of the Arm ARM: how wide an operation is. A result of 32 bits clears the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sf {
    /// 32 bits.
    W,
    /// 64 bits.
    X,
}

impl Sf {
    /// 32 or 64.
    pub const fn bits(self) -> u32 {
        match self {
            Self::W => 32,
            Self::X => 64,
        }
    }

    /// In place, bit 31.
    const fn bit(self) -> u32 {
        match self {
            Self::W => 0,
            Self::X => 1 << 31,
        }
    }
}

/// Three registers: `rd`, `rn`, `rm`.
const fn three(base: u32, sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    Insn(base | sf.bit() | rm.bits() << 16 | rn.bits() << 5 | rd.bits())
}

/// Three registers, the last one shifted left.
const fn shifted(base: u32, sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr, lsl: u32) -> Result<Insn, EncodeError> {
    match below(lsl, sf.bits()) {
        Ok(lsl) => Ok(Insn(three(base, sf, rd, rn, rm).0 | lsl << 10)),
        Err(error) => Err(error),
    }
}

/// A number that has to be less than `end`.
const fn below(value: u32, end: u32) -> Result<u32, EncodeError> {
    if value < end {
        Ok(value)
    } else {
        Err(EncodeError::Range { value: value as i64, min: 0, max: end as i64 - 1 })
    }
}

/// `add rd, rn, rm`
pub const fn add(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x0b00_0000, sf, rd, rn, rm)
}

/// `add rd, rn, rm, lsl #n`
pub const fn add_lsl(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr, n: u32) -> Result<Insn, EncodeError> {
    shifted(0x0b00_0000, sf, rd, rn, rm, n)
}

/// `sub rd, rn, rm`; `neg rd, rm` where rn is the zero register.
pub const fn sub(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x4b00_0000, sf, rd, rn, rm)
}

/// `subs rd, rn, rm`
pub const fn subs(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x6b00_0000, sf, rd, rn, rm)
}

/// `cmp rn, rm`
pub const fn cmp(sf: Sf, rn: Gpr, rm: Gpr) -> Insn {
    subs(sf, Gpr::ZR, rn, rm)
}

/// `and rd, rn, rm`
pub const fn and(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x0a00_0000, sf, rd, rn, rm)
}

/// `tst rn, rm`
pub const fn tst(sf: Sf, rn: Gpr, rm: Gpr) -> Insn {
    three(0x6a00_0000, sf, Gpr::ZR, rn, rm)
}

/// `orr rd, rn, rm`; `mov rd, rm` where rn is the zero register.
pub const fn orr(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x2a00_0000, sf, rd, rn, rm)
}

/// `eor rd, rn, rm`
pub const fn eor(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x4a00_0000, sf, rd, rn, rm)
}

/// `mvn rd, rm`
pub const fn mvn(sf: Sf, rd: Gpr, rm: Gpr) -> Insn {
    three(0x2a20_0000, sf, rd, Gpr::ZR, rm)
}

/// `lsl rd, rn, rm`, by rm modulo the width.
pub const fn lsl(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x1ac0_2000, sf, rd, rn, rm)
}

/// `lsr rd, rn, rm`, by rm modulo the width.
pub const fn lsr(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x1ac0_2400, sf, rd, rn, rm)
}

/// `asr rd, rn, rm`, by rm modulo the width.
pub const fn asr(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x1ac0_2800, sf, rd, rn, rm)
}

/// `udiv rd, rn, rm`; by zero: 0.
pub const fn udiv(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x1ac0_0800, sf, rd, rn, rm)
}

/// `sdiv rd, rn, rm`; by zero: 0; the overflow wraps.
pub const fn sdiv(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x1ac0_0c00, sf, rd, rn, rm)
}

/// `madd rd, rn, rm, ra`: rn × rm + ra.
pub const fn madd(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr, ra: Gpr) -> Insn {
    Insn(three(0x1b00_0000, sf, rd, rn, rm).0 | ra.bits() << 10)
}

/// `mul rd, rn, rm`
pub const fn mul(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    madd(sf, rd, rn, rm, Gpr::ZR)
}

/// `msub rd, rn, rm, ra`: ra − rn × rm.
pub const fn msub(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr, ra: Gpr) -> Insn {
    Insn(three(0x1b00_8000, sf, rd, rn, rm).0 | ra.bits() << 10)
}

/// `umaddl xd, wn, wm, xa`: 32 × 32 bits, and 64 more.
pub const fn umaddl(rd: Gpr, rn: Gpr, rm: Gpr, ra: Gpr) -> Insn {
    Insn(three(0x1ba0_0000, Sf::X, rd, rn, rm).0 | ra.bits() << 10)
}

/// `umulh xd, xn, xm`: the upper half of 64 × 64 bits.
pub const fn umulh(rd: Gpr, rn: Gpr, rm: Gpr) -> Insn {
    three(0x1bc0_7c00, Sf::X, rd, rn, rm)
}

/// `extr rd, rn, rm, #n`: from bit `n` of rm on, with rn above it.
pub const fn extr(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr, n: u32) -> Result<Insn, EncodeError> {
    match below(n, sf.bits()) {
        Ok(n) => Ok(Insn(three(0x1380_0000, sf, rd, rn, rm).0 | sf.bit() >> 9 | n << 10)),
        Err(error) => Err(error),
    }
}

/// `csel rd, rn, rm, cond`
pub const fn csel(sf: Sf, rd: Gpr, rn: Gpr, rm: Gpr, cond: Cond) -> Insn {
    Insn(three(0x1a80_0000, sf, rd, rn, rm).0 | cond.bits() << 12)
}

/// `rev rd, rn`: all bytes of the width the other way round.
pub const fn rev(sf: Sf, rd: Gpr, rn: Gpr) -> Insn {
    let operation = match sf {
        Sf::W => 0x5ac0_0800,
        Sf::X => 0x5ac0_0c00,
    };
    Insn(operation | sf.bit() | rn.bits() << 5 | rd.bits())
}

/// `rev16 rd, rn`: the bytes of each half-word.
pub const fn rev16(sf: Sf, rd: Gpr, rn: Gpr) -> Insn {
    Insn(0x5ac0_0400 | sf.bit() | rn.bits() << 5 | rd.bits())
}

/// A bitfield move; `N` is `sf`.
const fn bitfield(base: u32, sf: Sf, rd: Gpr, rn: Gpr, immr: u32, imms: u32) -> Result<Insn, EncodeError> {
    let n = sf.bit() >> 9;
    match (below(immr, sf.bits()), below(imms, sf.bits())) {
        (Ok(immr), Ok(imms)) => {
            Ok(Insn(base | sf.bit() | n | immr << 16 | imms << 10 | rn.bits() << 5 | rd.bits()))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// `ubfm rd, rn, #immr, #imms`: the base of all moves of a field that zero-extend.
pub const fn ubfm(sf: Sf, rd: Gpr, rn: Gpr, immr: u32, imms: u32) -> Result<Insn, EncodeError> {
    bitfield(0x5300_0000, sf, rd, rn, immr, imms)
}

/// `sbfm rd, rn, #immr, #imms`: the same with sign extension.
pub const fn sbfm(sf: Sf, rd: Gpr, rn: Gpr, immr: u32, imms: u32) -> Result<Insn, EncodeError> {
    bitfield(0x1300_0000, sf, rd, rn, immr, imms)
}

/// `lsl rd, rn, #n`
pub const fn lsl_i(sf: Sf, rd: Gpr, rn: Gpr, n: u32) -> Result<Insn, EncodeError> {
    match below(n, sf.bits()) {
        Ok(n) => ubfm(sf, rd, rn, (sf.bits() - n) % sf.bits(), sf.bits() - 1 - n),
        Err(error) => Err(error),
    }
}

/// `lsr rd, rn, #n`
pub const fn lsr_i(sf: Sf, rd: Gpr, rn: Gpr, n: u32) -> Result<Insn, EncodeError> {
    ubfm(sf, rd, rn, n, sf.bits() - 1)
}

/// `asr rd, rn, #n`
pub const fn asr_i(sf: Sf, rd: Gpr, rn: Gpr, n: u32) -> Result<Insn, EncodeError> {
    sbfm(sf, rd, rn, n, sf.bits() - 1)
}

/// The low `bits` of `rn`, zero-extended: `uxtb`, `uxth`, `ubfx`.
pub const fn zero_extend(sf: Sf, rd: Gpr, rn: Gpr, bits: u32) -> Result<Insn, EncodeError> {
    ubfm(sf, rd, rn, 0, bits.wrapping_sub(1))
}

/// The low `bits` of `rn`, sign-extended to the width: `sxtb`, `sxth`, `sxtw`, `sbfx`.
pub const fn sign_extend(sf: Sf, rd: Gpr, rn: Gpr, bits: u32) -> Result<Insn, EncodeError> {
    sbfm(sf, rd, rn, 0, bits.wrapping_sub(1))
}

/// An addition of imm12, or of imm12 << 12 where the value needs it.
const fn imm12(base: u32, sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    let far = imm > 0xfff && imm & 0xfff == 0;
    match unsigned(imm, 12, if far { 12 } else { 0 }) {
        Ok(imm) => Ok(Insn(base | sf.bit() | (far as u32) << 22 | imm << 10 | rn.bits() << 5 | rd.bits())),
        Err(error) => Err(error),
    }
}

/// `add rd, rn, #imm`; 31 is SP in both.
pub const fn add_i(sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    imm12(0x1100_0000, sf, rd, rn, imm)
}

/// `sub rd, rn, #imm`; 31 is SP in both.
pub const fn sub_i(sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    imm12(0x5100_0000, sf, rd, rn, imm)
}

/// `subs rd, rn, #imm`; 31 is SP in rn and the zero register in rd.
pub const fn subs_i(sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    imm12(0x7100_0000, sf, rd, rn, imm)
}

/// `cmp rn, #imm`
pub const fn cmp_i(sf: Sf, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    subs_i(sf, Gpr::ZR, rn, imm)
}

/// `cmn rn, #imm`: compares with −imm.
pub const fn cmn_i(sf: Sf, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    imm12(0x3100_0000, sf, Gpr::ZR, rn, imm)
}

/// The fields N, immr and imms, side by side, of a logical immediate, if `value` is one (Arm ARM, `DecodeBitMasks`).
///
/// Such a value is an element of 2, 4, 8, 16, 32 or 64 bits again and again; an element is one run of ones, rotated.
///
/// ```text
///   element of 8 bits, run of 3, rotated right by 2:   11000001   11000001 …
///   N:imms   ones − 1 in the low bits, the size in those above (0xxxxx: 32, 10xxxx: 16, 110xxx: 8 …; N: 64)
///   immr     the rotation
/// ```
pub const fn bitmask(sf: Sf, value: u64) -> Option<u32> {
    let value = match sf {
        Sf::X => value,
        Sf::W if value > u32::MAX as u64 => return None,
        Sf::W => value | value << 32,
    };
    if value == 0 || value == u64::MAX {
        return None;
    }
    // The smallest element that the value repeats.
    let mut size = 64;
    while size > 2 && value == value.rotate_right(size / 2) {
        size /= 2;
    }
    let mask = u64::MAX >> (64 - size);
    let element = value & mask;
    let ones = element.count_ones();
    // Rotated left until the run begins at bit 0: as far as it was rotated right.
    let mut rotation = 0;
    while rotation < size {
        let back = (element << rotation | element >> ((size - rotation) % 64)) & mask;
        let back = if rotation == 0 { element } else { back };
        if back == u64::MAX >> (64 - ones) {
            let n = (size == 64) as u32;
            let imms = (!(2 * size - 1) & 0x3f) | (ones - 1);
            return Some(n << 12 | rotation << 6 | imms);
        }
        rotation += 1;
    }
    None
}

/// A logical operation with an immediate.
const fn logical_i(base: u32, sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    match bitmask(sf, imm) {
        Some(fields) => Ok(Insn(base | sf.bit() | fields << 10 | rn.bits() << 5 | rd.bits())),
        None => Err(EncodeError::Mask { value: imm }),
    }
}

/// `and rd, rn, #imm`; 31 is SP in rd.
pub const fn and_i(sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    logical_i(0x1200_0000, sf, rd, rn, imm)
}

/// `orr rd, rn, #imm`; 31 is SP in rd.
pub const fn orr_i(sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    logical_i(0x3200_0000, sf, rd, rn, imm)
}

/// `eor rd, rn, #imm`; 31 is SP in rd.
pub const fn eor_i(sf: Sf, rd: Gpr, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    logical_i(0x5200_0000, sf, rd, rn, imm)
}

/// `tst rn, #imm`
pub const fn tst_i(sf: Sf, rn: Gpr, imm: u64) -> Result<Insn, EncodeError> {
    logical_i(0x7200_0000, sf, Gpr::ZR, rn, imm)
}

/// `movn wd, #imm16, lsl #shift`: the complement, in the low half alone.
pub const fn movn_w(rd: Gpr, imm16: u16, shift: u32) -> Result<Insn, EncodeError> {
    match unsigned(shift as u64, 1, 4) {
        Ok(hw) => Ok(Insn(0x1280_0000 | hw << 21 | (imm16 as u32) << 5 | rd.bits())),
        Err(error) => Err(error),
    }
}
