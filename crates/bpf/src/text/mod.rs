//! Assembler text: the dialect of the RFC's examples, as Linux and LLVM print it.
//!
//! | text | instruction |
//! |---|---|
//! | `r1 = 5`, `w1 += w2`, `r1 s>>= 3` | arithmetic: `r` 64 bits, `w` 32; `+ - * / s/ % s% & \| ^ << >> s>>` |
//! | `r1 = -r1`, `r1 = (s8)r2`, `r1 = be16 r1` | negation, sign extension, byte order (`le be bswap` × `16 32 64`) |
//! | `r1 = 0x123456789 ll` | 64-bit immediate |
//! | `r1 = map[counts]`, `map[3]`, `map[#0]` | a map by name, file descriptor, number in the object |
//! | `r1 = map[3][0]+8`, `var[3]`, `code[name]` | an address in a map's value; a platform's variable; a function |
//! | `r1 = *(u8 *)(r2 + 4)`, `*(s16 *)(…)` | load, zero- or sign-extended |
//! | `*(u32 *)(r10 - 4) = r2` or a number | store |
//! | `lock *(u64 *)(r1 + 0) += r2` | atomic `+= \|= &= ^=` |
//! | `r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)` | the same with the old value: `add or and xor` |
//! | `r2 = xchg_64(r1 + 0, r2)`, `w2 = xchg32_32(…)` | exchange |
//! | `r0 = cmpxchg_64(r1 + 0, r0, r2)`, `w0 = cmpxchg32_32(…)` | compare and exchange |
//! | `goto +3`, `goto name`, `gotol name` | jumps, by slots or to a label |
//! | `if r1 s> 5 goto out` | conditional: `== != > >= < <= s> s>= s< s<= &` |
//! | `call 1`, `call map_lookup_elem` | helper, by number or name |
//! | `call pc+3`, `call name` | function of the program |
//! | `exit` | |
//!
//! One instruction per line, or several with `;` between them; `name:` labels what follows; `#` and `//` begin a comment.

mod listing;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::fmt;

pub use listing::Listed;
pub use parse::parse;
pub use print::{Shown, print};

use crate::op::Imm64;
use crate::program::Invalid;

/// What names mean in a text.
pub trait Names {
    /// The number of a helper.
    fn helper(&self, _name: &str) -> Option<i32> {
        None
    }

    /// What a helper is called.
    fn helper_name(&self, _number: i32) -> Option<&str> {
        None
    }

    /// The map of a name.
    fn map(&self, _name: &str) -> Option<Imm64> {
        None
    }
}

/// No names but labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It cannot be read here.
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What was expected, or is wrong.
        what: String,
    },
    /// Its instructions are no program.
    Program {
        /// The line of the instruction, from 1.
        line: usize,
        /// What is wrong with it.
        invalid: Invalid,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column, what } => write!(f, "{line}:{column}: {what}"),
            Self::Program { line, invalid } => write!(f, "{line}: {invalid}"),
        }
    }
}

impl core::error::Error for Error {}
