//! Texts that programs make: `trace_printk`, `trace_vprintk`, `snprintf`.
//!
//! | conversion | argument |
//! |---|---|
//! | `%d %i %u %x %X %o`, behind `l` or `ll` of 64 bits | a number; of 32 bits without |
//! | `%c` | a byte |
//! | `%p` `%px` `%pK` | an address, 16 digits |
//! | `%ps` `%pS` `%pB` | the symbol at it, from `%pS` on with the distance |
//! | `%s` `%pks` `%pus` | the address of a text of the kernel's, or of a user's |
//! | `%pi4` `%pI4` `%pi6` `%pI6` | the address of an internet address |
//! | `%%` | none |
//!
//! Flags (`-`, `0`, `+`, blank, `#`) and a width of at most two digits may stand before the number's letter, as in Linux's
//! `bpf_bprintf_prepare`; all else is refused before anything is written. Text beyond the end of the room is counted and not
//! written.

use core::fmt::{self, Write};

/// The longest text that `%s` takes.
pub const STRING_MAX: usize = 512;

/// What a text may need of the kernel.
pub trait Source {
    /// Copies the text at `addr`, up to its NUL, into `to`: its length. None if it cannot be read.
    fn text(&self, addr: u64, user: bool, to: &mut [u8]) -> Option<usize>;

    /// Writes the name of the function at `addr`; with `offset`, how far behind its beginning that is.
    ///
    /// # Errors
    /// Those of `out`.
    fn symbol(&self, addr: u64, offset: bool, out: &mut dyn Write) -> fmt::Result;
}

/// The format is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFormat;

/// Room for a text, and how long it would be.
struct Room<'a> {
    to: &'a mut [u8],
    len: usize,
}

impl Room<'_> {
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.to.get_mut(self.len) {
                *place = *byte;
            }
            self.len += 1;
        }
    }
}

impl Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    width: usize,
    wide: bool,
}

/// A conversion.
#[derive(Clone, Copy)]
enum Conversion {
    Percent,
    Signed,
    Unsigned,
    Hex(bool),
    Octal,
    Char,
    Pointer,
    Symbol(bool),
    Text { user: bool },
    Ip { six: bool, plain: bool },
}

/// Takes a conversion off the front of `format`, from behind its `%`.
fn conversion(format: &mut &[u8]) -> Result<(Spec, Conversion), BadFormat> {
    let mut next = || {
        let (first, rest) = format.split_first().ok_or(BadFormat)?;
        *format = rest;
        Ok(*first)
    };
    let mut spec = Spec::default();
    let mut byte = next()?;
    if byte == b'%' {
        return Ok((spec, Conversion::Percent));
    }
    loop {
        match byte {
            b'-' => spec.left = true,
            b'0' => spec.zero = true,
            b'+' => spec.plus = true,
            b' ' => spec.blank = true,
            b'#' => spec.alternate = true,
            _ => break,
        }
        byte = next()?;
    }
    for _ in 0..2 {
        if byte.is_ascii_digit() {
            spec.width = 10 * spec.width + usize::from(byte - b'0');
            byte = next()?;
        }
    }
    if byte == b'p' {
        return Ok((spec, pointer(format)?));
    }
    if byte == b'l' {
        spec.wide = true;
        byte = next()?;
        if byte == b'l' {
            byte = next()?;
        }
        if matches!(byte, b'c' | b's') {
            return Err(BadFormat);
        }
    }
    let conversion = match byte {
        b'd' | b'i' => Conversion::Signed,
        b'u' => Conversion::Unsigned,
        b'x' => Conversion::Hex(false),
        b'X' => Conversion::Hex(true),
        b'o' => Conversion::Octal,
        b'c' => Conversion::Char,
        b's' => Conversion::Text { user: false },
        _ => return Err(BadFormat),
    };
    Ok((spec, conversion))
}

/// What follows `%p`: letters that mean something, and nothing else of letters and digits.
fn pointer(format: &mut &[u8]) -> Result<Conversion, BadFormat> {
    const KINDS: &[(&[u8], Conversion)] = &[
        (b"ks", Conversion::Text { user: false }),
        (b"us", Conversion::Text { user: true }),
        (b"i4", Conversion::Ip { six: false, plain: true }),
        (b"I4", Conversion::Ip { six: false, plain: false }),
        (b"i6", Conversion::Ip { six: true, plain: true }),
        (b"I6", Conversion::Ip { six: true, plain: false }),
        (b"x", Conversion::Pointer),
        (b"K", Conversion::Pointer),
        (b"s", Conversion::Symbol(false)),
        (b"S", Conversion::Symbol(true)),
        (b"B", Conversion::Symbol(true)),
    ];
    for (letters, conversion) in KINDS {
        if let Some(rest) = format.strip_prefix(*letters) {
            *format = rest;
            return Ok(*conversion);
        }
    }
    match format.first() {
        Some(byte) if byte.is_ascii_alphanumeric() => Err(BadFormat),
        _ => Ok(Conversion::Pointer),
    }
}

/// Is the format one, and how many arguments does it take?
///
/// # Errors
/// [`BadFormat`]: an unknown conversion, or a byte that is no printable ASCII and no blank.
pub fn arguments(mut format: &[u8]) -> Result<usize, BadFormat> {
    let mut count = 0;
    while let Some((first, rest)) = format.split_first() {
        format = rest;
        if *first == b'%' {
            let (_, conversion) = conversion(&mut format)?;
            count += usize::from(!matches!(conversion, Conversion::Percent));
        } else if !(first.is_ascii_graphic() || first.is_ascii_whitespace()) {
            return Err(BadFormat);
        }
    }
    Ok(count)
}

/// Writes a text into `to`, as much of it as there is room for: how long it is. Where arguments are missing, they are 0.
///
/// # Errors
/// As [`arguments`].
pub fn print(
    to: &mut [u8],
    mut format: &[u8],
    args: &[u64],
    source: &dyn Source,
) -> Result<usize, BadFormat> {
    arguments(format)?;
    let mut room = Room { to, len: 0 };
    let mut args = args.iter().copied();
    while let Some((first, rest)) = format.split_first() {
        format = rest;
        if *first != b'%' {
            room.put(&[*first]);
            continue;
        }
        let (spec, conversion) = conversion(&mut format)?;
        if let Conversion::Percent = conversion {
            room.put(b"%");
        } else {
            one(&mut room, spec, conversion, args.next().unwrap_or(0), source);
        }
    }
    Ok(room.len)
}

fn one(room: &mut Room<'_>, spec: Spec, conversion: Conversion, arg: u64, source: &dyn Source) {
    let low = if spec.wide { arg } else { u64::from(arg as u32) };
    match conversion {
        Conversion::Percent => {}
        Conversion::Signed => {
            let value = if spec.wide { arg as i64 } else { i64::from(arg as i32) };
            let sign: &[u8] = match value {
                ..0 => b"-",
                _ if spec.plus => b"+",
                _ if spec.blank => b" ",
                _ => b"",
            };
            number(room, spec, sign, value.unsigned_abs(), 10, false);
        }
        Conversion::Unsigned => number(room, spec, b"", low, 10, false),
        Conversion::Hex(upper) => {
            let prefix: &[u8] = match (spec.alternate, upper) {
                (false, _) => b"",
                (true, false) => b"0x",
                (true, true) => b"0X",
            };
            number(room, spec, prefix, low, 16, upper);
        }
        Conversion::Octal => number(room, spec, if spec.alternate { b"0" } else { b"" }, low, 8, false),
        Conversion::Char => padded(room, spec, |out| out.put(&[arg as u8])),
        Conversion::Pointer => {
            number(room, Spec { zero: true, width: 16, ..Spec::default() }, b"", arg, 16, false);
        }
        // Writing to a room does not fail.
        Conversion::Symbol(offset) => padded(room, spec, |out| {
            let _ = source.symbol(arg, offset, out);
        }),
        Conversion::Text { user } => {
            let mut text = [0; STRING_MAX];
            let text: &[u8] = match source.text(arg, user, &mut text) {
                Some(len) => text.get(..len).unwrap_or(&[]),
                None if arg == 0 => b"(null)",
                None => b"(efault)",
            };
            padded(room, spec, |out| out.put(text));
        }
        Conversion::Ip { six, plain } => {
            let mut bytes = [0; 16];
            let count = if six { 16 } else { 4 };
            for (n, byte) in bytes.iter_mut().enumerate().take(count) {
                let mut one = [0; 1];
                *byte = if source.text(arg.wrapping_add(n as u64), false, &mut one) == Some(1) {
                    one[0]
                } else {
                    0
                };
            }
            padded(room, spec, |out| ip(out, bytes.get(..count).unwrap_or(&[]), six, plain));
        }
    }
}

/// An internet address: bytes with dots, or groups of two with colons.
fn ip(out: &mut Room<'_>, bytes: &[u8], six: bool, plain: bool) {
    for (n, byte) in bytes.iter().enumerate() {
        let between: &[u8] = match (n, six) {
            (0, _) => b"",
            (_, false) => b".",
            (n, true) if n % 2 == 0 && !plain => b":",
            _ => b"",
        };
        out.put(between);
        let _ = match (six, plain) {
            (true, _) => write!(out, "{byte:02x}"),
            (false, true) => write!(out, "{byte:03}"),
            (false, false) => write!(out, "{byte}"),
        };
    }
}

/// Writes what `put` puts, with blanks up to the width.
fn padded(room: &mut Room<'_>, spec: Spec, mut put: impl FnMut(&mut Room<'_>)) {
    let mut measure = Room { to: &mut [], len: 0 };
    put(&mut measure);
    let blanks = spec.width.saturating_sub(measure.len);
    if !spec.left {
        (0..blanks).for_each(|_| room.put(b" "));
    }
    put(room);
    if spec.left {
        (0..blanks).for_each(|_| room.put(b" "));
    }
}

fn number(room: &mut Room<'_>, spec: Spec, prefix: &[u8], mut value: u64, base: u64, upper: bool) {
    let mut digits = [0; 22];
    let mut count = 0;
    while let Some(place) = digits.get_mut(count)
        && (value > 0 || count == 0)
    {
        let digit = char::from_digit((value % base) as u32, 16).unwrap_or('0') as u8;
        *place = if upper { digit.to_ascii_uppercase() } else { digit };
        value /= base;
        count += 1;
    }
    let padding = spec.width.saturating_sub(prefix.len() + count);
    let zeros = spec.zero && !spec.left;
    if !zeros && !spec.left {
        (0..padding).for_each(|_| room.put(b" "));
    }
    room.put(prefix);
    if zeros {
        (0..padding).for_each(|_| room.put(b"0"));
    }
    digits.iter().take(count).rev().for_each(|digit| room.put(&[*digit]));
    if spec.left {
        (0..padding).for_each(|_| room.put(b" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    struct Memory;

    impl Source for Memory {
        fn text(&self, addr: u64, user: bool, to: &mut [u8]) -> Option<usize> {
            let text: &[u8] = match (addr, user) {
                (1, false) => b"kernel",
                (2, true) => b"user",
                (16, false) => &[10],
                (17..=31, false) => &[1],
                _ => return None,
            };
            to[..text.len()].copy_from_slice(text);
            Some(text.len())
        }

        fn symbol(&self, addr: u64, offset: bool, out: &mut dyn Write) -> fmt::Result {
            write!(out, "f")?;
            if offset { write!(out, "+{addr:#x}/0x40") } else { Ok(()) }
        }
    }

    fn text(format: &str, args: &[u64]) -> Result<String, BadFormat> {
        let mut to = [0; 200];
        let len = print(&mut to, format.as_bytes(), args, &Memory)?;
        Ok(String::from_utf8_lossy(&to[..len]).into_owned())
    }

    /// As the C library prints them.
    #[test]
    fn conversions() {
        for (format, arg, wanted) in [
            ("%d", 42, "42"),
            ("%d", u64::MAX, "-1"),
            ("%d", 0xffff_ffff, "-1"),
            ("%ld", 0xffff_ffff, "4294967295"),
            ("%lld", u64::MAX, "-1"),
            ("%i", 0, "0"),
            ("%u", u64::MAX, "4294967295"),
            ("%lu", u64::MAX, "18446744073709551615"),
            ("%x|%%", 0xab, "ab|%"),
            ("%#x", 0xab, "0xab"),
            ("%X", 0xab, "AB"),
            ("%#X", 0xab, "0XAB"),
            ("%lo", u64::MAX, "1777777777777777777777"),
            ("%8d|", 42, "      42|"),
            ("%-8d|", 42, "42      |"),
            ("%08d|", 42, "00000042|"),
            ("%08d|", (-42_i64) as u64, "-0000042|"),
            ("%#010x|", 0xab, "0x000000ab|"),
            ("%+d", 42, "+42"),
            ("% d", 42, " 42"),
            ("%c", 0x41, "A"),
            ("%p", 0x1234, "0000000000001234"),
            ("%px", 0x1234, "0000000000001234"),
            ("%pK.", 0x1234, "0000000000001234."),
            ("%ps", 8, "f"),
            ("%pS", 8, "f+0x8/0x40"),
            ("%s", 1, "kernel"),
            ("%10s|", 1, "    kernel|"),
            ("%-10s|", 1, "kernel    |"),
            ("%pks", 1, "kernel"),
            ("%pus", 2, "user"),
            ("%s", 0, "(null)"),
            ("%s", 99, "(efault)"),
            ("%pI4", 16, "10.1.1.1"),
            ("%pi4", 16, "010.001.001.001"),
            ("%pI6", 16, "0a01:0101:0101:0101:0101:0101:0101:0101"),
            ("%pi6", 16, "0a010101010101010101010101010101"),
            ("no argument", 0, "no argument"),
        ] {
            assert_eq!(text(format, &[arg]).as_deref(), Ok(wanted), "{format}");
        }
        assert_eq!(text("%d %s %d\n", &[1, 1]).as_deref(), Ok("1 kernel 0\n"), "what is missing is 0");
    }

    #[test]
    fn bad_formats_are_refused() {
        for format in
            ["%", "%z", "%l", "%ls", "%lc", "%lll", "%p1", "%pz", "%pi5", "%5", "%123d", "\x07", "ä", "%n"]
        {
            assert_eq!(text(format, &[0]), Err(BadFormat), "{format}");
        }
        assert_eq!(arguments(b"%d%%%s %px"), Ok(3));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut to = [b'.'; 5];
        assert_eq!(print(&mut to, b"%s %d", &[1, 77], &Memory), Ok(9));
        assert_eq!(&to, b"kerne");
        assert_eq!(print(&mut [], b"abc", &[], &Memory), Ok(3));
    }
}
