//! Words to parts: the format string cut at its conversions, and an expression for each.

use super::lexer::{Token, tokens};
use super::{Conversion, Expr, Field, MAX_DEPTH, Names, Op, Part, Place, PrintError, Printf, Spec};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Operators from those that bind loosest to those that bind tightest.
const LEVELS: &[&[(&str, Op)]] = &[
    &[("||", Op::Or)],
    &[("&&", Op::And)],
    &[("|", Op::BitOr)],
    &[("^", Op::BitXor)],
    &[("&", Op::BitAnd)],
    &[("==", Op::Equal), ("!=", Op::NotEqual)],
    &[("<=", Op::LessOrEqual), (">=", Op::GreaterOrEqual), ("<", Op::Less), (">", Op::Greater)],
    &[("<<", Op::Left), (">>", Op::Right)],
    &[("+", Op::Plus), ("-", Op::Minus)],
    &[("*", Op::Times), ("/", Op::Divide), ("%", Op::Modulo)],
];

/// Names of numbers that stand in the texts of Linux's events as they are (`include/uapi/linux/ioprio.h`).
const CONSTANTS: &[(&str, u64)] = &[
    ("IOPRIO_CLASS_NONE", 0),
    ("IOPRIO_CLASS_RT", 1),
    ("IOPRIO_CLASS_BE", 2),
    ("IOPRIO_CLASS_IDLE", 3),
    ("IOPRIO_CLASS_INVALID", 7),
];

/// Words that make up the name of a type, and the bytes and sign of what they name.
const TYPE_WORDS: &[(&str, u8, bool)] = &[
    ("void", 8, false),
    ("const", 4, true),
    ("signed", 4, true),
    ("unsigned", 4, false),
    ("char", 1, true),
    ("short", 2, true),
    ("int", 4, true),
    ("long", 8, true),
    ("bool", 1, false),
    ("u8", 1, false),
    ("u16", 2, false),
    ("u32", 4, false),
    ("u64", 8, false),
    ("s8", 1, true),
    ("s16", 2, true),
    ("s32", 4, true),
    ("s64", 8, true),
    ("pid_t", 4, true),
    ("size_t", 8, false),
    ("gfp_t", 4, false),
];

pub(super) fn parse(text: &str, fields: &[Field]) -> Result<Printf, PrintError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, fields };
    let format = parser.strings()?;
    let mut parts = Vec::new();
    let mut rest = format.as_slice();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (literal, behind) = rest.split_at(at);
        push_literal(&mut parts, literal);
        let behind = behind.get(1..).unwrap_or_default();
        if behind.first() == Some(&b'%') {
            push_literal(&mut parts, b"%");
            rest = behind.get(1..).unwrap_or_default();
            continue;
        }
        let (spec, behind) = spec(behind)?;
        parser.comma().map_err(|_| PrintError::Count)?;
        parts.push(Part::Value(spec, parser.expr()?));
        rest = behind;
    }
    push_literal(&mut parts, rest);
    match parser.peek() {
        None => Ok(Printf { parts }),
        Some(Token::Sign(",")) => Err(PrintError::Count),
        Some(_) => Err(PrintError::Syntax),
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &[u8]) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(before)) => before.extend_from_slice(text),
        _ => parts.push(Part::Literal(text.into())),
    }
}

/// A conversion, from behind its `%`, and what follows it.
fn spec(text: &[u8]) -> Result<(Spec, &[u8]), PrintError> {
    let mut spec = Spec { bytes: 4, ..Spec::default() };
    let mut rest = text.iter().copied().enumerate().peekable();
    while let Some((_, byte)) = rest.peek() {
        match byte {
            b'-' => spec.left = true,
            b'0' => spec.zeros = true,
            b'+' => spec.plus = true,
            b'#' => spec.alternate = true,
            b' ' => {}
            _ => break,
        }
        rest.next();
    }
    let mut digits = || {
        let mut number = 0usize;
        while let Some((_, byte)) = rest.next_if(|(_, byte)| byte.is_ascii_digit()) {
            number = number.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
        }
        // No line of a trace is longer than that.
        (number.min(1024), rest.next_if(|(_, byte)| *byte == b'.').is_some())
    };
    let (width, has_precision) = digits();
    spec.width = width;
    if has_precision {
        spec.precision = Some(digits().0);
    }
    while let Some((_, byte)) =
        rest.next_if(|(_, byte)| matches!(byte, b'h' | b'l' | b'L' | b'z' | b't' | b'j' | b'q'))
    {
        spec.bytes = match (byte, spec.bytes) {
            (b'h', 2) => 1,
            (b'h', _) => 2,
            _ => 8,
        };
    }
    let (at, byte) = rest.next().ok_or(PrintError::Conversion)?;
    let mut end = at + 1;
    spec.conversion = match byte {
        b'd' | b'i' => Conversion::Signed,
        b'u' => Conversion::Unsigned,
        b'x' => Conversion::Hex,
        b'X' => Conversion::BigHex,
        b'o' => Conversion::Octal,
        b'c' => Conversion::Char,
        b's' => Conversion::Text,
        b'p' => {
            let kind = match rest.peek() {
                Some((_, b'S' | b'F' | b'B')) => Conversion::Symbol,
                Some((_, b's' | b'f')) => Conversion::SymbolName,
                Some((_, b'x')) => Conversion::Pointer,
                Some((_, other)) if other.is_ascii_alphanumeric() => return Err(PrintError::Conversion),
                _ => {
                    end -= 1;
                    Conversion::Pointer
                }
            };
            end += 1;
            kind
        }
        _ => return Err(PrintError::Conversion),
    };
    Ok((spec, text.get(end..).unwrap_or_default()))
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    depth: usize,
    fields: &'a [Field],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<&'a Token<'a>, PrintError> {
        let token = self.peek().ok_or(PrintError::Syntax)?;
        self.at += 1;
        Ok(token)
    }

    /// Takes the sign if it is next.
    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), PrintError> {
        if self.takes(sign) { Ok(()) } else { Err(PrintError::Syntax) }
    }

    fn comma(&mut self) -> Result<(), PrintError> {
        self.expect(",")
    }

    /// The format: strings that stand side by side are one.
    fn strings(&mut self) -> Result<Vec<u8>, PrintError> {
        let mut all = Vec::new();
        let before = self.at;
        while let Some(Token::Text(text)) = self.peek() {
            all.extend_from_slice(text);
            self.at += 1;
        }
        if self.at == before { Err(PrintError::NoFormat) } else { Ok(all) }
    }

    fn expr(&mut self) -> Result<Expr, PrintError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PrintError::TooDeep);
        }
        let mut found = self.level(0)?;
        if self.takes("?") {
            let yes = Box::new(self.expr()?);
            self.expect(":")?;
            found = Expr::Choice(Box::new(found), yes, Box::new(self.expr()?));
        }
        self.depth -= 1;
        Ok(found)
    }

    fn level(&mut self, level: usize) -> Result<Expr, PrintError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some((_, op)) = operators.iter().find(|(sign, _)| self.takes(sign)) {
            left = Expr::Binary(*op, Box::new(left), Box::new(self.level(level + 1)?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, PrintError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PrintError::TooDeep);
        }
        let found = match self.next()? {
            Token::Sign("!") => Expr::Not(Box::new(self.unary()?)),
            Token::Sign("~") => Expr::Invert(Box::new(self.unary()?)),
            Token::Sign("-") => Expr::Negate(Box::new(self.unary()?)),
            Token::Sign("(") => match self.cast() {
                Some((bytes, signed)) => Expr::Cast { bytes, signed, of: Box::new(self.unary()?) },
                None => {
                    let inner = self.expr()?;
                    self.expect(")")?;
                    inner
                }
            },
            Token::Number(value) => Expr::Number(*value),
            Token::Text(text) => Expr::Text(text.clone()),
            Token::Name("REC") => {
                self.expect("->")?;
                self.field()?
            }
            Token::Name(name) => match CONSTANTS.iter().find(|(constant, _)| constant == name) {
                Some((_, value)) => Expr::Number(*value),
                None => self.helper(name)?,
            },
            Token::Sign(_) => return Err(PrintError::Syntax),
        };
        self.depth -= 1;
        Ok(found)
    }

    /// A type in brackets, whose first one is taken.
    fn cast(&mut self) -> Option<(u8, bool)> {
        let start = self.at;
        let (mut bytes, mut signed, mut words) = (4, true, 0);
        while let Some(Token::Name(word)) = self.peek() {
            let (_, size, sign) = TYPE_WORDS.iter().find(|(name, ..)| name == word)?;
            // `unsigned long` has the sign of the first word and the size of the last.
            bytes = *size;
            signed = if words == 0 { *sign } else { signed && *sign };
            words += 1;
            self.at += 1;
        }
        while self.takes("*") {
            (bytes, signed) = (8, false);
        }
        if words > 0 && self.takes(")") {
            return Some((bytes, signed));
        }
        self.at = start;
        None
    }

    fn place(&mut self) -> Result<(Place, &'a Field), PrintError> {
        let Token::Name(name) = self.next()? else { return Err(PrintError::Syntax) };
        let field = self.fields.iter().find(|field| field.name == *name).ok_or(PrintError::NoField)?;
        let is_array = !field.suffix.is_empty();
        let element = is_array.then(|| field.element_size());
        Ok((Place { offset: field.offset, size: field.size, signed: field.signed, element }, field))
    }

    fn field(&mut self) -> Result<Expr, PrintError> {
        let (place, _) = self.place()?;
        if place.element.is_some() && self.takes("[") {
            let index = Box::new(self.expr()?);
            self.expect("]")?;
            return Ok(Expr::Element(place, index));
        }
        Ok(Expr::Field(place))
    }

    /// A field whose bytes lie behind the fixed part.
    fn located(&mut self) -> Result<Place, PrintError> {
        let (place, field) = self.place()?;
        if field.is_location() { Ok(place) } else { Err(PrintError::NoField) }
    }

    fn helper(&mut self, name: &str) -> Result<Expr, PrintError> {
        self.expect("(").map_err(|_| PrintError::Unknown)?;
        let found = match name {
            "__get_str" | "__get_dynamic_array" => Expr::Located(self.located()?),
            "__get_dynamic_array_len" => Expr::LocatedLen(self.located()?),
            "__get_cpumask" | "__get_bitmask" => Expr::Bitmask(self.located()?),
            "__print_flags" | "__print_flags_u64" => {
                let value = Box::new(self.expr()?);
                self.comma()?;
                let between = self.strings()?;
                Expr::Flags { value, between, names: self.names()? }
            }
            "__print_symbolic" | "__print_symbolic_u64" => {
                Expr::Symbolic { value: Box::new(self.expr()?), names: self.names()? }
            }
            "__print_hex" | "__print_hex_str" => {
                let bytes = Box::new(self.expr()?);
                self.comma()?;
                let between = if name == "__print_hex" { " " } else { "" };
                Expr::Hex { bytes, len: Box::new(self.expr()?), between }
            }
            "__print_array" => {
                let elements = Box::new(self.expr()?);
                self.comma()?;
                let count = Box::new(self.expr()?);
                self.comma()?;
                Expr::Array { elements, count, size: Box::new(self.expr()?) }
            }
            _ => return Err(PrintError::Unknown),
        };
        self.expect(")")?;
        Ok(found)
    }

    /// `, { value, "name" }`, any number of them; the values are constants. An entry without a name ends the list.
    fn names(&mut self) -> Result<Names, PrintError> {
        let mut names = Vec::new();
        while self.takes(",") {
            self.expect("{")?;
            let value = match super::eval::eval(&self.expr()?, &[]) {
                super::eval::Value::Number { bits, .. } => bits,
                _ => return Err(PrintError::Syntax),
            };
            self.comma()?;
            match self.peek() {
                Some(Token::Text(_)) => {
                    let name = self.strings()?;
                    names.push((value, name));
                }
                _ => drop(self.expr()?),
            }
            self.expect("}")?;
        }
        Ok(names)
    }
}
