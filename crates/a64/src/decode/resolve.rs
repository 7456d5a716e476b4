//! From the operand that a row names to the operand that a word has.
//!
//! `None` is an operand without a text: a shift by nothing, a default that is not printed.

use super::op::Op;
use super::operand::{Extend, Index, Offset, Operand, Shift};
use super::{resolve_vector, rules, sysop};
use crate::cond::Cond;
use crate::insn::Insn;
use crate::sysreg::SysReg;

const fn gpr(n: u32, wide: bool) -> Operand {
    Operand::Gpr { n: n as u8, wide, sp: false }
}

const fn gpr_or_sp(n: u32, wide: bool) -> Operand {
    Operand::Gpr { n: n as u8, wide, sp: true }
}

/// The suffix of an ordering: acquire, release.
fn order(acquire: bool, release: bool) -> usize {
    usize::from(acquire) | usize::from(release) << 1
}

const ORDERS: [&str; 4] = ["", "a", "l", "al"];
const BYTE_ORDERS: [&str; 4] = ["b", "ab", "lb", "alb"];
const HALF_ORDERS: [&str; 4] = ["h", "ah", "lh", "alh"];
const USER_ORDERS: [&str; 4] = ["t", "at", "lt", "alt"];

fn sized_order(insn: Insn, index: usize) -> Operand {
    let table = match insn.field(30, 2) {
        0 => BYTE_ORDERS,
        1 => HALF_ORDERS,
        _ => ORDERS,
    };
    Operand::Suffix(table[index & 3])
}

const COPY_OPTIONS: [&str; 16] =
    ["", "wt", "rt", "t", "wn", "wtwn", "rtwn", "twn", "rn", "wtrn", "rtrn", "trn", "n", "wtn", "rtn", "tn"];
const SET_OPTIONS: [&str; 4] = ["", "t", "n", "tn"];

const BARRIERS: [&str; 16] = [
    "", "oshld", "oshst", "osh", "", "nshld", "nshst", "nsh", "", "ishld", "ishst", "ish", "", "ld", "st",
    "sy",
];
const BARRIERS_NXS: [&str; 4] = ["oshnxs", "nshnxs", "ishnxs", "synxs"];
const BTI_TARGETS: [&str; 4] = ["", "c", "j", "jc"];

const PREFETCHES: [&str; 24] = [
    "pldl1keep",
    "pldl1strm",
    "pldl2keep",
    "pldl2strm",
    "pldl3keep",
    "pldl3strm",
    "pldslckeep",
    "pldslcstrm",
    "plil1keep",
    "plil1strm",
    "plil2keep",
    "plil2strm",
    "plil3keep",
    "plil3strm",
    "plislckeep",
    "plislcstrm",
    "pstl1keep",
    "pstl1strm",
    "pstl2keep",
    "pstl2strm",
    "pstl3keep",
    "pstl3strm",
    "pstslckeep",
    "pstslcstrm",
];

/// The name, or the number of what has none.
fn named(names: &'static [&'static str], number: u32) -> Operand {
    match names.get(number as usize) {
        Some(name) if !name.is_empty() => Operand::Name(name),
        _ => Operand::Imm(i64::from(number)),
    }
}

/// A number as the signed value of a register of the word's width.
fn signed(value: u64, insn: Insn) -> Operand {
    Operand::Imm(if insn.bit(31) { value.cast_signed() } else { i64::from((value as u32).cast_signed()) })
}

/// Bits in a register by sf.
fn width(insn: Insn) -> u32 {
    if insn.bit(31) { 64 } else { 32 }
}

pub(super) fn resolve(op: Op, insn: Insn) -> Option<Operand> {
    let at = |lo: u8| insn.field(u32::from(lo), 5);
    let sf = insn.bit(31);
    Some(match op {
        Op::R(lo) => gpr(at(lo), sf),
        Op::Rsp(lo) => gpr_or_sp(at(lo), sf),
        Op::X(lo) => gpr(at(lo), true),
        Op::Xsp(lo) => gpr_or_sp(at(lo), true),
        Op::W(lo) => gpr(at(lo), false),
        Op::R30(lo) => gpr(at(lo), insn.bit(30)),
        Op::NextX(lo) => gpr((at(lo) + 1) & 31, true),
        Op::NextR30(lo) => gpr((at(lo) + 1) & 31, insn.bit(30)),
        Op::TestReg => gpr(at(0), sf),
        Op::ExtendedReg => gpr(at(16), sf && insn.field(13, 2) == 3),
        Op::SysRt if insn.rd() == 31 => return None,
        Op::SysRt => gpr(at(0), true),
        Op::SysArgument => match sysop::lookup(insn) {
            Some((_, true)) => gpr(at(0), true),
            _ => return None,
        },
        Op::MovedX(lo) => Operand::Moved(at(lo) as u8),
        Op::F(size, lo) => Operand::Fpr { n: at(lo) as u8, size },

        Op::CondSuffix => Operand::Suffix(Cond::from_bits(insn.field(0, 4)).name()),
        Op::SizeSuffix => sized_order(insn, 0),
        Op::Order => Operand::Suffix(ORDERS[order(insn.bit(23), insn.bit(22)) & 3]),
        Op::SizedOrder => sized_order(insn, order(insn.bit(23), insn.bit(22))),
        Op::CasPairOrder => Operand::Suffix(ORDERS[order(insn.bit(22), insn.bit(15)) & 3]),
        Op::CasOrder => sized_order(insn, order(insn.bit(22), insn.bit(15))),
        Op::CasUserOrder => Operand::Suffix(USER_ORDERS[order(insn.bit(22), insn.bit(15)) & 3]),
        Op::CopyOptions => Operand::Suffix(COPY_OPTIONS[insn.field(12, 4) as usize & 15]),
        Op::SetOptions => Operand::Suffix(SET_OPTIONS[insn.field(12, 2) as usize & 3]),
        Op::UpperHalf => Operand::Suffix(if insn.bit(30) { "2" } else { "" }),

        Op::Imm(lo, width) => Operand::Imm(i64::from(insn.field(u32::from(lo), u32::from(width)))),
        Op::Hex(lo, width) => Operand::Hex(u64::from(insn.field(u32::from(lo), u32::from(width)))),
        Op::SImm(lo, width) => Operand::Imm(insn.signed_field(u32::from(lo), u32::from(width))),
        Op::Scaled(lo, width, scale) => {
            Operand::Imm(i64::from(insn.field(u32::from(lo), u32::from(width))) * i64::from(scale))
        }
        Op::C(lo) => Operand::Control(insn.field(u32::from(lo), 4) as u8),
        Op::AddImm => Operand::ShiftedImm {
            value: insn.field(10, 12) as u16,
            kind: Shift::Lsl,
            amount: if insn.bit(22) { 12 } else { 0 },
        },
        Op::BitMask => Operand::Hex(rules::bit_mask_of(insn)?),
        Op::BitMaskMov => signed(rules::bit_mask_of(insn)?, insn),
        Op::Wide => Operand::ShiftedImm {
            value: insn.field(5, 16) as u16,
            kind: Shift::Lsl,
            amount: insn.field(21, 2) as u8 * 16,
        },
        Op::WideMov => signed(wide(insn), insn),
        Op::WideMovNot => signed(!wide(insn), insn),
        Op::TestBit => Operand::Imm(i64::from(insn.field(31, 1) << 5 | insn.field(19, 5))),
        Op::LslAmount => Operand::Imm(i64::from(width(insn) - 1 - insn.field(10, 6))),
        Op::InsertLsb => Operand::Imm(i64::from(width(insn) - insn.field(16, 6))),
        Op::InsertWidth => Operand::Imm(i64::from(insn.field(10, 6) + 1)),
        Op::ExtractWidth => Operand::Imm(i64::from(insn.field(10, 6)) - i64::from(insn.field(16, 6)) + 1),

        Op::ShiftAmount => return shift_amount(insn),
        Op::ExtendAmount => return extend_amount(insn),
        Op::Lsl3 => match insn.field(10, 3) {
            0 => return None,
            amount => Operand::Shifted { kind: Shift::Lsl, amount: amount as u8 },
        },

        Op::Cond(lo) => Operand::Cond(Cond::from_bits(insn.field(u32::from(lo), 4))),
        Op::CondNot(lo) => Operand::Cond(Cond::from_bits(insn.field(u32::from(lo), 4)).invert()),
        Op::BarrierName => named(&BARRIERS, insn.field(8, 4)),
        Op::BarrierNxs => named(&BARRIERS_NXS, insn.field(10, 2)),
        Op::CrmOption => match insn.field(8, 4) {
            15 => return None,
            crm => Operand::Hex(u64::from(crm)),
        },
        Op::BtiTarget => match insn.field(6, 2) {
            0 => return None,
            target => named(&BTI_TARGETS, target),
        },
        Op::PState => Operand::Name(pstate(insn)?),
        Op::System => Operand::System(SysReg::from_field(insn.field(5, 15))),
        Op::SysName => Operand::Name(sysop::lookup(insn)?.0),
        Op::Prefetch => named(&PREFETCHES, at(0)),
        Op::RangePrefetch => {
            let number =
                insn.field(15, 1) << 5 | insn.field(13, 1) << 4 | insn.field(12, 1) << 3 | insn.field(0, 3);
            match number {
                0 => Operand::Name("pldkeep"),
                1 => Operand::Name("pstkeep"),
                4 => Operand::Name("pldstrm"),
                5 => Operand::Name("pststrm"),
                _ => Operand::Imm(i64::from(number)),
            }
        }
        Op::Name(name) => Operand::Name(name),

        Op::Label26 => Operand::Label(insn.signed_field(0, 26) << 2),
        Op::Label19 => Operand::Label(insn.signed_field(5, 19) << 2),
        Op::Label14 => Operand::Label(insn.signed_field(5, 14) << 2),
        Op::Label9 => Operand::Label(insn.signed_field(5, 9) << 2),
        Op::LabelBack16 => Operand::Label(-(i64::from(insn.field(5, 16)) << 2)),
        Op::LabelAdr => Operand::Label(adr(insn)),
        Op::LabelAdrp => Operand::Page(adr(insn) << 12),

        Op::Base => memory(insn, Offset::None),
        Op::BaseStep => memory(insn, step(insn, 4 << insn.field(30, 1))),
        Op::BasePairStep => memory(insn, step(insn, 8 << insn.field(30, 1))),
        Op::Unsigned(scale) => memory(insn, plain(i64::from(insn.field(10, 12)) << scale)),
        Op::Unscaled => memory(insn, plain(insn.signed_field(12, 9))),
        Op::Pre => memory(insn, Offset::Pre(insn.signed_field(12, 9))),
        Op::Post => memory(insn, Offset::Post(insn.signed_field(12, 9))),
        Op::Tag => {
            let offset = insn.signed_field(12, 9) << 4;
            memory(
                insn,
                match insn.field(10, 2) {
                    1 => Offset::Post(offset),
                    3 => Offset::Pre(offset),
                    _ => plain(offset),
                },
            )
        }
        Op::Pair(scale) => {
            let offset = insn.signed_field(15, 7) << scale;
            memory(
                insn,
                match insn.field(23, 2) {
                    1 => Offset::Post(offset),
                    3 => Offset::Pre(offset),
                    _ => plain(offset),
                },
            )
        }
        Op::Indexed(scale) => memory(insn, index(insn, scale)),
        Op::Authenticated => {
            let offset = (i64::from(insn.field(12, 9)) - (i64::from(insn.field(22, 1)) << 9)) << 3;
            memory(insn, if insn.bit(11) { Offset::Pre(offset) } else { plain(offset) })
        }
        Op::MovedBase(lo) => Operand::Memory { base: at(lo) as u8, offset: Offset::Moved },
        _ => return resolve_vector::resolve(op, insn),
    })
}

/// imm16 in its place.
fn wide(insn: Insn) -> u64 {
    u64::from(insn.field(5, 16)) << (16 * insn.field(21, 2))
}

/// immhi:immlo
fn adr(insn: Insn) -> i64 {
    insn.signed_field(5, 19) << 2 | i64::from(insn.field(29, 2))
}

fn memory(insn: Insn, offset: Offset) -> Operand {
    Operand::Memory { base: insn.rn(), offset }
}

/// An offset of nothing has no text.
fn plain(offset: i64) -> Offset {
    if offset == 0 { Offset::None } else { Offset::Imm(offset) }
}

/// Loads step up behind, stores step down before.
fn step(insn: Insn, bytes: i64) -> Offset {
    if insn.bit(22) { Offset::Post(bytes) } else { Offset::Pre(-bytes) }
}

fn index(insn: Insn, scale: u8) -> Offset {
    let extend = Extend::from_bits(insn.field(13, 3));
    let amount = insn.bit(12).then_some(scale);
    Offset::Index(Index { rm: insn.rm(), extend, amount })
}

fn shift_amount(insn: Insn) -> Option<Operand> {
    let kind = match insn.field(22, 2) {
        0 => Shift::Lsl,
        1 => Shift::Lsr,
        2 => Shift::Asr,
        _ => Shift::Ror,
    };
    let amount = insn.field(10, 6) as u8;
    (kind != Shift::Lsl || amount != 0).then_some(Operand::Shifted { kind, amount })
}

/// With SP among the operands the plain extension is written `lsl`, and not at all where it shifts by nothing.
fn extend_amount(insn: Insn) -> Option<Operand> {
    let (kind, amount) = (Extend::from_bits(insn.field(13, 3)), insn.field(10, 3) as u8);
    let sets_flags = insn.bit(29);
    let has_sp = insn.rn() == 31 || (insn.rd() == 31 && !sets_flags);
    let whole = if insn.bit(31) { Extend::Uxtx } else { Extend::Uxtw };
    if has_sp && kind == whole {
        return (amount != 0).then_some(Operand::Shifted { kind: Shift::Lsl, amount });
    }
    Some(Operand::Extended { kind, amount })
}

/// The PSTATE field that `msr` (immediate) writes.
fn pstate(insn: Insn) -> Option<&'static str> {
    Some(match (insn.field(16, 3), insn.field(5, 3)) {
        (0, 3) => "uao",
        (0, 4) => "pan",
        (0, 5) => "spsel",
        (1, 0) => "allint",
        (3, 1) => "ssbs",
        (3, 2) => "dit",
        (3, 4) => "tco",
        (3, 6) => "daifset",
        (3, 7) => "daifclr",
        _ => return None,
    })
}
