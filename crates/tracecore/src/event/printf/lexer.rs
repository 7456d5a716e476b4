//! The words of a `print fmt` line.

use super::PrintError;
use alloc::vec::Vec;

/// One word of the C text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A number, its suffix dropped.
    Number(u64),
    /// A string, its escapes undone.
    Text(Vec<u8>),
    /// A name.
    Name(&'a str),
    /// An operator or a bracket.
    Sign(&'a str),
}

/// Operators of two characters; those of one are what is left.
const PAIRS: &[&str] = &["->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||"];

/// Cuts the text into words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, PrintError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match first {
            '"' => string(rest)?,
            '0'..='9' => number(rest)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (name, behind) = rest.split_at(end);
                (Token::Name(name), behind)
            }
            _ => {
                let len =
                    PAIRS.iter().find(|pair| rest.starts_with(**pair)).map_or(first.len_utf8(), |p| p.len());
                let (sign, behind) = rest.split_at(len);
                (Token::Sign(sign), behind)
            }
        };
        found.push(token);
        rest = behind.trim_start();
    }
    Ok(found)
}

fn number(text: &str) -> Result<(Token<'_>, &str), PrintError> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (word, behind) = text.split_at(end);
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let value = u64::from_str_radix(digits, radix).map_err(|_| PrintError::Number)?;
    Ok((Token::Number(value), behind))
}

fn string(text: &str) -> Result<(Token<'_>, &str), PrintError> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(bytes), text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => bytes.push(b'\n'),
                Some('t') => bytes.push(b'\t'),
                Some('0') => bytes.push(0),
                Some(c @ ('"' | '\\' | '\'')) => bytes.push(c as u8),
                _ => return Err(PrintError::Text),
            },
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(PrintError::Text)
}
