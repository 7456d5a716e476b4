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
//! | [`why`] | the rules, and how a refusal reads |

mod num;
pub mod scalar;
pub mod tnum;
pub mod why;

use alloc::vec::Vec;

pub use scalar::Scalar;
pub use tnum::Tnum;
pub use why::{Rejection, Rule};

use crate::kind::Context;
use crate::map::MapDef;
use crate::program::Program;
use crate::types::Types;

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
