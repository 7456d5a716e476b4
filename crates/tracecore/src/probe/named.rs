//! Arguments by name: `NAME`, `NAME->FIELD.SUB`, `$retval->FIELD`, `$arg*`.
//!
//! What a name means is in the [type table](crate::typetab): where the argument is when the function begins, and what it
//! is made of. A walk along the fields ends in what the fetch language has anyway, a source and steps through memory:
//!
//! ```text
//!   item->name.len:u32      item   x0, a pointer to WorkItem       Value   $arg1
//!                           ->name at 16 in it, a struct           Memory  [$arg1 + 16]
//!                           .len   at 8 in that                    Memory  [$arg1 + 16 + 8]   =   +24($arg1):u32
//! ```
//!
//! Without a type the value is stored as what it is: an integer as wide and as signed as it was declared, a pointer in
//! hexadecimal, a string slice as text, its length being the one that it was given. A struct counts as its only field if it
//! has one (so does an atomic number, and a counted pointer), and `Option` of a pointer as the pointer.
//!
//! Sentences, order and columns of errors are Linux's. Two things go further: `FIELD[N]` is an element of an array, and the
//! two words of a slice that was passed in registers are `.data_ptr` and `.length`.

#[cfg(test)]
mod tests;

use super::arg::{Dereference, Expr, Source};
use super::error::{ErrorKind, ProbeError};
use super::number;
use super::types::{Style, Type, Width};
use crate::errno::Errno;
use crate::typetab::{Field, Function, Outcome, Param, Place, Shape, TypeId, TypeTable};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Bytes of a register.
const WORD: u64 = 8;
/// The word before the fields of a result.
const RETVAL: &str = "$retval";
/// Wrappers that are looked through for a field.
const WRAPPERS_MAX: usize = 16;

/// What is known of the function that a probe is at.
#[derive(Clone, Copy)]
pub(super) struct Names<'t> {
    pub(super) table: TypeTable<'t>,
    pub(super) function: Option<Function<'t>>,
}

/// A value with a type.
pub(super) struct Named {
    pub(super) expr: Expr,
    /// As what it is stored where the line does not say.
    pub(super) ty: Type,
    /// How it can be stored as text.
    pub(super) text: Option<AsText>,
}

/// Where the text is that a value stands for.
pub(super) enum AsText {
    /// It is the value: bytes in a row in memory.
    Here,
    /// The value points to it.
    Pointed,
    /// These are the address of its first byte and its length.
    Counted(Expr, Expr),
}

/// Where the walk is.
enum At {
    /// The value is this.
    Value(Expr),
    /// In two registers, eight bytes each.
    Pair(u8, u8),
    /// In memory, so many bytes behind where this points.
    Memory(Expr, i64),
}

/// What a field lies in.
enum Base {
    Memory(Expr, i64),
    Pair(u8, u8),
}

/// What stands between two names.
#[derive(Clone, Copy)]
enum Step {
    Arrow,
    Dot,
}

/// What has not been read of a chain of names, and where it stands in the line.
struct Rest<'t> {
    text: &'t str,
    column: usize,
}

impl<'t> Rest<'t> {
    /// Takes the next name, and what stands behind it.
    fn next(&mut self) -> Result<(&'t str, Option<Step>), ProbeError> {
        let Some(end) = self.text.find(['.', '-']) else {
            return Ok((core::mem::take(&mut self.text), None));
        };
        let (name, behind) = self.text.split_at(end);
        let (step, rest) = match (behind.strip_prefix("->"), behind.strip_prefix('.')) {
            (Some(rest), _) => (Step::Arrow, rest),
            (None, Some(rest)) => (Step::Dot, rest),
            (None, None) => return Err(ProbeError::at(ErrorKind::SingleHyphen, self.column + end)),
        };
        self.column += self.text.len() - rest.len();
        self.text = rest;
        Ok((name, Some(step)))
    }

    /// An error at what comes next.
    fn wrong(&self, kind: ErrorKind) -> ProbeError {
        ProbeError::at(kind, self.column)
    }
}

fn source(source: Source) -> Expr {
    Expr { source, derefs: Vec::new() }
}

fn argument(x: u8) -> Expr {
    source(Source::Argument(u16::from(x)))
}

fn behind(mut expr: Expr, offset: i64) -> Expr {
    expr.derefs.push(Dereference { offset, user: false });
    expr
}

impl<'t> Names<'t> {
    /// Reads `NAME…`, which stands at `column`.
    pub(super) fn parse(&self, text: &str, column: usize, at_entry: bool) -> Result<Named, ProbeError> {
        let here = |kind| ProbeError::at(kind, column);
        if !at_entry {
            return Err(here(ErrorKind::NoTypeInformation).with_errno(Errno::EINVAL));
        }
        let mut rest = Rest { text, column };
        let (name, arrow) = rest.next()?;
        if self.table.is_empty() {
            return Err(here(ErrorKind::NoTypeInformation));
        }
        // One without arguments counts as one that nothing is known of.
        let function = self.function.filter(|function| function.params().next().is_some());
        let function = function.ok_or(here(ErrorKind::NoFunctionInformation))?;
        let param = function.param(name).ok_or(here(ErrorKind::NoSuchVariable))?;
        let at = match param.place {
            Place::Register(x) => At::Value(argument(x)),
            Place::Pair(low, high) => At::Pair(low, high),
            Place::Memory(x) => At::Memory(argument(x), 0),
        };
        self.walk(at, param.ty, arrow, rest)
    }

    /// Reads `$retval…` from behind that word, which stands at `column`. `None` if nothing is known of the result, and
    /// nothing is asked.
    pub(super) fn parse_result(&self, text: &str, column: usize) -> Result<Option<Named>, ProbeError> {
        let here = |kind| ProbeError::at(kind, column);
        let mut rest = Rest { text, column: column + RETVAL.len() };
        let (_, arrow) = rest.next()?;
        match self.function.map(|function| function.result) {
            Some(Outcome::Nothing) => Err(here(ErrorKind::NoReturnValue)),
            Some(Outcome::Value(ty)) => {
                self.walk(At::Value(source(Source::ReturnValue)), ty, arrow, rest).map(Some)
            }
            Some(Outcome::Unknown) | None if arrow.is_none() => Ok(None),
            Some(Outcome::Unknown) => Err(rest.wrong(ErrorKind::NotAStructPointer)),
            None => Err(here(ErrorKind::NoTypeInformation)),
        }
    }

    /// Goes from a value on along the fields in `rest`; `step` is what stands before the first of them.
    fn walk(
        &self,
        mut at: At,
        mut ty: TypeId,
        mut step: Option<Step>,
        mut rest: Rest<'_>,
    ) -> Result<Named, ProbeError> {
        while let Some(now) = step {
            let wrong = |kind| rest.wrong(kind);
            let shape = self.table.core_shape(ty).ok_or(wrong(ErrorKind::NoType))?;
            let (inside, base) = match (now, shape, at) {
                (Step::Arrow, Shape::Pointer { to }, At::Value(expr)) => (to, Base::Memory(expr, 0)),
                (Step::Arrow, Shape::Pointer { to }, At::Memory(expr, offset)) => {
                    (to, Base::Memory(behind(expr, offset), 0))
                }
                (Step::Arrow, ..) => return Err(wrong(ErrorKind::NotAStructPointer)),
                (Step::Dot, _, At::Memory(expr, offset)) => (ty, Base::Memory(expr, offset)),
                (Step::Dot, _, At::Pair(low, high)) => (ty, Base::Pair(low, high)),
                (Step::Dot, _, At::Value(_)) => return Err(wrong(ErrorKind::StructByValue)),
            };
            if !self.has_fields(inside) {
                return Err(wrong(ErrorKind::NoType));
            }
            let missing = wrong(ErrorKind::NoSuchField);
            let by_value = wrong(ErrorKind::StructByValue);
            let (name, next) = rest.next()?;
            let (offset, inner) = self.member(inside, name).ok_or(missing)?;
            at = match base {
                Base::Memory(expr, from) => {
                    let offset = i64::try_from(offset).ok().and_then(|offset| offset.checked_add(from));
                    At::Memory(expr, offset.ok_or(missing)?)
                }
                // A word of it, if the field has it for itself.
                Base::Pair(low, high) => match (offset, self.table.size(inner)) {
                    (0, Some(..=WORD)) => At::Value(argument(low)),
                    (WORD, Some(..=WORD)) => At::Value(argument(high)),
                    _ => return Err(by_value),
                },
            };
            (ty, step) = (inner, next);
        }
        self.end(at, ty).ok_or(rest.wrong(ErrorKind::NoType))
    }

    /// The value that the walk has come to.
    fn end(&self, at: At, ty: TypeId) -> Option<Named> {
        let shape = self.table.core_shape(ty)?;
        let in_memory = matches!(at, At::Memory(..));
        let mut text = match shape {
            Shape::Pointer { to } if self.is_byte(to) => Some(AsText::Pointed),
            // Bytes may be kept in larger numbers.
            Shape::Array { of, .. } if in_memory && self.is_number(of) => Some(AsText::Here),
            _ => None,
        };
        let mut stored = self.stored(shape);
        let expr = match (at, shape) {
            (At::Memory(expr, offset), Shape::Text { pointer, length, .. }) => {
                let word = |at: u64| Some(behind(expr.clone(), offset.checked_add(i64::try_from(at).ok()?)?));
                let first = word(pointer)?;
                text = Some(AsText::Counted(behind(first.clone(), 0), word(length)?));
                first
            }
            (At::Pair(low, high), Shape::Text { pointer, length, .. }) => {
                let word = |at| argument(if at == 0 { low } else { high });
                text = Some(AsText::Counted(behind(word(pointer), 0), word(length)));
                word(pointer)
            }
            (At::Memory(expr, offset), _) => behind(expr, offset),
            (At::Pair(low, _), _) => {
                stored = Type::DEFAULT;
                argument(low)
            }
            (At::Value(expr), Shape::Text { .. }) => {
                // The address alone: how long it is nobody has said.
                stored = Type::DEFAULT;
                expr
            }
            (At::Value(expr), _) => expr,
        };
        Some(Named { expr, ty: stored, text })
    }

    /// As what a value of this shape is stored.
    fn stored(&self, shape: Shape<'_>) -> Type {
        let (size, style) = match shape {
            Shape::Int { size, signed: true } => (size, Style::Signed),
            Shape::Int { size, signed: false } => (size, Style::Unsigned),
            Shape::Bool => (1, Style::Unsigned),
            Shape::Char => (4, Style::Unsigned),
            Shape::Opaque { size } => (size, Style::Hex),
            Shape::Text { .. } => return Type::String { user: false },
            Shape::Pointer { .. } | Shape::Array { .. } | Shape::Record(_) => return Type::DEFAULT,
        };
        match size {
            1 => Type::Int(Width::W8, style),
            2 => Type::Int(Width::W16, style),
            4 => Type::Int(Width::W32, style),
            8 => Type::Int(Width::W64, style),
            _ => Type::DEFAULT,
        }
    }

    fn is_byte(&self, ty: TypeId) -> bool {
        matches!(self.table.core_shape(ty), Some(Shape::Int { size: 1, .. }))
    }

    fn is_number(&self, ty: TypeId) -> bool {
        matches!(self.table.core_shape(ty), Some(Shape::Int { .. }))
    }

    fn has_fields(&self, ty: TypeId) -> bool {
        matches!(self.table.shape(ty), Some(Shape::Record(_)))
    }

    /// A field of a struct, or of what a struct of one field wraps.
    fn field(&self, mut ty: TypeId, name: &str) -> Option<Field<'t>> {
        for _ in 0..WRAPPERS_MAX {
            let Some(Shape::Record(record)) = self.table.shape(ty) else { return None };
            match record.field(name) {
                None => ty = self.table.wrapped(record)?,
                found => return found,
            }
        }
        None
    }

    /// Offset and type of the field, or the element of one, that `FIELD` or `FIELD[N]` names.
    fn member(&self, ty: TypeId, text: &str) -> Option<(u64, TypeId)> {
        let Some((name, index)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) else {
            let field = self.field(ty, text)?;
            return Some((field.offset, field.ty));
        };
        let field = self.field(ty, name)?;
        let Shape::Array { of, count } = self.table.core_shape(field.ty)? else { return None };
        let index = number::unsigned(index).filter(|index| *index < count)?;
        Some((field.offset.checked_add(index.checked_mul(self.table.size(of)?)?)?, of))
    }

    /// What `$arg*` stands for: the name and the text of each argument that is known.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for param in self.function.iter().flat_map(Function::params) {
            match self.words(&param) {
                Some(fields) => all.extend(
                    fields
                        .map(|field| (format!("{}_{field}", param.name), format!("{}.{field}", param.name))),
                ),
                None => all.push((param.name.to_string(), param.name.to_string())),
            }
        }
        all
    }

    /// The names of the two words of a slice that is in registers and is no text.
    fn words(&self, param: &Param<'t>) -> Option<[&'t str; 2]> {
        let (Place::Pair(..), Shape::Record(record)) = (param.place, self.table.core_shape(param.ty)?) else {
            return None;
        };
        let mut fields = record.fields();
        let both = [fields.next()?, fields.next()?];
        let whole = fields.next().is_none() && both.map(|field| field.offset) == [0, WORD];
        whole.then_some(both.map(|field| field.name))
    }
}
