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

// Floating point and vectors.

/// ftype is a size, and fbits of a 32-bit register is at most 32.
pub(super) fn fixed_point(insn: Insn) -> bool {
    insn.field(22, 2) != 2 && (insn.bit(31) || insn.bit(15))
}

/// `fcvt` between two sizes that differ.
pub(super) fn converts(insn: Insn) -> bool {
    let (from, to) = (insn.field(22, 2), insn.field(15, 2));
    from != 2 && to != 2 && from != to
}

/// Doubles fill a vector of 128 bits only.
pub(super) fn doubles_full(insn: Insn) -> bool {
    !insn.bit(22) || insn.bit(30)
}

/// A shift of elements: immh has a one, and 64-bit elements fill 128 bits.
pub(super) fn shift_elements(insn: Insn) -> bool {
    insn.field(19, 4) != 0 && (!insn.bit(22) || insn.bit(30))
}

/// A shift that narrows or widens: elements of 8 to 32 bits.
pub(super) fn shift_narrow(insn: Insn) -> bool {
    matches!(insn.field(19, 4), 1..=7)
}

/// A widening shift by nothing is an extension.
pub(super) fn extends(insn: Insn) -> bool {
    insn.field(16, 3) == 0 && insn.field(19, 4).is_power_of_two()
}

/// A conversion with fraction bits: halves, singles, doubles.
pub(super) fn shift_floats(insn: Insn) -> bool {
    insn.field(19, 4) >= 2 && shift_elements(insn)
}

/// The same of scalars.
pub(super) fn shift_scalar_floats(insn: Insn) -> bool {
    insn.field(19, 4) >= 2
}

/// A scalar shift of any size.
pub(super) fn shift_scalar(insn: Insn) -> bool {
    insn.field(19, 4) != 0
}

/// imm5 names an element that fits the vector.
pub(super) fn copy_element(insn: Insn) -> bool {
    let imm5 = insn.field(16, 5);
    imm5 & 0xf != 0 && (imm5 & 7 != 0 || insn.bit(30))
}

/// imm5 names an element.
pub(super) fn copy_any(insn: Insn) -> bool {
    insn.field(16, 4) != 0
}

/// `smov` extends: the element is smaller than the register.
pub(super) fn copy_signed(insn: Insn) -> bool {
    let imm5 = insn.field(16, 5);
    imm5 & 3 != 0 || (insn.bit(30) && imm5 & 7 == 4)
}

/// `umov`: 64-bit elements to X, smaller ones to W.
pub(super) fn copy_unsigned(insn: Insn) -> bool {
    let imm5 = insn.field(16, 5);
    if insn.bit(30) { imm5 & 0xf == 8 } else { imm5 & 7 != 0 }
}

/// `umov` of a whole register's width is `mov`.
pub(super) fn copy_whole(insn: Insn) -> bool {
    let imm5 = insn.field(16, 5);
    imm5 & 0xf == if insn.bit(30) { 8 } else { 4 } || imm5 & 7 == 4
}

/// `ext` starts inside the vector.
pub(super) fn ext_index(insn: Insn) -> bool {
    insn.bit(30) || !insn.bit(14)
}

/// An indexed float: sz and L are not both set.
pub(super) fn lane_double(insn: Insn) -> bool {
    !insn.bit(22) || (!insn.bit(21) && insn.bit(30))
}

/// The same of scalars, which have no Q.
pub(super) fn lane_double_scalar(insn: Insn) -> bool {
    !insn.bit(22) || !insn.bit(21)
}

/// `fcmla` by element: halves with an index that fits, singles in 128 bits.
pub(super) fn lane_complex(insn: Insn) -> bool {
    match insn.field(22, 2) {
        1 => insn.bit(30) || !insn.bit(11),
        2 => insn.bit(30) && !insn.bit(21),
        _ => false,
    }
}

/// A vector of structures of more than one register is not one element of 64 bits.
pub(super) fn structure_shape(insn: Insn) -> bool {
    insn.field(10, 2) != 3 || insn.bit(30)
}

/// A structure element of 16 bits: size<0> is no index bit.
pub(super) fn lane_of_half(insn: Insn) -> bool {
    !insn.bit(10)
}

/// A structure element of 32 or 64 bits.
pub(super) fn lane_of_word(insn: Insn) -> bool {
    insn.field(10, 2) == 0 || (insn.field(10, 2) == 1 && !insn.bit(12))
}
