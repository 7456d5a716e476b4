//! Programs that take text line by line.

use alloc::{
    collections::VecDeque,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use tracecore::errno::Errno;

use super::Program;
use super::args::{Input, Options, bad, bare, each_input, number_option, put_line, usage};
use crate::ctx::Ctx;
use crate::limits::MAX_HELD_BYTES;

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "cut",
        usage: "-f LIST [-d C] [-s] | -c LIST [FILE]...",
        help: "print parts of lines",
        main: cut,
    },
    Program {
        name: "head",
        usage: "[-n N] [-c N] [-q] [FILE]...",
        help: "print the first lines",
        main: head,
    },
    Program {
        name: "tail",
        usage: "[-n [+]N] [-c [+]N] [-q] [FILE]...",
        help: "print the last lines",
        main: tail,
    },
    Program { name: "tr", usage: "[-cds] SET1 [SET2]", help: "replace or delete characters", main: tr },
    Program { name: "uniq", usage: "[-cdu] [FILE]", help: "print equal neighbours once", main: uniq },
    Program { name: "wc", usage: "[-lwc] [FILE]...", help: "count lines, words and bytes", main: wc },
];

// --- head, tail ------------------------------------------------------------------------------------

/// The options that `head` and `tail` have in common: (in bytes?, from the start?, how many), files, headers.
struct Ends<'a> {
    bytes: bool,
    plus: bool,
    count: u64,
    files: Vec<&'a str>,
    quiet: bool,
}

fn ends<'a>(ctx: &mut Ctx, args: &[&'a str]) -> Result<Ends<'a>, i32> {
    let (short, args) = number_option(args);
    let options = Options::parse(ctx, &args, "n:c:qv", 1)?;
    let (bytes, text) = match (options.last_of("nc"), short) {
        (Some((letter, text)), _) => (letter == 'c', text),
        (None, Some(text)) => (false, text),
        (None, None) => (false, "10"),
    };
    let (plus, digits) = match text.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('-').filter(|_| ctx.name == "tail").unwrap_or(text)),
    };
    let Ok(count) = digits.parse() else {
        return Err(bad(ctx, "number", text));
    };
    let quiet = options.has('q') || options.rest.len() < 2;
    Ok(Ends { bytes, plus, count, files: options.rest, quiet })
}

/// `==> file <==` in front of each of several.
fn header(ctx: &mut Ctx, ends: &Ends<'_>, file: &str, first: &mut bool) {
    if !ends.quiet {
        let gap = if core::mem::take(first) { "" } else { "\n" };
        let name = if file == "-" { "standard input" } else { file };
        ctx.print(&format!("{gap}==> {name} <==\n"));
    }
}

fn head(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let ends = match ends(ctx, args) {
        Ok(ends) => ends,
        Err(status) => return status,
    };
    let mut first = true;
    each_input(ctx, &ends.files, |ctx, file, input| {
        header(ctx, &ends, file, &mut first);
        let mut left = ends.count;
        let mut line = Vec::new();
        while left > 0 && ctx.stopped().is_none() {
            if ends.bytes {
                let chunk = input.chunk(ctx)?.to_vec();
                if chunk.is_empty() {
                    break;
                }
                let n = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                ctx.write(chunk.get(..n).unwrap_or_default());
                left = left.saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
            } else {
                if !input.line(ctx, &mut line)? {
                    break;
                }
                ctx.write(&line);
                left -= 1;
            }
        }
        Ok(())
    })
}

fn tail(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let ends = match ends(ctx, args) {
        Ok(ends) => ends,
        Err(status) => return status,
    };
    let mut first = true;
    each_input(ctx, &ends.files, |ctx, file, input| {
        header(ctx, &ends, file, &mut first);
        match (ends.plus, ends.bytes) {
            (true, true) => from_byte(ctx, input, ends.count),
            (true, false) => from_line(ctx, input, ends.count),
            (false, bytes) => last(ctx, input, ends.count, bytes),
        }
    })
}

/// `tail -n +N`
fn from_line(ctx: &mut Ctx, input: &mut Input, from: u64) -> Result<(), Errno> {
    let mut line = Vec::new();
    let mut number = 1;
    while ctx.stopped().is_none() && input.line(ctx, &mut line)? {
        if number >= from {
            ctx.write(&line);
        }
        number += 1;
    }
    Ok(())
}

/// `tail -c +N`
fn from_byte(ctx: &mut Ctx, input: &mut Input, from: u64) -> Result<(), Errno> {
    let mut skip = from.saturating_sub(1);
    loop {
        let chunk = input.chunk(ctx)?.to_vec();
        if chunk.is_empty() || ctx.stopped().is_some() {
            return Ok(());
        }
        let n = chunk.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
        ctx.write(chunk.get(n..).unwrap_or_default());
        skip -= u64::try_from(n).unwrap_or(skip);
    }
}

/// What a line costs that is kept by itself, beyond its bytes.
const PIECE_COST: usize = 48;

/// Keeps the last lines or bytes until the end.
fn last(ctx: &mut Ctx, input: &mut Input, count: u64, bytes: bool) -> Result<(), Errno> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
    let mut size = 0;
    let mut piece = Vec::new();
    loop {
        if bytes {
            piece = input.chunk(ctx)?.to_vec();
            if piece.is_empty() {
                break;
            }
        } else if !input.line(ctx, &mut piece)? {
            break;
        }
        size += piece.len();
        piece.shrink_to_fit();
        kept.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        kept.push_back(core::mem::take(&mut piece));
        // A piece can go when the others are enough.
        while let Some(oldest) = kept.front().map(Vec::len) {
            let enough = if bytes { size - oldest >= count } else { kept.len() > count };
            if !enough {
                break;
            }
            size -= oldest;
            kept.pop_front();
        }
        if size + kept.len() * PIECE_COST > MAX_HELD_BYTES {
            return Err(Errno::EFBIG);
        }
    }
    let mut skip = if bytes { size.saturating_sub(count) } else { 0 };
    for piece in kept {
        let n = skip.min(piece.len());
        skip -= n;
        ctx.write(piece.get(n..).unwrap_or_default());
    }
    Ok(())
}

// --- wc --------------------------------------------------------------------------------------------

/// How wide the numbers of `wc` are at least when the length of the input is not known beforehand.
const WC_WIDTH: usize = 7;

fn wc(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "lwcm", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let wanted: Vec<bool> = match ['l', 'w', 'c'].map(|letter| options.has(letter)) {
        [false, false, false] => vec![true; 3],
        some => some.to_vec(),
    };
    let mut rows: Vec<([u64; 3], String)> = Vec::new();
    let status = each_input(ctx, &options.rest, |ctx, file, input| {
        let mut counts = [0u64; 3];
        let mut in_word = false;
        let result = loop {
            let chunk = match input.chunk(ctx) {
                Ok([]) => break Ok(()),
                Ok(chunk) => chunk,
                Err(e) => break Err(e),
            };
            let [lines, words, bytes] = &mut counts;
            *bytes += u64::try_from(chunk.len()).unwrap_or(0);
            for b in chunk {
                *lines += u64::from(*b == b'\n');
                let blank = b.is_ascii_whitespace() || *b == 0x0b;
                *words += u64::from(!blank && !in_word);
                in_word = !blank;
            }
        };
        rows.push((counts, file.to_string()));
        result
    });
    let totals = rows.iter().fold([0u64; 3], |mut sum, (counts, _)| {
        for (to, n) in sum.iter_mut().zip(counts) {
            *to += n;
        }
        sum
    });
    let single = wanted.iter().filter(|w| **w).count() == 1 && rows.len() < 2;
    let from_input = options.rest.is_empty() || options.rest.contains(&"-");
    let [_, _, bytes] = totals;
    let width = match (single, from_input) {
        (true, _) => 1,
        (false, true) => WC_WIDTH.max(bytes.to_string().len()),
        (false, false) => bytes.to_string().len(),
    };
    if rows.len() > 1 {
        rows.push((totals, "total".to_string()));
    }
    for (counts, name) in rows {
        let numbers: Vec<String> = counts
            .iter()
            .zip(&wanted)
            .filter(|(_, wanted)| **wanted)
            .map(|(n, _)| format!("{n:width$}"))
            .collect();
        let name = if options.rest.is_empty() { String::new() } else { format!(" {name}") };
        ctx.print(&format!("{}{name}\n", numbers.join(" ")));
    }
    status
}

// --- uniq, cut -------------------------------------------------------------------------------------

fn uniq(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "cdui", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    if options.rest.len() > 1 {
        usage(ctx, true);
        return 1;
    }
    let same = |a: &[u8], b: &[u8]| if options.has('i') { a.eq_ignore_ascii_case(b) } else { a == b };
    let show = |ctx: &mut Ctx, line: &[u8], count: u64| {
        if (options.has('d') && count < 2) || (options.has('u') && count > 1) {
            return;
        }
        if options.has('c') {
            ctx.print(&format!("{count:7} "));
        }
        put_line(ctx, line);
    };
    each_input(ctx, &options.rest, |ctx, _, input| {
        let (mut previous, mut line) = (Vec::new(), Vec::new());
        let mut count = 0u64;
        while ctx.stopped().is_none() && input.line(ctx, &mut line)? {
            if count > 0 && same(bare(&line), bare(&previous)) {
                count += 1;
                continue;
            }
            if count > 0 {
                show(ctx, &previous, count);
            }
            core::mem::swap(&mut previous, &mut line);
            count = 1;
        }
        if count > 0 {
            show(ctx, &previous, count);
        }
        Ok(())
    })
}

/// `1,3-5,7-`: first and last, counted from 1.
fn ranges(text: &str) -> Option<Vec<(usize, usize)>> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 0);
    let one = |part: &str| match part.split_once('-') {
        None => number(part).map(|n| (n, n)),
        Some(("", "")) => None,
        Some(("", last)) => number(last).map(|last| (1, last)),
        Some((first, "")) => number(first).map(|first| (first, usize::MAX)),
        Some((first, last)) => Some((number(first)?, number(last)?)).filter(|(a, b)| a <= b),
    };
    text.split(',').map(one).collect()
}

fn cut(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "f:c:b:d:s", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let Some((letter, list)) = options.last_of("fcb") else {
        usage(ctx, true);
        return 1;
    };
    let Some(ranges) = ranges(list) else { return bad(ctx, "list", list) };
    let delimiter = options.value('d').unwrap_or("\t").as_bytes();
    let [delimiter] = delimiter else {
        ctx.complain(format_args!("the delimiter must be a single character"));
        return 1;
    };
    let wanted = |n: usize| ranges.iter().any(|(first, last)| (*first..=*last).contains(&n));
    each_input(ctx, &options.rest, |ctx, _, input| {
        let mut line = Vec::new();
        while ctx.stopped().is_none() && input.line(ctx, &mut line)? {
            let text = bare(&line);
            if letter != 'f' {
                let kept: Vec<u8> =
                    text.iter().enumerate().filter(|(at, _)| wanted(at + 1)).map(|(_, b)| *b).collect();
                put_line(ctx, &kept);
            } else if !text.contains(delimiter) {
                if !options.has('s') {
                    put_line(ctx, text);
                }
            } else {
                let fields = text.split(|b| b == delimiter).enumerate();
                let kept: Vec<&[u8]> = fields.filter(|(at, _)| wanted(at + 1)).map(|(_, f)| f).collect();
                put_line(ctx, &kept.join(delimiter));
            }
        }
        Ok(())
    })
}

// --- tr --------------------------------------------------------------------------------------------

/// The bytes of a set: ranges, classes, escapes.
fn byte_set(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((name, after)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
            bytes.extend(class_bytes(name)?);
            rest = after;
            continue;
        }
        let (low, after) = set_byte(rest)?;
        rest = after;
        match after.strip_prefix('-').filter(|after| !after.is_empty()) {
            Some(range) => {
                let (high, after) = set_byte(range)?;
                if high < low {
                    return None;
                }
                bytes.extend(low..=high);
                rest = after;
            }
            None => bytes.push(low),
        }
    }
    Some(bytes)
}

/// The bytes of a class; upper and lower case in the same order, so that one maps to the other.
fn class_bytes(name: &str) -> Option<Vec<u8>> {
    let all = 0..=u8::MAX;
    Some(match name {
        "alpha" => all.filter(u8::is_ascii_alphabetic).collect(),
        "digit" => all.filter(u8::is_ascii_digit).collect(),
        "alnum" => all.filter(u8::is_ascii_alphanumeric).collect(),
        "upper" => all.filter(u8::is_ascii_uppercase).collect(),
        "lower" => all.filter(u8::is_ascii_lowercase).collect(),
        "space" => all.filter(|b| b.is_ascii_whitespace() || *b == 0x0b).collect(),
        "blank" => vec![b'\t', b' '],
        "punct" => all.filter(u8::is_ascii_punctuation).collect(),
        "print" => all.filter(|b| b.is_ascii_graphic() || *b == b' ').collect(),
        "graph" => all.filter(u8::is_ascii_graphic).collect(),
        "cntrl" => all.filter(u8::is_ascii_control).collect(),
        "xdigit" => all.filter(u8::is_ascii_hexdigit).collect(),
        _ => return None,
    })
}

/// One byte of a set, an escape undone. (A character of several bytes is taken byte by byte.)
fn set_byte(text: &str) -> Option<(u8, &str)> {
    let mut chars = text.chars();
    let c = chars.next()?;
    if c != '\\' {
        return u8::try_from(c).ok().filter(u8::is_ascii).map(|b| (b, chars.as_str()));
    }
    let octal = chars.as_str().bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
    if octal > 0 {
        let (digits, rest) = chars.as_str().split_at(octal);
        return u8::from_str_radix(digits, 8).ok().map(|b| (b, rest));
    }
    let b = match chars.next() {
        None => b'\\',
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('a') => 7,
        Some('b') => 8,
        Some('f') => 12,
        Some('v') => 11,
        Some(c) => u8::try_from(c).ok().filter(u8::is_ascii)?,
    };
    Some((b, chars.as_str()))
}

fn tr(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let options = match Options::parse(ctx, args, "cCds", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let (delete, squeeze) = (options.has('d'), options.has('s'));
    let (first, second) = match options.rest.as_slice() {
        [first] if delete || squeeze => (*first, None),
        [first, second] => (*first, Some(*second)),
        _ => {
            usage(ctx, true);
            return 1;
        }
    };
    let Some(mut from) = byte_set(first) else { return bad(ctx, "set", first) };
    let to = match second.map(|text| (text, byte_set(text))) {
        None => None,
        Some((_, Some(to))) => Some(to),
        Some((text, None)) => return bad(ctx, "set", text),
    };
    if options.has('c') || options.has('C') {
        from = (0..=u8::MAX).filter(|b| !from.contains(b)).collect();
    }
    let mut map: Vec<u8> = (0..=u8::MAX).collect();
    if let (false, Some(to)) = (delete, &to) {
        // A set that is too short goes on with its last byte.
        let Some(&fill) = to.last() else { return bad(ctx, "set", "") };
        for (at, b) in from.iter().enumerate() {
            if let Some(slot) = map.get_mut(usize::from(*b)) {
                *slot = to.get(at).copied().unwrap_or(fill);
            }
        }
    }
    let squeezed = to.as_ref().unwrap_or(&from);
    let mut previous = None;
    each_input(ctx, &[], |ctx, _, input| {
        loop {
            let chunk = input.chunk(ctx)?;
            if chunk.is_empty() {
                return Ok(());
            }
            let mut out = Vec::new();
            for b in chunk {
                if delete && from.contains(b) {
                    continue;
                }
                let b = map.get(usize::from(*b)).copied().unwrap_or(*b);
                if squeeze && previous == Some(b) && squeezed.contains(&b) {
                    continue;
                }
                previous = Some(b);
                out.push(b);
            }
            ctx.write(&out);
            if ctx.stopped().is_some() {
                return Ok(());
            }
        }
    })
}
