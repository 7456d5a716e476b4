//! A text as tokens, with one of them looked at in advance.

use alloc::format;
use alloc::string::String;

use super::super::Error;

/// Operators, the longest ones first: the first that fits is taken.
const SIGNS: &[&str] = &[
    "s>>=", "s>=", "s<=", "s/=", "s%=", "<<=", ">>=", "s>", "s<", "+=", "-=", "*=", "/=", "%=", "|=", "&=",
    "^=", "==", "!=", ">=", "<=", "=", "<", ">", "&", "+", "-", "*", "(", ")", "[", "]", ",", ":", "#",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Number(u64),
    Sign(&'static str),
    /// End of a line, or `;`.
    Break,
    End,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) line: usize,
    column: usize,
}

pub(super) fn syntax<T>(place: Place, what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Syntax { line: place.line, column: place.column, what: what.into() })
}

/// A text, cut into tokens.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Where the line begins.
    begin: usize,
    /// A token that was looked at.
    next: Option<(Token<'a>, Place)>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, begin: 0, next: None }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn place(&self) -> Place {
        let column = self.text.get(self.begin..self.at).unwrap_or_default().chars().count() + 1;
        Place { line: self.line, column }
    }

    /// Reads one.
    fn read(&mut self) -> Result<(Token<'a>, Place), Error> {
        let blank = |c: char| c == ' ' || c == '\t' || c == '\r';
        self.at += self.rest().len() - self.rest().trim_start_matches(blank).len();
        let comment = self.rest().starts_with("//")
            // `map[#0]` is none.
            || self.rest().starts_with('#') && !self.text[..self.at].ends_with('[');
        if comment {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
        let (place, rest) = (self.place(), self.rest());
        let Some(first) = rest.chars().next() else { return Ok((Token::End, place)) };
        if first == '\n' || first == ';' {
            self.at += 1;
            if first == '\n' {
                self.line += 1;
                self.begin = self.at;
            }
            return Ok((Token::Break, place));
        }
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok((Token::Sign(sign), place));
        }
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '$';
        let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            return syntax(place, format!("unexpected {first:?}"));
        }
        self.at += word.len();
        if !first.is_ascii_digit() {
            return Ok((Token::Word(word), place));
        }
        let number = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        match number {
            Ok(number) => Ok((Token::Number(number), place)),
            Err(_) => syntax(place, format!("{word:?} is no number of 64 bits")),
        }
    }

    pub(super) fn peek(&mut self) -> Result<(Token<'a>, Place), Error> {
        match self.next {
            Some(next) => Ok(next),
            None => {
                let next = self.read()?;
                Ok(*self.next.insert(next))
            }
        }
    }

    pub(super) fn take(&mut self) -> Result<(Token<'a>, Place), Error> {
        let token = self.peek()?;
        self.next = None;
        Ok(token)
    }

    pub(super) fn take_if(&mut self, sign: &str) -> Result<bool, Error> {
        let is = matches!(self.peek()?.0, Token::Sign(next) if next == sign);
        if is {
            self.next = None;
        }
        Ok(is)
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Error> {
        if self.take_if(sign)? {
            return Ok(());
        }
        syntax(self.peek()?.1, format!("expected {sign:?}"))
    }

    pub(super) fn word(&mut self, what: &str) -> Result<(&'a str, Place), Error> {
        match self.take()? {
            (Token::Word(word), place) => Ok((word, place)),
            (_, place) => syntax(place, format!("expected {what}")),
        }
    }

    /// Passes the one that was looked at.
    pub(super) fn pass(&mut self) {
        self.next = None;
    }

    /// Passes a name with `:` behind it, and says which.
    pub(super) fn label(&mut self) -> Result<Option<(&'a str, Place)>, Error> {
        let (Token::Word(name), place) = self.peek()? else { return Ok(None) };
        let before = (self.at, self.line, self.begin);
        if self.read()?.0 == Token::Sign(":") {
            self.pass();
            return Ok(Some((name, place)));
        }
        (self.at, self.line, self.begin) = before;
        Ok(None)
    }
}
