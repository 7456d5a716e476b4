//! The parts of instructions: registers, numbers, pointers and addresses.

use alloc::format;

use super::super::Error;
use super::Parser;
use super::tokens::{Place, Token, syntax};
use crate::op::{Operand, Reg, Size, Width};

impl Parser<'_> {
    pub(super) fn register(&mut self) -> Result<(Width, Reg, Place), Error> {
        let (word, place) = self.tokens.word("a register")?;
        match register(word) {
            Some((width, reg)) => Ok((width, reg, place)),
            None => syntax(place, format!("{word:?} is no register")),
        }
    }

    pub(super) fn register_of(&mut self, width: Width) -> Result<Reg, Error> {
        match self.register()? {
            (w, reg, _) if w == width => Ok(reg),
            (.., place) => syntax(place, "32 and 64 bits do not mix"),
        }
    }

    /// A register or a number; of the width, or, without one, of either.
    pub(super) fn operand(&mut self, width: Option<Width>) -> Result<Operand, Error> {
        match self.tokens.peek()? {
            (Token::Word(_), place) => {
                let (w, reg, _) = self.register()?;
                if width.is_some_and(|width| w != width) {
                    return syntax(place, "32 and 64 bits do not mix");
                }
                Ok(Operand::Reg(reg))
            }
            (_, place) => {
                let negative = self.tokens.take_if("-")?;
                match self.tokens.take()? {
                    (Token::Number(n), _) => Ok(Operand::Imm(immediate(n, negative, width, place)?)),
                    (_, place) => syntax(place, "expected a register or a number"),
                }
            }
        }
    }

    /// A number of 32 bits with or without a sign.
    pub(super) fn signed(&mut self, what: &str) -> Result<i32, Error> {
        let place = self.tokens.peek()?.1;
        let negative = !self.tokens.take_if("+")? && self.tokens.take_if("-")?;
        match self.tokens.take()? {
            (Token::Number(n), _) => immediate(n, negative, None, place),
            (_, place) => syntax(place, format!("expected {what}")),
        }
    }

    /// `(u8 *)`
    pub(super) fn pointer(&mut self) -> Result<(Size, bool, Place), Error> {
        self.tokens.expect("(")?;
        let (name, place) = self.tokens.word("a type, as u8")?;
        let size = match name.get(1..) {
            Some("8") => Size::B,
            Some("16") => Size::H,
            Some("32") => Size::W,
            Some("64") => Size::Dw,
            _ => return syntax(place, format!("{name:?} is no type")),
        };
        if !name.starts_with(['u', 's']) {
            return syntax(place, format!("{name:?} is no type"));
        }
        self.tokens.expect("*")?;
        self.tokens.expect(")")?;
        Ok((size, name.starts_with('s'), place))
    }

    pub(super) fn atomic_pointer(&mut self) -> Result<Width, Error> {
        match self.pointer()? {
            (Size::Dw, false, _) => Ok(Width::W64),
            (Size::W, false, _) => Ok(Width::W32),
            (.., place) => syntax(place, "atomics are on u32 and u64"),
        }
    }

    pub(super) fn expect_width(&mut self, width: Width) -> Result<(), Error> {
        let expected = if width == Width::W64 { "u64" } else { "u32" };
        match self.tokens.word(expected)? {
            (name, _) if name == expected => Ok(()),
            (_, place) => syntax(place, format!("expected {expected}")),
        }
    }

    /// `(r1 + 4)`
    pub(super) fn address(&mut self) -> Result<(Reg, i16), Error> {
        self.tokens.expect("(")?;
        let address = self.base()?;
        self.tokens.expect(")")?;
        Ok(address)
    }

    /// `r1 + 4`
    pub(super) fn base(&mut self) -> Result<(Reg, i16), Error> {
        let base = self.register_of(Width::W64)?;
        if !matches!(self.tokens.peek()?.0, Token::Sign("+" | "-")) {
            return Ok((base, 0));
        }
        let place = self.tokens.peek()?.1;
        match i16::try_from(self.signed("an offset")?) {
            Ok(off) => Ok((base, off)),
            Err(_) => syntax(place, "the offset does not fit 16 bits"),
        }
    }
}

/// `r1` or `w1`.
pub(super) fn register(word: &str) -> Option<(Width, Reg)> {
    let (width, number) = match word.strip_prefix('r') {
        Some(number) => (Width::W64, number),
        None => (Width::W32, word.strip_prefix('w')?),
    };
    // `r01` is a name.
    if number.len() > 1 && number.starts_with('0') {
        return None;
    }
    Some((width, Reg::new(number.parse().ok()?)?))
}

/// A number as an immediate. One of 32 bits may be written as it lies there (`0xffffffff`), which would be another
/// number if it were extended to 64.
pub(super) fn immediate(n: u64, negative: bool, width: Option<Width>, place: Place) -> Result<i32, Error> {
    let value = i128::from(n) * if negative { -1 } else { 1 };
    let fits = i32::try_from(value).ok();
    let as_it_lies = (width == Some(Width::W32)).then(|| u32::try_from(value).ok()).flatten();
    match fits.or(as_it_lies.map(|bits| bits as i32)) {
        Some(imm) => Ok(imm),
        None => syntax(place, "does not fit 32 bits; `ll` behind it loads 64"),
    }
}
