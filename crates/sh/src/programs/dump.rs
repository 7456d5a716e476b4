//! `hexdump`.

use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

use tracecore::errno::Errno;

use super::Program;
use super::args::{Input, Options, bad, each_input};
use crate::arith;
use crate::ctx::Ctx;

/// The table.
pub(super) const PROGRAMS: &[Program] = &[Program {
    name: "hexdump",
    usage: "[-Cv] [-n BYTES] [-s SKIP] [FILE]...",
    help: "print bytes as numbers",
    main: hexdump,
}];

/// Bytes in a row.
const ROW: usize = 16;

struct Dump {
    /// Bytes and characters instead of 16-bit words.
    canonical: bool,
    /// Show rows even if they are equal to the one before.
    all: bool,
    skip: u64,
    left: u64,
    at: u64,
    row: Vec<u8>,
    previous: Vec<u8>,
    starred: bool,
}

fn hexdump(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "Cvn:s:", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let number = |letter: char, otherwise: u64| match options.value(letter) {
        None => Ok(otherwise),
        Some(text) => arith::number(text).map(i64::cast_unsigned).ok_or(text),
    };
    let (left, skip) = match (number('n', u64::MAX), number('s', 0)) {
        (Ok(left), Ok(skip)) => (left, skip),
        (Err(text), _) | (_, Err(text)) => return bad(ctx, "number", text),
    };
    let mut dump = Dump {
        canonical: options.has('C'),
        all: options.has('v'),
        skip,
        left,
        at: skip,
        row: Vec::new(),
        previous: Vec::new(),
        starred: false,
    };
    // All files are one long text.
    let status = each_input(ctx, &options.rest, |ctx, _, input| dump.file(ctx, input));
    dump.show_row(ctx);
    if dump.at > skip {
        ctx.print(&dump.offset(dump.at));
        ctx.print("\n");
    }
    status
}

impl Dump {
    fn file(&mut self, ctx: &mut Ctx, input: &mut Input) -> Result<(), Errno> {
        while self.left > 0 && ctx.stopped().is_none() {
            let chunk = input.chunk(ctx)?.to_vec();
            if chunk.is_empty() {
                break;
            }
            let skipped = chunk.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= u64::try_from(skipped).unwrap_or(self.skip);
            for b in chunk.into_iter().skip(skipped) {
                if self.left == 0 {
                    break;
                }
                self.left -= 1;
                self.row.push(b);
                if self.row.len() == ROW {
                    self.show_row(ctx);
                }
            }
        }
        Ok(())
    }

    fn offset(&self, at: u64) -> String {
        if self.canonical { format!("{at:08x}") } else { format!("{at:07x}") }
    }

    fn show_row(&mut self, ctx: &mut Ctx) {
        let row = core::mem::take(&mut self.row);
        if row.is_empty() {
            return;
        }
        let at = self.at;
        self.at += u64::try_from(row.len()).unwrap_or(0);
        if row == self.previous && !self.all {
            if !core::mem::replace(&mut self.starred, true) {
                ctx.print("*\n");
            }
            return;
        }
        self.starred = false;
        let mut line = self.offset(at);
        if self.canonical {
            for place in 0..ROW {
                let gap = if place % 8 == 0 { "  " } else { " " };
                let text = row.get(place).map_or("  ".into(), |b| format!("{b:02x}"));
                line.push_str(gap);
                line.push_str(&text);
            }
            let shown: String = row
                .iter()
                .map(|&b| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '.' })
                .collect();
            // Writing to a String does not fail.
            let _ = write!(line, "  |{shown}|");
        } else {
            for pair in row.chunks(2) {
                let word = pair.iter().rev().fold(0u16, |word, b| word << 8 | u16::from(*b));
                let _ = write!(line, " {word:04x}");
            }
            // A row that is cut off is filled up.
            line.push_str(&" ".repeat(5 * (ROW / 2 - row.len().div_ceil(2))));
        }
        line.push('\n');
        ctx.print(&line);
        self.previous = row;
    }
}
