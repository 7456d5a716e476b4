//! What can be known of a program without running it: whether it does no harm.
//!
//! ```text
//!   Input { program, context, maps, types }  ──verify──▶  Verified   the program as it may be run
//!                                                    └──▶  Rejection  which rule, where, on which way, with what known
//! ```
//!
//! The verifier runs the program with what is *known* of each register in place of what it holds, along every path.
//!
//! | room | what |
//! |---|---|
//! | [`tnum`] | numbers of which some bits are known |
//! | [`scalar`] | numbers of which bits and bounds are known, through every operation and both ways of every comparison |
//! | `value`, `stack`, `state` | what a register, the stack, a path is known to hold |
//! | `explore` | the walk along every path |
//! | `alu`, `branch`, `mem`, `frame`, `call`, `args`, `func` | what each instruction makes of it, and what it wants |
//! | `prune`, `marks` | when a path need not be walked, since one like it was |
//! | `flow` | what the instructions say before one of them is run |
//! | [`why`], `show` | the rules, and how a refusal reads |
//! | [`case`](mod@case) | a program to be verified in one line of text |
//!
//! Nothing here trusts the program: every walk over it is bounded by [`Limits`], and what was remembered is counted.

mod alu;
mod args;
mod branch;
mod call;
pub mod case;
mod chunks;
mod explore;
mod flow;
mod frame;
mod func;
mod marks;
mod mem;
mod num;
mod prune;
pub mod scalar;
mod show;
mod stack;
mod state;
pub mod tnum;
mod value;
pub mod why;

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::string::String;
use alloc::vec::Vec;

pub use scalar::Scalar;
pub use tnum::Tnum;
pub use why::{Rejection, Rule};

use crate::insn::Insn;
use crate::kind::Context;
use crate::map::MapDef;
use crate::op::{Callee, Op};
use crate::program::Program;
use crate::types::Types;
use branch::Comparison;
use explore::{Next, Use, Verifier};

/// How an instruction names a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MapRef {
    /// By file descriptor.
    Fd(i32),
    /// By its number among those that the program came with.
    Index(i32),
}

/// The maps that a program names.
pub trait Maps {
    /// What map that is, if there is one.
    fn def(&self, map: MapRef) -> Option<&MapDef>;

    /// Bytes of the value of the only element of an array that neither programs nor anybody else can change any more: what
    /// stands there is known. `None` for all others.
    fn constant(&self, _map: MapRef) -> Option<&[u8]> {
        None
    }
}

/// No maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMaps;

impl Maps for NoMaps {
    fn def(&self, _: MapRef) -> Option<&MapDef> {
        None
    }
}

/// What the verifier may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions, counted each time that one is looked at.
    pub insns: usize,
    /// Bytes of what is remembered.
    pub memory: usize,
    /// Branches that have yet to be looked at.
    pub branches: usize,
}

impl Default for Limits {
    /// Linux's, and memory that any machine has.
    fn default() -> Self {
        Self { insns: 1_000_000, memory: 64 << 20, branches: 8192 }
    }
}

/// What is to be verified.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The program.
    pub program: &'a Program,
    /// How it is attached, and what it is given.
    pub context: &'a Context,
    /// Its maps.
    pub maps: &'a dyn Maps,
    /// What is known of the kernel's types.
    pub types: &'a dyn Types,
    /// How many CPUs there are.
    pub cpus: u32,
    /// What may be used up.
    pub limits: Limits,
}

impl core::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Input").field("context", &self.context.name).finish_non_exhaustive()
    }
}

/// A program that does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The program as it may be run: accesses to the context go where things really are, and what is never reached is a jump
    /// to itself.
    pub program: Program,
    /// Bytes of stack that the program and all that it calls use at most.
    pub stack_depth: u32,
    /// Each function that is reached: the slot where it begins, and the bytes of stack that it uses itself.
    pub frames: Vec<(usize, u32)>,
    /// The maps that it uses.
    pub maps: Vec<MapRef>,
    /// The helpers that it calls, by number.
    pub helpers: Vec<i32>,
    /// Slots of the loads through pointers of the kernel: they may fault, and then give 0.
    pub probe_reads: Vec<usize>,
    /// Bytes of the context, or of the memory in its place, that have to be there.
    pub context_bytes: u32,
    /// How many instructions were looked at.
    pub processed: usize,
    /// How many states were remembered.
    pub states: usize,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// The instruction that was looked at.
    Here,
    /// Another one.
    Insn(usize),
    /// The whole program.
    Whole,
}

/// Why the walk has ended.
#[derive(Debug)]
struct Fail {
    rule: Rule,
    reason: String,
    at: Where,
}

impl Fail {
    fn here(rule: Rule, reason: String) -> Self {
        Self { rule, reason, at: Where::Here }
    }

    fn at(at: usize, rule: Rule, reason: String) -> Self {
        Self { rule, reason, at: Where::Insn(at) }
    }

    fn whole(rule: Rule, reason: String) -> Self {
        Self { rule, reason, at: Where::Whole }
    }
}

impl From<TryReserveError> for Fail {
    fn from(_: TryReserveError) -> Self {
        Self::whole(Rule::Complexity, String::from("no memory is left to remember what is known"))
    }
}

type Result<T, E = Fail> = core::result::Result<T, E>;

/// Verifies a program.
///
/// # Errors
/// The first rule that it breaks on some path.
pub fn verify(input: &Input<'_>) -> Result<Verified, Box<Rejection>> {
    let mut verifier = match Verifier::new(input) {
        Ok(verifier) => verifier,
        Err(fail) => {
            return Err(Box::new(Rejection {
                rule: fail.rule,
                reason: fail.reason,
                at: if let Where::Insn(at) = fail.at { Some(at) } else { None },
                insn: String::new(),
                path: Vec::new(),
                path_left_out: 0,
                registers: String::new(),
                processed: 0,
            }));
        }
    };
    match verifier.run().and_then(|()| verifier.verified()) {
        Ok(verified) => Ok(verified),
        Err(fail) => Err(Box::new(verifier.reject(fail))),
    }
}

/// `goto -1`: a jump to itself, where nothing ever runs.
const NEVER: Insn = Insn { opcode: 0x05, dst: 0, src: 0, off: -1, imm: 0 };

impl Verifier<'_> {
    /// Looks at one instruction.
    fn step(&mut self, at: usize, insn: &flow::Insn) -> Result<Next> {
        let behind = at + insn.op.slots();
        match insn.op {
            Op::Alu { width, alu, dst, src } => self.alu(width, alu, dst, src)?,
            Op::MovSx { width, bits, dst, src } => self.mov_sx(width, bits, dst, src)?,
            Op::Neg { width, dst } => self.neg(width, dst)?,
            Op::End { order, bits, dst } => self.end_order(order, bits, dst)?,
            Op::LoadImm { dst, imm } => self.immediate(at, dst, imm)?,
            Op::Load { size, signed, dst, src, off } => self.load(at, size, signed, dst, src, off)?,
            Op::Store { size, dst, off, src } => self.store(at, size, dst, off, src)?,
            Op::Atomic { width, atomic, dst, off, src } => self.atomic(at, width, atomic, dst, off, src)?,
            Op::Ja { .. } => return Ok(Next::At(insn.target.unwrap_or(behind))),
            Op::Jump { width, cond, dst, src, .. } => {
                let comparison = Comparison { width, cond, dst, src };
                return self.branch(comparison, insn.target.unwrap_or(behind), behind);
            }
            Op::Call(Callee::Helper(number)) => return self.call_helper(at, number),
            Op::Call(Callee::Local(_)) => return self.call_function(at, insn.target.unwrap_or(behind)),
            Op::Call(Callee::Kernel(number)) => {
                let reason = alloc::format!("kernel function calls are not there: #{number}");
                return Err(Fail::here(Rule::Helper, reason));
            }
            Op::Exit => return self.exit(),
        }
        Ok(Next::At(behind))
    }

    /// What comes out when every path was walked.
    fn verified(&self) -> Result<Verified> {
        let stack_depth = self.stack_depth()?;
        let mut slots = self.input.program.slots().to_vec();
        let mut probe_reads = Vec::new();
        for (at, insn) in self.flow.insns() {
            let reached = self.reached.get(at).copied().unwrap_or(false);
            if !reached {
                slots.iter_mut().skip(at).take(insn.op.slots()).for_each(|slot| *slot = NEVER);
                continue;
            }
            match self.uses.get(at) {
                Some(Use::Context(off)) => {
                    if let Some(slot) = slots.get_mut(at) {
                        slot.off = *off;
                    }
                }
                Some(Use::Kernel) => probe_reads.push(at),
                _ => {}
            }
        }
        let program = Program::new(slots).map_err(|invalid| {
            Fail::at(invalid.at, Rule::Structure, alloc::format!("what is left is no program: {invalid}"))
        })?;
        Ok(Verified {
            program,
            stack_depth,
            frames: self.frames(),
            maps: self.maps.iter().filter_map(|map| map.name).collect(),
            helpers: self.helpers.iter().copied().collect(),
            probe_reads,
            context_bytes: self.context_bytes,
            processed: self.processed,
            states: self.marks.nodes.len(),
        })
    }
}
