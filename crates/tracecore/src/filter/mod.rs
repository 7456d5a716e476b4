//! Event filters: which records are kept.
//!
//! ```text
//!   a > 3 && (b == 1 || comm ~ "w*")          written to events/GROUP/EVENT/filter
//!        │ compile, once, against the event's class
//!        ▼
//!   step  test               if true   if false
//!    0    4 bytes at 16 > 3     1       reject       every jump goes forward, so a record is judged
//!    1    8 bytes at 24 == 1  accept      2          in at most as many steps as there are predicates
//!    2    comm ~ w*           accept    reject
//!        │ run, at each record, over its bytes
//!        ▼
//!   commit, or withdraw the reservation; or before there is one, where registers tell all that is asked
//! ```
//!
//! The language is Linux's, as are the sentences and columns of errors:
//!
//! | | |
//! |---|---|
//! | `FIELD OP NUMBER` | `== != < <= > >=`, and `&` for "has one of these bits"; decimal, `0x…`, `0…`, negative for signed fields |
//! | `FIELD OP "TEXT"` | `== !=`, and `~` for a [pattern](crate::glob); in either kind of quotes |
//! | `FIELD.function OP NAME` | `== !=`: an address inside that function (or the function at a numeric address) |
//! | `A && B`, `A \|\| B`, `!A`, `(A)` | `!` binds tightest, then `&&`, then `\|\|` |
//!
//! A field is one of the event's own or the common header's, or `cpu` (`CPU`) and `comm` (`COMM`): where and in whose
//! name the event happened. A number is cut to the field's size before it is compared.
//!
//! Compiling keeps, for each operand, the jumps that are still open: where to go when it is true and where when it is
//! false. `&&` closes the first ones with the next predicate, `||` the second ones, `!` in front of a parenthesis
//! swaps them, the end of the text closes them with the verdict. See [`compile`](Filter::compile).
//!
//! [`Filter::accepts`] may run inside a probe: it allocates nothing, takes no lock, cannot panic, and its work is
//! bounded by [`MAX_PREDICATES`], and [`MAX_TEXT`] times the text of a record for each.

mod compile;
mod error;
mod numbers;
mod predicate;
#[cfg(test)]
mod tests;

pub use error::{ErrorKind, FilterError};
pub use numbers::Numbers;

use crate::fetch::{COMM_LEN, Unwritten};
use crate::ring::Reservation;
use alloc::boxed::Box;
pub(crate) use predicate::Subject;
use predicate::Test;

/// Bytes of an expression.
pub const MAX_EXPRESSION: usize = 4095;
/// Predicates of an expression.
pub const MAX_PREDICATES: usize = 256;
/// Bytes of a text to compare with, its end included.
pub const MAX_TEXT: usize = 256;

/// What a record does not say of its making.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The CPU.
    pub cpu: usize,
    /// The name of the task; looked at only by a filter that [needs](Filter::needs_comm) it.
    pub comm: &'a [u8; COMM_LEN],
}

/// Where a jump ends a run.
const ACCEPT: u16 = u16::MAX;
const REJECT: u16 = u16::MAX - 1;

/// One predicate and where it leads.
#[derive(Clone, Debug)]
struct Step {
    test: Test,
    if_true: u16,
    if_false: u16,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Filter {
    steps: Box<[Step]>,
    needs_comm: bool,
    /// What of a record it looks at, a bit for every four bytes; see [`Unwritten`].
    reads: u64,
    /// Are all its steps comparisons of a number in one word?
    only_ranges: bool,
}

impl Step {
    #[inline(always)]
    fn next(&self, holds: bool) -> u16 {
        if holds { self.if_true } else { self.if_false }
    }
}

impl Filter {
    fn new(steps: Box<[Step]>, needs_comm: bool, reads: u64) -> Self {
        let only_ranges = steps.iter().all(|step| matches!(step.test, Test::Range(_)));
        Self { steps, needs_comm, reads, only_ranges }
    }

    /// The short way, if it asks for numbers alone.
    #[inline(always)]
    pub fn numbers(&self) -> Option<Numbers<'_>> {
        if self.only_ranges { Some(Numbers(&self.steps)) } else { None }
    }

    #[inline(always)]
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }

    /// Does it look at the header of the record?
    pub const fn needs_header(&self) -> bool {
        /// The two units of four bytes that the header is.
        const HEADER: u64 = 0b11;
        self.reads & HEADER != 0
    }

    /// Does it look at the name of the task?
    pub const fn needs_comm(&self) -> bool {
        self.needs_comm
    }

    /// Shall this record be kept? Bytes that it is too short to have are zeros.
    pub fn accepts(&self, record: &[u8], context: &Context<'_>) -> bool {
        self.run(record, context)
    }

    /// The same for a record of whole words, before there is room for it in a ring.
    pub fn accepts_words(&self, record: &[u64], context: &Context<'_>) -> bool {
        self.run(record, context)
    }

    /// Shall this record, filled but not committed, be kept?
    pub fn accepts_reserved(&self, record: &Reservation<'_>, context: &Context<'_>) -> bool {
        self.run(record, context)
    }

    /// Shall this record, of which all that the filter reads is known, be written?
    pub fn accepts_unwritten(&self, record: &Unwritten<'_>, context: &Context<'_>) -> bool {
        self.run(record, context)
    }

    /// The steps that compare a number in one word, which most are, without a call; from the first other one on, all.
    #[inline(always)]
    fn run<S: Subject + ?Sized>(&self, record: &S, context: &Context<'_>) -> bool {
        let mut at = 0;
        // Every jump goes forward, so this ends.
        while let Some(step) = self.steps.get(usize::from(at)) {
            let Test::Range(range) = &step.test else { return self.run_from(at, record, context) };
            at = step.next(range.holds_in(record));
        }
        at == ACCEPT
    }

    #[inline(never)]
    fn run_from<S: Subject + ?Sized>(&self, mut at: u16, record: &S, context: &Context<'_>) -> bool {
        while let Some(step) = self.steps.get(usize::from(at)) {
            at = step.next(step.test.holds(record, context));
        }
        at == ACCEPT
    }
}
