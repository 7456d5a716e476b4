//! Loads and stores (Arm ARM, C4.1.94): literals, exclusives and the copy triples are special, the rest steps.

use super::{Class, Reason, exclusive};
use crate::insn::Insn;
use crate::simulate::{LoadKind, Sim};

pub(super) fn classify(insn: Insn) -> Class {
    if exclusive::kind(insn).is_some() {
        return Class::Reject(Reason::Exclusive);
    }
    if insn.matches(0x3b00_0000, 0x1800_0000) {
        return literal(insn);
    }
    // Memory copy and set: size 011 o0 01 op1 0 Rs op2 01 Rn Rd. The exception that moves the operation to
    // another kind of CPU sets the PC back to the first of three.
    if insn.matches(0x3b20_0c00, 0x1900_0400) {
        return Class::Reject(Reason::CopyTriple);
    }
    if prefetch(insn) { Class::STEP } else { Class::STEP_FAULT }
}

/// Literal loads: opc in 31..30, V in 26, imm19.
fn literal(insn: Insn) -> Class {
    let (opc, vector) = (insn.field(30, 2), insn.bit(26));
    if vector {
        return Class::Reject(if opc == 3 { Reason::Unallocated } else { Reason::VectorLiteral });
    }
    let kind = match opc {
        0 => LoadKind::Word,
        1 => LoadKind::Double,
        2 => LoadKind::SignedWord,
        // prfm: a prefetch may always be left out.
        _ => return Class::Simulate(Sim::Skip),
    };
    Class::Simulate(Sim::Load { rt: insn.rd(), kind, offset: insn.signed_field(5, 19) << 2 })
}

/// `prfm` and `prfum`, which never fault: size 11, V 0, opc 10, unsigned, unscaled and register offsets.
fn prefetch(insn: Insn) -> bool {
    insn.matches(0xffc0_0000, 0xf980_0000)
        || insn.matches(0xffe0_0c00, 0xf880_0000)
        || insn.matches(0xffe0_0c00, 0xf8a0_0800)
}
