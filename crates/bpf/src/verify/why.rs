//! Why a program is refused: the rule it broke, in words, where, on which way, and what may help.
//!
//! ```text
//!   insn 4: R0 invalid mem access 'map_value_or_null'        the rule, as Linux words it
//!     4: r1 = *(u64 *)(r0 + 0)                               the instruction
//!   path: 3 (call map_lookup_elem) …                         the branches that led there
//!   registers: r0=map_value_or_null(counts) r10=fp           what was known of the registers
//!   hint: compare it with 0 first                            what others did about it
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// What is read has been written.
    Written,
    /// What may be null is compared with 0 before it is used.
    Null,
    /// An access lies within what its pointer leads to.
    Bounds,
    /// An access lies at a multiple of its size, where that matters.
    Aligned,
    /// An address is what is accessed through.
    Pointer,
    /// Addresses are added to and subtracted from, nothing else.
    Arithmetic,
    /// A context has its own table of what may be accessed.
    Context,
    /// What cannot be written is not written.
    ReadOnly,
    /// A helper is there, and for this kind of program.
    Helper,
    /// A helper is given what it wants.
    Argument,
    /// A helper fits the kind of the map.
    Map,
    /// What was acquired is given back once.
    Reference,
    /// A lock is held for a few instructions, and one at a time.
    Lock,
    /// Some programs have to leave a certain number in r0.
    Result,
    /// Every instruction can be reached.
    Structure,
    /// Functions under way fit on the stack.
    Depth,
    /// A loop comes to an end.
    Loop,
    /// A program can be looked through in reasonable time and memory.
    Complexity,
}

impl Rule {
    /// Linux's error number.
    pub const fn errno(self) -> i32 {
        const E2BIG: i32 = 7;
        const EACCES: i32 = 13;
        const EINVAL: i32 = 22;
        match self {
            Self::Complexity => E2BIG,
            Self::Written
            | Self::Null
            | Self::Bounds
            | Self::Aligned
            | Self::Pointer
            | Self::Arithmetic
            | Self::Context
            | Self::ReadOnly
            | Self::Depth
            | Self::Argument => EACCES,
            Self::Helper
            | Self::Map
            | Self::Reference
            | Self::Lock
            | Self::Result
            | Self::Structure
            | Self::Loop => EINVAL,
        }
    }

    /// What may help.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Written => {
                "write it on every way that leads here: calls leave nothing in r1-r5, and padding counts"
            }
            Self::Null => "compare the register with 0 and go elsewhere if it is",
            Self::Bounds => {
                "compare the index with the size on both sides before it is added, or mask it with `&`"
            }
            Self::Aligned => "access it at a multiple of its size",
            Self::Pointer => {
                "only addresses can be accessed: a number from memory is read with probe_read_kernel"
            }
            Self::Arithmetic => "add numbers to addresses in 64 bits, and do the rest with numbers",
            Self::Context => "look up in docs/bpf-verifier.md what this kind of program can read",
            Self::ReadOnly => "copy it, and change the copy",
            Self::Helper => "docs/bpf-verifier.md lists the helpers and who may call them",
            Self::Argument => "the helper's prototype says what it wants in each register",
            Self::Map => "another kind of map, or another helper",
            Self::Reference => "submit or discard each record exactly once on every way to the end",
            Self::Lock => "take one lock, access the value, let go of it: nothing else",
            Self::Result => "set r0 before `exit`",
            Self::Structure => "take away what nothing leads to",
            Self::Depth => "use less stack, or call fewer functions within each other",
            Self::Loop => "count towards a bound that is known, or use the helper `loop`",
            Self::Complexity => "split it into functions that `loop` calls, or make fewer branches",
        }
    }
}

/// A branch that could have gone both ways, or a function that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The instruction.
    pub(super) at: u32,
    /// What happened there.
    pub(super) turn: Turn,
}

/// What happened on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A jump was taken.
    Taken,
    /// A jump was not taken.
    NotTaken,
    /// A function was called.
    Called,
    /// A helper called a function of the program.
    Callback,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The rule that was broken.
    pub rule: Rule,
    /// How, in one line.
    pub reason: String,
    /// The instruction, if it is about one.
    pub at: Option<usize>,
    /// The instruction as text.
    pub insn: String,
    /// The last branches before it, oldest first, as text.
    pub path: Vec<String>,
    /// How many branches there were before those.
    pub path_left_out: usize,
    /// What was known of the registers and the stack of the function there.
    pub registers: String,
    /// How many instructions had been looked at.
    pub processed: usize,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => {
                writeln!(f, "insn {at}: {}", self.reason)?;
                writeln!(f, "  {at}: {}", self.insn)?;
            }
            None => writeln!(f, "{}", self.reason)?,
        }
        if self.path_left_out > 0 {
            writeln!(f, "path: ({} branches before)", self.path_left_out)?;
        } else if !self.path.is_empty() {
            writeln!(f, "path:")?;
        }
        for step in &self.path {
            writeln!(f, "  {step}")?;
        }
        if !self.registers.is_empty() {
            writeln!(f, "registers: {}", self.registers)?;
        }
        writeln!(f, "hint: {}", self.rule.hint())?;
        write!(f, "processed {} insns", self.processed)
    }
}

impl core::error::Error for Rejection {}
