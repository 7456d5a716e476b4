//! The operands of floating point and vector instructions.

use super::op::Op;
use super::operand::{Arrangement, Element, FpSize, Offset, Operand, Shift};
use crate::insn::Insn;

/// Bytes of an element, as a power of two.
type Log2 = u32;

fn fpr(n: u32, log2: Log2) -> Option<Operand> {
    Some(Operand::Fpr { n: n as u8, size: FpSize::from_log2(log2)? })
}

fn vector(n: u32, log2: Log2, full: bool) -> Option<Operand> {
    Some(Operand::Vector { n: n as u8, shape: Arrangement::new(log2, full)? })
}

fn lane(n: u32, log2: Log2, index: u32) -> Option<Operand> {
    let element = Element::One(FpSize::from_log2(log2)?);
    Some(Operand::Lane { n: n as u8, element, index: index as u8 })
}

/// The element of a shift: the highest one of immh.
fn shift_element(insn: Insn) -> Option<Log2> {
    insn.field(19, 4).checked_ilog2()
}

/// The element of a copy: the lowest one of imm5.
fn copy_element(insn: Insn) -> Option<Log2> {
    let imm5 = insn.field(16, 5);
    (imm5 & 0xf != 0).then_some(imm5.trailing_zeros())
}

/// H:L:M, the index bits of an element operand.
fn hlm(insn: Insn) -> u32 {
    insn.field(11, 1) << 2 | insn.field(21, 1) << 1 | insn.field(20, 1)
}

pub(super) fn resolve(op: Op, insn: Insn) -> Option<Operand> {
    let at = |lo: u8| insn.field(u32::from(lo), 5);
    let size = insn.field(22, 2);
    let sz = insn.field(22, 1);
    let q = insn.bit(30);
    match op {
        Op::Ftype(lo) => fpr(at(lo), ftype(size)?),
        Op::FcvtTo => fpr(at(0), ftype(insn.field(15, 2))?),
        Op::Fsize(lo) => fpr(at(lo), size),
        Op::FsizeWide(lo) => fpr(at(lo), size + 1),
        Op::Fsz(lo) => fpr(at(lo), 2 + sz),
        Op::Fshift(lo) => fpr(at(lo), shift_element(insn)?),
        Op::FshiftWide(lo) => fpr(at(lo), shift_element(insn)? + 1),
        Op::Fimm5(lo) => fpr(at(lo), copy_element(insn)?),
        Op::Vec(shape, lo) => Some(Operand::Vector { n: at(lo) as u8, shape }),
        Op::V(lo) => vector(at(lo), size, q),
        Op::Vwide(lo) => vector(at(lo), size + 1, true),
        Op::VpairWide(lo) => vector(at(lo), size + 1, q),
        Op::Vq(element, lo) => vector(at(lo), element as u32, q),
        Op::HalfOfHalves(lo) => {
            let shape = Arrangement { lanes: if q { 4 } else { 2 }, size: FpSize::H };
            Some(Operand::Vector { n: at(lo) as u8, shape })
        }
        Op::Vsz(lo) => vector(at(lo), 2 + sz, q),
        Op::VpairSz(lo) => vector(at(lo), 2 + sz, sz != 0),
        Op::VszHalf(lo) => vector(at(lo), 1 + sz, q),
        Op::VszWide(lo) => vector(at(lo), 2 + sz, true),
        Op::Vshift(lo) => vector(at(lo), shift_element(insn)?, q),
        Op::VshiftWide(lo) => vector(at(lo), shift_element(insn)? + 1, true),
        Op::Vimm5(lo) => vector(at(lo), copy_element(insn)?, q),
        Op::LaneImm5(lo) => {
            let log2 = copy_element(insn)?;
            lane(at(lo), log2, insn.field(16, 5) >> (log2 + 1))
        }
        Op::LaneImm4(lo) => {
            let log2 = copy_element(insn)?;
            lane(at(lo), log2, insn.field(11, 4) >> log2)
        }
        Op::UpperD(lo) => lane(at(lo), 3, 1),
        Op::LaneM => match size {
            0 | 1 => lane(insn.field(16, 4), 1, hlm(insn)),
            2 => lane(at(16), 2, hlm(insn) >> 1),
            _ => lane(at(16), 3, hlm(insn) >> 2),
        },
        Op::LaneMhalf => lane(insn.field(16, 4), 1, hlm(insn)),
        Op::LaneMgroup(element) => {
            Some(Operand::Lane { n: at(16) as u8, element, index: (hlm(insn) >> 1) as u8 })
        }
        Op::LaneMcomplex if size == 1 => lane(at(16), 1, hlm(insn) >> 1),
        Op::LaneMcomplex => lane(at(16), 2, hlm(insn) >> 2),
        Op::LaneMsm3 => lane(at(16), 2, insn.field(12, 2)),
        Op::Table => {
            let shape = Arrangement::new(0, true)?;
            Some(Operand::List { first: insn.rn(), count: insn.field(13, 2) as u8 + 1, shape })
        }
        Op::List(count) => {
            let shape = Arrangement::new(insn.field(10, 2), q)?;
            Some(Operand::List { first: insn.rd(), count, shape })
        }
        Op::LaneList(count) => lane_list(insn, count),
        Op::LaneListD => {
            Some(Operand::LaneList { first: insn.rd(), count: 1, size: FpSize::D, index: u8::from(q) })
        }
        Op::ListBase(count) => structure_base(insn, i64::from(count) * if q { 16 } else { 8 }),
        Op::LaneBase(count) => {
            let (log2, _) = lane_of_structure(insn)?;
            structure_base(insn, i64::from(count) << log2)
        }
        Op::ReplicateBase(count) => structure_base(insn, i64::from(count) << insn.field(10, 2)),

        Op::Float8(lo) => Some(Operand::Float8(insn.field(u32::from(lo), 8) as u8)),
        Op::FloatAbc => Some(Operand::Float8(abcdefgh(insn))),
        Op::FloatZero => Some(Operand::FloatZero),
        Op::Zero => Some(Operand::Imm(0)),
        Op::FixedBits => Some(Operand::Imm(64 - i64::from(insn.field(10, 6)))),
        Op::ShiftRight => Some(Operand::Imm((16 << shift_element(insn)?) - i64::from(insn.field(16, 7)))),
        Op::ShiftLeft => Some(Operand::Imm(i64::from(insn.field(16, 7)) - (8 << shift_element(insn)?))),
        Op::ShiftWhole => Some(Operand::Imm(8 << size)),
        Op::ModImm => Some(modified(insn)),
        Op::ModBytes => Some(Operand::Hex(byte_mask(abcdefgh(insn)))),
        Op::Rotate90(lo, width) => {
            Some(Operand::Imm(i64::from(insn.field(u32::from(lo), u32::from(width))) * 90))
        }
        Op::RotateAdd => Some(Operand::Imm(if insn.bit(12) { 270 } else { 90 })),
        _ => None,
    }
}

/// s, d, -, h
fn ftype(bits: u32) -> Option<Log2> {
    match bits {
        0 => Some(2),
        1 => Some(3),
        3 => Some(1),
        _ => None,
    }
}

fn abcdefgh(insn: Insn) -> u8 {
    (insn.field(16, 3) << 5 | insn.field(5, 5)) as u8
}

/// Each bit becomes a byte.
fn byte_mask(bits: u8) -> u64 {
    (0..8).fold(0, |mask, i| mask | if bits >> i & 1 != 0 { 0xff << (8 * i) } else { 0 })
}

/// abc:defgh with the shift of cmode: by bytes in words (0xx.), in halves (10x.), or with ones (110x).
fn modified(insn: Insn) -> Operand {
    let (kind, amount) = match insn.field(12, 4) {
        cmode @ 0..=7 => (Shift::Lsl, (cmode >> 1) * 8),
        cmode @ 8..=11 => (Shift::Lsl, (cmode >> 1 & 1) * 8),
        cmode @ 12..=13 => (Shift::Msl, ((cmode & 1) + 1) * 8),
        _ => (Shift::Lsl, 0),
    };
    Operand::ShiftedImm { value: u16::from(abcdefgh(insn)), kind, amount: amount as u8 }
}

/// Element size and index of a single-structure access: opcode<2:1> says the size, Q:S:size the index.
fn lane_of_structure(insn: Insn) -> Option<(Log2, u32)> {
    let index = insn.field(30, 1) << 3 | insn.field(12, 1) << 2 | insn.field(10, 2);
    match insn.field(14, 2) {
        0 => Some((0, index)),
        1 => Some((1, index >> 1)),
        2 if insn.field(10, 2) == 0 => Some((2, index >> 2)),
        2 => Some((3, index >> 3)),
        _ => None,
    }
}

fn lane_list(insn: Insn, count: u8) -> Option<Operand> {
    let (log2, index) = lane_of_structure(insn)?;
    let size = FpSize::from_log2(log2)?;
    Some(Operand::LaneList { first: insn.rd(), count, size, index: index as u8 })
}

/// Structure addresses: bit 23 says that the base is moved on, Rm by what, 31 by what was accessed.
fn structure_base(insn: Insn, bytes: i64) -> Option<Operand> {
    let offset = match (insn.bit(23), insn.rm()) {
        (false, _) => Offset::None,
        (true, 31) => Offset::Post(bytes),
        (true, rm) => Offset::PostReg(rm),
    };
    Some(Operand::Memory { base: insn.rn(), offset })
}
