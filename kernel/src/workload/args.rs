//! The words after `work NAME`, read.

use super::jobs::Fault;
use core::ffi::CStr;
use core::fmt;

/// Why a workload gives no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal<'a> {
    /// Not as many words as it takes; what it takes.
    Usage(&'static str),
    /// A word that should be a number and is not, or does not fit.
    NotANumber(&'a str),
    /// A number beyond what the workload takes.
    TooLarge(u64),
    /// A text of more bytes than fit.
    TooLong,
    /// This CPU lacks the instructions.
    NotOnThisCpu,
    /// Nothing is wrong with the words: the work itself failed.
    Failed(Fault),
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage("") => f.write_str("takes no arguments"),
            Self::Usage(takes) => write!(f, "takes {takes}"),
            Self::NotANumber(word) => write!(f, "{word}: not a number, or too large"),
            Self::TooLarge(most) => write!(f, "at most {most}"),
            Self::TooLong => write!(f, "a text of at most {TEXT_BYTES_MAX} bytes, without NUL"),
            Self::NotOnThisCpu => f.write_str("this CPU lacks the instructions"),
            Self::Failed(fault) => fault.fmt(f),
        }
    }
}

/// Reads a number: decimal, or hexadecimal after `0x`; after `-`, its two's complement.
pub(super) fn number(word: &str) -> Result<u64, Refusal<'_>> {
    let (negative, digits) = word.strip_prefix('-').map_or((false, word), |digits| (true, digits));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        // from_str_radix would take a sign here.
        Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => u64::from_str_radix(hex, 16).ok(),
        None if digits.starts_with(|c: char| c.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    match value {
        Some(value) if !negative => Ok(value),
        Some(value) if value <= 1 << 63 => Ok(value.wrapping_neg()),
        _ => Err(Refusal::NotANumber(word)),
    }
}

/// Exactly `N` numbers.
pub(super) fn numbers<'a, const N: usize>(
    words: &[&'a str],
    takes: &'static str,
) -> Result<[u64; N], Refusal<'a>> {
    if words.len() != N {
        return Err(Refusal::Usage(takes));
    }
    let mut values = [0; N];
    for (value, word) in values.iter_mut().zip(words) {
        *value = number(word)?;
    }
    Ok(values)
}

/// Exactly one number, of at most `most`.
pub(super) fn at_most<'a>(words: &[&'a str], takes: &'static str, most: u64) -> Result<u64, Refusal<'a>> {
    match numbers(words, takes)? {
        [value] if value <= most => Ok(value),
        _ => Err(Refusal::TooLarge(most)),
    }
}

/// Most numbers that `work sum` takes.
pub(super) const LIST_MAX: usize = 64;

/// A list of numbers of any length up to [`LIST_MAX`].
pub(super) struct List {
    values: [u64; LIST_MAX],
    len: usize,
}

impl List {
    pub(super) fn parse<'a>(words: &[&'a str]) -> Result<Self, Refusal<'a>> {
        let mut list = Self { values: [0; LIST_MAX], len: words.len() };
        if words.len() > LIST_MAX {
            return Err(Refusal::TooLarge(LIST_MAX as u64));
        }
        for (value, word) in list.values.iter_mut().zip(words) {
            *value = number(word)?;
        }
        Ok(list)
    }

    pub(super) fn values(&self) -> &[u64] {
        self.values.get(..self.len).unwrap_or_default()
    }
}

/// Longest text that a workload takes, without its NUL.
pub(super) const TEXT_BYTES_MAX: usize = 255;

/// A text with a NUL behind it, as C has it.
pub(super) struct Text([u8; TEXT_BYTES_MAX + 1]);

impl Text {
    pub(super) fn parse(word: &str) -> Result<Self, Refusal<'_>> {
        let mut bytes = [0; TEXT_BYTES_MAX + 1];
        if word.len() > TEXT_BYTES_MAX || word.contains('\0') {
            return Err(Refusal::TooLong);
        }
        bytes.iter_mut().zip(word.bytes()).for_each(|(to, byte)| *to = byte);
        Ok(Self(bytes))
    }

    pub(super) fn as_c_str(&self) -> &CStr {
        // The last byte is always a NUL.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}
