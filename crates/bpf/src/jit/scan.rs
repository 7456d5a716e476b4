//! What each function of a program needs, before a word is made.

use alloc::vec::Vec;

use super::{Error, Why};
use crate::op::{Callee, Imm64, Op, Operand, Reg};
use crate::program::Program;

/// The number of the helper that is a tail call.
pub(super) const TAIL_CALL: i32 = 12;

/// What a function needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// The slot at which it begins.
    pub(super) begin: usize,
    /// It reads r10.
    pub(super) stack: bool,
    /// It calls something.
    pub(super) calls: bool,
    /// It, or what it calls, makes tail calls: it is entered with the address of their counter in x9.
    pub(super) counts: bool,
    /// Which of r6-r9 it uses: bits 0 to 3.
    pub(super) kept: u8,
}

impl Shape {
    /// Does it need a frame?
    pub(super) fn framed(&self) -> bool {
        self.stack || self.calls || self.counts || self.kept != 0
    }
}

/// The functions in order, and for each slot whether a branch leads there.
pub(super) fn scan(
    program: &Program,
    ops: &[(usize, Op)],
    checked: bool,
) -> Result<(Vec<Shape>, Vec<bool>), Error> {
    let mut shapes: Vec<Shape> =
        program.functions().iter().map(|begin| Shape { begin: *begin, ..Shape::default() }).collect();
    let mut targets = Vec::new();
    targets.try_reserve_exact(program.slots().len()).map_err(|_| Error { at: 0, why: Why::Memory })?;
    targets.resize(program.slots().len(), false);
    let of = |slot| program.functions().partition_point(|begin| *begin <= slot) - 1;
    // Calls and callbacks: slot, caller, callee.
    let (mut calls, mut callbacks) = (Vec::new(), Vec::new());
    for (slot, op) in ops {
        let Some(shape) = shapes.get_mut(of(*slot)) else { continue };
        let (written, read) = registers(op);
        if written == Some(Reg::R10) && !checked {
            return Err(Error { at: *slot, why: Why::FramePointer });
        }
        for reg in [written, read[0], read[1]].into_iter().flatten() {
            match reg.number() {
                n @ 6..=9 => shape.kept |= 1 << (n - 6),
                10 => shape.stack |= !checked,
                _ => {}
            }
        }
        shape.calls |= checked || matches!(op, Op::Call(_));
        shape.counts |= matches!(op, Op::Call(Callee::Helper(TAIL_CALL))) && !checked;
        let Some(to) = program.target(*slot, op) else { continue };
        if let Some(target) = targets.get_mut(to) {
            *target = true;
        }
        match op {
            Op::Call(_) => calls.push((of(*slot), of(to))),
            Op::LoadImm { imm: Imm64::Code(_), .. } => callbacks.push((*slot, of(to))),
            _ => {}
        }
    }
    // Who calls one that counts, counts.
    let counts = |shapes: &[Shape], n: usize| shapes.get(n).is_some_and(|shape| shape.counts);
    loop {
        let mut changed = false;
        for (caller, callee) in &calls {
            if counts(&shapes, *callee)
                && !counts(&shapes, *caller)
                && let Some(shape) = shapes.get_mut(*caller)
            {
                shape.counts = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    match callbacks.iter().find(|(_, callee)| counts(&shapes, *callee)) {
        Some((slot, _)) => Err(Error { at: *slot, why: Why::TailCallInCallback }),
        None => Ok((shapes, targets)),
    }
}

/// The register that an instruction writes, and those that it reads; of a call those of its own word, which are none.
pub(super) fn registers(op: &Op) -> (Option<Reg>, [Option<Reg>; 2]) {
    let of = |operand: &Operand| match operand {
        Operand::Reg(reg) => Some(*reg),
        Operand::Imm(_) => None,
    };
    match op {
        Op::Alu { alu: crate::op::Alu::Mov, dst, src, .. } => (Some(*dst), [None, of(src)]),
        Op::Alu { dst, src, .. } => (Some(*dst), [Some(*dst), of(src)]),
        Op::MovSx { dst, src, .. } => (Some(*dst), [None, Some(*src)]),
        Op::Neg { dst, .. } | Op::End { dst, .. } => (Some(*dst), [Some(*dst), None]),
        Op::Ja { .. } | Op::Call(_) | Op::Exit => (None, [None, None]),
        Op::Jump { dst, src, .. } => (None, [Some(*dst), of(src)]),
        Op::LoadImm { dst, .. } => (Some(*dst), [None, None]),
        Op::Load { dst, src, .. } => (Some(*dst), [Some(*src), None]),
        Op::Store { dst, src, .. } => (None, [Some(*dst), of(src)]),
        Op::Atomic { atomic, dst, src, .. } => (atomic.result(*src), [Some(*dst), Some(*src)]),
    }
}
