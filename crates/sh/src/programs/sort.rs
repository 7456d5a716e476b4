//! `sort`.

use alloc::vec::Vec;
use core::cmp::Ordering;

use tracecore::errno::Errno;

use super::Program;
use super::args::{Options, bad, bare, each_input, put_line};
use crate::ctx::Ctx;
use crate::limits::MAX_HELD_BYTES;

/// The table.
pub(super) const PROGRAMS: &[Program] = &[Program {
    name: "sort",
    usage: "[-bfnrsu] [-k N[,M][bfnr]]... [-t C] [FILE]...",
    help: "sort lines",
    main: sort,
}];

/// Lines one behind the other, so that a short one costs little: where it starts, and its length.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    lines: Vec<(u32, u32)>,
}

impl Text {
    fn push(&mut self, line: &[u8]) -> Result<(), Errno> {
        let start = self.bytes.len();
        if start + line.len() + size_of_val(self.lines.as_slice()) > MAX_HELD_BYTES {
            return Err(Errno::EFBIG);
        }
        self.bytes.try_reserve(line.len()).map_err(|_| Errno::ENOMEM)?;
        self.lines.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(line);
        let number = |n: usize| u32::try_from(n).map_err(|_| Errno::EFBIG);
        self.lines.push((number(start)?, number(line.len())?));
        Ok(())
    }

    fn line(&self, (start, len): (u32, u32)) -> &[u8] {
        let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let start = number(start);
        self.bytes.get(start..start.saturating_add(number(len))).unwrap_or_default()
    }
}

/// How keys are compared.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct How {
    numeric: bool,
    reverse: bool,
    fold: bool,
    blanks: bool,
}

impl How {
    fn set(&mut self, letter: char) -> bool {
        match letter {
            'n' => self.numeric = true,
            'r' => self.reverse = true,
            'f' => self.fold = true,
            'b' => self.blanks = true,
            _ => return false,
        }
        true
    }
}

/// `-k`: from a field (and character) to the end of a field (or to a character in it).
struct Key {
    first: usize,
    first_char: usize,
    last: Option<usize>,
    last_char: usize,
    how: How,
}

/// `N[.C][letters]`
fn position<'a>(text: &'a str, how: &mut How) -> Option<(usize, usize, &'a str)> {
    let letters = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text.get(..text.len() - letters.len())?;
    if !letters.chars().all(|letter| how.set(letter)) {
        return None;
    }
    let (field, char) = number.split_once('.').unwrap_or((number, "0"));
    Some((field.parse().ok().filter(|n| *n > 0)?, char.parse().ok()?, letters))
}

fn key(text: &str) -> Option<Key> {
    let mut how = How::default();
    let (from, to) = match text.split_once(',') {
        Some((from, to)) => (from, Some(to)),
        None => (text, None),
    };
    let (first, first_char, _) = position(from, &mut how)?;
    let (last, last_char) = match to {
        Some(to) => position(to, &mut how).map(|(last, char, _)| (Some(last), char))?,
        None => (None, 0),
    };
    Some(Key { first, first_char, last, last_char, how })
}

/// Where each field of a line starts and ends. Without a separator a field begins with the blanks before it.
fn fields(line: &[u8], separator: Option<u8>) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut in_text = false;
    for (at, b) in line.iter().enumerate() {
        match separator {
            Some(separator) if *b == separator => {
                all.push((start, at));
                start = at + 1;
            }
            Some(_) => {}
            None => {
                let blank = matches!(b, b' ' | b'\t');
                if blank && in_text {
                    all.push((start, at));
                    start = at;
                }
                in_text = !blank;
            }
        }
    }
    all.push((start, line.len()));
    all
}

/// The part of a line that a key means.
fn key_text<'a>(line: &'a [u8], key: &Key, separator: Option<u8>) -> &'a [u8] {
    let fields = fields(line, separator);
    let Some(&(start, _)) = fields.get(key.first - 1) else { return &[] };
    let skipped = |at: usize| {
        let rest = line.get(at..).unwrap_or_default();
        at + if key.how.blanks { rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count() } else { 0 }
    };
    let start = skipped(start) + key.first_char.saturating_sub(1);
    let end = match key.last.map(|last| fields.get(last - 1)) {
        None | Some(None) => line.len(),
        Some(Some((_, end))) if key.last_char == 0 => *end,
        // Characters are counted on past the end of the field, as for the start.
        Some(Some((from, _))) => (skipped(*from) + key.last_char).min(line.len()),
    };
    line.get(start.min(line.len())..end.max(start).min(line.len())).unwrap_or_default()
}

/// The number at the start of a text, split so that it can be compared without loss: sign, the digits before
/// the point without zeros in front, those behind it without zeros at the end.
fn number(text: &[u8]) -> (bool, &[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let zeros = text.iter().take_while(|&&b| b == b'0').count();
    let text = text.get(zeros..).unwrap_or_default();
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (whole, rest) = text.split_at(len);
    let fraction = rest.strip_prefix(b".").unwrap_or_default();
    let len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut fraction = fraction.get(..len).unwrap_or_default();
    while let Some(shorter) = fraction.strip_suffix(b"0") {
        fraction = shorter;
    }
    (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction)
}

fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (number(a), number(b));
    let size = a.1.len().cmp(&b.1.len()).then_with(|| a.1.cmp(b.1)).then_with(|| a.2.cmp(b.2));
    match (a.0, b.0) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

fn compare(a: &[u8], b: &[u8], how: How) -> Ordering {
    let order = if how.numeric {
        by_number(a, b)
    } else if how.fold {
        let fold = |text: &[u8]| text.to_ascii_uppercase();
        fold(a).cmp(&fold(b))
    } else {
        let text = |text: &'_ [u8]| if how.blanks { text.len() - text.trim_ascii_start().len() } else { 0 };
        a.get(text(a)..).cmp(&b.get(text(b)..))
    };
    if how.reverse { order.reverse() } else { order }
}

fn sort(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "bfnrsuk:t:", 2) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let mut how = How::default();
    for letter in "bfnr".chars().filter(|letter| options.has(*letter)) {
        how.set(letter);
    }
    let mut keys = Vec::new();
    for text in options.values('k') {
        let Some(mut key) = key(text) else {
            bad(ctx, "key", text);
            return 2;
        };
        if key.how == How::default() {
            key.how = how;
        }
        keys.push(key);
    }
    let separator = match options.value('t').map(str::as_bytes) {
        None => None,
        Some([b]) => Some(*b),
        Some(_) => {
            ctx.complain(format_args!("the separator must be a single character"));
            return 2;
        }
    };
    let mut text = Text::default();
    let status = each_input(ctx, &options.rest, |ctx, _, input| {
        let mut line = Vec::new();
        while input.line(ctx, &mut line)? {
            text.push(bare(&line))?;
        }
        Ok(())
    });
    // Half of the lines, sorted, would be taken for all of them.
    if status != 0 || ctx.stopped().is_some() {
        return 2;
    }
    let by_keys = |a: &[u8], b: &[u8]| {
        if keys.is_empty() {
            return compare(a, b, how);
        }
        let one = |key: &Key| compare(key_text(a, key, separator), key_text(b, key, separator), key.how);
        keys.iter().map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let (unique, stable) = (options.has('u'), options.has('s'));
    // The place of a line is the last key, so equal ones keep their order; the stable sort of `core` would
    // do the same with 4 KiB of scratch space on the stack.
    let mut lines = core::mem::take(&mut text.lines);
    lines.sort_unstable_by(|&a, &b| {
        let mut result = by_keys(text.line(a), text.line(b));
        if !stable && !unique {
            let whole = text.line(a).cmp(text.line(b));
            result = result.then(if how.reverse { whole.reverse() } else { whole });
        }
        result.then(a.cmp(&b))
    });
    if unique {
        lines.dedup_by(|b, a| by_keys(text.line(*a), text.line(*b)).is_eq());
    }
    for place in lines {
        if ctx.stopped().is_some() {
            break;
        }
        put_line(ctx, text.line(place));
    }
    0
}
