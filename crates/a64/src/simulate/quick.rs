//! Simulations as a hit runs them: a function for each kind of word, and one number that it gets.
//!
//! [`SimOp::run`] asks at each hit what the word is. A probe knows that when it is placed, so it keeps the answer:
//!
//! ```text
//!   ret               jump_reg       30
//!   cbz w3, 0x…40     if_zero_32     0x…40 << 16 | 3
//!   b.eq 0x…40        jump_if        0x…40 << 16 | the table of the condition
//!   adr x3, 0x…40     set            0x…40 << 8 | 3
//! ```
//!
//! The number is the address, and below it what else there is. An address of the kernel survives this: its upper bits
//! are copies of the highest one kept (Arm ARM D8.2, the two ranges of addresses). What does not, and what reads memory,
//! is left to [`SimOp::run`]. The two agree, by a test, on every word and state that it tries.

use super::SimOp;
use crate::insn::INSN_BYTES;
use crate::regs::{PSTATE_BTYPE, UserRegs};

/// A simulation that cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Quick {
    /// Carries the word out on these registers, whose PC is the word's address.
    pub run: Run,
    /// What it must be called with.
    pub operand: u64,
}

/// What carries a word out. It always answers `true`, for a caller that hands the answer on.
pub type Run = fn(u64, &mut UserRegs) -> bool;

impl SimOp {
    /// The same as a function and a number, if there is such.
    pub fn quick(&self) -> Option<Quick> {
        let (run, operand): (Run, u64) = match *self {
            SimOp::Jump { to } => (jump, to),
            SimOp::Call { to } => (call, to),
            SimOp::JumpIf { to, table } => (jump_if, pack::<16>(to, u64::from(table))?),
            SimOp::JumpIfBits { to, rt, mask, when_clear } => {
                let run: Run = match (mask, when_clear) {
                    (u64::MAX, true) => if_zero_64,
                    (u64::MAX, false) => if_not_zero_64,
                    (WORD, true) => if_zero_32,
                    (WORD, false) => if_not_zero_32,
                    (_, true) => if_bit_clear,
                    (_, false) => if_bit_set,
                };
                (run, pack::<16>(to, u64::from(mask.trailing_zeros()) << 5 | u64::from(rt))?)
            }
            SimOp::JumpReg { rn } => (jump_reg, u64::from(rn)),
            SimOp::CallReg { rn } => (call_reg, u64::from(rn)),
            SimOp::Set { rd, value } => (set, pack::<8>(value, u64::from(rd))?),
            SimOp::Skip => (skip, 0),
            SimOp::Load { .. }
            | SimOp::ReadDaif { .. }
            | SimOp::WriteDaif { .. }
            | SimOp::SetDaif { .. }
            | SimOp::ClearDaif { .. } => return None,
        };
        Some(Quick { run, operand })
    }
}

/// The bits that `cbz wt` looks at.
const WORD: u64 = u32::MAX as u64;

/// An address above `BITS` bits of something else, if it can be had back.
fn pack<const BITS: u32>(addr: u64, low: u64) -> Option<u64> {
    let packed = addr << BITS | low;
    (high::<BITS>(packed) == addr && low >> BITS == 0).then_some(packed)
}

#[inline(always)]
fn high<const BITS: u32>(packed: u64) -> u64 {
    (packed.cast_signed() >> BITS).cast_unsigned()
}

#[inline(always)]
fn go(regs: &mut UserRegs, pc: u64) -> bool {
    regs.pstate &= !PSTATE_BTYPE;
    regs.pc = pc;
    true
}

#[inline(always)]
fn next(regs: &UserRegs) -> u64 {
    regs.pc.wrapping_add(INSN_BYTES)
}

#[inline(always)]
fn branch(taken: bool, operand: u64, regs: &mut UserRegs) -> bool {
    let pc = if taken { high::<16>(operand) } else { next(regs) };
    go(regs, pc)
}

/// The register in the low five bits.
#[inline(always)]
fn reg(operand: u64, regs: &UserRegs) -> u64 {
    regs.x(operand as u8 & 31)
}

/// Register number `n`, which is below 32.
#[inline(always)]
fn at(n: u64, regs: &UserRegs) -> u64 {
    regs.x.get(n as usize).copied().unwrap_or(0)
}

fn jump(to: u64, regs: &mut UserRegs) -> bool {
    go(regs, to)
}

fn call(to: u64, regs: &mut UserRegs) -> bool {
    regs.x[30] = next(regs);
    go(regs, to)
}

fn jump_if(operand: u64, regs: &mut UserRegs) -> bool {
    branch(operand >> regs.nzcv() & 1 != 0, operand, regs)
}

fn if_zero_64(operand: u64, regs: &mut UserRegs) -> bool {
    branch(reg(operand, regs) == 0, operand, regs)
}

fn if_not_zero_64(operand: u64, regs: &mut UserRegs) -> bool {
    branch(reg(operand, regs) != 0, operand, regs)
}

fn if_zero_32(operand: u64, regs: &mut UserRegs) -> bool {
    branch(reg(operand, regs) as u32 == 0, operand, regs)
}

fn if_not_zero_32(operand: u64, regs: &mut UserRegs) -> bool {
    branch(reg(operand, regs) as u32 != 0, operand, regs)
}

fn if_bit_clear(operand: u64, regs: &mut UserRegs) -> bool {
    branch(reg(operand, regs) >> (operand >> 5 & 63) & 1 == 0, operand, regs)
}

fn if_bit_set(operand: u64, regs: &mut UserRegs) -> bool {
    branch(reg(operand, regs) >> (operand >> 5 & 63) & 1 != 0, operand, regs)
}

fn jump_reg(rn: u64, regs: &mut UserRegs) -> bool {
    let to = at(rn, regs);
    go(regs, to)
}

fn call_reg(rn: u64, regs: &mut UserRegs) -> bool {
    // `blr x30` jumps to the old x30: read before written.
    let to = at(rn, regs);
    regs.x[30] = next(regs);
    go(regs, to)
}

fn set(operand: u64, regs: &mut UserRegs) -> bool {
    regs.set_x(operand as u8 & 31, high::<8>(operand));
    go(regs, next(regs))
}

fn skip(_: u64, regs: &mut UserRegs) -> bool {
    go(regs, next(regs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::Insn;
    use crate::simulate::{Fault, MemoryFns};
    use crate::{Class, classify};

    const NO_MEMORY: MemoryFns =
        MemoryFns { read_u32: |addr| Err(Fault { addr }), read_u64: |addr| Err(Fault { addr }) };

    /// Every kind of word with random fields, in random states: both ways give the same.
    #[test]
    fn the_two_agree() {
        let kinds = [
            (0x1400_0000, 0x83ff_ffff), // b, bl
            (0x5400_0000, 0x00ff_ffef), // b.cond
            (0x3400_0000, 0x81ff_ffff), // cbz, cbnz
            (0x3600_0000, 0x81ff_ffff), // tbz, tbnz
            (0xd61f_0000, 0x0000_03e0), // br
            (0xd63f_0000, 0x0000_03e0), // blr
            (0xd65f_0000, 0x0000_03e0), // ret
            (0x1000_0000, 0xe0ff_ffff), // adr, adrp
            (0xd503_201f, 0x0000_0000), // nop
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut compared = 0;
        for round in 0..20_000 {
            let (fixed, mask) = kinds[round % kinds.len()];
            let insn = Insn(fixed | random() as u32 & mask);
            let Class::Simulate(sim) = classify(insn) else { panic!("{insn:?} is simulated") };
            let pc = 0xffff_8000_8000_0000 | random() & 0x0fff_fffc;
            let op = sim.at(pc);
            let quick = op.quick().expect("addresses of the kernel survive");
            for _ in 0..8 {
                let mut regs = UserRegs { pc, pstate: random() & 0xf000_0fc5, ..UserRegs::default() };
                for x in &mut regs.x {
                    *x = match random() % 4 {
                        0 => 0,
                        1 => random() << 32,
                        2 => 1 << (random() % 64),
                        _ => random(),
                    };
                }
                let mut other = regs;
                op.run(&mut regs, &NO_MEMORY).expect("nothing is read");
                assert!((quick.run)(quick.operand, &mut other));
                assert_eq!(regs, other, "{insn:?} {op:?}");
                compared += 1;
            }
        }
        assert_eq!(compared, 160_000);
    }

    #[test]
    fn what_does_not_survive_is_refused() {
        let odd = 0x0123_4567_89ab_cdec;
        assert!(SimOp::Set { rd: 1, value: odd }.quick().is_none());
        assert!(SimOp::JumpIf { to: odd, table: 1 }.quick().is_none());
        assert!(SimOp::Jump { to: odd }.quick().is_some());
        assert!(SimOp::ReadDaif { rt: 1 }.quick().is_none());
    }
}
