//! What is assigned to a register: all that can stand behind `r1 =`, and the operators beside it.

use alloc::format;

use super::super::Error;
use super::super::print::{cmpxchg, xchg};
use super::tokens::{Place, Token, syntax};
use super::{Parser, arithmetic, into_label, operand};
use crate::op::{Alu, Atomic, Imm64, Op, Operand, Order, Reg, Size, Width};

impl<'a> Parser<'a> {
    /// What follows a register at the beginning.
    pub(super) fn assignment(
        &mut self,
        width: Width,
        dst: Reg,
        label: &mut Option<&'a str>,
    ) -> Result<Op, Error> {
        let (token, place) = self.tokens.take()?;
        let Token::Sign(sign) = token else { return syntax(place, "expected an operator") };
        if sign != "=" {
            let Some(alu) = Alu::ALL.into_iter().find(|alu| alu.sign() == sign) else {
                return syntax(place, format!("{sign:?} assigns nothing"));
            };
            return Ok(Op::Alu { width, alu, dst, src: self.operand(Some(width))? });
        }
        let (token, place) = self.tokens.peek()?;
        match token {
            Token::Sign("-") => {
                self.tokens.pass();
                if let (Token::Number(n), place) = self.tokens.peek()? {
                    self.tokens.pass();
                    return self.constant(width, dst, n, true, place);
                }
                let (w, src, place) = self.register()?;
                if (w, src) != (width, dst) {
                    return syntax(place, "a register is negated in place");
                }
                Ok(Op::Neg { width, dst })
            }
            Token::Sign("(") => self.extension(width, dst),
            Token::Sign("*") => {
                self.tokens.pass();
                let (size, signed, place) = self.pointer()?;
                if signed && size == Size::Dw {
                    return syntax(place, "8 bytes have nothing to extend");
                }
                let (src, off) = self.address()?;
                Ok(Op::Load { size, signed, dst, src, off })
            }
            Token::Number(n) => {
                self.tokens.pass();
                self.constant(width, dst, n, false, place)
            }
            Token::Word(word) if operand::register(word).is_some() => {
                Ok(Op::Alu { width, alu: Alu::Mov, dst, src: self.operand(Some(width))? })
            }
            Token::Word(word) => {
                self.tokens.pass();
                self.named(word, place, width, dst, label)
            }
            _ => syntax(place, "expected what is assigned"),
        }
    }

    /// A number, with `ll` behind it or without.
    fn constant(
        &mut self,
        width: Width,
        dst: Reg,
        n: u64,
        negative: bool,
        place: Place,
    ) -> Result<Op, Error> {
        if let (Token::Word("ll"), here) = self.tokens.peek()? {
            self.tokens.pass();
            if width == Width::W32 {
                return syntax(here, "32 bits take no 64-bit immediate");
            }
            let value = if negative { n.wrapping_neg() } else { n };
            return Ok(Op::LoadImm { dst, imm: Imm64::Value(value) });
        }
        let src = Operand::Imm(operand::immediate(n, negative, Some(width), place)?);
        Ok(Op::Alu { width, alu: Alu::Mov, dst, src })
    }

    /// `(s8)r2`
    fn extension(&mut self, width: Width, dst: Reg) -> Result<Op, Error> {
        self.tokens.expect("(")?;
        let (name, place) = self.tokens.word("s8, s16 or s32")?;
        let bits = match (name, width) {
            ("s8", _) => 8,
            ("s16", _) => 16,
            ("s32", Width::W64) => 32,
            _ => return syntax(place, "expected s8, s16 or, to 64 bits, s32"),
        };
        self.tokens.expect(")")?;
        Ok(Op::MovSx { width, bits, dst, src: self.register_of(width)? })
    }

    /// `be16 r1`, `map[…]`, `atomic_fetch_add(…)`, …
    fn named(
        &mut self,
        word: &'a str,
        place: Place,
        width: Width,
        dst: Reg,
        label: &mut Option<&'a str>,
    ) -> Result<Op, Error> {
        if let Some((order, bits)) = byte_order(word) {
            let (w, src, here) = self.register()?;
            if (w, src) != (width, dst) || width == Width::W32 {
                return syntax(here, "bytes are put in order in place, in an r register");
            }
            return Ok(Op::End { order, bits, dst });
        }
        if ["map", "var", "code"].contains(&word) {
            if width == Width::W32 {
                return syntax(place, "an address takes 64 bits");
            }
            self.tokens.expect("[")?;
            let imm = match word {
                "map" => self.map()?,
                "var" => Imm64::Var(self.signed("a number")?),
                _ => {
                    let (target, _) = self.target()?;
                    Imm64::Code(into_label(target, label))
                }
            };
            if word != "map" {
                self.tokens.expect("]")?;
            }
            return Ok(Op::LoadImm { dst, imm });
        }
        if let Some(name) = word.strip_prefix("atomic_fetch_") {
            let Some(atomic) = arithmetic(|_, has, fetch| fetch && has == name) else {
                return syntax(place, "expected add, or, and, xor behind atomic_fetch_");
            };
            self.tokens.expect("(")?;
            self.tokens.expect("(")?;
            self.expect_width(width)?;
            self.tokens.expect("*")?;
            self.tokens.expect(")")?;
            let (base, off) = self.address()?;
            self.tokens.expect(",")?;
            let src = self.source(width, dst)?;
            self.tokens.expect(")")?;
            return Ok(Op::Atomic { width, atomic, dst: base, off, src });
        }
        if word == xchg(width) || word == cmpxchg(width) {
            self.tokens.expect("(")?;
            let (base, off) = self.base()?;
            self.tokens.expect(",")?;
            let (atomic, src) = if word == xchg(width) {
                (Atomic::Xchg, self.source(width, dst)?)
            } else {
                if dst != Reg::R0 {
                    return syntax(place, "compare and exchange has its result in r0");
                }
                self.source(width, Reg::R0)?;
                self.tokens.expect(",")?;
                (Atomic::Cmpxchg, self.register_of(width)?)
            };
            self.tokens.expect(")")?;
            return Ok(Op::Atomic { width, atomic, dst: base, off, src });
        }
        syntax(place, format!("{word:?} is nothing that can be assigned"))
    }

    /// Behind `map[`.
    fn map(&mut self) -> Result<Imm64, Error> {
        let place = self.tokens.peek()?.1;
        let imm = match self.tokens.peek()?.0 {
            Token::Word(name) => {
                self.tokens.pass();
                match self.names.map(name) {
                    Some(imm) => imm,
                    None => return syntax(place, format!("there is no map {name:?}")),
                }
            }
            Token::Sign("#") => {
                self.tokens.pass();
                Imm64::MapIndex(self.signed("a number")?)
            }
            _ => Imm64::Map(self.signed("a map")?),
        };
        self.tokens.expect("]")?;
        if !self.tokens.take_if("[")? {
            return Ok(imm);
        }
        match self.tokens.take()? {
            (Token::Number(0), _) => {}
            (_, place) => return syntax(place, "only element 0 has a known address"),
        }
        self.tokens.expect("]")?;
        self.tokens.expect("+")?;
        let (token, here) = self.tokens.take()?;
        let off = match token {
            Token::Number(n) => u32::try_from(n).ok(),
            _ => None,
        };
        let Some(off) = off else { return syntax(here, "expected an offset of 32 bits") };
        match imm {
            Imm64::Map(map) => Ok(Imm64::MapValue { map, off }),
            Imm64::MapIndex(map) => Ok(Imm64::MapIndexValue { map, off }),
            _ => syntax(place, "not a map"),
        }
    }

    /// The source of an atomic, which is where the old value goes.
    fn source(&mut self, width: Width, dst: Reg) -> Result<Reg, Error> {
        let place = self.tokens.peek()?.1;
        let src = self.register_of(width)?;
        if src == dst { Ok(src) } else { syntax(place, "the old value goes into the register given here") }
    }
}

/// `be16` and the like.
fn byte_order(word: &str) -> Option<(Order, u8)> {
    let known = [("bswap", Order::Swap), ("le", Order::Little), ("be", Order::Big)];
    known.into_iter().find_map(|(name, order)| {
        let bits = word.strip_prefix(name)?;
        ["16", "32", "64"].contains(&bits).then(|| bits.parse().ok().map(|bits| (order, bits)))?
    })
}
