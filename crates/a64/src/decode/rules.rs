//! Conditions that a picture cannot say, named for the rows that use them.

use crate::insn::Insn;

/// The mask that `N:immr:imms` stands for in a register of 64 or 32 bits (C6 pseudocode DecodeBitMasks):
/// a run of ones, `imms` says how long, rotated right by `immr`, repeated in elements of 2 to 64 bits.
/// `None` where it stands for nothing.
pub(in crate::decode) const fn bit_mask(n: bool, immr: u32, imms: u32, wide: bool) -> Option<u64> {
    if n && !wide {
        return None;
    }
    // The highest one of N:NOT(imms) gives the size of the element.
    let size_bits = (n as u32) << 6 | (!imms & 0x3f);
    if size_bits < 2 {
        return None;
    }
    let log2 = 31 - size_bits.leading_zeros();
    let size = 1 << log2;
    let levels = size - 1;
    let (ones, rotate) = ((imms & levels) + 1, immr & levels);
    if ones == size {
        return None;
    }
    let run = u64::MAX >> (64 - ones);
    let mut mask = run;
    if rotate != 0 {
        let element = u64::MAX >> (64 - size);
        mask = (run >> rotate | run << (size - rotate)) & element;
    }
    let mut width = size;
    while width < 64 {
        mask |= mask << width;
        width *= 2;
    }
    Some(if wide { mask } else { mask & 0xffff_ffff })
}

/// The mask of a word's N:immr:imms.
pub(in crate::decode) const fn bit_mask_of(insn: Insn) -> Option<u64> {
    bit_mask(insn.bit(22), insn.field(16, 6), insn.field(10, 6), insn.bit(31))
}

/// A logical immediate that means something.
pub(super) fn logical_immediate(insn: Insn) -> bool {
    bit_mask_of(insn).is_some()
}

/// `orr` with the zero register is `mov`, but where `movz` or `movn` can make the value (MoveWidePreferred):
/// a run of at most 16 ones, or zeros, inside one halfword.
pub(super) fn mov_bit_mask(insn: Insn) -> bool {
    let Some(mask) = bit_mask_of(insn) else { return false };
    let wide = insn.bit(31);
    let not = if wide { !mask } else { !mask & 0xffff_ffff };
    !one_half(mask) && !one_half(not)
}

/// Are all ones of `value` in one halfword?
fn one_half(value: u64) -> bool {
    (0..4).any(|hw| value & !(0xffff << (16 * hw)) == 0)
}

/// `movz` and `movn` of 32 bits shift by 0 or 16 only.
pub(super) fn wide_move(insn: Insn) -> bool {
    insn.bit(31) || !insn.bit(22)
}

/// `movz` is `mov`, but a shifted zero keeps its shift.
pub(super) fn mov_wide(insn: Insn) -> bool {
    insn.field(5, 16) != 0 || insn.field(21, 2) == 0
}

/// `movn` is `mov` likewise; of 32 bits, all ones belongs to `movz`.
pub(super) fn mov_wide_not(insn: Insn) -> bool {
    mov_wide(insn) && (insn.bit(31) || insn.field(5, 16) != 0xffff)
}

/// N equals sf, and 32-bit forms have 5-bit positions.
pub(super) fn bitfield(insn: Insn) -> bool {
    insn.bit(31) == insn.bit(22) && (insn.bit(31) || (!insn.bit(21) && !insn.bit(15)))
}

/// The same for `extr`, which has no immr.
pub(super) fn extract(insn: Insn) -> bool {
    insn.bit(31) == insn.bit(22) && (insn.bit(31) || !insn.bit(15))
}

/// imms is the last bit of the register.
pub(super) fn to_last_bit(insn: Insn) -> bool {
    insn.field(10, 6) == if insn.bit(31) { 63 } else { 31 }
}

/// imms + 1 is immr, and not the whole register: a shift to the left.
pub(super) fn shifts_left(insn: Insn) -> bool {
    !to_last_bit(insn) && insn.field(10, 6) + 1 == insn.field(16, 6)
}

/// The field ends below where it starts: it is inserted, not extracted.
pub(super) fn inserts(insn: Insn) -> bool {
    insn.field(10, 6) < insn.field(16, 6)
}

/// Rn and Rm are the same register.
pub(super) fn rn_is_rm(insn: Insn) -> bool {
    insn.rn() == insn.rm()
}

/// Rd or Rn is SP.
pub(super) fn moves_sp(insn: Insn) -> bool {
    insn.rd() == 31 || insn.rn() == 31
}

/// A shift amount below the width.
pub(super) fn shift_fits(insn: Insn) -> bool {
    insn.bit(31) || !insn.bit(15)
}

/// Additions do not rotate.
pub(super) fn shift_of_addition(insn: Insn) -> bool {
    shift_fits(insn) && insn.field(22, 2) != 3
}

/// Extended registers shift by at most 4.
pub(super) fn extend_fits(insn: Insn) -> bool {
    insn.field(10, 3) <= 4
}

/// The condition is neither `al` nor `nv`: it has an opposite.
pub(super) fn has_opposite(insn: Insn) -> bool {
    insn.field(13, 3) != 7
}

/// Rn = Rm, neither is the zero register, and the condition has an opposite.
pub(super) fn conditional_of_one(insn: Insn) -> bool {
    has_opposite(insn) && rn_is_rm(insn) && insn.rn() != 31
}

/// The same with the zero register allowed (`cneg`).
pub(super) fn conditional_negate(insn: Insn) -> bool {
    has_opposite(insn) && rn_is_rm(insn)
}

/// A register pair starts at an even register: Rs and Rt.
pub(super) fn even_pairs(insn: Insn) -> bool {
    !insn.bit(16) && !insn.bit(0)
}

/// Rt of eight registers for 64 bytes: even, at most 22.
pub(super) fn eight_registers(insn: Insn) -> bool {
    !insn.bit(0) && insn.rd() < 24
}

/// A register offset is extended from a word or not at all.
pub(super) fn index_extend(insn: Insn) -> bool {
    insn.bit(14)
}

/// A register offset of `rprfm`: Rt<4:3> = 11 in the word of `prfm`.
pub(super) fn range_prefetch(insn: Insn) -> bool {
    insn.bit(14) && insn.field(3, 2) == 3
}
