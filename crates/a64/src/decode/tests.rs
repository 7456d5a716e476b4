//! The tables against themselves: what an oracle cannot see.

use super::{Decoded, Group, Picture, Row, Section, decode, resolve};
use crate::insn::Insn;
use std::vec::Vec;

const GROUPS: [Group; 9] = [
    Group::Reserved,
    Group::Sme,
    Group::Sve,
    Group::Unallocated,
    Group::Immediate,
    Group::BranchSystem,
    Group::LoadStore,
    Group::Register,
    Group::Vector,
];

fn sections() -> impl Iterator<Item = (Group, &'static Section)> {
    GROUPS.into_iter().flat_map(|group| {
        group.sections().iter().flat_map(move |list| list.iter().map(move |section| (group, section)))
    })
}

/// Words that fit a picture: its fields are filled by a seeded generator.
fn fill(picture: Picture) -> impl Iterator<Item = Insn> {
    let mut state = u64::from(picture.bits) | 1 << 40;
    (0..4000).map(move |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        Insn((state >> 32) as u32 & !picture.mask | picture.bits)
    })
}

/// Words that fit the picture and the rule of a row.
fn words(row: &'static Row) -> impl Iterator<Item = Insn> {
    fill(row.picture).filter(|&insn| row.fits(insn))
}

fn is_row(decoded: Option<Decoded>, row: &'static Row) -> bool {
    decoded.is_some_and(|decoded| core::ptr::eq(decoded.row, row))
}

#[test]
fn every_row_lies_in_its_section_and_group() {
    for (group, section) in sections() {
        for row in section.rows.iter().chain(section.aliases) {
            let (inner, outer) = (row.picture, section.picture);
            let name = row.mnemonic;
            assert_eq!(inner.mask & outer.mask, outer.mask, "{name} leaves {}", section.title);
            assert_eq!(inner.bits & outer.mask, outer.bits, "{name} leaves {}", section.title);
            assert_eq!(Group::of(Insn(inner.bits)), group, "{name}");
        }
    }
}

#[test]
fn every_row_is_reached() {
    for (_, section) in sections() {
        for row in section.rows {
            let name = row.mnemonic;
            assert!(words(row).any(|insn| is_row(decode(insn), row)), "{name} in {}", section.title);
        }
    }
}

#[test]
fn every_alias_is_preferred_for_some_word() {
    for (_, section) in sections() {
        for alias in section.aliases {
            let preferred = |insn| is_row(decode(insn).map(Decoded::preferred), alias);
            assert!(words(alias).any(preferred), "{} in {}", alias.mnemonic, section.title);
        }
    }
}

/// `None` for an operand means "without a text"; for most operands that would be a hole in the printed line.
#[test]
fn operands_that_always_have_a_text_have_one() {
    use super::op::Op;
    let may_be_silent = |op: &Op| {
        matches!(
            op,
            Op::SysRt
                | Op::SysArgument
                | Op::ShiftAmount
                | Op::ExtendAmount
                | Op::Lsl3
                | Op::CrmOption
                | Op::BtiTarget
        )
    };
    for (_, section) in sections() {
        for row in section.rows.iter().chain(section.aliases) {
            for insn in words(row).take(200).filter(|&insn| decode(insn).is_some()) {
                for op in row.operands.iter().filter(|op| !may_be_silent(op)) {
                    assert!(resolve::resolve(*op, insn).is_some(), "{insn:?} {} {op:?}", row.mnemonic);
                }
            }
        }
    }
}

/// Where two rows of one section both take a word, the first wins: it must be the special one.
#[test]
fn overlaps_go_from_the_special_to_the_general() {
    let mut titles = Vec::new();
    for (_, section) in sections() {
        for (i, first) in section.rows.iter().enumerate() {
            for second in section.rows[i + 1..].iter().filter(|second| overlap(first, second)) {
                let special = first.picture.mask & second.picture.mask == second.picture.mask;
                assert!(special, "{} hides {} in {}", first.mnemonic, second.mnemonic, section.title);
                titles.push(section.title);
            }
        }
    }
    titles.dedup();
    let known = [
        "Unconditional branch (register)",       // retaa is retaasppcr with x31
        "Hints",                                 // hint has all numbers
        "Load/store register (register offset)", // rprfm has some operations of prfm
        "Advanced SIMD copy",                    // the general register is X for 64 bits
    ];
    assert_eq!(titles, known);
}

/// Is there a word that fits both?
fn overlap(first: &Row, second: &Row) -> bool {
    let (a, b) = (first.picture, second.picture);
    if (a.bits ^ b.bits) & a.mask & b.mask != 0 {
        return false;
    }
    let both = Picture { mask: a.mask | b.mask, bits: a.bits | b.bits };
    fill(both).any(|insn| first.fits(insn) && second.fits(insn))
}
