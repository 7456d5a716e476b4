//! The print program at work: a record's bytes to text.
//!
//! The output is bytes, not characters: a text that a probe fetched, or that someone wrote to `trace_marker`, goes
//! out as it came in. A record that is shorter than its class says (it never should be) shows zeros.

use super::{Class, Field, LineStyle, Piece, Shown};
use crate::symbolize::{AsNamed, NameOnly, Naming, Symbolizer, WithOffset};
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Bytes that can be formatted into.
pub(crate) struct Bytes<'a>(pub(crate) &'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Formats into bytes, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let _ = core::fmt::Write::write_fmt(&mut $crate::event::print::Bytes($out), format_args!($($arg)*));
    }};
}
pub(crate) use put;

impl Class {
    /// Puts what the trace shows of `record`, from the event's name to the line end.
    pub fn print(&self, record: &[u8], symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
        self.print_naming(record, symbols, Naming::default(), out);
    }

    /// The same; what a tracer names, it names like this.
    pub fn print_naming(&self, record: &[u8], symbols: &dyn Symbolizer, naming: Naming, out: &mut Vec<u8>) {
        if self.style == LineStyle::Named {
            put!(out, "{}: ", self.name);
        }
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Printf(program) => program.print(record, symbols, out),
                Piece::Value { field, shown: Shown::SymbolName, count: None, named: false } => {
                    let field = self.fields.get(usize::from(*field));
                    let address = field.map_or(0, |field| number(record, usize::from(field.offset), 8));
                    put!(out, "{}", AsNamed(symbols, address, naming));
                }
                Piece::Arguments { function, field } => {
                    let at = |field: u16| {
                        self.fields.get(usize::from(field)).map(|field| usize::from(field.offset))
                    };
                    let function = at(*function).map_or(0, |at| number(record, at, 8));
                    let args = at(*field).map(|at| words(record, at)).unwrap_or_default();
                    if !args.is_empty() {
                        arguments(function, &args, symbols, out);
                    }
                }
                Piece::Callers { field } => {
                    let at =
                        self.fields.get(usize::from(*field)).map_or(0, |field| usize::from(field.offset));
                    for address in words(record, at) {
                        put!(out, " => {}\n", AsNamed(symbols, address, naming));
                    }
                }
                Piece::Value { field, shown, count, named } => {
                    if let Some(field) = self.fields.get(usize::from(*field)) {
                        if *named {
                            put!(out, " {}=", field.name);
                        }
                        value(record, field, *shown, *count, symbols, out);
                    }
                }
            }
        }
        if self.style == LineStyle::Named || out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
}

/// The words from here to the record's end.
fn words(record: &[u8], at: usize) -> Vec<u64> {
    record.get(at..).unwrap_or_default().as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// Puts the arguments of a call as somebody knows them who knows the function; else all registers of arguments as they were.
fn arguments(function: u64, args: &[u64], symbols: &dyn Symbolizer, out: &mut Vec<u8>) {
    out.push(b'(');
    if !symbols.arguments(function, args, out) {
        for (at, value) in args.iter().enumerate() {
            put!(out, "{}{value:#x}", if at == 0 { "" } else { ", " });
        }
    }
    out.push(b')');
}

fn value(
    record: &[u8],
    field: &Field,
    shown: Shown,
    count: Option<u16>,
    symbols: &dyn Symbolizer,
    out: &mut Vec<u8>,
) {
    let Some(count) = count else {
        return element(
            record,
            field,
            usize::from(field.offset),
            usize::from(field.size),
            shown,
            symbols,
            out,
        );
    };
    let size = usize::from(field.size).checked_div(usize::from(count)).unwrap_or(0);
    out.push(b'{');
    for index in 0..usize::from(count) {
        if index != 0 {
            out.push(b',');
        }
        element(record, field, usize::from(field.offset) + index * size, size, shown, symbols, out);
    }
    out.push(b'}');
}

fn element(
    record: &[u8],
    field: &Field,
    at: usize,
    size: usize,
    shown: Shown,
    symbols: &dyn Symbolizer,
    out: &mut Vec<u8>,
) {
    let number = || number(record, at, size);
    match shown {
        Shown::Decimal if field.signed => {
            let unused = 64 - 8 * size.clamp(1, 8) as u32;
            put!(out, "{}", ((number() << unused) as i64) >> unused);
        }
        Shown::Decimal => put!(out, "{}", number()),
        Shown::Hex => put!(out, "{:#x}", number()),
        Shown::BareHex => put!(out, "{:x}", number()),
        Shown::Char => out.extend_from_slice(&[b'\'', number() as u8, b'\'']),
        Shown::Time => {
            let time_us = number().saturating_add(500) / 1000;
            put!(out, "{:5}.{:06}", time_us / 1_000_000, time_us % 1_000_000);
        }
        Shown::Symbol => put!(out, "{}", WithOffset(symbols, number())),
        Shown::SymbolName => put!(out, "{}", NameOnly(symbols, number())),
        Shown::Text => match located(record, number() as u32) {
            Some(text) => {
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"(fault)"),
        },
        Shown::Chars => {
            let bytes = if size == 0 { record.get(at..) } else { record.get(at..at + size) };
            out.extend_from_slice(to_nul(bytes.unwrap_or_default()));
        }
        Shown::Bytes => {
            let bytes = if size == 0 { record.get(at..) } else { record.get(at..at + size) };
            for (index, byte) in bytes.unwrap_or_default().iter().enumerate() {
                put!(out, "{}{byte:02x}", if index == 0 { "" } else { " " });
            }
        }
    }
}

/// A little-endian number of up to eight bytes.
pub(crate) fn number(record: &[u8], at: usize, size: usize) -> u64 {
    let mut raw = [0; 8];
    for (to, from) in raw.iter_mut().zip(record.iter().skip(at).take(size)) {
        *to = *from;
    }
    u64::from_le_bytes(raw)
}

/// The text at a location, without its NUL; `None` for one that could not be read or does not lie inside.
fn located(record: &[u8], location: u32) -> Option<&[u8]> {
    let (length, at) = ((location >> 16) as usize, (location & 0xffff) as usize);
    if length == 0 {
        return None;
    }
    record.get(at..at + length).map(to_nul)
}

/// The text of a field that holds one, or says where it is.
pub(crate) fn text_at<'a>(record: &'a [u8], field: &Field) -> Option<&'a [u8]> {
    let at = usize::from(field.offset);
    match usize::from(field.size) {
        _ if field.is_location() => located(record, number(record, at, 4) as u32),
        0 => record.get(at..).map(to_nul),
        size => record.get(at..at + size).map(to_nul),
    }
}

pub(crate) fn to_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}
