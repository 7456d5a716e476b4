//! Functions of the program: called, called back, and their end.
//!
//! ```text
//!   call f ───▶ a frame: r1-r5 of the caller ───▶ exit: r0 to the caller, behind the call
//!   call loop ─┬▶ behind the call: no more rounds
//!              └▶ a frame: index, data ──▶ exit, 0 or 1 ──▶ the call again: no more rounds, or one more
//! ```
//!
//! A function is walked anew each time that it is called, with what is known there. One that a helper calls back runs any
//! number of times, so each round begins where the call stands.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;

use super::call::Given;
use super::explore::{Next, Verifier};
use super::state::{Frame, Role};
use super::value::{Number, Pointer, Target, Value};
use super::why::{Rule, Turn};
use super::{Fail, Result, Scalar};
use crate::helper::Callback;
use crate::interp::{FRAME_BYTES, MAX_FRAMES};
use crate::op::Reg;

/// The most rounds of the helper `loop`, as in Linux.
const MAX_ROUNDS: u64 = 1 << 23;
/// What a function's stack is rounded up to: the machine's stack pointer is aligned so.
const STACK_ALIGN: u32 = 16;

impl Verifier<'_> {
    /// `call f`
    pub(super) fn call_function(&mut self, at: usize, function: usize) -> Result<Next> {
        let depth = self.check_depth()?;
        let caller = self.state().frame();
        let begins = caller.function;
        let mut frame = Frame::new(depth, function, at, Role::Called);
        frame.regs[1..6].clone_from_slice(&caller.regs[1..6]);
        self.calls.insert((begins, function));
        self.turn(Turn::Called)?;
        self.state_mut().clobber();
        self.state_mut().frames.push(Rc::new(frame));
        Ok(Next::At(function))
    }

    fn check_depth(&self) -> Result<u8> {
        let depth = self.state().frames.len();
        if depth >= MAX_FRAMES {
            let reason = format!("the call stack of {} frames is too deep !", depth + 1);
            return Err(Fail::here(Rule::Depth, reason));
        }
        Ok(depth as u8)
    }

    /// A helper is given a function: it is called, perhaps.
    pub(super) fn call_back(&mut self, at: usize, callback: Callback, given: &Given) -> Result<()> {
        let Some(function) = given.function else { return Ok(()) };
        if self.flow.insn(function).is_none() {
            return Err(Fail::here(Rule::Argument, format!("no function at {function}")));
        }
        if callback == Callback::Timer {
            let Some(map) = given.timer else { return Ok(()) };
            if !self.timers.contains(&(function, map)) {
                self.timers.push((function, map));
            }
            return Ok(());
        }
        let depth = self.check_depth()?;
        let caller = self.state().frame();
        let (begins, rounds) = (caller.function, caller.rounds);
        let data = given.data.unwrap_or(Value::UNKNOWN);
        let role = Role::Callback(callback, self.state().refs.len());
        let mut frame = Frame::new(depth, function, at, role);
        match callback {
            Callback::Loop => {
                let Value::Number(count) = *self.state().reg(Reg::R1) else { return Ok(()) };
                self.demand_number(&count);
                let most = count.n.low_bounds().1.min(MAX_ROUNDS);
                if u64::from(rounds) >= most {
                    // The last round is over, or there never is one.
                    self.state_mut().frame_mut().rounds = 0;
                    return Ok(());
                }
                let index = Scalar::range(0, most - 1).unwrap_or(Scalar::UNKNOWN);
                frame.regs[1] = Value::Number(Number::of(index));
                frame.regs[2] = data;
            }
            Callback::Elements | Callback::Timer => {
                let Some(map) = given.map else { return Ok(()) };
                let id = self.fresh_id();
                frame.regs[1] = Value::pointer(Target::Map(map));
                frame.regs[2] = Value::pointer(Target::Key(map));
                frame.regs[3] = Value::Pointer(Pointer { id, ..Pointer::new(Target::Value(map)) });
                frame.regs[4] = data;
            }
        }
        self.calls.insert((begins, function));
        let mut state = self.state().clone();
        state.at = function;
        state.frames.push(Rc::new(frame));
        self.push(state, Turn::Callback)?;
        self.state_mut().frame_mut().rounds = 0;
        Ok(())
    }

    /// `exit`
    pub(super) fn exit(&mut self) -> Result<Next> {
        match self.state().frame().role {
            Role::Program => {
                self.check_nothing_held("BPF_EXIT")?;
                self.read(Reg::R0)?;
                if let Some(bounds) = self.input.context.attach.results() {
                    self.check_result(bounds, "At program exit the register R0")?;
                }
                Ok(Next::End)
            }
            Role::Called => {
                let result = *self.state().reg(Reg::R0);
                let frames = self.state().frames.len();
                if let Value::Pointer(Pointer { to: Target::Stack(of), .. }) = result
                    && usize::from(of) + 1 >= frames
                {
                    let reason = String::from("cannot return stack pointer to the caller");
                    return Err(Fail::here(Rule::Pointer, reason));
                }
                let behind = self.state().frame().call_at + 1;
                self.state_mut().frames.pop();
                self.state_mut().set(Reg::R0, result);
                Ok(Next::At(behind))
            }
            Role::Callback(callback, refs) => {
                if self.state().lock.is_some() {
                    let reason = String::from("BPF_EXIT of a callback: a lock is held");
                    return Err(Fail::here(Rule::Lock, reason));
                }
                if let Some(reference) = self.state().refs.get(refs) {
                    let reason = format!(
                        "BPF_EXIT of a callback: Unreleased reference id={} alloc_insn={}",
                        reference.id, reference.at
                    );
                    return Err(Fail::here(Rule::Reference, reason));
                }
                let most = if callback == Callback::Timer { 0 } else { 1 };
                self.read(Reg::R0)?;
                self.check_result((0, most), "At callback return the register R0")?;
                if callback == Callback::Timer {
                    return Ok(Next::End);
                }
                let call = self.state().frame().call_at;
                self.state_mut().frames.pop();
                let caller = self.state_mut().frame_mut();
                caller.rounds = caller.rounds.saturating_add(1);
                Ok(Next::At(call))
            }
        }
    }

    fn check_result(&mut self, (least, most): (i64, i64), who: &str) -> Result<()> {
        let value = self.read(Reg::R0)?;
        let should = format!("should have been in [{least}, {most}]");
        let Value::Number(number) = value else {
            let is = self.kind_of(&value);
            return Err(Fail::here(Rule::Result, format!("{who} is {is}, {should}")));
        };
        self.demand_number(&number);
        let (smin, smax) = number.n.signed_bounds();
        if smin < least || smax > most {
            let reason = match number.n.as_constant() {
                Some(n) => format!("{who} has value {}, {should}", n as i64),
                None if (smin, smax) == (i64::MIN, i64::MAX) => {
                    format!("{who} has unknown scalar value {should}")
                }
                None => format!("{who} has smin={smin} smax={smax}, {should}"),
            };
            return Err(Fail::here(Rule::Result, reason));
        }
        Ok(())
    }

    /// The most stack that the program and what it calls take together.
    pub(super) fn stack_depth(&self) -> Result<u32> {
        let own = |function: usize| {
            let depth = self.depths.iter().find(|(of, _)| *of == function).map_or(0, |(_, depth)| *depth);
            depth.max(1).next_multiple_of(STACK_ALIGN)
        };
        // The deepest chain of functions that begins in each, of one more with each round.
        let functions = self.input.program.functions();
        let mut deepest: alloc::vec::Vec<u32> = functions.iter().map(|f| own(*f)).collect();
        let number = |function: usize| functions.binary_search(&function).ok();
        for round in 1..=MAX_FRAMES {
            let mut next = deepest.clone();
            for (from, to) in &self.calls {
                if let (Some(a), Some(b)) = (number(*from), number(*to))
                    && let (Some(below), Some(here)) = (deepest.get(b), next.get_mut(a))
                {
                    *here = (*here).max(own(*from).saturating_add(*below));
                }
            }
            if next == deepest {
                break;
            }
            if round == MAX_FRAMES {
                let reason = format!("the call stack of {} frames is too deep !", MAX_FRAMES + 1);
                return Err(Fail::whole(Rule::Depth, reason));
            }
            deepest = next;
        }
        let roots = core::iter::once(0).chain(self.timers.iter().map(|(function, _)| *function));
        let depth = roots.filter_map(number).filter_map(|n| deepest.get(n)).max().copied().unwrap_or(0);
        if u64::from(depth) > FRAME_BYTES {
            let calls = self.calls.len() + 1;
            let reason = format!("combined stack size of {calls} calls is {depth}. Too large");
            return Err(Fail::whole(Rule::Depth, reason));
        }
        Ok(depth)
    }

    /// Each function that is reached, and the stack that it takes itself.
    pub(super) fn frames(&self) -> alloc::vec::Vec<(usize, u32)> {
        let reached = |function: &usize| self.reached.get(*function).copied().unwrap_or(false);
        let depth = |function: usize| {
            self.depths.iter().find(|(of, _)| *of == function).map_or(0, |(_, depth)| *depth)
        };
        self.input.program.functions().iter().copied().filter(reached).map(|f| (f, depth(f))).collect()
    }
}
