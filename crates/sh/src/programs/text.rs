//! Programs that print.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use super::Program;
use crate::ctx::Ctx;

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "echo", usage: "[-neE] [ARG]...", help: "print arguments", main: echo },
    Program { name: "false", usage: "", help: "fail", main: |_, _| 1 },
    Program { name: "true", usage: "", help: "succeed", main: |_, _| 0 },
    Program { name: "yes", usage: "[TEXT]...", help: "print a line for ever", main: yes },
];

fn echo(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let mut args = args;
    let (mut newline, mut escapes) = (true, false);
    while let Some((first, rest)) = args.split_first() {
        match first.strip_prefix('-') {
            Some(letters) if !letters.is_empty() && letters.chars().all(|c| "neE".contains(c)) => {
                for letter in letters.chars() {
                    match letter {
                        'n' => newline = false,
                        letter => escapes = letter == 'e',
                    }
                }
                args = rest;
            }
            _ => break,
        }
    }
    let mut text = args.join(" ").into_bytes();
    if escapes {
        let mut out = Vec::new();
        if !unescape(&text, &mut out) {
            newline = false;
        }
        text = out;
    }
    if newline {
        text.push(b'\n');
    }
    ctx.write(&text);
    0
}

/// Undoes `\n`, `\t`, `\0NNN`, `\xHH` and their like; false when `\c` said to stop.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = text;
    while let Some((&b, after)) = rest.split_first() {
        rest = after;
        let escaped = if b == b'\\' { rest.split_first() } else { None };
        let Some((&letter, after)) = escaped else {
            out.push(b);
            continue;
        };
        rest = after;
        match letter {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'c' => return false,
            b'e' => out.push(27),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' => out.push(b'\\'),
            b'x' => rest = digits(rest, 16, 2, out, b"\\x"),
            b'0' => rest = digits(rest, 8, 3, out, b"\0"),
            b'1'..=b'7' => {
                let all = text.get(text.len() - rest.len() - 1..).unwrap_or_default();
                rest = digits(all, 8, 3, out, b"");
            }
            other => out.extend_from_slice(&[b'\\', other]),
        }
    }
    true
}

/// Takes up to `most` digits for one byte; without any, puts `otherwise`.
fn digits<'a>(text: &'a [u8], radix: u32, most: usize, out: &mut Vec<u8>, otherwise: &[u8]) -> &'a [u8] {
    let len = text.iter().take(most).take_while(|&&b| char::from(b).is_digit(radix)).count();
    let (number, rest) = text.split_at(len);
    let value = number.iter().fold(0u32, |sum, &b| sum * radix + char::from(b).to_digit(radix).unwrap_or(0));
    match len {
        0 => out.extend_from_slice(otherwise),
        _ => out.push(u8::try_from(value & 0xff).unwrap_or(0)),
    }
    rest
}

fn yes(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let line = if args.is_empty() { "y".to_owned() } else { args.join(" ") };
    let line: String = line + "\n";
    while ctx.stopped().is_none() {
        ctx.print(&line);
    }
    0
}
