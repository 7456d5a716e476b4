//! What the programs share: options, and lines of input.

use alloc::{format, sync::Arc, vec, vec::Vec};

use tracecore::errno::Errno;

use crate::ctx::Ctx;
use crate::limits::{MAX_TEXT_LINE, OUT_BUFFER};
use crate::sys::Io;

/// Options in the order in which they were given, each with its argument if it takes one.
pub(super) struct Options<'a> {
    given: Vec<(char, &'a str)>,
    /// What is no option.
    pub(super) rest: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// Sorts arguments by the letters that are known; `:` behind a letter means that it takes an argument.
    /// Options may stand behind other arguments, up to `--`. An unknown one is reported with the usage, and
    /// the exit status for that comes back as the error; so it is for `--help`, with status 0.
    pub(super) fn parse(ctx: &mut Ctx, args: &[&'a str], known: &str, wrong: i32) -> Result<Self, i32> {
        let mut options = Self { given: Vec::new(), rest: Vec::new() };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            if arg == "--" {
                options.rest.extend(args);
                break;
            }
            if arg == "--help" {
                usage(ctx, false);
                return Err(0);
            }
            let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                options.rest.push(arg);
                continue;
            };
            for (at, letter) in letters.char_indices() {
                let Some(place) = known.find(letter).filter(|_| letter != ':') else {
                    ctx.complain(format_args!("invalid option -- '{letter}'"));
                    usage(ctx, true);
                    return Err(wrong);
                };
                let after = known.get(place + letter.len_utf8()..).unwrap_or_default();
                if !after.starts_with(':') {
                    options.given.push((letter, ""));
                    continue;
                }
                let inline = letters.get(at + letter.len_utf8()..).unwrap_or_default();
                let value = if inline.is_empty() { args.next().copied() } else { Some(inline) };
                let Some(value) = value else {
                    ctx.complain(format_args!("option requires an argument -- '{letter}'"));
                    usage(ctx, true);
                    return Err(wrong);
                };
                options.given.push((letter, value));
                break;
            }
        }
        Ok(options)
    }

    /// Was the option given?
    pub(super) fn has(&self, letter: char) -> bool {
        self.given.iter().any(|(given, _)| *given == letter)
    }

    /// The last argument of an option.
    pub(super) fn value(&self, letter: char) -> Option<&'a str> {
        self.given.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| *value)
    }

    /// All arguments of an option.
    pub(super) fn values(&self, letter: char) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(given, _)| *given == letter).map(|(_, value)| *value)
    }

    /// The last one given of some options that exclude each other.
    pub(super) fn last_of(&self, letters: &str) -> Option<(char, &'a str)> {
        self.given.iter().rev().find(|(given, _)| letters.contains(*given)).copied()
    }
}

/// Prints how the program is called.
pub(super) fn usage(ctx: &mut Ctx, as_error: bool) {
    let Some(program) = ctx.programs.find(&ctx.name) else { return };
    if as_error {
        let text = format!("usage: {} {}\n", program.name, program.usage);
        ctx.eprint(&text);
    } else {
        ctx.print(&format!("usage: {} {}\n{}\n", program.name, program.usage, program.help));
    }
}

/// Reports something wrong about the arguments.
pub(super) fn bad(ctx: &mut Ctx, what: &str, arg: &str) -> i32 {
    ctx.complain(format_args!("invalid {what}: '{arg}'"));
    1
}

/// Turns `-5` into `-n5` in front of options, as `head` and `tail` take it.
pub(super) fn number_option<'a>(args: &[&'a str]) -> (Option<&'a str>, Vec<&'a str>) {
    if let Some((first, rest)) = args.split_first()
        && let Some(number) = first.strip_prefix('-')
        && number.starts_with(|c: char| c.is_ascii_digit())
    {
        return (Some(number), rest.to_vec());
    }
    (None, args.to_vec())
}

/// A stream that is read line by line.
pub(super) struct Input {
    io: Arc<dyn Io>,
    buf: Vec<u8>,
    at: usize,
    len: usize,
}

impl Input {
    pub(super) fn new(io: Arc<dyn Io>) -> Self {
        Self { io, buf: vec![0; OUT_BUFFER], at: 0, len: 0 }
    }

    /// The next bytes, whatever there are; empty at the end.
    pub(super) fn chunk(&mut self, ctx: &mut Ctx) -> Result<&[u8], Errno> {
        if self.at >= self.len {
            self.len = ctx.read(&*self.io, &mut self.buf)?.min(self.buf.len());
            self.at = 0;
        }
        let at = core::mem::replace(&mut self.at, self.len);
        Ok(self.buf.get(at..self.len).unwrap_or_default())
    }

    /// Reads a line, with its newline; false at the end.
    pub(super) fn line(&mut self, ctx: &mut Ctx, line: &mut Vec<u8>) -> Result<bool, Errno> {
        line.clear();
        loop {
            if self.at >= self.len {
                self.len = ctx.read(&*self.io, &mut self.buf)?.min(self.buf.len());
                self.at = 0;
                if self.len == 0 {
                    return Ok(!line.is_empty());
                }
            }
            let rest = self.buf.get(self.at..self.len).unwrap_or_default();
            let end = rest.iter().position(|&b| b == b'\n').map(|end| end + 1);
            let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            line.extend_from_slice(taken);
            self.at += taken.len();
            if end.is_some() {
                return Ok(true);
            }
            if line.len() > MAX_TEXT_LINE {
                return Err(Errno::EFBIG);
            }
        }
    }
}

/// A line without its newline.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Prints a line, with a newline even if it had none.
pub(super) fn put_line(ctx: &mut Ctx, line: &[u8]) {
    ctx.write(bare(line));
    ctx.write(b"\n");
}

/// Goes through files, or standard input if there are none. What fails is reported and gives status 1; a
/// program that has to stop stops.
pub(super) fn each_input(
    ctx: &mut Ctx,
    files: &[&str],
    mut body: impl FnMut(&mut Ctx, &str, &mut Input) -> Result<(), Errno>,
) -> i32 {
    let files = if files.is_empty() { &["-"] } else { files };
    let mut status = 0;
    for file in files {
        if ctx.stopped().is_some() {
            break;
        }
        let result = match ctx.open_input(file) {
            Ok(io) => body(ctx, file, &mut Input::new(io)),
            Err(e) => Err(e),
        };
        if let Err(e) = result {
            ctx.fail(file, e);
            status = 1;
        }
    }
    status
}
