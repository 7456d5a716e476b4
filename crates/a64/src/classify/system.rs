//! Hints, barriers, PSTATE, system instructions and registers (Arm ARM, C4.1.93.6 to C4.1.93.11).
//!
//! ```text
//!  31      22 21 20 19 18 16 15 12 11  8 7   5 4  0
//! ┌──────────┬──┬─────┬─────┬─────┬─────┬─────┬─────┐
//! │1101010100│ L│ op0 │ op1 │ CRn │ CRm │ op2 │ Rt  │
//! └──────────┴──┴─────┴─────┴─────┴─────┴─────┴─────┘
//!   op0 00: hints, barriers, PSTATE   01: sys, sysl   1x: msr, mrs
//! ```

use super::{Class, Reason};
use crate::insn::Insn;
use crate::regs::PSTATE_DAIF;
use crate::simulate::Sim;
use crate::sysreg::SysReg;

/// Does a write of the register do the same from a slot, and do neither exception entry nor a probe depend on it? Flags,
/// FP control and its trap, thread pointers of the user, the timers, the performance monitors, the interrupt
/// controller, values and controls of breakpoints and watchpoints, the user's half of the address space.
fn is_harmless(reg: SysReg) -> bool {
    const SINGLE: [SysReg; 9] = [
        SysReg::NZCV,
        SysReg::FPCR,
        SysReg::FPSR,
        SysReg::TPIDR_EL0,
        SysReg::TPIDRRO_EL0,
        SysReg::CSSELR_EL1,
        SysReg::CPACR_EL1,
        SysReg::TTBR0_EL1,
        SysReg::PAR_EL1,
    ];
    SINGLE.contains(&reg)
        || matches!(
            reg.parts(),
            // dbgbvr, dbgbcr, dbgwvr, dbgwcr
            (2, 0, 0, _, 4..=7)
            // icc_pmr, and all of icc_*: masks, acknowledges, ends, sends
            | (3, 0, 4, 6, 0) | (3, 0, 12, 8..=9 | 11..=12, _)
            // pmintenset, pmintenclr; pmcr to pmuserenr; pmevcntr, pmevtyper, pmccfiltr
            | (3, 0, 9, 14, 1..=2) | (3, 3, 9, 12..=14, _) | (3, 3, 14, 8..=15, _)
            // cntkctl; cntp_*, cntv_*
            | (3, 0, 14, 1, 0) | (3, 3, 14, 2..=3, _)
        )
}

pub(super) fn classify(insn: Insn) -> Class {
    match (insn.field(22, 2), insn.field(19, 3)) {
        (0, 0b000) => special(insn),
        // sys: cache, TLB and address translation instructions; sysl. By address they may fault.
        (0, 0b001 | 0b101) => Class::STEP_FAULT,
        (0, 0b010 | 0b011) => write(insn),
        (0, 0b110 | 0b111) => read(insn),
        // sysp, mrrs, msrr: the same with a pair of registers. None of the 128-bit registers is one that `read`
        // looks at.
        (1, 0b001) => Class::STEP_FAULT,
        (1, 0b110 | 0b111) => Class::STEP,
        (1, 0b010 | 0b011) => Class::Reject(Reason::SystemWrite),
        // tstart, ttest
        (0, 0b100) if insn.matches(0xffff_f0e0, 0xd523_3060) => Class::Reject(Reason::Transaction),
        _ => Class::Reject(Reason::Unallocated),
    }
}

/// op0 = 0: everything without a system register.
fn special(insn: Insn) -> Class {
    let (op1, crn, crm, op2) = (insn.field(16, 3), insn.field(12, 4), insn.field(8, 4), insn.field(5, 3));
    match (op1, crn) {
        (3, 1) => match (crm, op2) {
            (0, 0) => Class::Simulate(Sim::Skip),
            (0, 1) => Class::Reject(Reason::WaitForInterrupt),
            _ => Class::Reject(Reason::Unallocated),
        },
        _ if insn.rd() != 31 => Class::Reject(Reason::Unallocated),
        (3, 2) => hint(crm << 3 | op2),
        (3, 3) => barrier(crm, op2),
        (_, 4) => pstate(op1, crm, op2),
        _ => Class::Reject(Reason::Unallocated),
    }
}

/// Hints by number (C6.2, HINT). A hint may always be taken as no operation; it is stepped where the CPU makes
/// something of it and skipped where that costs nothing.
fn hint(number: u32) -> Class {
    match number {
        // nop, and bti: the landing was checked when the brk that replaced it was reached.
        0 | 32 | 34 | 36 | 38 => Class::Simulate(Sim::Skip),
        // wfe may always end at once. In a slot it might not end: masked interrupts do not wake it.
        2 => Class::Simulate(Sim::Skip),
        // wfi does end in a slot, a masked interrupt wakes it; but the CPU sleeps in the middle of a probe.
        3 => Class::Reject(Reason::WaitForInterrupt),
        // yield, sev, sevl, dgh
        1 | 4 | 5 | 6 => Class::STEP,
        // xpaclri, pacia1716, pacib1716, autia1716, autib1716: failed authentication may fault (FEAT_FPAC).
        7 | 8 | 10 => Class::STEP,
        12 | 14 => Class::STEP_FAULT,
        // esb, psb csync, tsb csync, gcsb dsync, csdb, clrbhb
        16..=20 | 22 => Class::STEP,
        // paciaz, paciasp, pacibz, pacibsp, autiaz, autiasp, autibz, autibsp
        24..=27 => Class::STEP,
        28..=31 => Class::STEP_FAULT,
        // chkfeat
        40 => Class::STEP,
        _ => Class::Reject(Reason::UnknownHint),
    }
}

/// Barriers: clrex, dsb, dmb, isb, sb, and the transactions' commit.
fn barrier(crm: u32, op2: u32) -> Class {
    match op2 {
        2 | 4 | 5 | 6 => Class::STEP,
        // dsb nXS: CRm is xx10
        1 if crm & 3 == 2 => Class::STEP,
        // sb
        7 if crm == 0 => Class::STEP,
        3 if crm == 0 => Class::Reject(Reason::Transaction),
        _ => Class::Reject(Reason::Unallocated),
    }
}

/// `msr` (immediate): op1:op2 names the field, CRm is the value.
fn pstate(op1: u32, crm: u32, op2: u32) -> Class {
    let bits = u64::from(crm) << PSTATE_DAIF.trailing_zeros();
    match (op1, op2) {
        (3, 6) => Class::Simulate(Sim::SetDaif { bits }),
        (3, 7) => Class::Simulate(Sim::ClearDaif { bits }),
        // cfinv, xaflag, axflag: flags only. They are no writes of CRm.
        (0, 0..=2) => Class::STEP,
        // uao, pan; ssbs, dit, tco: an exception saves them and a return puts them back, so they may change in a slot.
        (0, 3..=4) | (3, 1..=2 | 4) => Class::STEP,
        // spsel: the slot's stack would be another one; allint and pm; svcr
        (0, 5) | (1, 0) | (3, 3) => Class::Reject(Reason::ProcessorState),
        _ => Class::Reject(Reason::Unallocated),
    }
}

fn write(insn: Insn) -> Class {
    let reg = SysReg::from_field(insn.field(5, 15));
    if reg == SysReg::DAIF {
        return Class::Simulate(Sim::WriteDaif { rt: insn.rd() });
    }
    if is_harmless(reg) { Class::STEP } else { Class::Reject(Reason::SystemWrite) }
}

fn read(insn: Insn) -> Class {
    match SysReg::from_field(insn.field(5, 15)) {
        SysReg::DAIF => Class::Simulate(Sim::ReadDaif { rt: insn.rd() }),
        SysReg::ELR_EL1 | SysReg::SPSR_EL1 | SysReg::ESR_EL1 | SysReg::FAR_EL1 => {
            Class::Reject(Reason::ExceptionState)
        }
        _ => Class::STEP,
    }
}
