//! Fetch programs: what a probe records, compiled once, run at every hit.
//!
//! A definition's arguments become two lists. Most arguments are a plain register stored as eight bytes; those
//! are a table of registers that a loop of a dozen instructions empties. The rest are fields with a
//! source, steps through memory, and a way to be stored.
//!
//! ```text
//!                      p:x SYM  a=%x0  b=+8(+0(%x1)):u32  c=$comm  d=%x2
//!                                 │                │          │       │
//!   plain   (x0, 16) ◀────────────┘                │          │       │
//!           (x2, 32) ◀─────────────────────────────┼──────────┼───────┘
//!   fields  at 24: x1 ─▶ [+0] ─▶ 4 bytes at +8 ◀───┘          │
//!           at 28: comm ─▶ text ◀─────────────────────────────┘
//!
//!   record  ┌────────┬────┬───┬───┬─────┬───┬──────────────┐
//!           │ common │ ip │ a │ b │ c ● │ d │ "sh\0"       │
//!           └────────┴────┴───┴───┴───┼─┴───┴▲─────────────┘
//!             fixed part              └──────┘ length << 16 | offset
//! ```
//!
//! A program of plain registers alone, or of nothing, is [`Plain`]: its record is written by code that is compiled into
//! the recorder, registers straight into the ring.
//!
//! Before a record is reserved its length must be known: [`Program::text_len`] says how many bytes the texts
//! take, and is zero without looking for a program without texts. A text that has grown between the two looks
//! is cut to what was reserved, one that has shrunk leaves zeros behind.
//!
//! Memory that cannot be read gives a value of 0, as on Linux; a text that cannot be read has the length zero
//! and is printed as `(fault)`. An array is read element by element.
//!
//! A filter need not wait for the record: what a program takes from registers is known before anything is written
//! ([`Unwritten`]), and a hit that is not wanted then costs no room in the ring.
//!
//! Everything here may run inside a probe: it allocates nothing, takes no lock, cannot panic, and its work is
//! bounded by the program, [`MAX_STRING_BYTES`] and [`MAX_RECORD_BYTES`](crate::ring::MAX_RECORD_BYTES).
//!
//! | file | what |
//! |---|---|
//! | `compile` | arguments to a program |
//! | `run` | numbers into a record |
//! | `text` | texts behind it, word by word |
//! | `unwritten` | what a filter can know of a record before it is written |
//! | `memory`, `symbol` | strings and symbols |
//! | `sink` | the ring, or a slice |

mod compile;
mod memory;
mod run;
mod sink;
mod symbol;
#[cfg(test)]
mod tests;
mod text;
mod unwritten;

pub use compile::{REGISTER_ARGS, TooBig};
pub use memory::{Fault, MAX_STRING_BYTES, SafeMemory};
pub use run::Plain;
pub use unwritten::Unwritten;
pub(crate) use unwritten::{BEYOND, units};

use crate::probe::Bits;
use crate::symbolize::Symbolizer;
use a64::{Reg, RegSet, Registers};
use alloc::boxed::Box;
use memory::first_nul;

/// Bytes of a task's name.
pub const COMM_LEN: usize = 16;
/// Size and alignment of a kernel stack: `$stackN` beyond it reads as 0.
pub const STACK_BYTES: u64 = 32 << 10;

/// The name of a task, as two little-endian words: zeros follow its last byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comm {
    words: [u64; COMM_LEN / 8],
    len: usize,
}

impl Comm {
    /// The name in these words.
    #[inline(always)]
    pub fn new(words: [u64; COMM_LEN / 8]) -> Self {
        let [low, high] = words;
        let len = match first_nul(low) {
            8 => 8 + first_nul(high),
            short => short,
        };
        Self { words, len }
    }
}

impl From<[u8; COMM_LEN]> for Comm {
    fn from(name: [u8; COMM_LEN]) -> Self {
        let mut words = [0; COMM_LEN / 8];
        for (word, bytes) in words.iter_mut().zip(name.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self::new(words)
    }
}

/// What does not change from hit to hit.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The memory that dereferences read.
    pub memory: &'a dyn SafeMemory,
    /// Names for `symstr`.
    pub symbols: &'a dyn Symbolizer,
}

/// What one hit is about.
#[derive(Clone, Copy)]
pub struct Hit<'a> {
    /// The registers; those in [`Program::needs`] must have been saved.
    pub regs: Registers<'a>,
    /// The name of the current task; looked at only by a program that has texts.
    pub comm: Comm,
    /// The arguments in [`Program::entry_args`], saved at the entry, for a return probe; else empty.
    pub entry_args: &'a [u64],
    /// Memory and symbols.
    pub env: &'a Env<'a>,
}

/// A register stored as it is, at a multiple of eight.
#[derive(Clone, Copy, Debug)]
struct PlainField {
    /// Its number, 0 to 30.
    x: u8,
    /// Where in the record, in words.
    word: u16,
}

/// Where a field's value starts from.
#[derive(Clone, Copy, Debug)]
enum Start {
    Reg(Reg),
    EntryArg(u16),
    StackWord(u16),
    Value(u64),
}

/// One read of eight bytes at the value so far plus `offset`, or the last such address.
#[derive(Clone, Copy, Debug)]
struct Step {
    offset: i64,
    user: bool,
}

/// How a field's value gets into the record.
#[derive(Clone, Copy, Debug)]
enum Store {
    /// The low bytes of the value.
    Value { size: u8, bits: Option<Bits> },
    /// Memory at the last step's address: `count` elements in a row.
    Memory { size: u8, count: u8, bits: Option<Bits> },
    /// The string at the last step's address.
    String,
    /// So many bytes at the last step's address, or up to a NUL: the number of what says how many.
    Slice { length: u32 },
    /// An array of pointers to strings at the last step's address.
    Strings { count: u8, user: bool },
    /// The current task's name.
    Comm,
    /// A constant text: where it starts among the program's words, and its bytes.
    Text { from: u32, len: u32 },
    /// The symbol of the value, as text.
    Symbol,
}

/// A value: where it starts, and a range of the program's steps.
#[derive(Clone, Copy, Debug)]
struct Walk {
    start: Start,
    first_step: u32,
    steps: u8,
}

/// An argument that is more than a register.
#[derive(Clone, Copy, Debug)]
struct Field {
    walk: Walk,
    at: u16,
    store: Store,
}

/// A compiled list of fetch arguments.
#[derive(Debug)]
pub struct Program {
    /// The plain fields of a program that has others too.
    plain: Box<[PlainField]>,
    fields: Box<[Field]>,
    /// The registers of a program that has nothing else, in order; `None` for one that has.
    only_plain: Option<Box<[u8]>>,
    steps: Box<[Step]>,
    texts: Box<[u64]>,
    /// The lengths of slices.
    lengths: Box<[Walk]>,
    entry_args: Box<[u16]>,
    fixed_len: usize,
    /// What of the fixed part is known without looking at memory, a bit for every four bytes.
    known_units: u64,
    needs: RegSet,
    has_texts: bool,
    /// Its texts, if their lengths are known without a look at memory.
    known_texts: Option<text::Known>,
}

impl Program {
    /// The registers that it reads: what the way in must save.
    pub const fn needs(&self) -> RegSet {
        self.needs
    }

    /// The arguments of the function, by number from 0, that must be saved at its entry for the end of it.
    pub const fn entry_args(&self) -> &[u16] {
        &self.entry_args
    }

    /// The length of the fixed part, with the common header and what else stands before the arguments.
    pub const fn fixed_len(&self) -> usize {
        self.fixed_len
    }

    /// Can a record be longer than the fixed part?
    pub const fn has_texts(&self) -> bool {
        self.has_texts
    }
}
