//! `grep`.

use alloc::{
    collections::VecDeque,
    format,
    string::{String, ToString},
    vec::Vec,
};

use tracecore::errno::Errno;

use super::Program;
use super::args::{Input, Options, bad, bare, put_line, usage};
use super::regex::Regex;
use crate::ctx::Ctx;
use crate::limits::MAX_HELD_BYTES;
use crate::sys::FileKind;

/// The table.
pub(super) const PROGRAMS: &[Program] = &[Program {
    name: "grep",
    usage: "[-EFHchilnoqrsvwx] [-m N] [-A N] [-B N] [-C N] [-e] PATTERN [FILE]...",
    help: "print lines that match",
    main: grep,
}];

/// The most lines that `-B` may ask to be remembered.
const MAX_BEFORE: usize = 10_000;
/// Files that `-r` may have found and not searched yet.
const MAX_FILES: usize = 64 << 10;
/// Exit status when something went wrong, as opposed to nothing found.
const TROUBLE: i32 = 2;

/// What was asked for.
struct Grep {
    patterns: Vec<Regex>,
    invert: bool,
    count: bool,
    names_only: bool,
    only: bool,
    quiet: bool,
    numbers: bool,
    with_name: bool,
    most: u64,
    before: usize,
    after: usize,
}

/// How far the output of one file has come.
struct Progress {
    number: u64,
    matched: u64,
    /// Lines before a match, to be shown when one comes.
    held: VecDeque<(u64, Vec<u8>)>,
    held_bytes: usize,
    /// Lines still to be shown after a match.
    trailing: usize,
    last_shown: u64,
}

fn grep(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "EFHGRchilnoqrsvwxe:m:A:B:C:", TROUBLE) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let mut files = options.rest.clone();
    let mut texts: Vec<&str> = options.values('e').flat_map(|text| text.split('\n')).collect();
    if texts.is_empty() {
        if files.is_empty() {
            usage(ctx, true);
            return TROUBLE;
        }
        texts.extend(files.remove(0).split('\n'));
    }
    let (extended, fixed) = (options.has('E'), options.has('F'));
    let mut patterns = Vec::new();
    for text in texts {
        let compiled = if fixed {
            Ok(Regex::literal(text, options.has('i')))
        } else {
            Regex::new(text, extended, options.has('i'))
        };
        match compiled {
            Ok(regex) => patterns.push(regex.bounded(options.has('x'), options.has('w'))),
            Err(message) => {
                ctx.complain(format_args!("{message}"));
                return TROUBLE;
            }
        }
    }
    let number = |letters: &str| match options.last_of(letters) {
        None => Ok(None),
        Some((_, value)) => value.parse::<u64>().map(Some).map_err(|_| value),
    };
    let (most, before, after) = match (number("m"), number("BC"), number("AC")) {
        (Ok(most), Ok(before), Ok(after)) => (most, before.unwrap_or(0), after.unwrap_or(0)),
        (Err(value), ..) | (_, Err(value), _) | (.., Err(value)) => {
            bad(ctx, "number", value);
            return TROUBLE;
        }
    };
    let recursive = options.has('r') || options.has('R');
    let is_dir = |file: &&str| ctx.sys.stat(&ctx.path(file)).is_ok_and(|stat| stat.kind == FileKind::Dir);
    let many = files.len() > 1 || (recursive && files.first().is_none_or(is_dir));
    let job = Grep {
        patterns,
        invert: options.has('v'),
        count: options.has('c'),
        names_only: options.has('l'),
        only: options.has('o'),
        quiet: options.has('q'),
        numbers: options.has('n'),
        with_name: (many && !options.has('h')) || options.has('H'),
        most: most.unwrap_or(u64::MAX),
        before: usize::try_from(before).unwrap_or(MAX_BEFORE).min(MAX_BEFORE),
        after: usize::try_from(after).unwrap_or(usize::MAX),
    };
    if files.is_empty() {
        files.push(if recursive { "." } else { "-" });
    }
    let (mut found, mut trouble) = (false, false);
    // The files still to be searched, the next one last: directories are replaced by what is in them.
    let mut todo: Vec<String> = files.iter().rev().map(ToString::to_string).collect();
    while let Some(file) = todo.pop() {
        let searched = match if recursive { below(ctx, &file) } else { Ok(None) } {
            Ok(Some(entries)) => {
                if todo.len() + entries.len() > MAX_FILES {
                    Err(Errno::E2BIG)
                } else {
                    todo.extend(entries);
                    continue;
                }
            }
            Ok(None) => ctx.open_input(&file).and_then(|io| job.file(ctx, &file, &mut Input::new(io))),
            Err(e) => Err(e),
        };
        match searched {
            Ok(matched) => found |= matched,
            Err(Errno::EINTR) => break,
            Err(e) => {
                if !options.has('s') {
                    ctx.fail(&file, e);
                }
                trouble = true;
            }
        }
        if (found && job.quiet) || ctx.stopped().is_some() {
            break;
        }
    }
    match (found, trouble) {
        (true, _) if job.quiet => 0,
        (_, true) => TROUBLE,
        (found, false) => i32::from(!found),
    }
}

/// What is in a directory, in reverse order; `None` if it is none. Links are not followed, and devices, which
/// may have no end, are left out.
fn below(ctx: &Ctx, path: &str) -> Result<Option<Vec<String>>, Errno> {
    if path == "-" || ctx.sys.stat(&ctx.path(path))?.kind != FileKind::Dir {
        return Ok(None);
    }
    let mut entries = ctx.sys.read_dir(&ctx.path(path))?;
    entries.retain(|entry| matches!(entry.kind, FileKind::File | FileKind::Dir));
    entries.sort_unstable_by(|a, b| b.name.cmp(&a.name));
    let base = path.strip_suffix('/').unwrap_or(path);
    Ok(Some(entries.into_iter().map(|entry| format!("{base}/{}", entry.name)).collect()))
}

impl Grep {
    /// The leftmost match at or after `from`, the longest of those.
    fn find(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let matches = self.patterns.iter().filter_map(|regex| regex.find(line, from));
        matches.min_by_key(|&(start, end)| (start, core::cmp::Reverse(end)))
    }

    /// Searches one file; was there a match?
    fn file(&self, ctx: &mut Ctx, file: &str, input: &mut Input) -> Result<bool, Errno> {
        let name = if file == "-" { "(standard input)" } else { file };
        let mut line = Vec::new();
        let mut at = Progress {
            number: 0,
            matched: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            trailing: 0,
            last_shown: 0,
        };
        while at.matched < self.most || at.trailing > 0 {
            if !input.line(ctx, &mut line)? || ctx.stopped().is_some() {
                break;
            }
            at.number += 1;
            let text = bare(&line);
            let matched = at.matched < self.most && self.find(text, 0).is_some() != self.invert;
            if matched {
                at.matched += 1;
                if self.quiet {
                    return Ok(true);
                }
            }
            if !self.count && !self.names_only {
                self.show(ctx, name, text, matched, &mut at);
            } else if matched && self.names_only {
                break;
            }
        }
        if self.names_only {
            if at.matched > 0 {
                ctx.print(&format!("{name}\n"));
            }
        } else if self.count && !self.quiet {
            let prefix = if self.with_name { format!("{name}:") } else { String::new() };
            ctx.print(&format!("{prefix}{}\n", at.matched));
        }
        Ok(at.matched > 0)
    }

    fn prefix(&self, ctx: &mut Ctx, name: &str, number: u64, mark: char) {
        if self.with_name {
            ctx.print(&format!("{name}{mark}"));
        }
        if self.numbers {
            ctx.print(&format!("{number}{mark}"));
        }
    }

    /// Shows a line if it matches or lies near one that does.
    fn show(&self, ctx: &mut Ctx, name: &str, text: &[u8], matched: bool, at: &mut Progress) {
        if matched && self.only {
            self.show_matches(ctx, name, text, at.number);
            return;
        }
        if matched {
            let first = at.held.front().map_or(at.number, |(number, _)| *number);
            if (self.before > 0 || self.after > 0) && at.last_shown > 0 && first > at.last_shown + 1 {
                ctx.print("--\n");
            }
            at.held_bytes = 0;
            for (number, held) in core::mem::take(&mut at.held) {
                self.prefix(ctx, name, number, '-');
                put_line(ctx, &held);
            }
            at.trailing = self.after;
        } else if at.trailing > 0 && !self.only {
            at.trailing -= 1;
        } else {
            if self.before > 0 && !self.only {
                at.held.push_back((at.number, text.to_vec()));
                at.held_bytes += text.len();
                // Fewer than were asked for, when the lines are huge.
                while at.held.len() > self.before || at.held_bytes > MAX_HELD_BYTES {
                    let Some((_, oldest)) = at.held.pop_front() else { break };
                    at.held_bytes -= oldest.len();
                }
            }
            return;
        }
        self.prefix(ctx, name, at.number, if matched { ':' } else { '-' });
        put_line(ctx, text);
        at.last_shown = at.number;
    }

    /// `-o`: every match on a line of its own; empty ones are not shown.
    fn show_matches(&self, ctx: &mut Ctx, name: &str, text: &[u8], number: u64) {
        if self.invert {
            return;
        }
        let mut from = 0;
        while let Some((start, end)) = self.find(text, from) {
            if end > start {
                self.prefix(ctx, name, number, ':');
                put_line(ctx, text.get(start..end).unwrap_or_default());
            }
            from = if end > start { end } else { end + 1 };
            if from > text.len() {
                return;
            }
        }
    }
}
