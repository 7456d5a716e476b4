//! Cuts the text of a command into tokens: words and operators.
//!
//! A word is a sequence of parts ([`Part`]), since its quotes decide much later what is split and what is
//! matched against file names. Inside a word four modes differ in what ends it and what is special:
//!
//! | mode | ends at | quotes work | `\` escapes |
//! |---|---|---|---|
//! | bare word | blank, operator | yes | everything |
//! | `"…"` | `"` | no | `$`, `` ` ``, `"`, `\`, newline |
//! | `${x-…}` | `}` | outside of `"…"` | as outside |
//! | `$((…))`, here-document | its end | no | `$`, `` ` ``, `\`, newline |
//!
//! The text of a command substitution is not parsed here: its end is found by counting brackets
//! ([`closing`]), and the text is put aside for the parser, which takes one after the other. So nothing
//! here calls the parser and no stack grows with the input; what can be nested in words is bounded by
//! [`MAX_WORD_NESTING`].
//!
//! Text that ends too early is [`ParseError::Incomplete`]: an interactive shell then asks for a line more.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::brackets::{arith_closing, closing};
use crate::code::{ParamOp, Part, RedirectKind, Word, is_name};
use crate::limits::{MAX_WORD_BYTES, MAX_WORD_NESTING};

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// More lines are needed; the text says what for.
    Incomplete(&'static str),
    /// It can never be one.
    Syntax(String),
}

impl ParseError {
    /// The message when there are no more lines.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Incomplete(what) => format!("syntax error: {what}"),
            Self::Syntax(text) => format!("syntax error: {text}"),
        }
    }
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Word(Word),
    /// An operator of control: `;`, `&&`, `(`, …
    Op(&'static str),
    /// A redirection; its target follows as a word.
    Redirect {
        fd: usize,
        kind: RedirectKind,
    },
    /// A here-document, whose lines come after this one; `slot` is its place among [`Lexer::here`].
    Here {
        fd: usize,
        slot: usize,
    },
    Newline,
    End,
}

/// The operators, longer ones first.
const OPERATORS: &[&str] = &["&&", "||", ";;", ";", "&", "|", "(", ")"];

/// The redirections, longer ones first.
const REDIRECTIONS: &[(&str, usize, RedirectKind)] = &[
    ("<<-", 0, RedirectKind::Here),
    ("<<", 0, RedirectKind::Here),
    (">>", 1, RedirectKind::Append),
    (">&", 1, RedirectKind::Dup),
    (">|", 1, RedirectKind::Write),
    (">", 1, RedirectKind::Write),
    ("<&", 0, RedirectKind::Dup),
    ("<>", 0, RedirectKind::ReadWrite),
    ("<", 0, RedirectKind::Read),
];

/// What a word is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Bare,
    Double,
    Brace { quoted: bool },
    Text,
}

/// A here-document whose text has not been reached yet.
struct PendingHere {
    slot: usize,
    delimiter: String,
    /// `<<-`: leading tabs do not count.
    strip: bool,
    /// The delimiter was quoted: nothing in the text is expanded.
    literal: bool,
}

/// A text being cut into tokens.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    peeked: Option<Token>,
    /// Where the texts of substitutions are put; the place is the number of the unit.
    sources: &'a mut Vec<String>,
    pending: Vec<PendingHere>,
    /// Here-documents by slot, once their lines were reached.
    pub(crate) here: Vec<Option<Word>>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, sources: &'a mut Vec<String>) -> Self {
        Self { text, pos: 0, peeked: None, sources, pending: Vec::new(), here: Vec::new() }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn peek_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.peek_char()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Goes past `prefix` if it comes next.
    fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.pos += prefix.len();
        }
        found
    }

    /// Takes the longest run of such bytes (ASCII only).
    fn eat_while(&mut self, wanted: fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().take_while(|&b| b.is_ascii() && wanted(b)).count();
        self.pos += len;
        rest.get(..len).unwrap_or_default()
    }

    /// The next token, left in place.
    pub(crate) fn peek(&mut self) -> Result<&Token, ParseError> {
        let token = match self.peeked.take() {
            Some(token) => token,
            None => self.token()?,
        };
        Ok(self.peeked.insert(token))
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token, ParseError> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => self.token(),
        }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks()?;
        let Some(c) = self.peek_char() else {
            return if self.pending.is_empty() {
                Ok(Token::End)
            } else {
                Err(ParseError::Incomplete("unterminated here-document"))
            };
        };
        if c == '\n' {
            self.pos += 1;
            self.here_documents()?;
            return Ok(Token::Newline);
        }
        if let Some(redirect) = self.redirection()? {
            return Ok(redirect);
        }
        if let Some(op) = OPERATORS.iter().find(|op| self.rest().starts_with(**op)) {
            self.pos += op.len();
            return Ok(Token::Op(op));
        }
        let start = self.pos;
        let word = Word { parts: self.parts(Mode::Bare, 0)? };
        if self.pos - start > MAX_WORD_BYTES {
            return Err(ParseError::Syntax("word too long".to_owned()));
        }
        Ok(Token::Word(word))
    }

    /// Skips blanks, continued lines and a comment.
    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            self.eat_while(|b| b == b' ' || b == b'\t' || b == b'\r');
            if self.eat("\\\n") {
                if self.rest().is_empty() {
                    return Err(ParseError::Incomplete("unexpected end of file"));
                }
            } else if self.peek_char() == Some('#') {
                self.pos += self.rest().find('\n').unwrap_or(self.rest().len());
            } else {
                return Ok(());
            }
        }
    }

    /// `[N]<`, `[N]>>`, …
    fn redirection(&mut self) -> Result<Option<Token>, ParseError> {
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = rest.get(digits..).unwrap_or_default();
        let Some((op, fd, kind)) = REDIRECTIONS.iter().find(|(op, ..)| after.starts_with(op)) else {
            return Ok(None);
        };
        let fd = match rest.get(..digits).unwrap_or_default() {
            "" => *fd,
            number => number.parse().unwrap_or(usize::MAX),
        };
        self.pos += digits + op.len();
        if *kind == RedirectKind::Here {
            return self.here_start(fd, *op == "<<-").map(Some);
        }
        Ok(Some(Token::Redirect { fd, kind: *kind }))
    }

    // --- here-documents ----------------------------------------------------------------------------

    fn here_start(&mut self, fd: usize, strip: bool) -> Result<Token, ParseError> {
        self.skip_blanks()?;
        let parts = self.parts(Mode::Bare, 0)?;
        let mut delimiter = String::new();
        let mut literal = false;
        for part in &parts {
            match part {
                Part::Text(text) => delimiter.push_str(text),
                Part::Quoted(text) => {
                    delimiter.push_str(text);
                    literal = true;
                }
                _ => return Err(ParseError::Syntax("expansion in a here-document's delimiter".to_owned())),
            }
        }
        if parts.is_empty() {
            return Err(ParseError::Syntax("missing here-document delimiter".to_owned()));
        }
        let slot = self.here.len();
        self.here.push(None);
        self.pending.push(PendingHere { slot, delimiter, strip, literal });
        Ok(Token::Here { fd, slot })
    }

    /// Takes the lines of the here-documents that were announced on the line that has just ended.
    fn here_documents(&mut self) -> Result<(), ParseError> {
        for doc in core::mem::take(&mut self.pending) {
            let mut body = String::new();
            loop {
                let rest = self.rest();
                if rest.is_empty() {
                    return Err(ParseError::Incomplete("unterminated here-document"));
                }
                let line = rest.split_inclusive('\n').next().unwrap_or_default();
                self.pos += line.len();
                let shown = if doc.strip { line.trim_start_matches('\t') } else { line };
                if shown.strip_suffix('\n').unwrap_or(shown) == doc.delimiter {
                    break;
                }
                body.push_str(shown);
            }
            let word = if doc.literal { Word::quoted(body) } else { self.inner_text(&body, 0)? };
            if let Some(slot) = self.here.get_mut(doc.slot) {
                *slot = Some(word);
            }
        }
        Ok(())
    }

    /// The parts of a text in which expansions work and quotes do not.
    fn inner_text(&mut self, text: &str, depth: usize) -> Result<Word, ParseError> {
        let mut inner = Lexer {
            text,
            pos: 0,
            peeked: None,
            sources: &mut *self.sources,
            pending: Vec::new(),
            here: Vec::new(),
        };
        match inner.parts(Mode::Text, depth) {
            Ok(parts) => Ok(Word { parts }),
            // What is cut off here cannot be completed by another line.
            Err(ParseError::Incomplete(what)) => Err(ParseError::Syntax(what.to_owned())),
            Err(error) => Err(error),
        }
    }

    // --- words -------------------------------------------------------------------------------------

    /// The parts of a word up to what ends it in this mode; an end that is a character is taken.
    fn parts(&mut self, mode: Mode, depth: usize) -> Result<Vec<Part>, ParseError> {
        if depth > MAX_WORD_NESTING {
            return Err(ParseError::Syntax("expansions nested too deeply".to_owned()));
        }
        let quoted = matches!(mode, Mode::Double | Mode::Text | Mode::Brace { quoted: true });
        let mut parts = Parts { parts: Vec::new(), quoted };
        loop {
            let Some(c) = self.peek_char() else {
                return match mode {
                    Mode::Bare | Mode::Text => Ok(parts.parts),
                    Mode::Double => Err(ParseError::Incomplete("unterminated quoted string")),
                    Mode::Brace { .. } => Err(ParseError::Incomplete("missing '}'")),
                };
            };
            match (c, mode) {
                (' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')', Mode::Bare) => {
                    return Ok(parts.parts);
                }
                ('"', Mode::Double) | ('}', Mode::Brace { .. }) => {
                    self.pos += 1;
                    return Ok(parts.parts);
                }
                ('\'', Mode::Bare | Mode::Brace { quoted: false }) => {
                    self.pos += 1;
                    let Some(len) = self.rest().find('\'') else {
                        return Err(ParseError::Incomplete("unterminated quoted string"));
                    };
                    parts.push(true, self.rest().get(..len).unwrap_or_default());
                    self.pos += len + 1;
                }
                ('"', Mode::Bare | Mode::Brace { quoted: false }) => {
                    self.pos += 1;
                    let inner = self.parts(Mode::Double, depth + 1)?;
                    if inner.is_empty() {
                        // Empty quotes are a part, too: they make an empty field.
                        parts.push(true, "");
                    }
                    parts.parts.extend(inner);
                }
                ('"', Mode::Brace { quoted: true }) => {
                    self.pos += 1;
                }
                ('\\', _) => self.escape(&mut parts, mode)?,
                ('$', _) => self.dollar(&mut parts, depth)?,
                ('`', _) => {
                    self.pos += 1;
                    let text = self.backquoted()?;
                    let unit = self.source(text);
                    parts.parts.push(Part::Command { unit, quoted });
                }
                _ => {
                    self.pos += c.len_utf8();
                    parts.push_char(quoted, c);
                }
            }
        }
    }

    /// A backslash and what follows.
    fn escape(&mut self, parts: &mut Parts, mode: Mode) -> Result<(), ParseError> {
        self.pos += 1;
        let Some(next) = self.next_char() else {
            parts.push_char(true, '\\');
            return Ok(());
        };
        if next == '\n' {
            if self.rest().is_empty() && mode != Mode::Text {
                return Err(ParseError::Incomplete("unexpected end of file"));
            }
            return Ok(());
        }
        let special = match mode {
            Mode::Bare | Mode::Brace { quoted: false } => true,
            Mode::Double => matches!(next, '$' | '`' | '"' | '\\'),
            Mode::Brace { quoted: true } => matches!(next, '$' | '`' | '"' | '\\' | '}'),
            Mode::Text => matches!(next, '$' | '`' | '\\'),
        };
        if !special {
            parts.push_char(true, '\\');
        }
        parts.push_char(true, next);
        Ok(())
    }

    /// `$` and what follows.
    fn dollar(&mut self, parts: &mut Parts, depth: usize) -> Result<(), ParseError> {
        self.pos += 1;
        let quoted = parts.quoted;
        if self.rest().starts_with("((")
            && let Some(len) = arith_closing(self.rest().get(2..).unwrap_or_default())?
        {
            let inner = self.rest().get(2..2 + len).unwrap_or_default();
            self.pos += 2 + len + 2;
            let word = self.inner_text(inner, depth + 1)?;
            parts.parts.push(Part::Arith { word, quoted });
            return Ok(());
        }
        if self.eat("(") {
            let Some(len) = closing(self.rest())? else {
                return Err(ParseError::Incomplete("missing ')'"));
            };
            let text = self.rest().get(..len).unwrap_or_default().to_string();
            self.pos += len + 1;
            let unit = self.source(text);
            parts.parts.push(Part::Command { unit, quoted });
            return Ok(());
        }
        if self.eat("{") {
            let part = self.braced(quoted, depth)?;
            parts.parts.push(part);
            return Ok(());
        }
        let name = match self.peek_char() {
            Some(c) if is_special(c) || c.is_ascii_digit() => {
                self.pos += 1;
                c.to_string()
            }
            _ => self.eat_while(|b| b == b'_' || b.is_ascii_alphanumeric()).to_string(),
        };
        if name.is_empty() {
            parts.push_char(quoted, '$');
        } else {
            parts.parts.push(Part::Param { name, op: ParamOp::Get, quoted });
        }
        Ok(())
    }

    /// The rest of `${…}`.
    fn braced(&mut self, quoted: bool, depth: usize) -> Result<Part, ParseError> {
        let bad = || ParseError::Syntax("bad substitution".to_owned());
        let length = self.rest().starts_with('#') && !self.rest().starts_with("#}");
        if length {
            self.pos += 1;
        }
        let name = match self.peek_char() {
            None => return Err(ParseError::Incomplete("missing '}'")),
            Some(c) if is_special(c) => {
                self.pos += 1;
                c.to_string()
            }
            Some(c) if c.is_ascii_digit() => self.eat_while(|b| b.is_ascii_digit()).to_string(),
            Some(_) => self.eat_while(|b| b == b'_' || b.is_ascii_alphanumeric()).to_string(),
        };
        if name.is_empty() {
            return Err(bad());
        }
        if self.eat("}") {
            let op = if length { ParamOp::Length } else { ParamOp::Get };
            return Ok(Part::Param { name, op, quoted });
        }
        if length {
            return Err(if self.rest().is_empty() { ParseError::Incomplete("missing '}'") } else { bad() });
        }
        let colon = self.eat(":");
        let op = match self.next_char() {
            None => return Err(ParseError::Incomplete("missing '}'")),
            Some(op) => op,
        };
        let twice = (op == '#' && self.eat("#")) || (op == '%' && self.eat("%"));
        // In a pattern to trim, quotes mean "literally" even within "…".
        let inner_quoted = quoted && !matches!(op, '#' | '%');
        let word = Word { parts: self.parts(Mode::Brace { quoted: inner_quoted }, depth + 1)? };
        let op = match op {
            '-' => ParamOp::Default { colon, word },
            '=' if is_name(&name) => ParamOp::Assign { colon, word },
            '+' => ParamOp::Alternate { colon, word },
            '?' => ParamOp::Require { colon, word },
            '#' if !colon => ParamOp::TrimStart { longest: twice, word },
            '%' if !colon => ParamOp::TrimEnd { longest: twice, word },
            _ => return Err(bad()),
        };
        Ok(Part::Param { name, op, quoted })
    }

    /// Text up to the closing backquote, with its own escapes undone.
    fn backquoted(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        loop {
            match self.next_char() {
                None => return Err(ParseError::Incomplete("missing '`'")),
                Some('`') => return Ok(text),
                Some('\\') if matches!(self.peek_char(), Some('$' | '`' | '\\')) => {
                    text.extend(self.next_char());
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// Puts the text of a substitution aside; gives its unit.
    fn source(&mut self, text: String) -> usize {
        self.sources.push(text);
        self.sources.len() - 1
    }
}

/// `$?` and its like.
fn is_special(c: char) -> bool {
    matches!(c, '?' | '#' | '@' | '*' | '$' | '!' | '-')
}

/// Parts under construction: neighbours of one kind are joined.
struct Parts {
    parts: Vec<Part>,
    /// Are expansions quoted here?
    quoted: bool,
}

impl Parts {
    fn push(&mut self, quoted: bool, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) if !quoted => text.push_str(more),
            Some(Part::Quoted(text)) if quoted => text.push_str(more),
            _ if quoted => self.parts.push(Part::Quoted(more.to_owned())),
            _ => self.parts.push(Part::Text(more.to_owned())),
        }
    }

    fn push_char(&mut self, quoted: bool, c: char) {
        self.push(quoted, c.encode_utf8(&mut [0; 4]));
    }
}
