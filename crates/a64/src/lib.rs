//! A64 machine words: encode, decode, disassemble, classify for probing, simulate.
//!
//! A probe on an instruction needs four answers about one 32-bit word, and this crate gives them without
//! knowing anything of a machine:
//!
//! ```text
//!                       ┌─ Step      it may run elsewhere, from a slot, then go on behind the probe
//!   word ── classify ───┼─ Simulate  it reads the PC or changes the flow: carried out on saved registers
//!                       └─ Reject    neither is right; the reason is one line of text
//! ```
//!
//! | room | answers |
//! |---|---|
//! | [`insn`] | the word as a type, and its fields |
//! | [`encode`] | how is this instruction written? |
//! | [`classify`](mod@classify) | may it be probed, and how? lies it between a load-exclusive and its store? |
//! | [`decode`](mod@decode) | which row of the architecture's index is it, with which operands? |
//! | [`disasm`] | how is it written? |
//! | [`simulate`] | what does it do to the registers? |
//! | [`regs`] | the registers of an interrupted program, in Linux's `user_pt_regs` layout, and sets of them |
//! | [`cond`], [`sysreg`] | condition codes and system registers |
//!
//! The crate is pure: no unsafe, no allocation, no state. What runs at a hit ([`simulate::SimOp::run`]) cannot
//! panic; what runs when a probe is placed or printed is bounded by the word.
//!
//! Section numbers are those of the *Arm Architecture Reference Manual for A-profile architecture* (DDI 0487).

#![no_std]

#[cfg(test)]
extern crate std;

pub mod classify;
pub mod cond;
pub mod decode;
pub mod disasm;
pub mod encode;
pub mod insn;
pub mod regs;
pub mod simulate;
pub mod sysreg;

pub use classify::{Class, Reason, classify};
pub use cond::Cond;
pub use insn::Insn;
pub use regs::{CallRegs, Reg, RegSet, Registers, UserRegs};
pub use simulate::{Fault, Memory, MemoryFns, Quick, Sim, SimOp};
pub use sysreg::SysReg;
