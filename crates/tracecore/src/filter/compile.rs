//! From text to steps.
//!
//! First the text as a whole: quotes and parentheses must match. Then operand by operand, from left to right, with a
//! frame for each open parenthesis. A frame keeps the jumps that it cannot close yet:
//!
//! ```text
//!   a && b || c && d        a.true → b      a.false, b.false → c     (`||` closes them)
//!                           b.true → the group is true               (kept in `or_true`)
//!                           c.true → d      c.false kept in `and_false` until the next `||` or the end
//! ```
//!
//! An operator with nothing behind it is let through at the end of a text, as on Linux.

use super::predicate::{Compare, Number, Test, TextAt, TextTest};
use super::{ACCEPT, ErrorKind, Filter, FilterError, MAX_EXPRESSION, MAX_PREDICATES, MAX_TEXT, REJECT, Step};
use crate::errno::Errno;
use crate::event::{Class, Field};
use crate::glob::Pattern;
use crate::probe::Resolver;
use crate::symbolize::Symbolizer;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

/// A jump that is not closed: of which step, and when.
type Jump = (usize, bool);

/// An operand: its open jumps.
struct Operand {
    if_true: Vec<Jump>,
    if_false: Vec<Jump>,
}

impl Operand {
    fn inverted(self, inverted: bool) -> Self {
        if inverted { Self { if_true: self.if_false, if_false: self.if_true } } else { self }
    }
}

/// An open parenthesis, or the whole.
#[derive(Default)]
struct Frame {
    inverted: bool,
    and_false: Vec<Jump>,
    or_true: Vec<Jump>,
}

impl Filter {
    /// Compiles an expression for records of a class.
    ///
    /// # Errors
    /// What is wrong with it and where; the error numbers are Linux's. EINVAL if it has more than
    /// [`MAX_EXPRESSION`] bytes, ENOSPC if it has more than [`MAX_PREDICATES`] predicates.
    pub fn compile(
        text: &str,
        class: &Class,
        names: &dyn Resolver,
        symbols: &dyn Symbolizer,
    ) -> Result<Self, FilterError> {
        if text.len() > MAX_EXPRESSION {
            return Err(FilterError::at(ErrorKind::Error, 0));
        }
        survey(text.as_bytes())?;
        Compiler { text, class, names, symbols, steps: Vec::new(), needs_comm: false, reads: 0 }.compile()
    }
}

/// `isspace` of the kernel, and of C.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Do quotes and parentheses match, and is there anything else?
fn survey(text: &[u8]) -> Result<(), FilterError> {
    let refuse = |kind, at, errno| Err(FilterError::at(kind, at).with_errno(errno));
    let mut quote: Option<(u8, usize)> = None;
    let mut open = Vec::new();
    let mut any = false;
    for (at, &byte) in text.iter().enumerate() {
        match (quote, byte) {
            (Some((close, _)), _) => {
                if byte == close {
                    quote = None;
                }
                continue;
            }
            (None, b'\'' | b'"') => quote = Some((byte, at)),
            (None, b'(') => open.push(at),
            (None, b')') if open.pop().is_none() => {
                return refuse(ErrorKind::TooManyClose, at, Errno::EPERM);
            }
            _ => {}
        }
        any |= !is_space(byte) && byte != b'(' && byte != b')';
    }
    if let Some((_, at)) = quote {
        return refuse(ErrorKind::MissingQuote, at, Errno::ESRCH);
    }
    if let Some(&at) = open.first() {
        return refuse(ErrorKind::TooManyOpen, at, Errno::ENOENT);
    }
    if any { Ok(()) } else { refuse(ErrorKind::Error, 0, Errno::EINVAL) }
}

struct Compiler<'a> {
    text: &'a str,
    class: &'a Class,
    names: &'a dyn Resolver,
    symbols: &'a dyn Symbolizer,
    steps: Vec<Step>,
    needs_comm: bool,
    reads: u64,
}

impl Compiler<'_> {
    /// The byte at a place, NUL behind the end.
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    /// The first place from `at` on whose byte does not fit.
    fn skip(&self, mut at: usize, fits: impl Fn(u8) -> bool) -> usize {
        while at < self.text.len() && fits(self.byte(at)) {
            at += 1;
        }
        at
    }

    fn slice(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Lets jumps lead to `target`.
    fn close(&mut self, jumps: &[Jump], target: u16) {
        for &(step, when) in jumps {
            if let Some(step) = self.steps.get_mut(step) {
                *(if when { &mut step.if_true } else { &mut step.if_false }) = target;
            }
        }
    }

    /// Lets jumps lead to the step that comes next.
    fn close_with_next(&mut self, jumps: &[Jump]) {
        // At most MAX_PREDICATES.
        self.close(jumps, self.steps.len() as u16);
    }

    fn compile(mut self) -> Result<Filter, FilterError> {
        let mut frames = vec![Frame::default()];
        let mut inverted = false;
        let mut at = 0;
        while at < self.text.len() {
            match (self.byte(at), self.byte(at + 1)) {
                (space, _) if is_space(space) => at += 1,
                (b'(', _) => {
                    frames.push(Frame { inverted: mem::take(&mut inverted), ..Frame::default() });
                    at += 1;
                }
                (b'!', next) if !matches!(next, b'=' | b' ' | b'\t' | b'\n') => {
                    inverted = !inverted;
                    at += 1;
                }
                _ => {
                    let operand = self.operand(&mut at)?.inverted(mem::take(&mut inverted));
                    if let Some(whole) = self.operator(operand, &mut frames, &mut at)? {
                        self.close(&whole.if_true, ACCEPT);
                        self.close(&whole.if_false, REJECT);
                        let Self { steps, needs_comm, reads, .. } = self;
                        return Ok(Filter::new(steps.into(), needs_comm, reads));
                    }
                }
            }
        }
        Err(FilterError::at(ErrorKind::NoFilter, at))
    }

    /// A predicate as a step.
    fn operand(&mut self, at: &mut usize) -> Result<Operand, FilterError> {
        let step = self.steps.len();
        if step >= MAX_PREDICATES {
            return Err(FilterError::at(ErrorKind::TooManyTerms, *at).with_errno(Errno::ENOSPC));
        }
        let test = self.predicate(at)?;
        self.needs_comm |= matches!(test, Test::Text { at: TextAt::Comm, .. });
        self.reads |= test.reads();
        self.steps.push(Step { test, if_true: REJECT, if_false: REJECT });
        Ok(Operand { if_true: vec![(step, true)], if_false: vec![(step, false)] })
    }

    /// What follows an operand: closing parentheses, then an operator or the end. At the end, the whole.
    fn operator(
        &mut self,
        mut operand: Operand,
        frames: &mut Vec<Frame>,
        at: &mut usize,
    ) -> Result<Option<Operand>, FilterError> {
        loop {
            *at = self.skip(*at, is_space);
            let inner = frames.len() > 1;
            let Some(frame) = frames.last_mut() else {
                return Err(FilterError::at(ErrorKind::TooManyClose, *at).with_errno(Errno::EPERM));
            };
            let (byte, next) = (self.byte(*at), self.byte(*at + 1));
            let dangling =
                || !inner && self.skip(*at + 2, |byte| is_space(byte) || byte == b'!') == self.text.len();
            match (byte, next) {
                (b'&', b'&') | (b'|', b'|') if !dangling() => {
                    *at += 2;
                    if byte == b'&' {
                        frame.and_false.append(&mut operand.if_false);
                        self.close_with_next(&operand.if_true);
                    } else {
                        operand.if_false.append(&mut frame.and_false);
                        frame.or_true.append(&mut operand.if_true);
                        self.close_with_next(&operand.if_false);
                    }
                    return Ok(None);
                }
                (0 | b')', _) | (b'&', b'&') | (b'|', b'|') => {
                    operand.if_false.append(&mut frame.and_false);
                    operand.if_true.append(&mut frame.or_true);
                    operand = operand.inverted(frame.inverted);
                    if byte != b')' {
                        return Ok(Some(operand));
                    }
                    frames.pop();
                    *at += 1;
                }
                _ => {
                    return Err(FilterError::at(ErrorKind::TooManyTerms, *at).with_errno(Errno::EPERM));
                }
            }
        }
    }

    /// `FIELD OP VALUE` from `at` on, which then stands behind it.
    fn predicate(&mut self, at: &mut usize) -> Result<Test, FilterError> {
        // Linux counts the columns inside a predicate from one.
        let refuse = |kind, at: usize| FilterError::at(kind, at + 1);
        let start = *at;
        let mut i = self.skip(start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if i == start {
            return Err(FilterError::at(ErrorKind::Error, 0).with_errno(Errno::EPERM));
        }
        let place = Place::find(self.class, self.slice(start, i)).ok_or(refuse(ErrorKind::NoField, i))?;
        let rest = self.text.get(i..).unwrap_or_default();
        let is_function = rest.starts_with(".function");
        if is_function {
            i += ".function".len();
        } else if rest.starts_with(".ustring") {
            // Texts were copied into the record, so it does not matter where they came from.
            i += ".ustring".len();
        }
        i = self.skip(i, is_space);
        let operator = Operator::at(self.text.get(i..).unwrap_or_default())
            .ok_or(refuse(ErrorKind::InvalidOperator, i))?;
        i = self.skip(i + operator.text().len(), is_space);
        let test = match self.byte(i) {
            _ if is_function => self.function(place, operator, &mut i),
            b'\'' | b'"' => self.quoted(place, operator, &mut i),
            b'-' | b'0'..=b'9' => self.number(place, operator, &mut i),
            _ => Err((ErrorKind::InvalidValue, i)),
        };
        *at = i;
        test.map_err(|(kind, at)| refuse(kind, at))
    }

    fn number(&self, place: Place, operator: Operator, i: &mut usize) -> Result<Test, (ErrorKind, usize)> {
        let start = *i;
        if matches!(place, Place::Text(_)) {
            return Err((ErrorKind::ExpectText, start));
        }
        let Operator::Compare(compare) = operator else { return Err((ErrorKind::IllegalOperation, start)) };
        *i = self.skip(start + usize::from(self.byte(start) == b'-'), |byte| byte.is_ascii_alphanumeric());
        /// Linux's buffer, without the NUL.
        const MAX_DIGITS: usize = 23;
        if *i - start > MAX_DIGITS {
            return Err((ErrorKind::OperandTooLong, *i));
        }
        let text = self.slice(start, *i);
        let illegal = (ErrorKind::IllegalNumber, start);
        match place {
            Place::Cpu => {
                let with = integer(text, true).ok_or(illegal)?;
                Ok(Test::Cpu { compare, with: i64::from(with as i32) as u64 })
            }
            Place::Field { number, signed, .. } => {
                let with = integer(text, signed).ok_or(illegal)?;
                let number = number.ok_or((ErrorKind::IllegalOperation, start))?;
                Ok(Test::number(number, compare, number.widen(with)))
            }
            Place::Text(_) => Err((ErrorKind::ExpectText, start)),
        }
    }

    fn quoted(&self, place: Place, operator: Operator, i: &mut usize) -> Result<Test, (ErrorKind, usize)> {
        let start = *i;
        let is_pattern = operator == Operator::Pattern;
        let mut inverted = operator == Operator::Compare(Compare::NotEqual);
        if !is_pattern && !inverted && operator != Operator::Compare(Compare::Equal) {
            return Err((ErrorKind::IllegalOperation, start));
        }
        let Place::Text(at) = place else { return Err((ErrorKind::ExpectNumber, start)) };
        let quote = self.byte(start);
        let end = self.skip(start + 1, |byte| byte != quote);
        if end == self.text.len() {
            return Err((ErrorKind::MissingQuote, end));
        }
        let text = self.slice(start + 1, end);
        if text.len() >= MAX_TEXT {
            return Err((ErrorKind::OperandTooLong, end));
        }
        *i = end + 1;
        let test = if is_pattern {
            let pattern = Pattern::new(text);
            inverted = pattern.is_negated();
            TextTest::pattern(&pattern)
        } else {
            TextTest::exact(text)
        };
        Ok(Test::Text { at, test, inverted })
    }

    fn function(&self, place: Place, operator: Operator, i: &mut usize) -> Result<Test, (ErrorKind, usize)> {
        let start = *i;
        let Place::Field { number: Some(number), size: 8, .. } = place else {
            return Err((ErrorKind::IllegalOperation, start));
        };
        let inverted = match operator {
            Operator::Compare(Compare::Equal) => false,
            Operator::Compare(Compare::NotEqual) => true,
            _ => return Err((ErrorKind::InvalidOperator, start)),
        };
        *i = self.function_end(start);
        let text = self.slice(start, *i);
        let missing = (ErrorKind::NoFunction, *i);
        let (first, size) = if text.starts_with(|c: char| c.is_ascii_digit()) {
            let address = integer(text, false).ok_or((ErrorKind::InvalidValue, *i))?;
            let symbol = self.symbols.symbol_at(address).ok_or(missing)?;
            (address.wrapping_sub(symbol.offset), symbol.size)
        } else {
            let symbol = self.names.lookup(text).map_err(|_| missing)?;
            (symbol.address, symbol.size)
        };
        Ok(Test::inside(number, first, first.saturating_add(size), inverted))
    }

    /// Where the name of a function ends. It may have parentheses of its own, and a single `&`.
    fn function_end(&self, mut at: usize) -> usize {
        let mut depth = 0u32;
        while at < self.text.len() {
            match (self.byte(at), self.byte(at + 1)) {
                (space, _) if is_space(space) => break,
                (b'&', b'&') | (b'|', b'|') => break,
                (b'(', _) => depth += 1,
                (b')', _) if depth == 0 => break,
                (b')', _) => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        at
    }
}

/// What the name of a field stands for.
#[derive(Clone, Copy)]
enum Place {
    Text(TextAt),
    /// No number if it has a size that none has.
    Field {
        number: Option<Number>,
        size: u16,
        signed: bool,
    },
    Cpu,
}

impl Place {
    fn find(class: &Class, name: &str) -> Option<Self> {
        match (class.field(name), name) {
            (Some(field), _) => Some(Self::of(field)),
            (None, "cpu" | "CPU") => Some(Self::Cpu),
            (None, "comm" | "COMM") => Some(Self::Text(TextAt::Comm)),
            (None, _) => None,
        }
    }

    fn of(field: &Field) -> Self {
        let &Field { offset: at, size, signed, .. } = field;
        let is_char = field.ty.contains("char");
        if field.is_location() && is_char {
            Self::Text(TextAt::Location(at))
        } else if is_char && !field.suffix.is_empty() {
            Self::Text(TextAt::Fixed { at, size })
        } else {
            Self::Field { number: Number::new(at, size, signed), size, signed }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Pattern,
    Compare(Compare),
}

impl Operator {
    /// The longer ones first.
    const ALL: [Self; 8] = [
        Self::Pattern,
        Self::Compare(Compare::NotEqual),
        Self::Compare(Compare::Equal),
        Self::Compare(Compare::LessOrEqual),
        Self::Compare(Compare::Less),
        Self::Compare(Compare::GreaterOrEqual),
        Self::Compare(Compare::Greater),
        Self::Compare(Compare::Bits),
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Pattern => "~",
            Self::Compare(Compare::NotEqual) => "!=",
            Self::Compare(Compare::Equal) => "==",
            Self::Compare(Compare::LessOrEqual) => "<=",
            Self::Compare(Compare::Less) => "<",
            Self::Compare(Compare::GreaterOrEqual) => ">=",
            Self::Compare(Compare::Greater) => ">",
            Self::Compare(Compare::Bits) => "&",
        }
    }

    fn at(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| text.starts_with(operator.text()))
    }
}

/// A number as C writes it: decimal, `0x…`, or octal after a `0`. One with a `-` only for a signed field.
fn integer(text: &str, signed: bool) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) if signed => (true, digits),
        Some(_) => return None,
        None => (false, text),
    };
    let (radix, digits) = match (digits.strip_prefix("0x").or(digits.strip_prefix("0X")), digits) {
        (Some(hex), _) => (16, hex),
        (None, "0") => (10, digits),
        (None, _) => digits.strip_prefix('0').map_or((10, digits), |octal| (8, octal)),
    };
    let value = u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']))?;
    match (signed, negative) {
        (false, _) => Some(value),
        (true, false) => i64::try_from(value).ok().map(|value| value as u64),
        (true, true) => 0i64.checked_sub_unsigned(value).map(|value| value as u64),
    }
}
