//! A value as its conversion says.

use super::eval::Value;
use super::{Conversion, Spec};
use crate::event::print::{put, to_nul};
use crate::symbolize::{NameOnly, Symbolizer, WithOffset};
use alloc::vec::Vec;

/// What a text shows that could not be read.
const FAULT: &[u8] = b"(fault)";

pub(super) fn show(spec: Spec, value: &Value<'_>, symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
    let spare = 64 - 8 * u32::from(spec.bytes.clamp(1, 8));
    let bits = value.bits() << spare >> spare;
    let mut text = Vec::new();
    match spec.conversion {
        Conversion::Signed => {
            let number = (value.bits() << spare) as i64 >> spare;
            let sign = if number < 0 {
                "-"
            } else if spec.plus {
                "+"
            } else {
                ""
            };
            return integer(spec, sign, |text| put!(text, "{}", number.unsigned_abs()), out);
        }
        Conversion::Unsigned => return integer(spec, "", |text| put!(text, "{bits}"), out),
        Conversion::Hex => {
            let sign = if spec.alternate && bits != 0 { "0x" } else { "" };
            return integer(spec, sign, |text| put!(text, "{bits:x}"), out);
        }
        Conversion::BigHex => {
            let sign = if spec.alternate && bits != 0 { "0X" } else { "" };
            return integer(spec, sign, |text| put!(text, "{bits:X}"), out);
        }
        Conversion::Octal => {
            let sign = if spec.alternate && bits != 0 { "0" } else { "" };
            return integer(spec, sign, |text| put!(text, "{bits:o}"), out);
        }
        Conversion::Char => text.push(bits as u8),
        Conversion::Text => match value {
            Value::Bytes(bytes) => {
                let whole = to_nul(bytes);
                text.extend_from_slice(whole.get(..spec.precision.unwrap_or(usize::MAX)).unwrap_or(whole));
            }
            Value::Fault => text.extend_from_slice(FAULT),
            Value::Number { bits: 0, .. } => text.extend_from_slice(b"(null)"),
            Value::Number { bits, .. } => match symbols.constant_text(*bits) {
                Some(constant) => text.extend_from_slice(&constant),
                // An address that nobody promised to be a text's.
                None => put!(&mut text, "(0x{bits:x})"),
            },
        },
        Conversion::Pointer => put!(&mut text, "{:016x}", value.bits()),
        Conversion::Symbol => put!(&mut text, "{}", WithOffset(symbols, value.bits())),
        Conversion::SymbolName => put!(&mut text, "{}", NameOnly(symbols, value.bits())),
    }
    padded(spec, &text, out);
}

/// An integer: its zeros stand between the sign and the digits.
fn integer(spec: Spec, sign: &str, digits: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut number = Vec::new();
    digits(&mut number);
    let mut text = Vec::from(sign.as_bytes());
    let least = match spec.precision {
        Some(precision) => precision,
        None if spec.zeros && !spec.left => spec.width.saturating_sub(sign.len()),
        None => 0,
    };
    text.resize(text.len() + least.saturating_sub(number.len()), b'0');
    text.extend_from_slice(&number);
    padded(spec, &text, out);
}

fn padded(spec: Spec, text: &[u8], out: &mut Vec<u8>) {
    let blanks = spec.width.saturating_sub(text.len());
    if !spec.left {
        out.resize(out.len() + blanks, b' ');
    }
    out.extend_from_slice(text);
    if spec.left {
        out.resize(out.len() + blanks, b' ');
    }
}
