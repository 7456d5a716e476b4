//! May this word be probed, and how?
//!
//! A probe replaces the word by `brk`. At a hit the word itself must still have its effect, exactly once. Most
//! words do the same wherever they lie: they are *stepped*, run from a slot elsewhere that ends in a second
//! `brk` or a branch back. Some read their own address or set the next one: they are *simulated* on the saved
//! registers. The rest is *rejected*, each with its [`Reason`].
//!
//! The word is decided by its top-level group (Arm ARM, C4.1, bits 28..25):
//!
//! ```text
//!  28..25   group                          decided by
//!  0000     reserved, SME                  udf rejected, SME stepped
//!  0010     SVE                            stepped: nothing there reads the PC or jumps
//!  100x     data processing, immediate     stepped, but adr and adrp
//!  101x     branches, exceptions, system   [`flow`], [`system`]: only what is known to be right is let through
//!  x1x0     loads and stores               [`memory`]
//!  x101     data processing, register      stepped
//!  x111     scalar FP and vectors          stepped
//! ```
//!
//! The answers go beyond Linux's (`arch/arm64/kernel/probes/decode-insn.c`) where saved registers allow it:
//! reads and writes of DAIF are simulated, writes of a few harmless system registers are stepped. They are
//! stricter where a slot cannot be right: reads of what the probe's own exception overwrites, the copy and set
//! triples of FEAT_MOPS, words that are not allocated.

pub mod exclusive;
mod flow;
mod memory;
mod system;

use core::fmt;

use crate::decode::{Group, decode};
use crate::insn::Insn;
use crate::simulate::Sim;

/// How a probe may deal with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The word may run from a slot.
    Step {
        /// It may take a synchronous exception there (a load, a store, cache maintenance by address, a checked
        /// pointer, a trapped use of a vector register): the fault handler meets a PC inside the slot.
        may_fault: bool,
    },
    /// The word is carried out on the saved registers. Hints that may be taken as no operation are
    /// [`Sim::Skip`].
    Simulate(Sim),
    /// The word cannot be probed.
    Reject(Reason),
}

impl Class {
    /// Steps, and cannot fault.
    const STEP: Class = Class::Step { may_fault: false };
    /// Steps, and may fault.
    const STEP_FAULT: Class = Class::Step { may_fault: true };
}

/// Why a word cannot be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The architecture gives the word no meaning.
    Unallocated,
    /// `svc`, `hvc`, `smc`, `brk`, `hlt`, `dcps`, `udf`.
    Exception,
    /// `eret`, `eretaa`, `eretab`, `drps`.
    ExceptionReturn,
    /// `ldxr`, `stxr` and their kin.
    Exclusive,
    /// `braa`, `retaa` and their kin.
    AuthBranch,
    /// `autiasppc`, `paciasppc` and their kin: the PC is part of the signature.
    AuthPc,
    /// `cbgt` and its kin (FEAT_CMPBR).
    CompareBranch,
    /// `msr` (immediate) of what a slot depends on.
    ProcessorState,
    /// `msr` of a register that is not known to be harmless.
    SystemWrite,
    /// `mrs` of ELR_EL1, SPSR_EL1, ESR_EL1 or FAR_EL1.
    ExceptionState,
    /// A literal load of a vector register.
    VectorLiteral,
    /// `wfi`, `wfit`.
    WaitForInterrupt,
    /// A hint that is not known.
    UnknownHint,
    /// `tstart` and its kin.
    Transaction,
    /// `cpyp`/`cpym`/`cpye`, `setp`/`setm`/`sete`.
    CopyTriple,
}

impl Reason {
    /// One line for a message.
    pub const fn text(self) -> &'static str {
        match self {
            Reason::Unallocated => "not an allocated A64 instruction",
            Reason::Exception => "the instruction generates an exception",
            Reason::ExceptionReturn => "the instruction returns from an exception",
            Reason::Exclusive => {
                "an exclusive access never succeeds when a probe hits between load and store"
            }
            Reason::AuthBranch => {
                "an authenticated branch can be neither moved nor simulated: the key is the CPU's"
            }
            Reason::AuthPc => "the instruction signs or authenticates a pointer with its own address",
            Reason::CompareBranch => "a branch on a comparison of two values is not simulated",
            Reason::ProcessorState => "the instruction changes PSTATE under the probe",
            Reason::SystemWrite => {
                "the instruction writes a system register that the probe itself depends on"
            }
            Reason::ExceptionState => "the probe's own exception overwrites the register that is read",
            Reason::VectorLiteral => "the instruction loads a vector register relative to the PC",
            Reason::WaitForInterrupt => "the CPU would sleep inside the probe with interrupts masked",
            Reason::UnknownHint => "the hint has no known meaning",
            Reason::Transaction => "an exception aborts the transaction",
            Reason::CopyTriple => "a memory copy or set is three instructions that must stay together",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Reason {}

/// Decides what a probe may do with `insn`.
pub fn classify(insn: Insn) -> Class {
    let group = Group::of(insn);
    match group {
        Group::Sme | Group::Sve => return Class::STEP_FAULT,
        // What the tables do not know is not let through, whatever its neighbours are.
        _ if decode(insn).is_none() => return Class::Reject(Reason::Unallocated),
        Group::Reserved => return Class::Reject(Reason::Exception),
        _ if flow::authenticates_with_pc(insn) => return Class::Reject(Reason::AuthPc),
        _ => {}
    }
    match group {
        Group::Immediate => match flow::pc_relative_address(insn) {
            Some(sim) => Class::Simulate(sim),
            None => Class::STEP,
        },
        Group::Register => Class::STEP,
        // The system may trap its first use of these registers.
        Group::Vector => Class::STEP_FAULT,
        Group::LoadStore => memory::classify(insn),
        Group::BranchSystem if insn.matches(0xff00_0000, 0xd500_0000) => system::classify(insn),
        Group::BranchSystem => flow::classify(insn),
        Group::Reserved | Group::Unallocated | Group::Sme | Group::Sve => Class::Reject(Reason::Unallocated),
    }
}

#[cfg(test)]
mod tests;
