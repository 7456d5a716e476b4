//! From parsed arguments to a program.

use super::text::Known;
use super::unwritten::{BEYOND, units};
use super::{Field, PlainField, Program, Start, Step, Store, Walk};
use crate::errno::Errno;
use crate::probe::{Arg, Expr, Source, Type};
use crate::ring::MAX_RECORD_BYTES;
use a64::{Reg, RegSet};
use alloc::vec::Vec;

/// How many of the arguments are passed in registers (AAPCS64); the next lie on the stack, a word each.
pub const REGISTER_ARGS: u16 = 8;

/// The fixed part would not fit into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig;

impl From<TooBig> for Errno {
    fn from(_: TooBig) -> Self {
        Errno::E2BIG
    }
}

impl Program {
    /// Compiles arguments whose first field lies at `base`, behind the common header and the addresses of the
    /// probe. `is_return` says that the probe is hit at the end of the function.
    pub fn compile(args: &[Arg], base: usize, is_return: bool) -> Result<Self, TooBig> {
        let mut plain = Vec::new();
        let mut fields = Vec::new();
        let mut steps = Vec::new();
        let mut texts = Vec::new();
        let mut lengths = Vec::new();
        let mut entry_args = Vec::new();
        let mut needs = RegSet::EMPTY;
        let mut unknown_units = BEYOND;
        let mut at = base;
        for arg in args {
            let end = at.checked_add(arg.size()).filter(|end| *end <= MAX_RECORD_BYTES).ok_or(TooBig)?;
            let start = start(&arg.expr.source, is_return.then_some(&mut entry_args));
            needs = start.needs(needs);
            match (start, arg.ty, arg.expr.derefs.is_empty(), arg.bits) {
                (Start::Reg(reg), Type::Int(..) | Type::Symbol, true, None)
                    if arg.size() == 8 && at.is_multiple_of(8) && reg.index() <= Reg::LR.index() =>
                {
                    plain.push(PlainField { x: reg.index(), word: (at / 8) as u16 });
                }
                _ => {
                    let walk = walk(start, &arg.expr, &mut steps)?;
                    // A user string lies in user memory even where its last offset does not say so.
                    if arg.ty == (Type::String { user: true })
                        && arg.count.is_none()
                        && let Some(last) =
                            steps.get_mut(walk.first_step as usize..).and_then(<[_]>::last_mut)
                    {
                        last.user = true;
                    }
                    let store = match &arg.length {
                        Some(length) => {
                            let start = self::start(&length.source, is_return.then_some(&mut entry_args));
                            needs = start.needs(needs);
                            lengths.push(self::walk(start, length, &mut steps)?);
                            Store::Slice { length: lengths.len() as u32 - 1 }
                        }
                        None => store(arg, &mut texts),
                    };
                    let field = Field { walk, at: at as u16, store };
                    let known = matches!(field.store, Store::Value { .. })
                        && walk.steps == 0
                        && !matches!(start, Start::StackWord(_));
                    if !known {
                        unknown_units |= units(at, arg.size());
                    }
                    fields.push(field);
                }
            }
            at = end;
        }
        // Without other fields the plain ones lie one after the other.
        let is_plain = fields.is_empty() && base.is_multiple_of(8);
        Ok(Program {
            known_texts: fields.iter().try_fold(Known::default(), |known, field| known.with(field.store)),
            only_plain: is_plain.then(|| plain.iter().map(|plain| plain.x).collect()),
            plain: plain.into(),
            fields: fields.into(),
            steps: steps.into(),
            texts: texts.into(),
            lengths: lengths.into(),
            entry_args: entry_args.into(),
            fixed_len: at,
            known_units: units(0, at) & !unknown_units,
            needs,
            has_texts: args.iter().any(|arg| arg.ty.is_text()),
        })
    }
}

impl Start {
    /// These registers, and those that it reads.
    fn needs(self, others: RegSet) -> RegSet {
        match self {
            Start::Reg(reg) => others.with(reg),
            Start::StackWord(_) => others.with(Reg::SP),
            Start::EntryArg(_) | Start::Value(_) => others,
        }
    }
}

/// A value from `start` on; its steps become the last ones of `steps`.
fn walk(start: Start, expr: &Expr, steps: &mut Vec<Step>) -> Result<Walk, TooBig> {
    let first_step = steps.len() as u32;
    steps.extend(expr.derefs.iter().map(|deref| Step { offset: deref.offset, user: deref.user }));
    Ok(Walk { start, first_step, steps: u8::try_from(expr.derefs.len()).map_err(|_| TooBig)? })
}

/// Where a value comes from; `entry_args` gathers what must be saved at the entry, for a probe at the end.
fn start(source: &Source, entry_args: Option<&mut Vec<u16>>) -> Start {
    match (source, entry_args) {
        (&Source::Argument(index), Some(saved)) => {
            let place = saved.iter().position(|arg| *arg == index).unwrap_or(saved.len());
            if place == saved.len() {
                saved.push(index);
            }
            Start::EntryArg(place as u16)
        }
        (source, _) => start_now(source),
    }
}

fn start_now(source: &Source) -> Start {
    match *source {
        Source::Register(reg) => Start::Reg(reg),
        Source::Argument(index) if index >= REGISTER_ARGS => Start::StackWord(index - REGISTER_ARGS),
        Source::Argument(index) => Reg::x(index as u8).map_or(Start::Value(0), Start::Reg),
        Source::StackWord(index) => Start::StackWord(index),
        Source::StackPointer => Start::Reg(Reg::SP),
        Source::ReturnValue => Reg::x(0).map_or(Start::Value(0), Start::Reg),
        Source::Immediate(value) => Start::Value(value),
        // A name has no number; an address that was never looked up is nowhere.
        Source::Comm | Source::Text(_) | Source::SymbolAddress(_) => Start::Value(0),
    }
}

fn store(arg: &Arg, texts: &mut Vec<u64>) -> Store {
    let size = arg.ty.size() as u8;
    let count = arg.count.map(|count| count as u8);
    match (arg.ty, &arg.expr.source, count) {
        (Type::String { .. }, Source::Comm, _) if arg.expr.derefs.is_empty() => Store::Comm,
        (Type::String { .. }, Source::Text(text), _) if arg.expr.derefs.is_empty() => {
            let from = texts.len() as u32;
            texts.extend(
                text.as_bytes()
                    .chunks(8)
                    .map(|piece| piece.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))),
            );
            Store::Text { from, len: text.len() as u32 }
        }
        (Type::String { user }, _, Some(count)) => Store::Strings { count, user },
        (Type::String { .. }, _, None) => Store::String,
        (Type::SymbolString, ..) => Store::Symbol,
        (_, _, count) if arg.expr.derefs.is_empty() && count.is_none() => {
            Store::Value { size, bits: arg.bits }
        }
        (_, _, count) => Store::Memory { size, count: count.unwrap_or(1), bits: arg.bits },
    }
}
