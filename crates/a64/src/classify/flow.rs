//! Words that set the next PC or read their own (Arm ARM, C4.1.92.1 and C4.1.93).

use super::{Class, Reason};
use crate::cond::Cond;
use crate::insn::Insn;
use crate::simulate::Sim;

/// `adr` and `adrp`: immhi in 23..5, immlo in 30..29.
pub(super) fn pc_relative_address(insn: Insn) -> Option<Sim> {
    if !insn.matches(0x1f00_0000, 0x1000_0000) {
        return None;
    }
    let imm = (insn.signed_field(5, 19) << 2) | i64::from(insn.field(29, 2));
    Some(match insn.bit(31) {
        false => Sim::Adr { rd: insn.rd(), offset: imm },
        true => Sim::Adrp { rd: insn.rd(), offset: imm << 12 },
    })
}

/// The forms of pointer authentication that take the PC as a modifier (FEAT_PAuth_LR): `autiasppc`, `paciasppc`,
/// `pacnbiasppc`. Those that take it from a register (`autiasppcr`, `pacia171615`) are none of them.
pub(super) fn authenticates_with_pc(insn: Insn) -> bool {
    insn.matches(0xff80_0000, 0xf380_0000)
        || insn.matches(0xffff_fbff, 0xdac1_83fe)
        || insn.matches(0xffff_fbff, 0xdac1_a3fe)
}

/// Branches and exception generation. What is not listed is not let through: an unknown word here may jump.
pub(super) fn classify(insn: Insn) -> Class {
    let imm19 = insn.signed_field(5, 19) << 2;
    if insn.matches(0x7c00_0000, 0x1400_0000) {
        let offset = insn.signed_field(0, 26) << 2;
        return Class::Simulate(if insn.bit(31) { Sim::Call { offset } } else { Sim::Jump { offset } });
    }
    // b.cond, and with bit 4 bc.cond, which only hints how well it can be predicted.
    if insn.matches(0xff00_0000, 0x5400_0000) {
        let table = Cond::from_bits(insn.field(0, 4)).table();
        return Class::Simulate(Sim::JumpIf { offset: imm19, table });
    }
    if insn.matches(0x7e00_0000, 0x3400_0000) {
        let mask = if insn.bit(31) { u64::MAX } else { u64::from(u32::MAX) };
        let (rt, when_clear) = (insn.rd(), !insn.bit(24));
        return Class::Simulate(Sim::JumpIfBits { offset: imm19, rt, mask, when_clear });
    }
    if insn.matches(0x7e00_0000, 0x3600_0000) {
        let mask = 1 << (insn.field(31, 1) << 5 | insn.field(19, 5));
        let (offset, rt, when_clear) = (insn.signed_field(5, 14) << 2, insn.rd(), !insn.bit(24));
        return Class::Simulate(Sim::JumpIfBits { offset, rt, mask, when_clear });
    }
    if insn.matches(0x7e00_0000, 0x7400_0000) {
        return Class::Reject(Reason::CompareBranch);
    }
    if insn.matches(0xff00_0000, 0x5500_0000) {
        // retaasppc, retabsppc
        return Class::Reject(Reason::AuthBranch);
    }
    if insn.matches(0xff00_0000, 0xd400_0000) {
        // opc 011 is tcancel, all others generate an exception.
        let transaction = insn.field(21, 3) == 0b011;
        return Class::Reject(if transaction { Reason::Transaction } else { Reason::Exception });
    }
    if insn.matches(0xfe00_0000, 0xd600_0000) {
        return branch_register(insn);
    }
    Class::Reject(Reason::Unallocated)
}

/// Branches to a register (C4.1.93.12): opc in 24..21, op2 in 20..16, op3 in 15..10, Rn, op4 in 4..0.
fn branch_register(insn: Insn) -> Class {
    let (opc, op2, op3, op4) = (insn.field(21, 4), insn.field(16, 5), insn.field(10, 6), insn.field(0, 5));
    let rn = insn.rn();
    if op2 != 0b11111 {
        return Class::Reject(Reason::Unallocated);
    }
    match (opc, op3) {
        (0b0000 | 0b0010, 0) if op4 == 0 => Class::Simulate(Sim::JumpReg { rn }),
        (0b0001, 0) if op4 == 0 => Class::Simulate(Sim::CallReg { rn }),
        // braaz, brabz, blraaz, blrabz
        (0b0000 | 0b0001, 0b10 | 0b11) if op4 == 0b11111 => Class::Reject(Reason::AuthBranch),
        // retaa, retab, retaasppcr, retabsppcr
        (0b0010, 0b10 | 0b11) if rn == 31 => Class::Reject(Reason::AuthBranch),
        // braa, brab, blraa, blrab
        (0b1000 | 0b1001, 0b10 | 0b11) => Class::Reject(Reason::AuthBranch),
        // eret, drps
        (0b0100 | 0b0101, 0) if rn == 31 && op4 == 0 => Class::Reject(Reason::ExceptionReturn),
        // eretaa, eretab
        (0b0100, 0b10 | 0b11) if rn == 31 && op4 == 0b11111 => Class::Reject(Reason::ExceptionReturn),
        _ => Class::Reject(Reason::Unallocated),
    }
}
