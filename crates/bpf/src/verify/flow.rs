//! What the instructions alone say, before any of them is run: where paths meet, and which registers are read later.
//!
//! A register that nobody reads before it is written again is forgotten where states are remembered, so that they differ in
//! nothing that does not matter.

use alloc::vec;
use alloc::vec::Vec;

use super::chunks::filled;
use super::why::Rule;
use super::{Fail, Result};
use crate::helper::{self, Arg, Special};
use crate::op::{Atomic, Callee, Op, Operand, Reg};
use crate::program::Program;

/// A set of registers, a bit each.
type Regs = u16;

/// What is known of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Insn {
    pub(super) op: Op,
    /// Where it leads, if it jumps, calls or takes an address.
    pub(super) target: Option<usize>,
    /// Do paths meet before it?
    pub(super) meets: bool,
    /// Does it call a helper that calls back?
    pub(super) calls_back: bool,
    /// Registers that are read from here on before they are written.
    pub(super) live: Regs,
}

/// All instructions, by slot; none in the second one of an immediate.
#[derive(Debug)]
pub(super) struct Flow {
    insns: Vec<Option<Insn>>,
}

const ARGS: Regs = 0b11_1110;
const CALL_CLOBBERS: Regs = 0b11_1111;

fn bit(reg: Reg) -> Regs {
    1 << reg.index()
}

fn operand(src: Operand) -> Regs {
    match src {
        Operand::Reg(reg) => bit(reg),
        Operand::Imm(_) => 0,
    }
}

/// The registers that an instruction reads and those that it writes.
fn uses(op: &Op) -> (Regs, Regs) {
    match *op {
        Op::Alu { alu: crate::op::Alu::Mov, dst, src, .. } => (operand(src), bit(dst)),
        Op::Alu { dst, src, .. } => (bit(dst) | operand(src), bit(dst)),
        Op::MovSx { dst, src, .. } | Op::Load { dst, src, .. } => (bit(src), bit(dst)),
        Op::Neg { dst, .. } | Op::End { dst, .. } => (bit(dst), bit(dst)),
        Op::LoadImm { dst, .. } => (0, bit(dst)),
        Op::Store { dst, src, .. } => (bit(dst) | operand(src), 0),
        Op::Atomic { atomic, dst, src, .. } => {
            let compared = if atomic == Atomic::Cmpxchg { bit(Reg::R0) } else { 0 };
            (bit(dst) | bit(src) | compared, atomic.result(src).map_or(0, bit))
        }
        Op::Jump { dst, src, .. } => (bit(dst) | operand(src), 0),
        Op::Ja { .. } => (0, 0),
        Op::Call(Callee::Helper(number)) => {
            let args = helper::by_number(number).map_or(ARGS, |proto| {
                let taken = proto.args.iter().take_while(|arg| **arg != Arg::None).count();
                (0..taken).fold(0, |all, n| all | 2 << n)
            });
            (args, CALL_CLOBBERS)
        }
        Op::Call(_) => (ARGS, CALL_CLOBBERS),
        Op::Exit => (bit(Reg::R0), 0),
    }
}

impl Flow {
    /// Looks through a program.
    pub(super) fn new(program: &Program) -> Result<Self> {
        let mut insns: Vec<Option<Insn>> = filled(program.slots().len(), None)?;
        for (at, op) in program.ops() {
            let calls_back = match op {
                Op::Call(Callee::Helper(number)) => {
                    helper::by_number(number).is_some_and(|proto| matches!(proto.special, Special::Calls(_)))
                }
                _ => false,
            };
            let target = program.target(at, &op);
            if let Some(insn) = insns.get_mut(at) {
                *insn = Some(Insn { op, target, meets: calls_back, calls_back, live: 0 });
            }
        }
        let mut flow = Self { insns };
        flow.find_meetings();
        flow.find_live();
        flow.check_reachable()?;
        Ok(flow)
    }

    /// The instruction at a slot.
    pub(super) fn insn(&self, at: usize) -> Option<&Insn> {
        self.insns.get(at)?.as_ref()
    }

    /// All of them.
    pub(super) fn insns(&self) -> impl DoubleEndedIterator<Item = (usize, &Insn)> {
        self.insns.iter().enumerate().filter_map(|(at, insn)| Some((at, insn.as_ref()?)))
    }

    /// Is a register read from there on?
    pub(super) fn is_live(&self, at: usize, reg: usize) -> bool {
        self.insn(at).is_none_or(|insn| insn.live >> reg & 1 != 0)
    }

    fn find_meetings(&mut self) {
        let jumps = |insn: &Insn| matches!(insn.op, Op::Ja { .. } | Op::Jump { .. });
        let targets: Vec<usize> =
            self.insns().filter(|(_, insn)| jumps(insn)).filter_map(|(_, insn)| insn.target).collect();
        for at in targets {
            if let Some(Some(insn)) = self.insns.get_mut(at) {
                insn.meets = true;
            }
        }
    }

    /// Where it may go on in the same function.
    fn next(at: usize, insn: &Insn) -> [Option<usize>; 2] {
        let jumps = matches!(insn.op, Op::Ja { .. } | Op::Jump { .. });
        let behind = insn.op.falls_through().then_some(at + insn.op.slots());
        [behind, insn.target.filter(|_| jumps)]
    }

    fn find_live(&mut self) {
        loop {
            let mut changed = false;
            for at in (0..self.insns.len()).rev() {
                let Some(insn) = self.insn(at).copied() else { continue };
                let (read, written) = uses(&insn.op);
                let next = Self::next(at, &insn).into_iter().flatten();
                let behind = next.filter_map(|to| self.insn(to)).fold(0, |all, insn| all | insn.live);
                let live = read | behind & !written;
                if live != insn.live
                    && let Some(Some(insn)) = self.insns.get_mut(at)
                {
                    insn.live = live;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn check_reachable(&self) -> Result<()> {
        let mut reached = filled(self.insns.len(), false)?;
        let mut todo = vec![0];
        while let Some(at) = todo.pop() {
            let (Some(seen), Some(insn)) = (reached.get_mut(at), self.insn(at)) else { continue };
            if core::mem::replace(seen, true) {
                continue;
            }
            todo.extend(Self::next(at, insn).into_iter().flatten());
            todo.extend(insn.target);
        }
        match self.insns().find(|(at, _)| !reached.get(*at).copied().unwrap_or(true)) {
            Some((at, _)) => Err(Fail::at(at, Rule::Structure, alloc::format!("unreachable insn {at}"))),
            None => Ok(()),
        }
    }
}
