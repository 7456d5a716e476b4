//! What a command is compiled to: a flat list of operations with jumps.
//!
//! The parser goes over the text once and writes operations down as it meets them. It cannot know then
//! that a command will turn out to be the first of a pipeline, or be sent to the background, or that a
//! construct has a redirection behind it; so it leaves an [`Op::Nop`] in front of each and patches that
//! later. A stage of a pipeline, a subshell and a background job are ranges of the same list: a task that
//! is to run one gets the shared list and two numbers.
//!
//! ```text
//!   a && b | c & { d; } > f
//!
//!    0  Async { end: 9 }           was Nop: patched when `&` was seen
//!    1  Nop                        would be Pipe, had `|` followed `a`
//!    2  a
//!    3  Nop                        was ErrExit: taken out when `&&` made `a` a condition
//!    4  JumpIfFalse(9)
//!    5  Pipe { 6..7, 7..8 }        was Nop: patched when `|` was seen
//!    6  b
//!    7  c
//!    8  ErrExit                    under `set -e` a failure ends the shell (here: the task)
//!    9  Nop                        would be Async
//!   10  Nop                        would be Pipe
//!   11  Redirect { end: 17 }       was Nop: patched when `> f` was seen
//!   12  Nop
//!   13  Nop
//!   14  d
//!   15  ErrExit
//!   16  Restore                    ends the redirection
//!   17  ErrExit
//! ```

use alloc::{string::String, vec::Vec};
use core::ops::Range;

/// A complete command: unit 0, and the units of the substitutions `$(…)` in its words.
#[derive(Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) units: Vec<Vec<Op>>,
}

/// One operation. Numbers are positions in the same unit.
#[derive(Debug, PartialEq)]
pub(crate) enum Op {
    /// Nothing: a place that was not needed, or a check that does not apply.
    Nop,
    /// A command of words, assignments and redirections.
    Simple(Simple),
    /// Runs up to `end` in another task and goes on there at once.
    Async { end: usize },
    /// Runs up to `end` in another task and waits.
    Subshell { end: usize },
    /// Runs each stage in a task of its own, joined by pipes, and goes on at the end of the last.
    Pipe { stages: Vec<Range<usize>> },
    /// Redirects until the matching `Restore`; if that fails, goes on at `end` with status 1.
    Redirect { redirects: Vec<Redirect>, end: usize },
    /// Ends a `Redirect`.
    Restore,
    /// Goes on elsewhere.
    Jump(usize),
    /// Goes on elsewhere if the last status was not 0.
    JumpIfFalse(usize),
    /// Goes on elsewhere if the last status was 0.
    JumpIfTrue(usize),
    /// `!`
    Invert,
    /// Under `set -e`, ends the shell if the last status was not 0.
    ErrExit,
    /// Sets the status to 0: a construct in which nothing was run.
    Succeed,
    /// Opens a `while` or `until`; `break` goes on at `exit`.
    Loop { exit: usize },
    /// Opens a `for` over these words; without any, over the positional parameters.
    For { words: Option<Vec<Word>>, exit: usize },
    /// Gives the variable its next value, or goes on at `done`.
    Next { name: String, done: usize },
    /// The body of a loop is through: remembers its status and goes back.
    Again(usize),
    /// Closes a loop; its status is that of the body's last round.
    Done,
    /// Opens a `case`.
    Case(Word),
    /// Goes on at `next` unless the word of the `case` matches one of these.
    Arm { patterns: Vec<Word>, next: usize },
    /// Closes a `case`.
    Esac,
    /// Defines a function whose body goes up to `end`.
    Define { name: String, end: usize },
}

/// A simple command.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Simple {
    pub(crate) assignments: Vec<(String, Word)>,
    pub(crate) words: Vec<Word>,
    pub(crate) redirects: Vec<Redirect>,
}

/// What a redirection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectKind {
    Read,
    Write,
    Append,
    ReadWrite,
    /// `>&` and `<&`: the target is the number of another stream.
    Dup,
    /// `<<`: the target is the text itself.
    Here,
}

/// One redirection.
#[derive(Debug, PartialEq)]
pub(crate) struct Redirect {
    pub(crate) fd: usize,
    pub(crate) kind: RedirectKind,
    pub(crate) target: Word,
}

/// A word as it was written: a sequence of parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Word {
    pub(crate) parts: Vec<Part>,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// Text without quotes: `*`, `?` and `[` mean something in it.
    Text(String),
    /// Text that stands for itself.
    Quoted(String),
    /// `$NAME`, `${NAME…}`
    Param { name: String, op: ParamOp, quoted: bool },
    /// `$(…)`: the number of the unit.
    Command { unit: usize, quoted: bool },
    /// `$((…))`
    Arith { word: Word, quoted: bool },
}

/// What `${NAME…}` does with the value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ParamOp {
    /// `${x}`
    Get,
    /// `${#x}`
    Length,
    /// `${x-w}` (with `colon` also when it is empty)
    Default { colon: bool, word: Word },
    /// `${x=w}`
    Assign { colon: bool, word: Word },
    /// `${x+w}`
    Alternate { colon: bool, word: Word },
    /// `${x?w}`
    Require { colon: bool, word: Word },
    /// `${x#w}`, `${x##w}`
    TrimStart { longest: bool, word: Word },
    /// `${x%w}`, `${x%%w}`
    TrimEnd { longest: bool, word: Word },
}

impl Word {
    /// A word that is this text and nothing else.
    pub(crate) fn quoted(text: String) -> Self {
        Self { parts: alloc::vec![Part::Quoted(text)] }
    }

    /// The text of a word without quotes and expansions: only such a word can be a reserved one.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Splits `NAME=value`.
    pub(crate) fn assignment(&self) -> Option<(String, Word)> {
        let (first, rest) = self.parts.split_first()?;
        let Part::Text(text) = first else { return None };
        let (name, value) = text.split_once('=')?;
        if !is_name(name) {
            return None;
        }
        let mut parts = Vec::new();
        if !value.is_empty() {
            parts.push(Part::Text(value.into()));
        }
        parts.extend_from_slice(rest);
        Some((name.into(), Word { parts }))
    }
}

/// Can this be the name of a variable?
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}
