//! The interpreter: carries out a program.
//!
//! ```text
//!   Program ──Code::new──▶ blocks ──▶ steps in a row      fn(registers, fields), one for each kind and form     step.rs
//!                            ▲        its end ─┬─ jumps                                                           machine.rs
//!                            │                 ├─ loads, stores, atomics       Env::load, store, atomic
//!                            └─────────────────┴─ calls                        Env::call, or a new frame
//! ```
//!
//! Memory is the [`Env`]'s: a kernel that trusts its verifier reads and writes what it is told, a host that does not
//! checks each address. Frames of the stack lie below each other, [`FRAME_BYTES`] each, in memory of the environment.
//!
//! What only computes is carried out without a look at anything else: a step is a load of two words and a call. Where the program
//! is, whether it may go on and what went wrong is asked at the ends of blocks ([`Code`]).
//!
//! A program that jumps back for ever is ended: each jump and each call takes one from a budget, and what lies between two
//! of them is no longer than the program.

mod code;
mod machine;
mod step;

use core::fmt;

use crate::op::{Atomic, Imm64, Size, Width};

pub use code::Code;

/// Bytes of the stack that each function has, below r10.
pub const FRAME_BYTES: u64 = 512;
/// How many functions may be under way, the program's own included.
pub const MAX_FRAMES: usize = 8;

/// An access to memory that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// What a program runs in.
pub trait Env {
    /// What lies at `addr`, zero-extended.
    ///
    /// # Errors
    /// Nothing lies there that the program may read.
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Fault>;

    /// Stores the low bytes of `value` at `addr`.
    ///
    /// # Errors
    /// Nothing lies there that the program may write.
    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Fault>;

    /// Does to what lies at `addr` what [`Atomic::apply`] does, at once, and gives what was there, zero-extended.
    ///
    /// # Errors
    /// As [`Env::store`]; also where an address that is not aligned cannot be accessed at once.
    fn atomic(&mut self, addr: u64, width: Width, atomic: Atomic, src: u64, r0: u64) -> Result<u64, Fault>;

    /// Calls the helper with this number.
    ///
    /// # Errors
    /// There is no such helper, or it ends the program.
    fn call(&mut self, helper: i32, args: [u64; 5]) -> Result<u64, HelperError>;

    /// The same for a helper that calls functions of the program: `back` calls the one with this address. Nothing for all
    /// others. (`loop` the interpreter does itself.)
    fn call_with(
        &mut self,
        _helper: i32,
        _args: [u64; 5],
        _back: &mut CallBack<'_>,
    ) -> Option<Result<u64, HelperError>> {
        None
    }

    /// The address that an immediate stands for.
    fn address(&mut self, _imm: Imm64) -> Option<u64> {
        None
    }
}

/// Calls a function of the program, by the address that the program has of it; nothing when the program has come to an end in
/// there.
pub type CallBack<'a> = dyn FnMut(&mut dyn Env, u64, [u64; 5]) -> Option<u64> + 'a;

/// Where tail calls lead: the program in this place of a program array.
pub type Programs<'a, 'c> = &'a dyn Fn(u64, u32) -> Option<&'c Code>;

/// Why a helper did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperError {
    /// There is no such helper.
    Unknown,
    /// It has accessed memory that the program may not.
    Fault(u64),
    /// A function that it called did not come to its end.
    Stopped,
}

/// Why a program did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The slot at which it stopped.
    pub at: usize,
    /// Why.
    pub why: Cause,
}

/// What can stop a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An access to this address.
    Fault(u64),
    /// The budget is used up.
    Budget,
    /// More than [`MAX_FRAMES`].
    Frames,
    /// No such helper.
    Helper(i32),
    /// A call that the interpreter does not make.
    Call,
    /// An immediate that stands for nothing here.
    Immediate,
    /// Not an instruction; not in a program.
    Opcode(u8),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {}: ", self.at)?;
        match self.why {
            Cause::Fault(addr) => write!(f, "access to {addr:#x}, where there is nothing"),
            Cause::Budget => f.write_str("too many jumps"),
            Cause::Frames => write!(f, "more than {MAX_FRAMES} nested calls"),
            Cause::Helper(number) => write!(f, "no helper {number}"),
            Cause::Call => f.write_str("a call of what is not here"),
            Cause::Immediate => f.write_str("an immediate that stands for nothing here"),
            Cause::Opcode(opcode) => write!(f, "unknown opcode {opcode:02x}"),
        }
    }
}

impl core::error::Error for Trap {}

impl Atomic {
    /// What is stored in place of `old`, if anything: of the operands' `width`, like all that comes in and goes out.
    pub const fn apply(self, width: Width, old: u64, src: u64, r0: u64) -> Option<u64> {
        let new = match self {
            Self::Add { .. } => old.wrapping_add(src),
            Self::Or { .. } => old | src,
            Self::And { .. } => old & src,
            Self::Xor { .. } => old ^ src,
            Self::Xchg => src,
            Self::Cmpxchg => {
                let same = match width {
                    Width::W32 => old as u32 == r0 as u32,
                    Width::W64 => old == r0,
                };
                if !same {
                    return None;
                }
                src
            }
        };
        Some(match width {
            Width::W32 => new as u32 as u64,
            Width::W64 => new,
        })
    }
}
