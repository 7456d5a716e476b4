//! `printf` and `seq`.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::Program;
use super::args::{Options, bad, usage};
use super::text::unescape;
use crate::arith;
use crate::ctx::Ctx;
use crate::limits::{MAX_FIELDS, MAX_WORD_BYTES};

/// The table.
pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "printf", usage: "FORMAT [ARG]...", help: "print arguments in a form", main: printf },
    Program { name: "seq", usage: "[-w] [-s TEXT] [FIRST [STEP]] LAST", help: "count", main: seq },
];

// --- printf ----------------------------------------------------------------------------------------

/// One conversion, as in `%-08.3x`.
#[derive(Default)]
struct Conversion {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// The arguments, of which there are always more: empty ones.
struct Arguments<'a> {
    rest: &'a [&'a str],
    failed: bool,
}

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// A number: decimal, hexadecimal, octal, or the code of a character behind a quote.
    fn number(&mut self, ctx: &mut Ctx) -> i64 {
        let text = self.next().unwrap_or_default().trim_start();
        if let Some(c) = text.strip_prefix(['\'', '"']).and_then(|rest| rest.chars().next()) {
            return i64::from(u32::from(c));
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        match arith::number(digits) {
            Some(value) if negative => value.wrapping_neg(),
            Some(value) => value,
            None if text.is_empty() => 0,
            None => {
                ctx.complain(format_args!("{text}: invalid number"));
                self.failed = true;
                0
            }
        }
    }
}

fn printf(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let args = args.strip_prefix(&["--"]).unwrap_or(args);
    let Some((format, rest)) = args.split_first() else {
        usage(ctx, true);
        return 2;
    };
    let mut args = Arguments { rest, failed: false };
    loop {
        let before = args.rest.len();
        match once(ctx, format, &mut args) {
            Ok(true) => {}
            Ok(false) => break,
            Err(message) => {
                ctx.complain(format_args!("{message}"));
                return 1;
            }
        }
        // The form is used again while there are arguments and it takes some.
        if args.rest.is_empty() || args.rest.len() == before || ctx.stopped().is_some() {
            break;
        }
    }
    i32::from(args.failed)
}

/// Goes through the form once; false when `\c` ended all output.
fn once(ctx: &mut Ctx, format: &str, args: &mut Arguments<'_>) -> Result<bool, String> {
    let mut rest = format;
    while !rest.is_empty() {
        let text = rest.split('%').next().unwrap_or_default();
        rest = rest.get(text.len()..).unwrap_or_default();
        let mut out = Vec::new();
        let going_on = unescape(text.as_bytes(), &mut out);
        ctx.write(&out);
        if !going_on {
            return Ok(false);
        }
        let Some(after) = rest.strip_prefix('%') else { continue };
        rest = after;
        if let Some(after) = rest.strip_prefix('%') {
            ctx.print("%");
            rest = after;
            continue;
        }
        let (conversion, letter, after) = conversion(ctx, rest, args)?;
        rest = after;
        if !convert(ctx, &conversion, letter, args)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads flags, width, precision and letter.
fn conversion<'f>(
    ctx: &mut Ctx,
    text: &'f str,
    args: &mut Arguments<'_>,
) -> Result<(Conversion, char, &'f str), String> {
    let mut c = Conversion::default();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            Some('-') => c.left = true,
            Some('0') => c.zero = true,
            Some('+') => c.plus = true,
            Some(' ') => c.space = true,
            Some('#') => c.alternate = true,
            _ => break,
        }
        rest = chars.as_str();
    }
    let mut number = |ctx: &mut Ctx, rest: &mut &'f str| -> usize {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            return usize::try_from(args.number(ctx)).unwrap_or(0);
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        *rest = after;
        if number.is_empty() { 0 } else { number.parse().unwrap_or(usize::MAX) }
    };
    c.width = number(ctx, &mut rest);
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        c.precision = Some(number(ctx, &mut rest));
    }
    if c.width > MAX_WORD_BYTES || c.precision.is_some_and(|p| p > MAX_WORD_BYTES) {
        return Err("width too large".to_owned());
    }
    rest = rest.trim_start_matches(['l', 'h', 'z', 'j']);
    let mut chars = rest.chars();
    match chars.next() {
        Some(letter) => Ok((c, letter, chars.as_str())),
        None => Err(format!("%{text}: missing format character")),
    }
}

/// Prints one argument; false when `\c` in a `%b` ended all output.
fn convert(ctx: &mut Ctx, c: &Conversion, letter: char, args: &mut Arguments<'_>) -> Result<bool, String> {
    match letter {
        's' | 'b' => {
            let text = args.next().unwrap_or_default();
            let mut bytes = Vec::new();
            let going_on = if letter == 'b' {
                unescape(text.as_bytes(), &mut bytes)
            } else {
                bytes.extend_from_slice(text.as_bytes());
                true
            };
            bytes.truncate(c.precision.unwrap_or(usize::MAX));
            pad(ctx, c, &bytes);
            Ok(going_on)
        }
        'c' => {
            let text: String = args.next().unwrap_or_default().chars().take(1).collect();
            pad(ctx, c, text.as_bytes());
            Ok(true)
        }
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let value = args.number(ctx);
            let text = digits(c, letter, value);
            pad(ctx, c, text.as_bytes());
            Ok(true)
        }
        other => Err(format!("%{other}: invalid format character")),
    }
}

/// A number with its sign, prefix, and zeros up to the precision or the width.
fn digits(c: &Conversion, letter: char, value: i64) -> String {
    let unsigned = value.cast_unsigned();
    let (sign, mut digits) = match letter {
        'd' | 'i' => {
            let sign = match (value < 0, c.plus, c.space) {
                (true, ..) => "-",
                (false, true, _) => "+",
                (false, false, true) => " ",
                _ => "",
            };
            (sign, value.unsigned_abs().to_string())
        }
        'x' => (if c.alternate && value != 0 { "0x" } else { "" }, format!("{unsigned:x}")),
        'X' => (if c.alternate && value != 0 { "0X" } else { "" }, format!("{unsigned:X}")),
        'o' => (if c.alternate && value != 0 { "0" } else { "" }, format!("{unsigned:o}")),
        _ => ("", unsigned.to_string()),
    };
    if c.precision == Some(0) && value == 0 {
        digits.clear();
    }
    let least = match c.precision {
        Some(precision) => precision,
        None if c.zero && !c.left => c.width.saturating_sub(sign.len()),
        None => 0,
    };
    let zeros = least.saturating_sub(digits.len());
    format!("{sign}{}{digits}", "0".repeat(zeros))
}

fn pad(ctx: &mut Ctx, c: &Conversion, text: &[u8]) {
    let blanks = " ".repeat(c.width.saturating_sub(text.len()));
    if !c.left {
        ctx.print(&blanks);
    }
    ctx.write(text);
    if c.left {
        ctx.print(&blanks);
    }
}

// --- seq -------------------------------------------------------------------------------------------

/// The most digits behind the point.
const MAX_FRACTION: usize = 9;

/// A decimal number as an integer, and how many of its digits are behind the point.
fn decimal(text: &str) -> Option<(i128, usize)> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.starts_with(['-', '+']) || fraction.len() > MAX_FRACTION || whole.len() > 18 || whole.is_empty()
    {
        return None;
    }
    let value: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some((if text.starts_with('-') { -value } else { value }, fraction.len()))
}

/// The integer as a decimal number again.
fn decimal_text(value: i128, places: usize) -> String {
    let digits = format!("{:0least$}", value.unsigned_abs(), least = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if value < 0 { "-" } else { "" };
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn seq(ctx: &mut Ctx, args: &[&str]) -> i32 {
    // A negative number is no option.
    let split = args.iter().position(|arg| decimal(arg).is_some()).unwrap_or(args.len()).min(MAX_FIELDS);
    let (before, numbers) = args.split_at(split);
    let takes_next = before.last() == Some(&"-s") && !numbers.is_empty();
    let (before, numbers) = if takes_next { args.split_at(split + 1) } else { (before, numbers) };
    let options = match Options::parse(ctx, before, "ws:", 1) {
        Ok(options) => options,
        Err(status) => return status,
    };
    if let Some(word) = options.rest.first() {
        return bad(ctx, "number", word);
    }
    let mut parsed = Vec::new();
    for text in numbers {
        match decimal(text) {
            Some(number) => parsed.push(number),
            None => return bad(ctx, "number", text),
        }
    }
    let (first, step, last) = match parsed.as_slice() {
        [last] => ((1, 0), (1, 0), *last),
        [first, last] => (*first, (1, 0), *last),
        [first, step, last] => (*first, *step, *last),
        _ => {
            usage(ctx, true);
            return 1;
        }
    };
    let places = first.1.max(step.1);
    // All three in units of the finest place, with the end cut down to it.
    let scale =
        |(value, own): (i128, usize)| value * 10_i128.pow(u32::try_from(MAX_FRACTION - own).unwrap_or(0));
    let unit = 10_i128.pow(u32::try_from(MAX_FRACTION - places).unwrap_or(0));
    let (first, step, end) = (scale(first), scale(step), scale(last));
    if step == 0 {
        return bad(ctx, "Zero increment value", "0");
    }
    let text = |value: i128| decimal_text(value / unit, places);
    let width = if options.has('w') { text(first).len().max(text(end).len()) } else { 0 };
    let separator = options.value('s').unwrap_or("\n");
    let mut value = first;
    let mut printed = false;
    while (step > 0 && value <= end) || (step < 0 && value >= end) {
        if ctx.stopped().is_some() {
            return 0;
        }
        let digits = text(value);
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", digits.as_str()),
        };
        let zeros = "0".repeat(width.saturating_sub(sign.len() + digits.len()));
        let gap = if printed { separator } else { "" };
        ctx.print(&format!("{gap}{sign}{zeros}{digits}"));
        printed = true;
        value += step;
    }
    if printed {
        ctx.print("\n");
    }
    0
}
