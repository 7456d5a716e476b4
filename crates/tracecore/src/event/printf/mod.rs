//! The print program of an event that is declared in code: the C text of its `format` file, taken at its word.
//!
//! A `format` file ends in a line that says, in C, how a record is printed:
//!
//! ```text
//!   print fmt: "irq=%d ret=%s", REC->irq, REC->ret ? "handled" : "unhandled"
//! ```
//!
//! Programs that read raw records (`trace-cmd`, `perf`) interpret it. So does this kernel: the text is parsed once, when
//! the event's class is made, and there is no second description of the same line that could differ from it.
//!
//! ```text
//!   text ─ lexer ─▶ words ─ parse ─▶ parts:  literal "irq=" · %d of field 0 · literal " ret=" · %s of (field 1 ? … : …)
//!                                      │
//!   record's bytes ────────────────────┴─ eval, show ─▶ "irq=30 ret=handled"
//! ```
//!
//! Understood are C's operators and casts, `REC->field`, `REC->array[i]`, and these helpers:
//!
//! | helper | shows |
//! |---|---|
//! | `__print_flags(value, "\|", { 1, "A" }, …)` | `A\|B`, and what is left as a number |
//! | `__print_symbolic(value, { 1, "A" }, …)` | `A`, or the number |
//! | `__print_hex(bytes, len)`, `__print_hex_str(bytes, len)` | `0a 0b`, `0a0b` |
//! | `__print_array(elements, count, bytes of one)` | `{0xa,0xb}` |
//! | `__get_str(field)` | the text behind the fixed part, `(fault)` where there is none |
//! | `__get_dynamic_array(field)`, `__get_dynamic_array_len(field)` | those bytes, and how many |
//! | `__get_cpumask(field)`, `__get_bitmask(field)` | words of 32 bits, the highest first: `00000000,0000000f` |

mod eval;
mod lexer;
mod parse;
mod show;
#[cfg(test)]
mod tests;

use super::Field;
use crate::symbolize::Symbolizer;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What is wrong with a `print fmt` text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintError {
    /// A number that is none.
    Number,
    /// A string without an end, or with an unknown escape.
    Text,
    /// The text does not begin with a format string.
    NoFormat,
    /// A `%` with something unknown behind it.
    Conversion,
    /// Another word was expected.
    Syntax,
    /// A field that the event does not have.
    NoField,
    /// An unknown helper or name.
    Unknown,
    /// More or fewer values than conversions.
    Count,
    /// Nested too deep.
    TooDeep,
}

/// How deep expressions nest: the masks of flags in Linux's own texts come to 20.
const MAX_DEPTH: usize = 64;

/// A parsed `print fmt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printf {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Value(Spec, Expr),
}

/// What stands between `%` and the next literal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spec {
    left: bool,
    zeros: bool,
    plus: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    /// Bytes of the integer.
    bytes: u8,
    conversion: Conversion,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Conversion {
    #[default]
    Signed,
    Unsigned,
    Hex,
    BigHex,
    Octal,
    Char,
    Text,
    Pointer,
    /// `%pS`.
    Symbol,
    /// `%ps`.
    SymbolName,
}

/// A field, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: u16,
    size: u16,
    signed: bool,
    /// Bytes of an element, for an array.
    element: Option<u16>,
}

type Names = Vec<(u64, Vec<u8>)>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    Number(u64),
    Text(Vec<u8>),
    Field(Place),
    Element(Place, Box<Expr>),
    Not(Box<Expr>),
    Invert(Box<Expr>),
    Negate(Box<Expr>),
    Cast { bytes: u8, signed: bool, of: Box<Expr> },
    Binary(Op, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    Flags { value: Box<Expr>, between: Vec<u8>, names: Names },
    Symbolic { value: Box<Expr>, names: Names },
    Hex { bytes: Box<Expr>, len: Box<Expr>, between: &'static str },
    Array { elements: Box<Expr>, count: Box<Expr>, size: Box<Expr> },
    Located(Place),
    LocatedLen(Place),
    Bitmask(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Or,
    And,
    BitOr,
    BitXor,
    BitAnd,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Left,
    Right,
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}

impl Printf {
    /// Parses what stands behind `print fmt: ` of an event with these fields.
    pub fn parse(text: &str, fields: &[Field]) -> Result<Self, PrintError> {
        parse::parse(text, fields)
    }

    /// Puts the text of a record.
    pub fn print(&self, record: &[u8], symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text),
                Part::Value(spec, expr) => show::show(*spec, &eval::eval(expr, record), symbols, out),
            }
        }
    }
}
