//! A program as the interpreter wants it: what only computes in a row, and what ends the row.
//!
//! ```text
//!   r0 += r2; r0 ^= 5; *(u64 *)(r10 - 8) = r0; if r2 != 0 goto -4
//!
//!   steps    add r0 r2 │ xor r0 5 ║                              all steps of the program, side by side
//!   blocks   steps 0..2, then the store, slot 2 ║ no steps, then the jump, slot 3, to block 0
//! ```
//!
//! A block begins where somebody may come from elsewhere, and behind the end of another one.

use alloc::vec::Vec;

use super::step::{Compare, Step, comparison};
use crate::op::{Alu, Imm64, Op, Operand, Reg, Width};
use crate::program::Program;

/// What ends a block.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The next block.
    Fall,
    /// A jump to the block's target, if that holds.
    Jump(Compare, u64),
    /// Another instruction.
    Op(Op),
}

/// Steps, and what ends them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Its steps: from, to.
    pub(super) steps: (u32, u32),
    /// The slot of its end.
    pub(super) slot: u32,
    /// The block that its end leads to, if it leads anywhere.
    pub(super) to: u32,
    pub(super) end: End,
}

/// A program, prepared.
#[derive(Clone, Debug)]
pub struct Code {
    pub(super) steps: Vec<Step>,
    pub(super) blocks: Vec<Block>,
}

impl Code {
    /// Prepares a program.
    pub fn new(program: &Program) -> Self {
        let mut targets = alloc::vec![false; program.slots().len()];
        for (slot, op) in program.ops() {
            if let Some(target) = program.target(slot, &op).and_then(|to| targets.get_mut(to)) {
                *target = true;
            }
        }
        let mut code = Self { steps: Vec::with_capacity(targets.len()), blocks: Vec::new() };
        // For each slot that begins a block, its number.
        let mut block_of = alloc::vec![0_u32; targets.len()];
        let mut first = 0;
        let mut copied = None;
        for (slot, op) in program.ops() {
            let is_target = targets.get(slot).copied().unwrap_or(false);
            if is_target && first < code.steps.len() {
                first = code.end(first, slot, End::Fall);
            }
            if first == code.steps.len()
                && let Some(block) = block_of.get_mut(slot)
            {
                *block = code.blocks.len() as u32;
            }
            let before = copied.take().filter(|_| !is_target && first < code.steps.len());
            match (op, Step::of(&op)) {
                (Op::Alu { width, alu, dst, src }, Some(step)) => {
                    code.compute(before, (width, alu, dst, src), step);
                    copied = match (alu, src) {
                        (Alu::Mov, Operand::Reg(src)) => Some((width, dst, src)),
                        _ => None,
                    };
                }
                (_, Some(step)) => code.steps.push(step),
                (Op::LoadImm { dst, imm: Imm64::Value(value) }, None) => {
                    code.steps.extend(Step::number(dst, value));
                }
                (Op::Jump { width, cond, dst, src, .. }, None) => {
                    let (holds, fields) = comparison(width, cond, dst, src);
                    first = code.end(first, slot, End::Jump(holds, fields));
                }
                (op, None) => first = code.end(first, slot, End::Op(op)),
            }
        }
        // Where they lead is known now.
        for block in &mut code.blocks {
            let slot = block.slot as usize;
            let Some(op) = program.op(slot).filter(|_| !matches!(block.end, End::Fall)) else { continue };
            if let Some(to) = program.target(slot, &op).and_then(|to| block_of.get(to)) {
                block.to = *to;
            }
        }
        code
    }

    /// Ends a block; where the next one's steps begin.
    fn end(&mut self, first: usize, slot: usize, end: End) -> usize {
        let steps = (first as u32, self.steps.len() as u32);
        self.blocks.push(Block { steps, slot: slot as u32, to: 0, end });
        self.steps.len()
    }

    /// Arithmetic; with the copy before it, if that is what it computes with.
    fn compute(
        &mut self,
        before: Option<(Width, Reg, Reg)>,
        (width, alu, dst, src): (Width, Alu, Reg, Operand),
        step: Step,
    ) {
        match before {
            Some((copied, to, from))
                if to == dst && alu != Alu::Mov && (copied == width || width == Width::W32) =>
            {
                let src = if src == Operand::Reg(dst) { Operand::Reg(from) } else { src };
                self.steps.pop();
                self.steps.push(Step::alu(width, alu, dst, from, src));
            }
            _ => self.steps.push(step),
        }
    }
}
