//! The machine: from block to block, with frames for calls.
//!
//! A frame is what a call saves: program, block and r6-r9. A callback is a call that comes back to the helper: its frame says so,
//! and the walk that the helper began ends with it. Walks nest as deep as there are frames.

use super::code::{Block, Code, End};
use super::step::Regs;
use super::{Cause, Env, FRAME_BYTES, Fault, HelperError, MAX_FRAMES, Programs, Trap};
use crate::op::{Callee, Imm64, Op, Operand, Reg, Size};

/// Linux's numbers of what the interpreter does itself.
const TAIL_CALL: i32 = 12;
const LOOP: i32 = 181;
/// How often `loop` calls at most, as on Linux.
const MAX_LOOPS: u64 = 1 << 23;
/// How often a run may go on in another program, as on Linux.
const MAX_TAIL_CALLS: u32 = 33;
/// Addresses of functions: no addresses of anything else. The low half is the block.
const FUNCTIONS: u64 = 0xbbf0_0000 << 32;

const EINVAL: u64 = -22_i64 as u64;
const E2BIG: u64 = -7_i64 as u64;

impl Code {
    /// Runs it with the arguments in r1-r5 and the end of its stack in r10. The stack lies in memory of `env`:
    /// [`MAX_FRAMES`] × [`FRAME_BYTES`] for all that can be called. Gives what is in r0 at the end.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub fn run(&self, env: &mut dyn Env, args: [u64; 5], stack_end: u64, budget: u64) -> Result<u64, Trap> {
        self.run_among(&|_, _| None, env, args, stack_end, budget)
    }

    /// The same, where there are programs to go on in.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub fn run_among<'c>(
        &'c self,
        programs: Programs<'_, 'c>,
        env: &mut dyn Env,
        args: [u64; 5],
        stack_end: u64,
        budget: u64,
    ) -> Result<u64, Trap> {
        let [r1, r2, r3, r4, r5] = args;
        let mut machine = Machine {
            regs: [0, r1, r2, r3, r4, r5, 0, 0, 0, 0, stack_end, 0, 0, 0, 0, 0],
            programs,
            code: self,
            budget,
            frames: [None; MAX_FRAMES - 1],
            depth: 0,
            tail_calls: 0,
            at: 0,
            stopped: None,
        };
        let why = machine.walk(0, env);
        why.map_or(Ok(machine.regs[0]), |why| Err(Trap { at: machine.at as usize, why }))
    }
}

/// What a call saves.
#[derive(Clone, Copy)]
struct Frame<'c> {
    code: &'c Code,
    /// Where it goes on; nowhere in a callback.
    block: Option<usize>,
    saved: [u64; 4],
}

struct Machine<'a, 'c> {
    regs: Regs,
    programs: Programs<'a, 'c>,
    code: &'c Code,
    budget: u64,
    frames: [Option<Frame<'c>>; MAX_FRAMES - 1],
    depth: usize,
    tail_calls: u32,
    /// The slot at which it stopped.
    at: u32,
    /// Why a callback did not come to its end, and at which slot, if it was begun.
    stopped: Option<(Option<u32>, Cause)>,
}

/// What comes after the end of a block.
enum Next {
    Block(usize),
    Exit,
}

impl<'c> Machine<'_, 'c> {
    /// Runs from a block to the end of the function; or says what is wrong, at `at`.
    fn walk(&mut self, begin: usize, env: &mut dyn Env) -> Option<Cause> {
        let mut at = begin;
        loop {
            let code = self.code;
            let Some(block) = code.blocks.get(at) else { return Some(Cause::Opcode(0)) };
            let (first, behind) = (block.steps.0 as usize, block.steps.1 as usize);
            let mut regs = &mut self.regs;
            for step in code.steps.get(first..behind).unwrap_or_default() {
                regs = (step.run)(regs, step.fields);
            }
            match &block.end {
                End::Jump(holds, fields) => {
                    at += 1;
                    if holds(&self.regs, *fields) {
                        at = block.to as usize;
                        let Some(left) = self.budget.checked_sub(1) else {
                            return self.stop(block, Cause::Budget);
                        };
                        self.budget = left;
                    }
                }
                End::Fall => at += 1,
                End::Op(op) => match self.end(op, block, at, env) {
                    Ok(Next::Block(next)) => at = next,
                    Ok(Next::Exit) => return None,
                    Err(why) => return self.stop(block, why),
                },
            }
        }
    }

    fn stop(&mut self, block: &Block, why: Cause) -> Option<Cause> {
        let (slot, why) = self.stopped.take().unwrap_or((None, why));
        self.at = slot.unwrap_or(block.slot);
        Some(why)
    }

    /// An instruction that ends a block.
    #[inline(never)]
    fn end(&mut self, op: &Op, block: &Block, at: usize, env: &mut dyn Env) -> Result<Next, Cause> {
        let next = Ok(Next::Block(at + 1));
        match *op {
            Op::Load { size, signed, dst, src, off } => {
                let addr = self.reg(src).wrapping_add_signed(off.into());
                let value = env.load(addr, size).map_err(|Fault| Cause::Fault(addr))?;
                self.set(dst, if signed { extended(size, value) } else { value });
                next
            }
            Op::Store { size, dst, off, src } => {
                let addr = self.reg(dst).wrapping_add_signed(off.into());
                let value = match src {
                    Operand::Reg(src) => self.reg(src),
                    Operand::Imm(imm) => i64::from(imm) as u64,
                };
                env.store(addr, size, value).map_err(|Fault| Cause::Fault(addr))?;
                next
            }
            Op::Atomic { width, atomic, dst, off, src } => {
                let addr = self.reg(dst).wrapping_add_signed(off.into());
                let (operand, r0) = (self.reg(src), self.reg(Reg::R0));
                let old = env.atomic(addr, width, atomic, operand, r0).map_err(|Fault| Cause::Fault(addr))?;
                if let Some(result) = atomic.result(src) {
                    self.set(result, old);
                }
                next
            }
            Op::Ja { .. } => {
                self.count()?;
                Ok(Next::Block(block.to as usize))
            }
            Op::LoadImm { dst, imm } => {
                let value = match imm {
                    Imm64::Code(_) => FUNCTIONS | u64::from(block.to),
                    imm => env.address(imm).ok_or(Cause::Immediate)?,
                };
                self.set(dst, value);
                next
            }
            Op::Call(Callee::Local(_)) => {
                self.enter(Some(at + 1))?;
                self.count()?;
                Ok(Next::Block(block.to as usize))
            }
            Op::Call(Callee::Helper(TAIL_CALL)) => Ok(Next::Block(self.tail_call(at)?)),
            Op::Call(Callee::Helper(number)) => {
                self.count()?;
                let [_, r1, r2, r3, r4, r5, ..] = self.regs;
                let r0 = self.call(number, [r1, r2, r3, r4, r5], env)?;
                self.set(Reg::R0, r0);
                next
            }
            Op::Call(Callee::Kernel(_)) => Err(Cause::Call),
            Op::Exit => match self.leave() {
                Some(Some(back)) => Ok(Next::Block(back)),
                Some(None) | None => Ok(Next::Exit),
            },
            // Those that only compute or jump end no block so.
            _ => Err(Cause::Opcode(0)),
        }
    }

    #[inline(always)]
    fn reg(&self, reg: Reg) -> u64 {
        self.regs[reg.index() & 0xf]
    }

    #[inline(always)]
    fn set(&mut self, reg: Reg, value: u64) {
        self.regs[reg.index() & 0xf] = value;
    }

    /// Takes one from the budget.
    fn count(&mut self) -> Result<(), Cause> {
        self.budget = self.budget.checked_sub(1).ok_or(Cause::Budget)?;
        Ok(())
    }

    /// A new frame, from which the program comes back to a block, or to the helper that called it.
    fn enter(&mut self, block: Option<usize>) -> Result<(), Cause> {
        let [.., r6, r7, r8, r9, _, _, _, _, _, _] = self.regs;
        let frame = self.frames.get_mut(self.depth).ok_or(Cause::Frames)?;
        *frame = Some(Frame { code: self.code, block, saved: [r6, r7, r8, r9] });
        self.depth += 1;
        self.regs[10] = self.regs[10].wrapping_sub(FRAME_BYTES);
        Ok(())
    }

    /// Where to go on behind the call of this function, if it was called.
    fn leave(&mut self) -> Option<Option<usize>> {
        self.depth = self.depth.checked_sub(1)?;
        let frame = self.frames.get(self.depth).copied().flatten()?;
        self.regs[6..10].copy_from_slice(&frame.saved);
        self.regs[10] = self.regs[10].wrapping_add(FRAME_BYTES);
        self.code = frame.code;
        Some(frame.block)
    }

    /// Goes on in another program, or behind the call if there is none.
    fn tail_call(&mut self, at: usize) -> Result<usize, Cause> {
        self.count()?;
        let [_, _, map, index, ..] = self.regs;
        if self.tail_calls < MAX_TAIL_CALLS
            && let Some(code) = (self.programs)(map, index as u32)
        {
            self.tail_calls += 1;
            self.code = code;
            return Ok(0);
        }
        Ok(at + 1)
    }

    fn call(&mut self, number: i32, args: [u64; 5], env: &mut dyn Env) -> Result<u64, Cause> {
        if number == LOOP {
            return self.run_loop(args, env);
        }
        let mut back = |env: &mut dyn Env, function: u64, args: [u64; 5]| self.call_back(env, function, args);
        let result = match env.call_with(number, args, &mut back) {
            Some(result) => result,
            None => env.call(number, args),
        };
        result.map_err(|error| match error {
            HelperError::Unknown => Cause::Helper(number),
            HelperError::Fault(addr) => Cause::Fault(addr),
            HelperError::Stopped => Cause::Call,
        })
    }

    /// `loop(how often, function, context, flags)`: until the function leaves something other than 0.
    fn run_loop(
        &mut self,
        [times, function, context, flags, _]: [u64; 5],
        env: &mut dyn Env,
    ) -> Result<u64, Cause> {
        let times = u64::from(times as u32);
        if flags != 0 {
            return Ok(EINVAL);
        }
        if times > MAX_LOOPS {
            return Ok(E2BIG);
        }
        for n in 0..times {
            match self.call_back(env, function, [n, context, 0, 0, 0]) {
                Some(0) => {}
                Some(_) => return Ok(n + 1),
                None => return Err(Cause::Call),
            }
        }
        Ok(times)
    }

    /// Calls a function of the program on behalf of a helper.
    fn call_back(&mut self, env: &mut dyn Env, function: u64, [r1, r2, r3, r4, r5]: [u64; 5]) -> Option<u64> {
        let block = (function ^ FUNCTIONS) as usize;
        let known = function >> 32 == FUNCTIONS >> 32 && block < self.code.blocks.len();
        let entered = if known { self.enter(None).and_then(|()| self.count()) } else { Err(Cause::Call) };
        if let Err(why) = entered {
            self.stopped = Some((None, why));
            return None;
        }
        self.regs[1..6].copy_from_slice(&[r1, r2, r3, r4, r5]);
        match self.walk(block, env) {
            None => Some(self.regs[0]),
            Some(why) => {
                self.stopped = Some((Some(self.at), why));
                None
            }
        }
    }
}

/// The low bytes, sign-extended.
fn extended(size: Size, value: u64) -> u64 {
    match size {
        Size::B => value as i8 as u64,
        Size::H => value as i16 as u64,
        Size::W => value as i32 as u64,
        Size::Dw => value,
    }
}
