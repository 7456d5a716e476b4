//! Expressions to values, over the bytes of a record. A record that is too short has zeros behind its end.

use super::{Expr, Op, Place};
use crate::event::print::{number, put};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'r> {
    /// A number, widened to 64 bits.
    Number { bits: u64, signed: bool },
    /// A text, or the bytes of an array.
    Bytes(Cow<'r, [u8]>),
    /// A text that could not be read.
    Fault,
}

impl Value<'_> {
    pub(super) fn bits(&self) -> u64 {
        match self {
            Self::Number { bits, .. } => *bits,
            Self::Bytes(_) => 1,
            Self::Fault => 0,
        }
    }
}

fn truth(bool: bool) -> Value<'static> {
    Value::Number { bits: u64::from(bool), signed: true }
}

fn widened(bits: u64, bytes: usize, signed: bool) -> u64 {
    let spare = 64 - 8 * bytes.clamp(1, 8) as u32;
    if signed { ((bits << spare) as i64 >> spare) as u64 } else { bits << spare >> spare }
}

fn load(record: &[u8], at: usize, bytes: usize, signed: bool) -> Value<'static> {
    Value::Number { bits: widened(number(record, at, bytes), bytes, signed), signed }
}

/// The bytes at a location; none if it lies outside, or nothing could be read.
fn located<'r>(record: &'r [u8], place: &Place) -> Option<&'r [u8]> {
    let location = number(record, usize::from(place.offset), usize::from(place.size)) as usize;
    let (len, at) = (location >> 16 & 0xffff, location & 0xffff);
    if len == 0 { None } else { record.get(at..at + len) }
}

pub(super) fn eval<'r>(expr: &'r Expr, record: &'r [u8]) -> Value<'r> {
    let eval = |expr: &'r Expr| eval(expr, record);
    match expr {
        Expr::Number(bits) => Value::Number { bits: *bits, signed: i64::try_from(*bits).is_ok() },
        Expr::Text(text) => Value::Bytes(Cow::Borrowed(text)),
        Expr::Field(Place { offset, size, element: Some(_), .. }) => {
            let (at, size) = (usize::from(*offset), usize::from(*size));
            let end = if size == 0 { record.len() } else { (at + size).min(record.len()) };
            Value::Bytes(Cow::Borrowed(record.get(at..end).unwrap_or_default()))
        }
        Expr::Field(Place { offset, size, signed, .. }) => {
            load(record, usize::from(*offset), usize::from(*size), *signed)
        }
        Expr::Element(place, index) => {
            let size = usize::from(place.element.unwrap_or(1));
            let index = eval(index).bits() as usize;
            load(
                record,
                usize::from(place.offset).saturating_add(index.saturating_mul(size)),
                size,
                place.signed,
            )
        }
        Expr::Not(of) => truth(eval(of).bits() == 0),
        Expr::Invert(of) => match eval(of) {
            Value::Number { bits, signed } => Value::Number { bits: !bits, signed },
            other => other,
        },
        Expr::Negate(of) => Value::Number { bits: eval(of).bits().wrapping_neg(), signed: true },
        Expr::Cast { bytes, signed, of } => match eval(of) {
            Value::Number { bits, .. } => {
                Value::Number { bits: widened(bits, usize::from(*bytes), *signed), signed: *signed }
            }
            other => other,
        },
        Expr::Binary(op, left, right) => binary(*op, &eval(left), || eval(right)),
        Expr::Choice(of, yes, no) => eval(if eval(of).bits() != 0 { yes } else { no }),
        Expr::Flags { value, between, names } => flags(eval(value).bits(), between, names),
        Expr::Symbolic { value, names } => {
            let value = eval(value).bits();
            Value::Bytes(match names.iter().find(|(number, _)| *number == value) {
                Some((_, name)) => Cow::Borrowed(name.as_slice()),
                None => Cow::Owned(alloc::format!("{value:#x}").into_bytes()),
            })
        }
        Expr::Hex { bytes, len, between } => match eval(bytes) {
            Value::Bytes(bytes) => {
                let mut text = Vec::new();
                for (index, byte) in bytes.iter().take(eval(len).bits() as usize).enumerate() {
                    put!(&mut text, "{}{byte:02x}", if index == 0 { "" } else { between });
                }
                Value::Bytes(Cow::Owned(text))
            }
            other => other,
        },
        Expr::Array { elements, count, size } => match eval(elements) {
            Value::Bytes(bytes) => {
                let (count, size) = (eval(count).bits() as usize, (eval(size).bits() as usize).clamp(1, 8));
                let mut text = Vec::from(b"{");
                for (index, element) in bytes.chunks_exact(size).take(count).enumerate() {
                    put!(&mut text, "{}{:#x}", if index == 0 { "" } else { "," }, number(element, 0, size));
                }
                text.push(b'}');
                Value::Bytes(Cow::Owned(text))
            }
            other => other,
        },
        Expr::Located(place) => {
            located(record, place).map_or(Value::Fault, |b| Value::Bytes(Cow::Borrowed(b)))
        }
        Expr::LocatedLen(place) => {
            Value::Number { bits: located(record, place).map_or(0, <[u8]>::len) as u64, signed: true }
        }
        Expr::Bitmask(place) => {
            let words = located(record, place).unwrap_or_default().chunks(4);
            let mut text = Vec::new();
            for (index, word) in words.rev().enumerate() {
                put!(&mut text, "{}{:08x}", if index == 0 { "" } else { "," }, number(word, 0, 4));
            }
            Value::Bytes(Cow::Owned(text))
        }
    }
}

fn flags<'r>(mut value: u64, between: &[u8], names: &'r super::Names) -> Value<'r> {
    let mut text = Vec::new();
    let mut put_one = |part: &[u8]| {
        if !text.is_empty() {
            text.extend_from_slice(between);
        }
        text.extend_from_slice(part);
    };
    for (mask, name) in names {
        if value == 0 {
            break;
        }
        if value & mask == *mask {
            value &= !mask;
            put_one(name);
        }
    }
    if value != 0 {
        put_one(alloc::format!("{value:#x}").as_bytes());
    }
    Value::Bytes(Cow::Owned(text))
}

fn binary<'r>(op: Op, left: &Value<'r>, right: impl FnOnce() -> Value<'r>) -> Value<'r> {
    match op {
        Op::And if left.bits() == 0 => return truth(false),
        Op::Or if left.bits() != 0 => return truth(true),
        _ => {}
    }
    let right = right();
    let is_signed = |value: &Value<'_>| matches!(value, Value::Number { signed: true, .. });
    let signed = is_signed(left) && is_signed(&right);
    let (a, b) = (left.bits(), right.bits());
    let order = if signed { (a as i64).cmp(&(b as i64)) } else { a.cmp(&b) };
    let number = |bits| Value::Number { bits, signed };
    match op {
        Op::And | Op::Or => truth(b != 0),
        Op::BitOr => number(a | b),
        Op::BitXor => number(a ^ b),
        Op::BitAnd => number(a & b),
        Op::Equal => truth(a == b),
        Op::NotEqual => truth(a != b),
        Op::Less => truth(order.is_lt()),
        Op::LessOrEqual => truth(order.is_le()),
        Op::Greater => truth(order.is_gt()),
        Op::GreaterOrEqual => truth(order.is_ge()),
        // The sign of a shift is that of what is shifted.
        Op::Left => Value::Number { bits: a.wrapping_shl(b as u32), signed: is_signed(left) },
        Op::Right if is_signed(left) => {
            Value::Number { bits: (a as i64).wrapping_shr(b as u32) as u64, signed: true }
        }
        Op::Right => Value::Number { bits: a.wrapping_shr(b as u32), signed: false },
        Op::Plus => number(a.wrapping_add(b)),
        Op::Minus => number(a.wrapping_sub(b)),
        Op::Times => number(a.wrapping_mul(b)),
        Op::Divide if signed => number((a as i64).checked_div(b as i64).unwrap_or(0) as u64),
        Op::Divide => number(a.checked_div(b).unwrap_or(0)),
        Op::Modulo if signed => number((a as i64).checked_rem(b as i64).unwrap_or(0) as u64),
        Op::Modulo => number(a.checked_rem(b).unwrap_or(0)),
    }
}
