//! One predicate: a place in the record, held against a constant.

use super::Context;
use crate::fetch::{BEYOND, units};
use crate::glob::{self, Bytes, Pattern, Shape};
use crate::ring::Reservation;
use alloc::boxed::Box;

/// The bytes of a record, wherever they are.
pub(crate) trait Subject {
    /// How many there are.
    fn len(&self) -> usize;
    /// The word of this number, its bytes behind the end as anything: a caller cuts them to the field's size.
    fn word_at(&self, index: usize) -> u64;

    /// Eight bytes from here on.
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        let low = self.word_at(at / 8);
        match at % 8 {
            0 => low,
            shift => low >> (shift * 8) | self.word_at(at / 8 + 1) << (64 - shift * 8),
        }
    }
}

impl Subject for [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn word_at(&self, index: usize) -> u64 {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(self.get(index * 8..).unwrap_or_default()) {
            *to = *from;
        }
        u64::from_le_bytes(word)
    }
}

impl Subject for [u64] {
    fn len(&self) -> usize {
        <[u64]>::len(self) * 8
    }

    #[inline(always)]
    fn word_at(&self, index: usize) -> u64 {
        self.get(index).map_or(0, |word| u64::from_le(*word))
    }
}

impl Subject for Reservation<'_> {
    fn len(&self) -> usize {
        Reservation::len(self)
    }

    #[inline(always)]
    fn word_at(&self, index: usize) -> u64 {
        self.get_word(index)
    }
}

/// A text inside a record, up to its NUL.
struct Text<'a, S: ?Sized> {
    record: &'a S,
    start: usize,
    len: usize,
}

impl<'a, S: Subject + ?Sized> Text<'a, S> {
    fn new(record: &'a S, start: usize, room: usize) -> Self {
        let room = room.min(record.len().saturating_sub(start));
        let whole = Self { record, start, len: room };
        let len = (0..room).find(|&at| whole.byte(at) == Some(0)).unwrap_or(room);
        Self { len, ..whole }
    }
}

impl<S: Subject + ?Sized> Bytes for Text<'_, S> {
    fn len(&self) -> usize {
        self.len
    }

    fn byte(&self, at: usize) -> Option<u8> {
        (at < self.len).then(|| self.record.word(self.start + at) as u8)
    }
}

/// Where a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextAt {
    /// Behind the fixed part, its location here.
    Location(u16),
    /// In the fixed part; without a size, up to the end of the record.
    Fixed { at: u16, size: u16 },
    /// The name of the task.
    Comm,
}

/// A text to compare with, or a pattern.
#[derive(Clone, Debug)]
pub(super) struct TextTest {
    text: Box<str>,
    /// The text without the stars that the shape stands for.
    core: Box<str>,
    shape: Shape,
}

impl TextTest {
    pub(super) fn exact(text: &str) -> Self {
        Self { text: text.into(), core: text.into(), shape: Shape::Whole }
    }

    /// A pattern, without regard to a `!` in front of it.
    pub(super) fn pattern(pattern: &Pattern<'_>) -> Self {
        Self { text: pattern.text().into(), core: pattern.core().into(), shape: pattern.shape() }
    }

    fn holds<B: Bytes + ?Sized>(&self, found: &B) -> bool {
        let core = self.core.as_bytes();
        let Some(spare) = found.len().checked_sub(core.len()) else {
            return self.shape == Shape::General && glob::general(self.text.as_bytes(), found);
        };
        match self.shape {
            Shape::Whole => spare == 0 && stands_at(core, found, 0),
            Shape::Start => stands_at(core, found, 0),
            Shape::End => stands_at(core, found, spare),
            Shape::Inside => (0..=spare).any(|at| stands_at(core, found, at)),
            Shape::General => {
                let text = self.text.as_bytes();
                text.len() == found.len() && stands_at(text, found, 0) || glob::general(text, found)
            }
        }
    }
}

fn stands_at<B: Bytes + ?Sized>(text: &[u8], found: &B, at: usize) -> bool {
    text.iter().enumerate().all(|(i, byte)| found.byte(at + i) == Some(*byte))
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Bits,
}

/// Where a number is, and how its bytes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    at: u16,
    /// 64 less its bits.
    spare: u8,
    signed: bool,
}

impl Number {
    /// A number of 1, 2, 4 or 8 bytes.
    pub(super) fn new(at: u16, size: u16, signed: bool) -> Option<Self> {
        let spare = match size {
            1 => 56,
            2 => 48,
            4 => 32,
            8 => 0,
            _ => return None,
        };
        Some(Self { at, spare, signed })
    }

    /// `raw` cut to the field's size and widened again.
    #[inline(always)]
    pub(super) fn widen(self, raw: u64) -> u64 {
        let top = raw << (self.spare & 63);
        if self.signed { (top as i64 >> (self.spare & 63)) as u64 } else { top >> (self.spare & 63) }
    }

    /// What of the record it lies in.
    fn units(self) -> u64 {
        units(usize::from(self.at), (64 - usize::from(self.spare)) / 8)
    }

    #[inline(always)]
    fn load<S: Subject + ?Sized>(self, record: &S) -> u64 {
        self.widen(record.word(usize::from(self.at)))
    }
}

/// A comparison of a number that lies in one word of the record, as most do: the number is moved to the top of its word,
/// where numbers of all sizes have the same order, and every comparison is the question whether it lies in a range.
///
/// ```text
///   word       ░░░░ number ▒▒▒▒     << up, keep       number 0…0      a signed one with its sign bit turned over
///   n == w     [w, w]     n <= w   [0, w]     n < w   [0, w - 1]      n != w, n > w, n >= w   not in that
///   n & w      not in [0, 0], where only the bits of w are kept
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    number: Number,
    up: u8,
    inverted: bool,
    keep: u64,
    flip: u64,
    low: u64,
    span: u64,
}

impl Range {
    fn new(number: Number, compare: Compare, with: u64) -> Option<Self> {
        let bits = 64 - u32::from(number.spare);
        let first = u32::from(number.at % 8) * 8;
        let up = 64u32.checked_sub(first + bits)? as u8;
        let flip = u64::from(number.signed) << 63;
        let with = (with << (number.spare & 63)) ^ flip;
        let (low, span, inverted) = match compare {
            Compare::Equal => (with, 0, false),
            Compare::NotEqual => (with, 0, true),
            Compare::LessOrEqual => (0, with, false),
            Compare::Greater => (0, with, true),
            // Nothing is less than the least: not in the range of all.
            Compare::Less => with.checked_sub(1).map_or((0, u64::MAX, true), |last| (0, last, false)),
            Compare::GreaterOrEqual => {
                with.checked_sub(1).map_or((0, u64::MAX, false), |last| (0, last, true))
            }
            Compare::Bits => {
                return Some(Self {
                    number,
                    up,
                    inverted: true,
                    keep: with ^ flip,
                    flip: 0,
                    low: 0,
                    span: 0,
                });
            }
        };
        let keep = u64::MAX << (number.spare & 63);
        Some(Self { number, up, inverted, keep, flip, low, span })
    }

    /// An address of eight bytes in, or not in, a range.
    fn inside(number: Number, start: u64, end: u64, inverted: bool) -> Option<Self> {
        if number.spare != 0 || !number.at.is_multiple_of(8) {
            return None;
        }
        // A range of none is that of all, the other way round.
        let (span, inverted) = match end.checked_sub(start).and_then(|length| length.checked_sub(1)) {
            Some(span) => (span, inverted),
            None => (u64::MAX, !inverted),
        };
        Some(Self { number, up: 0, inverted, keep: u64::MAX, flip: 0, low: start, span })
    }

    #[inline(always)]
    pub(super) fn holds_in<S: Subject + ?Sized>(&self, record: &S) -> bool {
        self.holds(record.word_at(self.word()))
    }

    /// The number of the word that it looks at.
    #[inline(always)]
    pub(super) fn word(&self) -> usize {
        usize::from(self.number.at / 8)
    }

    /// Does it hold for a record that has this word there?
    #[inline(always)]
    pub(super) fn holds(&self, word: u64) -> bool {
        let value = (word << (self.up & 63) & self.keep) ^ self.flip;
        (value.wrapping_sub(self.low) <= self.span) != self.inverted
    }
}

/// What a predicate tests.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// A number in one word.
    Range(Range),
    /// A number.
    Number { number: Number, compare: Compare, with: u64 },
    /// The number of the CPU.
    Cpu { compare: Compare, with: u64 },
    /// An address in, or not in, a range.
    Inside { number: Number, start: u64, end: u64, inverted: bool },
    /// A text.
    Text { at: TextAt, test: TextTest, inverted: bool },
}

impl Test {
    /// A comparison of a number with a constant of its size.
    pub(super) fn number(number: Number, compare: Compare, with: u64) -> Self {
        Range::new(number, compare, with).map_or(Self::Number { number, compare, with }, Self::Range)
    }

    /// The question whether an address lies in a range, or does not.
    pub(super) fn inside(number: Number, start: u64, end: u64, inverted: bool) -> Self {
        let other = Self::Inside { number, start, end, inverted };
        Range::inside(number, start, end, inverted).map_or(other, Self::Range)
    }

    /// What it looks at in a record: a mask, as [`units`] makes it.
    pub(super) fn reads(&self) -> u64 {
        match self {
            Self::Range(Range { number, .. }) | Self::Number { number, .. } | Self::Inside { number, .. } => {
                number.units()
            }
            Self::Cpu { .. } | Self::Text { at: TextAt::Comm, .. } => 0,
            Self::Text { .. } => BEYOND,
        }
    }

    #[inline(always)]
    pub(super) fn holds<S: Subject + ?Sized>(&self, record: &S, context: &Context<'_>) -> bool {
        match self {
            Self::Range(range) => range.holds_in(record),
            &Self::Number { number, compare, with } => {
                compares(number.load(record), compare, with, number.signed)
            }
            &Self::Cpu { compare, with } => compares(context.cpu as u64, compare, with, true),
            &Self::Inside { number, start, end, inverted } => {
                (start..end).contains(&number.load(record)) != inverted
            }
            Self::Text { at, test, inverted } => text_holds(*at, test, record, context) != *inverted,
        }
    }
}

#[inline(always)]
fn compares(found: u64, compare: Compare, with: u64, signed: bool) -> bool {
    // With the sign bit turned over, signed numbers are in the order of unsigned ones.
    let sign = u64::from(signed) << 63;
    let order = (found ^ sign).cmp(&(with ^ sign));
    match compare {
        Compare::Equal => found == with,
        Compare::NotEqual => found != with,
        Compare::Less => order.is_lt(),
        Compare::LessOrEqual => order.is_le(),
        Compare::Greater => order.is_gt(),
        Compare::GreaterOrEqual => order.is_ge(),
        Compare::Bits => found & with != 0,
    }
}

#[inline(never)]
fn text_holds<S: Subject + ?Sized>(at: TextAt, test: &TextTest, record: &S, context: &Context<'_>) -> bool {
    match at {
        TextAt::Location(at) => {
            let location = record.word(usize::from(at)) as u32;
            test.holds(&Text::new(record, (location & 0xffff) as usize, (location >> 16) as usize))
        }
        TextAt::Fixed { at, size } => {
            let room = if size == 0 { usize::MAX } else { usize::from(size) };
            test.holds(&Text::new(record, usize::from(at), room))
        }
        TextAt::Comm => {
            let end = context.comm.iter().position(|byte| *byte == 0).unwrap_or(context.comm.len());
            test.holds(context.comm.get(..end).unwrap_or_default())
        }
    }
}
