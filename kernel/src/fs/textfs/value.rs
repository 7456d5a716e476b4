//! Values that are written to text files, read as strictly as Linux reads them.
//!
//! ```text
//!   number  "7\n" "007" "+7"          an optional sign, decimal digits, at most one newline (kstrtoul)
//!   flag    "0\n" "1" "2"             a number; tracing_on takes any but 0 for on
//!   onoff   "1" "y" "on" "0" "n" "off" …   what debugfs takes for a switch (kstrtobool)
//!   word    "nop\n"                   text without the white space around it
//!   mask    "f\n" "0,f" ""            bits in hexadecimal, with commas at will
//! ```
//!
//! What is something else is EINVAL, and a number beyond 64 bits ERANGE. Pure; also tested on the host.

use tracecore::errno::Errno;

/// The text of a write without the white space around it.
pub(crate) fn word(data: &[u8]) -> Result<&str, Errno> {
    let text = core::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    if text.contains('\0') {
        return Err(Errno::EINVAL);
    }
    Ok(text.trim_ascii())
}

/// The same for a write of at most `max` bytes.
pub(crate) fn short_word(data: &[u8], max: usize) -> Result<&str, Errno> {
    if data.len() > max { Err(Errno::EINVAL) } else { word(data) }
}

/// A set of `bits` things. One that is not there is EOVERFLOW.
pub(crate) fn mask(data: &[u8], bits: u32) -> Result<u32, Errno> {
    let mut mask = 0u64;
    for byte in word(data)?.bytes().filter(|byte| *byte != b',') {
        let digit = char::from(byte).to_digit(16).ok_or(Errno::EINVAL)?;
        mask = mask << 4 | u64::from(digit);
        if mask >> bits.min(32) != 0 {
            return Err(Errno::EOVERFLOW);
        }
    }
    Ok(mask as u32)
}

/// A decimal number.
pub(crate) fn number(data: &[u8]) -> Result<u64, Errno> {
    let digits = data.strip_suffix(b"\n").unwrap_or(data);
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Errno::EINVAL);
    }
    digits.iter().try_fold(0u64, |n, d| {
        n.checked_mul(10).and_then(|n| n.checked_add(u64::from(d - b'0'))).ok_or(Errno::ERANGE)
    })
}

/// A number taken for a switch: 0 is off, all others are on.
pub(crate) fn flag(data: &[u8]) -> Result<bool, Errno> {
    number(data).map(|n| n != 0)
}

/// A switch in words or digits: only its first letter counts, or the second after an `o`.
pub(crate) fn onoff(data: &[u8]) -> Result<bool, Errno> {
    match (data.first(), data.get(1)) {
        (Some(b'1' | b'y' | b'Y' | b't' | b'T'), _) => Ok(true),
        (Some(b'0' | b'n' | b'N' | b'f' | b'F'), _) => Ok(false),
        (Some(b'o' | b'O'), Some(b'n' | b'N')) => Ok(true),
        (Some(b'o' | b'O'), Some(b'f' | b'F')) => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::{flag, mask, number, onoff, short_word, word};
    use tracecore::errno::Errno;

    #[test]
    fn numbers_are_read_strictly() {
        for (text, value) in [("7\n", 7), ("007", 7), ("+7", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(number(text.as_bytes()), Ok(value), "{text:?}");
        }
        for text in ["", "\n", " 1", "1 ", "1x", "0x1", "-1", "y", "1\n\n", "+", "++1"] {
            assert_eq!(number(text.as_bytes()), Err(Errno::EINVAL), "{text:?}");
        }
        assert_eq!(number(b"18446744073709551616"), Err(Errno::ERANGE));
        assert_eq!(flag(b"2"), Ok(true));
        assert_eq!(flag(b"0\n"), Ok(false));
    }

    #[test]
    fn switches_are_read_by_their_first_letters() {
        for (text, value) in
            [("1", true), ("Yes", true), ("on\n", true), ("0\n", false), ("no", false), ("off", false)]
        {
            assert_eq!(onoff(text.as_bytes()), Ok(value), "{text:?}");
        }
        for text in ["", "x", "7", "o", "oX"] {
            assert_eq!(onoff(text.as_bytes()), Err(Errno::EINVAL), "{text:?}");
        }
    }

    #[test]
    fn masks_are_hexadecimal() {
        for (text, value) in [("f", 15), ("0,f\n", 15), ("", 0), (" 3 ", 3), (",,", 0), ("00000008", 8)] {
            assert_eq!(mask(text.as_bytes(), 4), Ok(value), "{text:?}");
        }
        for (text, errno) in [
            ("10", Errno::EOVERFLOW),
            ("1,00000000,0", Errno::EOVERFLOW),
            ("3-4", Errno::EINVAL),
            ("0x1", Errno::EINVAL),
            ("junk", Errno::EINVAL),
            ("1 2", Errno::EINVAL),
        ] {
            assert_eq!(mask(text.as_bytes(), 4), Err(errno), "{text:?}");
        }
        assert_eq!(mask(b"ffffffff", 32), Ok(u32::MAX));
    }

    #[test]
    fn words_have_a_length() {
        assert_eq!(short_word(b"nop\n", 4), Ok("nop"));
        assert_eq!(short_word(b"nop\n", 3), Err(Errno::EINVAL));
    }

    #[test]
    fn words_lose_the_white_space_around_them() {
        assert_eq!(word(b" nop \n"), Ok("nop"));
        assert_eq!(word(b"\n"), Ok(""));
        assert_eq!(word(b"a\0"), Err(Errno::EINVAL));
        assert_eq!(word(b"\xff"), Err(Errno::EINVAL));
    }
}
