//! Runs operations: one loop, whose stack of open loops, calls, redirections and `case`s ([`Frame`]) lies in
//! the heap and ends at [`MAX_FRAMES`]. Nothing here calls itself, however a script is nested.
//!
//! ```text
//!   place ──▶ op ──▶ Simple ──▶ simple.rs ──▶ ran │ call (function, eval, .) │ break │ continue │ return
//!     ▲        │     Async, Subshell, Pipe ──▶ tasks with ranges of the same list
//!     │        └───▶ the rest: jumps, frames
//!     └── the next one, unless Ctrl-C
//! ```
//!
//! `inline(never)` keeps frames small where a program will run on top of them: merged into one, the arms of a
//! match take as much stack as the largest needs, all the time.

use alloc::{borrow::ToOwned, string::String, sync::Arc, vec, vec::Vec};
use core::ops::Range;

use tracecore::errno::Errno;

use crate::code::{Op, Script};
use crate::glob;
use crate::limits::MAX_FRAMES;
use crate::shell::{Function, Halt, Shell, Var};
use crate::simple::{Empty, Ran, Streams};

/// Where execution is: an operation, and the end of the range that is to be run.
#[derive(Clone)]
pub(crate) struct Place {
    script: Arc<Script>,
    unit: usize,
    pub(crate) pc: usize,
    pub(crate) end: usize,
}

impl Place {
    /// The whole of a unit.
    pub(crate) fn whole(script: Arc<Script>, unit: usize) -> Self {
        let end = script.units.get(unit).map_or(0, Vec::len);
        Self { script, unit, pc: 0, end }
    }

    /// The body of a function.
    pub(crate) fn function(function: &Function) -> Self {
        let Function { script, unit, start, end } = function.clone();
        Self { script, unit, pc: start, end }
    }

    /// The name of the first command, for the list of tasks.
    pub(crate) fn title(&self) -> Option<&str> {
        let ops = self.script.units.get(self.unit)?.get(self.pc..self.end)?;
        match ops.iter().find(|op| **op != Op::Nop)? {
            Op::Simple(simple) => simple.words.first()?.literal(),
            _ => None,
        }
    }
}

/// What is open.
enum Frame {
    /// A loop: its `Loop` or `For` is at `head`.
    Loop { head: usize, exit: usize, status: i32, items: vec::IntoIter<String> },
    /// A construct with redirections.
    Redirected { saved: Streams },
    /// A `case` and its word.
    Case { word: String },
    /// A function, `eval` or `.`: where to go on, and what to put back.
    Call(alloc::boxed::Box<CallFrame>),
}

/// What a call puts back when it returns.
struct CallFrame {
    back: Place,
    params: Option<Vec<String>>,
    vars: Vec<(String, Option<Var>)>,
    saved: Option<Streams>,
}

/// Frames of one run.
struct Frames {
    stack: Vec<Frame>,
}

impl Shell {
    /// Runs a range of operations to its end. The status is in `self.status`.
    pub(crate) fn run(&mut self, place: Place) -> Result<(), Halt> {
        let mut frames = Frames { stack: Vec::new() };
        let result = self.run_ops(place, &mut frames);
        // What was left open by an error is closed in order.
        while let Some(frame) = frames.stack.pop() {
            self.close(frame);
        }
        result
    }

    #[inline(never)]
    fn run_ops(&mut self, mut place: Place, frames: &mut Frames) -> Result<(), Halt> {
        loop {
            if place.pc >= place.end {
                match self.return_from_call(frames) {
                    Some(back) => place = back,
                    None => return Ok(()),
                }
                continue;
            }
            let script = place.script.clone();
            let Some(op) = script.units.get(place.unit).and_then(|ops| ops.get(place.pc)) else {
                return Ok(());
            };
            let at = place.pc;
            place.pc += 1;
            if *op == Op::Nop {
                continue;
            }
            self.interrupted()?;
            if frames.stack.len() > MAX_FRAMES {
                return Err(self.abandon(format_args!("nested too deeply")));
            }
            match op {
                Op::Simple(simple) => {
                    let ran = self.simple(&script, simple)?;
                    self.after_simple(ran, &mut place, frames)?;
                }
                Op::Async { .. } | Op::Subshell { .. } | Op::Pipe { .. } => {
                    place.pc = self.run_tasks(&place, at, op)?;
                }
                _ => self.step(&script, op, &mut place, frames)?,
            }
        }
    }

    /// Everything that stays in this task and is no command.
    #[inline(never)]
    fn step(
        &mut self,
        script: &Arc<Script>,
        op: &Op,
        place: &mut Place,
        frames: &mut Frames,
    ) -> Result<(), Halt> {
        let at = place.pc - 1;
        match op {
            Op::Jump(to) => place.pc = *to,
            Op::JumpIfFalse(to) if self.status != 0 => place.pc = *to,
            Op::JumpIfTrue(to) if self.status == 0 => place.pc = *to,
            Op::Invert => self.status = i32::from(self.status == 0),
            Op::ErrExit if self.options.errexit && self.status != 0 => return Err(Halt::Exit(self.status)),
            Op::Succeed => self.status = 0,
            Op::Redirect { redirects, end } => match self.redirect(script, redirects)? {
                Some(saved) => frames.stack.push(Frame::Redirected { saved }),
                None => {
                    self.status = 1;
                    place.pc = *end;
                }
            },
            Op::Loop { exit } => {
                let items = Vec::new().into_iter();
                frames.stack.push(Frame::Loop { head: at, exit: *exit, status: 0, items });
            }
            Op::For { words, exit } => {
                let items = match words {
                    Some(words) => self.fields(script, words)?,
                    None => self.params.clone(),
                };
                let items = items.into_iter();
                frames.stack.push(Frame::Loop { head: at, exit: *exit, status: 0, items });
            }
            Op::Next { name, done } => {
                let item = match frames.stack.last_mut() {
                    Some(Frame::Loop { items, .. }) => items.next(),
                    _ => None,
                };
                match item {
                    Some(item) => self.assign(name, item)?,
                    None => place.pc = *done,
                }
            }
            Op::Again(to) => {
                if let Some(Frame::Loop { status, .. }) = frames.stack.last_mut() {
                    *status = self.status;
                }
                place.pc = *to;
            }
            Op::Done => {
                if let Some(Frame::Loop { status, .. }) = frames.stack.pop() {
                    self.status = status;
                }
            }
            Op::Case(word) => {
                let word = self.text(script, word)?;
                frames.stack.push(Frame::Case { word });
            }
            Op::Arm { patterns, next } => {
                place.pc = *next;
                for pattern in patterns {
                    let pattern = self.pattern(script, pattern)?;
                    if let Some(Frame::Case { word }) = frames.stack.last()
                        && glob::matches(&pattern, word)
                    {
                        place.pc = at + 1;
                        break;
                    }
                }
            }
            Op::Restore | Op::Esac => {
                if let Some(frame) = frames.stack.pop() {
                    self.close(frame);
                }
            }
            Op::Define { name, end } => {
                let function =
                    Function { script: script.clone(), unit: place.unit, start: place.pc, end: *end };
                self.define(name, function)?;
                self.status = 0;
                place.pc = *end;
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes on where a command wants to.
    #[inline(never)]
    fn after_simple(&mut self, ran: Ran, place: &mut Place, frames: &mut Frames) -> Result<(), Halt> {
        match ran {
            Ran::Done => {}
            Ran::Call(call) => {
                let back = core::mem::replace(place, call.place);
                let frame = CallFrame { back, params: call.params, vars: call.vars, saved: call.saved };
                frames.stack.push(Frame::Call(alloc::boxed::Box::new(frame)));
            }
            Ran::Return => {
                // At the top, `return` ends the script like `exit`.
                *place = self.return_from_call(frames).ok_or(Halt::Exit(self.status))?;
            }
            Ran::Break(count) => self.leave_loops(count, false, place, frames),
            Ran::Continue(count) => self.leave_loops(count, true, place, frames),
            Ran::Local(vars) => self.make_local(vars, frames)?,
        }
        Ok(())
    }

    /// `local`: the frame of the function remembers what there was before.
    #[inline(never)]
    fn make_local(&mut self, vars: Vec<(String, Option<String>)>, frames: &mut Frames) -> Result<(), Halt> {
        let call = frames.stack.iter_mut().rev().find_map(|frame| match frame {
            Frame::Call(call) if call.params.is_some() => Some(call),
            _ => None,
        });
        let Some(call) = call else {
            self.complain(format_args!("local: not in a function"));
            self.status = 1;
            return Ok(());
        };
        for (name, value) in vars {
            if !call.vars.iter().any(|(known, _)| *known == name) {
                call.vars.push((name.clone(), self.vars.get(&name).cloned()));
            }
            if let Some(value) = value {
                self.assign(&name, value)?;
            }
        }
        Ok(())
    }

    /// Closes everything up to the innermost call and gives where to go on.
    fn return_from_call(&mut self, frames: &mut Frames) -> Option<Place> {
        let at = frames.stack.iter().rposition(|frame| matches!(frame, Frame::Call(_)))?;
        let mut back = None;
        while frames.stack.len() > at {
            match frames.stack.pop() {
                Some(Frame::Call(call)) => {
                    back = Some(call.back.clone());
                    self.close(Frame::Call(call));
                }
                Some(frame) => self.close(frame),
                None => {}
            }
        }
        back
    }

    /// `break N` and `continue N`; loops outside of the current function are out of reach.
    fn leave_loops(&mut self, count: usize, again: bool, place: &mut Place, frames: &mut Frames) {
        let reach = frames.stack.iter().rev().take_while(|frame| !matches!(frame, Frame::Call(_)));
        let loops = reach.filter(|frame| matches!(frame, Frame::Loop { .. })).count();
        let mut left = count.min(loops);
        while left > 0
            && let Some(frame) = frames.stack.pop()
        {
            match frame {
                Frame::Loop { head, exit, items, .. } => {
                    place.pc = exit;
                    left -= 1;
                    if left == 0 && again {
                        place.pc = head + 1;
                        frames.stack.push(Frame::Loop { head, exit, status: 0, items });
                    }
                }
                frame => self.close(frame),
            }
        }
    }

    fn close(&mut self, frame: Frame) {
        match frame {
            Frame::Loop { .. } | Frame::Case { .. } => {}
            Frame::Redirected { saved } => self.restore(saved),
            Frame::Call(call) => {
                if let Some(saved) = call.saved {
                    self.restore(saved);
                }
                if let Some(params) = call.params {
                    self.params = params;
                }
                for (name, old) in call.vars.into_iter().rev() {
                    self.put_back(&name, old);
                }
            }
        }
    }

    // --- tasks -------------------------------------------------------------------------------------

    /// Runs ranges in tasks of their own; gives where to go on.
    #[inline(never)]
    fn run_tasks(&mut self, place: &Place, at: usize, op: &Op) -> Result<usize, Halt> {
        self.ctx.flush();
        match op {
            Op::Async { end } => {
                self.room_for_job()?;
                let mut child = self.fork()?;
                child.ctx.since = None;
                child.ctx.stdin = Arc::new(Empty);
                let job = Place { pc: at + 1, end: *end, ..place.clone() };
                let name = job.title().unwrap_or("sh").to_owned();
                let task = self.spawn(child, &place.script, place.unit, Some((at + 1, *end)))?;
                self.add_job(name, task);
                self.status = 0;
                Ok(*end)
            }
            Op::Subshell { end } => {
                let child = self.fork()?;
                let task = self.spawn(child, &place.script, place.unit, Some((at + 1, *end)))?;
                self.status = self.wait_for(&*task)?;
                Ok(*end)
            }
            Op::Pipe { stages } => self.pipeline(place, stages),
            _ => Ok(place.pc),
        }
    }

    fn pipeline(&mut self, place: &Place, stages: &[Range<usize>]) -> Result<usize, Halt> {
        let mut tasks = Vec::new();
        let mut input = self.ctx.stdin.clone();
        let mut failed = None;
        for (number, stage) in stages.iter().enumerate() {
            let last = number + 1 == stages.len();
            let started = self.fork().and_then(|mut child| {
                child.ctx.stdin = input.clone();
                if !last {
                    match self.ctx.sys.pipe() {
                        Ok((reader, writer)) => {
                            input = reader;
                            child.ctx.stdout = writer;
                        }
                        Err(e) => {
                            return Err(self.abandon(format_args!("cannot make a pipe: {}", e.strerror())));
                        }
                    }
                }
                self.spawn(child, &place.script, place.unit, Some((stage.start, stage.end)))
            });
            match started {
                Ok(task) => tasks.push(task),
                Err(halt) => {
                    failed = Some(halt);
                    break;
                }
            }
        }
        // Only the tasks may hold the pipes now, or their ends would not be noticed.
        drop(input);
        for task in &tasks {
            self.status = self.wait_for(&**task)?;
        }
        match failed {
            Some(halt) => Err(halt),
            None => Ok(stages.last().map_or(place.pc, |stage| stage.end)),
        }
    }

    /// Sets a variable, or reports why not.
    pub(crate) fn assign(&mut self, name: &str, value: String) -> Result<(), Halt> {
        match self.set(name, value) {
            Ok(()) => Ok(()),
            Err(message) => Err(self.abandon(format_args!("{message}"))),
        }
    }

    fn define(&mut self, name: &str, function: Function) -> Result<(), Halt> {
        let functions = Arc::make_mut(&mut self.functions);
        if functions.len() >= crate::limits::MAX_VARS && !functions.contains_key(name) {
            let message = Errno::ENOMEM.strerror();
            return Err(self.abandon(format_args!("{name}: too many functions: {message}")));
        }
        functions.insert(name.to_owned(), function);
        Ok(())
    }
}
