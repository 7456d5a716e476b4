//! One row for each decision. The word-by-word comparison with an independent disassembler is in `tests/`.

use super::{Class, Reason, classify};
use crate::cond::Cond;
use crate::insn::Insn;
use crate::regs::{Reg, RegSet};
use crate::simulate::{LoadKind, Sim};
use std::vec::Vec;

#[test]
fn simulated() {
    let expected = [
        (0x1400_0002, Sim::Jump { offset: 8 }),
        (0x9600_0000, Sim::Call { offset: -(1 << 27) }),
        (0x5400_0081, Sim::JumpIf { offset: 16, table: Cond::Ne.table() }),
        (0x54ff_fff0, Sim::JumpIf { offset: -4, table: Cond::Eq.table() }), // bc.eq
        (0x34ff_ffe3, Sim::JumpIfBits { offset: -4, rt: 3, mask: 0xffff_ffff, when_clear: true }),
        (0xb500_0043, Sim::JumpIfBits { offset: 8, rt: 3, mask: u64::MAX, when_clear: false }),
        (0x3618_0040, Sim::JumpIfBits { offset: 8, rt: 0, mask: 8, when_clear: true }),
        (0xb7ff_ffe0, Sim::JumpIfBits { offset: -4, rt: 0, mask: 1 << 63, when_clear: false }),
        (0xd61f_0200, Sim::JumpReg { rn: 16 }),
        (0xd63f_03c0, Sim::CallReg { rn: 30 }),
        (0xd65f_03c0, Sim::JumpReg { rn: 30 }),
        (0x10ff_ffe0 | 3 << 29, Sim::Adr { rd: 0, offset: -1 }),
        (0xd000_0001, Sim::Adrp { rd: 1, offset: 0x2000 }),
        (0x90ff_ffe1, Sim::Adrp { rd: 1, offset: -0x4000 }),
        (0x1800_0041, Sim::Load { rt: 1, kind: LoadKind::Word, offset: 8 }),
        (0x58ff_ffe1, Sim::Load { rt: 1, kind: LoadKind::Double, offset: -4 }),
        (0x9800_0041, Sim::Load { rt: 1, kind: LoadKind::SignedWord, offset: 8 }),
        (0xd800_0040, Sim::Skip),                        // prfm pldl1keep, literal
        (0xd503_201f, Sim::Skip),                        // nop
        (0xd503_245f, Sim::Skip),                        // bti c
        (0xd503_205f, Sim::Skip),                        // wfe
        (0xd503_1003, Sim::Skip),                        // wfet x3
        (0xd53b_4220, Sim::ReadDaif { rt: 0 }),          // mrs x0, daif
        (0xd51b_4223, Sim::WriteDaif { rt: 3 }),         // msr daif, x3
        (0xd503_42df, Sim::SetDaif { bits: 2 << 6 }),    // msr daifset, #2
        (0xd503_4fff, Sim::ClearDaif { bits: 15 << 6 }), // msr daifclr, #15
    ];
    for (word, sim) in expected {
        assert_eq!(classify(Insn(word)), Class::Simulate(sim), "{word:#010x}");
    }
}

#[test]
fn rejected() {
    let expected = [
        (0x0000_0000, Reason::Exception), // udf #0
        (0x0000_ffff, Reason::Exception), // udf #65535
        (0x0001_0000, Reason::Unallocated),
        (0xd400_0001, Reason::Exception), // svc
        (0xd400_0002, Reason::Exception), // hvc
        (0xd400_0003, Reason::Exception), // smc
        (0xd420_0080, Reason::Exception), // brk
        (0xd440_0000, Reason::Exception), // hlt
        (0xd4a0_0001, Reason::Exception), // dcps1
        (0xd400_0000, Reason::Unallocated),
        (0xd4a0_0000, Reason::Unallocated),
        (0xd69f_03e0, Reason::ExceptionReturn), // eret
        (0xd69f_0bff, Reason::ExceptionReturn), // eretaa
        (0xd6bf_03e0, Reason::ExceptionReturn), // drps
        (0xd65f_0bff, Reason::AuthBranch),      // retaa
        (0xd71f_0821, Reason::AuthBranch),      // braa x1, x1
        (0xd63f_081f, Reason::AuthBranch),      // blraaz x0
        (0x5500_003f, Reason::AuthBranch),      // retaasppc
        (0xf380_003f, Reason::AuthPc),          // autiasppc
        (0xdac1_a3fe, Reason::AuthPc),          // paciasppc
        (0xdac1_87fe, Reason::AuthPc),          // pacnbibsppc
        (0x7402_0041, Reason::CompareBranch),   // cbgt w1, w2
        (0xf501_0041, Reason::CompareBranch),   // cbgt x1, #2
        (0xd503_207f, Reason::WaitForInterrupt),
        (0xd503_1023, Reason::WaitForInterrupt), // wfit x3
        (0xd503_2fff, Reason::UnknownHint),
        (0xd503_41bf, Reason::Unallocated),
        (0xd500_41bf, Reason::ProcessorState), // msr spsel, #1
        (0xd503_457f, Reason::ProcessorState), // smstart (svcr)
        (0xd518_4101, Reason::SystemWrite),    // msr sp_el0, x1
        (0xd510_0240, Reason::SystemWrite),    // msr mdscr_el1, x0
        (0xd518_1000, Reason::SystemWrite),    // msr sctlr_el1, x0
        (0xd538_4020, Reason::ExceptionState), // mrs x0, elr_el1
        (0xd538_5200, Reason::ExceptionState), // mrs x0, esr_el1
        (0xd538_6000, Reason::ExceptionState), // mrs x0, far_el1
        (0xc85f_7c20, Reason::Exclusive),      // ldxr
        (0x8823_0440, Reason::Exclusive),      // stxp
        (0x1c00_0000, Reason::VectorLiteral),  // ldr s0, .
        (0x9c00_0000, Reason::VectorLiteral),  // ldr q0, .
        (0xdc00_0000, Reason::Unallocated),
        (0x1901_0440, Reason::CopyTriple),  // cpyfp
        (0xd523_3060, Reason::Transaction), // tstart x0
        (0xd503_307f, Reason::Transaction), // tcommit
        (0xd460_0000, Reason::Transaction), // tcancel
        (0xd580_0000, Reason::Unallocated),
    ];
    for (word, reason) in expected {
        assert_eq!(classify(Insn(word)), Class::Reject(reason), "{word:#010x}");
    }
}

#[test]
fn stepped() {
    let plain = [
        0x9100_0400, // add x0, x0, #1
        0xaa1e_03e9, // mov x9, x30
        0x9ac1_0800, // udiv x0, x0, x1
        0xf980_0020, // prfm pldl1keep, [x1]
        0xf8a1_6800, // prfm pldl1keep, [x0, x1]
        0xd503_203f, // yield
        0xd503_3fdf, // isb
        0xd503_3b9f, // dsb ish
        0xd503_3f5f, // clrex
        0xd53b_4200, // mrs x0, nzcv
        0xd51b_4200, // msr nzcv, x0
        0xd51b_d040, // msr tpidr_el0, x0
        0xd500_419f, // msr pan, #1
        0xd503_415f, // msr dit, #1
        0xd518_1040, // msr cpacr_el1, x0
        0xd51b_9c00, // msr pmcr_el0, x0
        0xd518_cc80, // msr icc_ctlr_el1, x0
        0xd510_0080, // msr dbgbvr0_el1, x0
        0xd538_d080, // mrs x0, tpidr_el1
        0xd500_401f, // cfinv
        0xd503_233f, // paciasp
    ];
    for word in plain {
        let class = classify(Insn(word));
        assert_eq!(class, Class::Step { may_fault: false }, "{word:#010x}");
    }
    let faulting = [
        0xf940_0020, // ldr x0, [x1]
        0xa9be_7bfd, // stp x29, x30, [sp, #-32]!
        0xc8df_fc20, // ldar x0, [x1]
        0xc8a0_7c41, // cas x0, x1, [x2]
        0xf820_0041, // ldadd x0, x1, [x2]
        0x3dc0_0020, // ldr q0, [x1]
        0x1e62_2820, // fadd d0, d1, d2
        0x4ea2_8420, // add v0.4s, v1.4s, v2.4s
        0x4c40_7020, // ld1 {v0.16b}, [x1]
        0xd50b_7b20, // dc cvau, x0
        0xd508_871f, // tlbi vmalle1
        0xd503_23bf, // autiasp
    ];
    for word in faulting {
        let class = classify(Insn(word));
        assert_eq!(class, Class::Step { may_fault: true }, "{word:#010x}");
    }
}

#[test]
fn needs_and_writes_name_the_operands() {
    let sets = |word| match classify(Insn(word)) {
        Class::Simulate(sim) => (sim.needs(), sim.writes()),
        other => panic!("{other:?}"),
    };
    let pc = RegSet::of(Reg::PC);
    let flags = pc.with(Reg::PSTATE);
    assert_eq!(sets(0x1400_0002), (pc, pc));
    assert_eq!(sets(0x5400_0081), (flags, pc));
    assert_eq!(sets(0xb500_0043), (pc.union(RegSet::of_x(3)), pc));
    assert_eq!(sets(0xb500_005f), (pc, pc)); // cbnz xzr
    assert_eq!(sets(0xd63f_0100), (pc.union(RegSet::of_x(8)), pc.with(Reg::LR)));
    assert_eq!(sets(0xd000_0001), (pc, pc.union(RegSet::of_x(1))));
    assert_eq!(sets(0xd51b_4223), (flags.union(RegSet::of_x(3)), flags));
}

#[test]
fn every_reason_has_a_line_of_its_own() {
    let reasons = [
        Reason::Unallocated,
        Reason::Exception,
        Reason::ExceptionReturn,
        Reason::Exclusive,
        Reason::AuthBranch,
        Reason::AuthPc,
        Reason::CompareBranch,
        Reason::ProcessorState,
        Reason::SystemWrite,
        Reason::ExceptionState,
        Reason::VectorLiteral,
        Reason::WaitForInterrupt,
        Reason::UnknownHint,
        Reason::Transaction,
        Reason::CopyTriple,
    ];
    let mut texts: Vec<_> = reasons.iter().map(|reason| reason.text()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), reasons.len());
    assert!(texts.iter().all(|text| !text.contains('\n') && text.len() < 100));
}
