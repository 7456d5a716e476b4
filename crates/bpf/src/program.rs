//! A program whose structure is sound: what every reader of it may rely on.
//!
//! | checked | so that |
//! |---|---|
//! | every instruction means something ([`op::decode`]) | nobody has to ask again |
//! | every jump and local call leads to the beginning of an instruction | the program counter is always good |
//! | a jump stays in its function | a function is a function |
//! | the last instruction of each function is `exit` or `goto` | nobody runs out of one |
//!
//! A function begins where the program does, where a local call leads and where the address of code is taken. That the
//! program does no harm is another matter: registers, memory and time are the verifier's.

use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

use crate::insn::{Insn, SLOT_BYTES};
use crate::op::{self, Callee, Malformed, Op};

/// The most slots that a program may have; what Linux allows a privileged user.
pub const MAX_SLOTS: usize = 1_000_000;

/// Bytes of a program's tag.
pub const TAG_BYTES: usize = 8;

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    slots: Vec<Insn>,
    /// Where functions begin, in order; the first at 0.
    functions: Vec<usize>,
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The slot, from 0.
    pub at: usize,
    /// What.
    pub why: Why,
}

/// What can be wrong with the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The bytes are no whole number of slots.
    Bytes(usize),
    /// Nothing there.
    Empty,
    /// More than [`MAX_SLOTS`].
    TooLong(usize),
    /// Not an instruction.
    Malformed(Malformed),
    /// It leads out of the program.
    Outside(i64),
    /// It leads into a 64-bit immediate.
    IntoImmediate(usize),
    /// It leads into another function.
    OutOfFunction(usize),
    /// Behind it the function ends.
    FallsOff,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.why {
            Why::Bytes(n) => write!(f, "{n} bytes are no whole number of instructions of {SLOT_BYTES}"),
            Why::Empty => f.write_str("an empty program"),
            Why::TooLong(n) => write!(f, "{n} instructions; at most {MAX_SLOTS} are allowed"),
            Why::Malformed(malformed) => write!(f, "insn {at}: {malformed}"),
            Why::Outside(to) => write!(f, "insn {at}: jump out of range to {to}"),
            Why::IntoImmediate(to) => write!(f, "insn {at}: jump into the middle of insn {}", to - 1),
            Why::OutOfFunction(to) => write!(f, "insn {at}: jump out of its function, to {to}"),
            Why::FallsOff => write!(f, "insn {at}: the last one of a function is not an exit or jump"),
        }
    }
}

impl core::error::Error for Invalid {}

impl Program {
    /// The program in `bytes`, 8 for each slot.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let (slots, rest) = bytes.as_chunks::<SLOT_BYTES>();
        if !rest.is_empty() {
            return Err(Invalid { at: slots.len(), why: Why::Bytes(bytes.len()) });
        }
        Self::new(slots.iter().copied().map(Insn::from_bytes).collect())
    }

    /// The program of some slots.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(slots: Vec<Insn>) -> Result<Self, Invalid> {
        let fail = |at, why| Err(Invalid { at, why });
        if slots.is_empty() {
            return fail(0, Why::Empty);
        }
        if slots.len() > MAX_SLOTS {
            return fail(0, Why::TooLong(slots.len()));
        }
        let mut program = Self { slots, functions: Vec::new() };
        program.functions.push(0);
        let mut at = 0;
        while at < program.slots.len() {
            let op = match op::decode(program.slots[at], program.slots.get(at + 1).copied()) {
                Ok(op) => op,
                Err(malformed) => return fail(at, Why::Malformed(malformed)),
            };
            if begins_function(&op)
                && let Some(to) = program.target(at, &op)
            {
                program.functions.push(to);
            }
            at += op.slots();
        }
        program.functions.sort_unstable();
        program.functions.dedup();
        for (at, op) in program.ops() {
            program.check_flow(at, &op)?;
        }
        Ok(program)
    }

    fn check_flow(&self, at: usize, op: &Op) -> Result<(), Invalid> {
        let fail = |why| Err(Invalid { at, why });
        let function = self.function_of(at);
        if op.falls_through() && at + op.slots() == self.end_of(function) {
            return fail(Why::FallsOff);
        }
        let Some(off) = op.target() else { return Ok(()) };
        let Some(to) = self.target(at, op) else {
            return fail(Why::Outside(at as i64 + 1 + i64::from(off)));
        };
        // A wide instruction's second slot has the opcode 0, which begins nothing.
        if to > 0 && self.slots[to].opcode == 0 && self.slots[to - 1].is_wide() {
            return fail(Why::IntoImmediate(to));
        }
        if !begins_function(op) && self.function_of(to) != function {
            return fail(Why::OutOfFunction(to));
        }
        Ok(())
    }

    /// Where the instruction `op` at slot `at` leads, if that is in the program.
    pub fn target(&self, at: usize, op: &Op) -> Option<usize> {
        let to = at as i64 + 1 + i64::from(op.target()?);
        usize::try_from(to).ok().filter(|to| *to < self.slots.len())
    }

    /// Its slots.
    pub fn slots(&self) -> &[Insn] {
        &self.slots
    }

    /// Where its functions begin, in order; the first one, at 0, is the program's own.
    pub fn functions(&self) -> &[usize] {
        &self.functions
    }

    /// The beginning of the function that slot `at` lies in.
    pub fn function_of(&self, at: usize) -> usize {
        let n = self.functions.partition_point(|begin| *begin <= at);
        self.functions[n - 1]
    }

    /// The slot behind the function that begins at `begin`.
    fn end_of(&self, begin: usize) -> usize {
        let next = self.functions.partition_point(|other| *other <= begin);
        self.functions.get(next).copied().unwrap_or(self.slots.len())
    }

    /// The instruction at slot `at`; none inside a 64-bit immediate or behind the end.
    pub fn op(&self, at: usize) -> Option<Op> {
        op::decode(*self.slots.get(at)?, self.slots.get(at + 1).copied()).ok()
    }

    /// All instructions with the slots at which they begin.
    pub fn ops(&self) -> impl Iterator<Item = (usize, Op)> + '_ {
        let mut at = 0;
        core::iter::from_fn(move || {
            let op = self.op(at)?;
            let here = at;
            at += op.slots();
            Some((here, op))
        })
    }

    /// What Linux calls the tag: the first bytes of the SHA-256 of the instructions as they were given, without the numbers of
    /// maps (`bpf_prog_calc_tag`; a SHA-1 in kernels before 6.18). Two programs with one tag do the same.
    pub fn tag(&self) -> [u8; TAG_BYTES] {
        let mut sum = Sha256::new();
        let mut wide_map = false;
        for slot in &self.slots {
            let map = slot.is_wide() && matches!(slot.src, 1 | 2 | 5 | 6);
            let imm = if map || wide_map { 0 } else { slot.imm };
            // By number or by place: the tag is that of a reference by descriptor.
            let src = if map && slot.src > 4 { slot.src - 4 } else { slot.src };
            sum.update(Insn { imm, src, ..*slot }.to_bytes());
            wide_map = map;
        }
        let digest: [u8; 32] = sum.finalize().into();
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        tag
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.slots.iter().flat_map(|slot| slot.to_bytes()).collect()
    }
}

/// Does a function begin where this leads?
fn begins_function(op: &Op) -> bool {
    matches!(op, Op::Call(Callee::Local(_))) || matches!(op, Op::LoadImm { .. } if op.target().is_some())
}
