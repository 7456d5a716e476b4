//! Text to a program.
//!
//! One pass reads instructions and remembers where jumps to labels stand; a second one fills them in.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::print::{cmpxchg, xchg};
use super::{Error, Names};
use crate::op::{Alu, Atomic, Callee, Cond, Imm64, Op, Operand, Order, Reg, Size, Width};
use crate::program::{MAX_SLOTS, Program};

/// Reads a program.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn parse(text: &str, names: &dyn Names) -> Result<Program, Error> {
    let mut parser = Parser {
        tokens: Tokens { text, at: 0, line: 1, begin: 0 },
        names,
        next: None,
        labels: BTreeMap::new(),
        ops: Vec::new(),
        slots: 0,
    };
    parser.program()?;
    parser.finish()
}

/// Operators, the longest ones first: the first that fits is taken.
const SIGNS: &[&str] = &[
    "s>>=", "s>=", "s<=", "s/=", "s%=", "<<=", ">>=", "s>", "s<", "+=", "-=", "*=", "/=", "%=", "|=", "&=",
    "^=", "==", "!=", ">=", "<=", "=", "<", ">", "&", "+", "-", "*", "(", ")", "[", "]", ",", ":", "#",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Number(u64),
    Sign(&'static str),
    /// End of a line, or `;`.
    Break,
    End,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    line: usize,
    column: usize,
}

fn syntax<T>(place: Place, what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Syntax { line: place.line, column: place.column, what: what.into() })
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Where the line begins.
    begin: usize,
}

impl<'a> Tokens<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn place(&self) -> Place {
        let column = self.text.get(self.begin..self.at).unwrap_or_default().chars().count() + 1;
        Place { line: self.line, column }
    }

    fn next(&mut self) -> Result<(Token<'a>, Place), Error> {
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
}

/// Where a jump leads.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Slots(i32),
    Label(&'a str),
}

/// An instruction whose target may not be known yet.
struct Pending<'a> {
    op: Op,
    at: usize,
    label: Option<&'a str>,
    place: Place,
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    names: &'a dyn Names,
    /// A token that was looked at.
    next: Option<(Token<'a>, Place)>,
    labels: BTreeMap<&'a str, usize>,
    ops: Vec<Pending<'a>>,
    slots: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Result<(Token<'a>, Place), Error> {
        match self.next {
            Some(next) => Ok(next),
            None => Ok(*self.next.insert(self.tokens.next()?)),
        }
    }

    fn take(&mut self) -> Result<(Token<'a>, Place), Error> {
        let token = self.peek()?;
        self.next = None;
        Ok(token)
    }

    fn take_if(&mut self, sign: &str) -> Result<bool, Error> {
        let is = matches!(self.peek()?.0, Token::Sign(next) if next == sign);
        if is {
            self.next = None;
        }
        Ok(is)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Error> {
        if self.take_if(sign)? {
            return Ok(());
        }
        syntax(self.peek()?.1, format!("expected {sign:?}"))
    }

    fn word(&mut self, what: &str) -> Result<(&'a str, Place), Error> {
        match self.take()? {
            (Token::Word(word), place) => Ok((word, place)),
            (_, place) => syntax(place, format!("expected {what}")),
        }
    }

    fn program(&mut self) -> Result<(), Error> {
        loop {
            match self.peek()? {
                (Token::End, _) => return Ok(()),
                (Token::Break, _) => self.next = None,
                (_, place) => {
                    if self.slots >= MAX_SLOTS {
                        return syntax(place, format!("more than {MAX_SLOTS} instructions"));
                    }
                    if !self.label()? {
                        self.instruction(place)?;
                        match self.peek()? {
                            (Token::Break | Token::End, _) => {}
                            (_, place) => return syntax(place, "expected the end of the instruction"),
                        }
                    }
                }
            }
        }
    }

    /// Reads `name:`, if that comes.
    fn label(&mut self) -> Result<bool, Error> {
        let (Token::Word(name), place) = self.peek()? else { return Ok(false) };
        let (at, line, begin) = (self.tokens.at, self.tokens.line, self.tokens.begin);
        let (token, _) = self.tokens.next()?;
        if token != Token::Sign(":") {
            (self.tokens.at, self.tokens.line, self.tokens.begin) = (at, line, begin);
            return Ok(false);
        }
        self.next = None;
        if register(name).is_some() {
            return syntax(place, format!("{name:?} is a register"));
        }
        if self.labels.insert(name, self.slots).is_some() {
            return syntax(place, format!("the label {name:?} is there already"));
        }
        Ok(true)
    }

    fn push(&mut self, op: Op, label: Option<&'a str>, place: Place) {
        self.ops.push(Pending { op, at: self.slots, label, place });
        self.slots += op.slots();
    }

    fn instruction(&mut self, place: Place) -> Result<(), Error> {
        let (token, _) = self.take()?;
        let mut label = None;
        let op = match token {
            Token::Word("exit") => Op::Exit,
            Token::Word(goto @ ("goto" | "gotol")) => {
                let (target, here) = self.target()?;
                let off = into_label(target, &mut label);
                let long = goto == "gotol";
                if !long && i16::try_from(off).is_err() {
                    return syntax(here, "too far for goto: gotol reaches");
                }
                Op::Ja { off, long }
            }
            Token::Word("if") => self.conditional(&mut label)?,
            Token::Word("call") => self.call(&mut label)?,
            Token::Word("lock") => self.locked()?,
            Token::Sign("*") => {
                let (size, signed, here) = self.pointer()?;
                if signed {
                    return syntax(here, "a store has no sign");
                }
                let (dst, off) = self.address()?;
                self.expect("=")?;
                Op::Store { size, dst, off, src: self.operand(None)? }
            }
            Token::Word(word) => match register(word) {
                Some((width, dst)) => self.assignment(width, dst, &mut label)?,
                None => return syntax(place, format!("{word:?} is no instruction")),
            },
            _ => return syntax(place, "expected an instruction"),
        };
        self.push(op, label, place);
        Ok(())
    }

    fn target(&mut self) -> Result<(Target<'a>, Place), Error> {
        let (token, place) = self.peek()?;
        match token {
            Token::Word(name) => {
                self.next = None;
                Ok((Target::Label(name), place))
            }
            Token::Sign("+" | "-") => Ok((Target::Slots(self.signed("a distance")?), place)),
            _ => syntax(place, "expected +N, -N or a label"),
        }
    }

    fn conditional(&mut self, label: &mut Option<&'a str>) -> Result<Op, Error> {
        let (width, dst, _) = self.register()?;
        let (token, place) = self.take()?;
        let cond = match token {
            Token::Sign(sign) => Cond::ALL.into_iter().find(|cond| cond.sign() == sign),
            _ => None,
        };
        let Some(cond) = cond else { return syntax(place, "expected a comparison") };
        let src = self.operand(Some(width))?;
        match self.word("goto")? {
            ("goto", _) => {}
            (_, place) => return syntax(place, "expected goto"),
        }
        let (target, place) = self.target()?;
        match i16::try_from(into_label(target, label)) {
            Ok(off) => Ok(Op::Jump { width, cond, dst, src, off }),
            Err(_) => syntax(place, "too far for a conditional jump"),
        }
    }

    fn call(&mut self, label: &mut Option<&'a str>) -> Result<Op, Error> {
        match self.peek()? {
            (Token::Number(_) | Token::Sign("-"), _) => {
                Ok(Op::Call(Callee::Helper(self.signed("a number")?)))
            }
            (Token::Word("pc"), _) => {
                self.next = None;
                Ok(Op::Call(Callee::Local(self.signed("+N or -N")?)))
            }
            (Token::Word("kernel"), _) => {
                self.next = None;
                self.expect("[")?;
                let number = self.signed("a number")?;
                self.expect("]")?;
                Ok(Op::Call(Callee::Kernel(number)))
            }
            (Token::Word(name), _) => {
                self.next = None;
                // A label of the program comes before a helper; which it is is known at the end.
                *label = Some(name);
                Ok(Op::Call(Callee::Local(0)))
            }
            (_, place) => syntax(place, "expected a helper or a function"),
        }
    }

    fn locked(&mut self) -> Result<Op, Error> {
        self.expect("*")?;
        let width = self.atomic_pointer()?;
        let (dst, off) = self.address()?;
        let (token, place) = self.take()?;
        let found = arithmetic(|sign, _, fetch| !fetch && token == Token::Sign(sign));
        let Some(atomic) = found else { return syntax(place, "expected +=, |=, &= or ^=") };
        Ok(Op::Atomic { width, atomic, dst, off, src: self.register_of(width)? })
    }

    /// What follows a register at the beginning.
    fn assignment(&mut self, width: Width, dst: Reg, label: &mut Option<&'a str>) -> Result<Op, Error> {
        let (token, place) = self.take()?;
        let Token::Sign(sign) = token else { return syntax(place, "expected an operator") };
        if sign != "=" {
            let Some(alu) = Alu::ALL.into_iter().find(|alu| alu.sign() == sign) else {
                return syntax(place, format!("{sign:?} assigns nothing"));
            };
            return Ok(Op::Alu { width, alu, dst, src: self.operand(Some(width))? });
        }
        let (token, place) = self.peek()?;
        match token {
            Token::Sign("-") => {
                self.next = None;
                if let (Token::Number(n), place) = self.peek()? {
                    self.next = None;
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
                self.next = None;
                let (size, signed, place) = self.pointer()?;
                if signed && size == Size::Dw {
                    return syntax(place, "8 bytes have nothing to extend");
                }
                let (src, off) = self.address()?;
                Ok(Op::Load { size, signed, dst, src, off })
            }
            Token::Number(n) => {
                self.next = None;
                self.constant(width, dst, n, false, place)
            }
            Token::Word(word) if register(word).is_some() => {
                Ok(Op::Alu { width, alu: Alu::Mov, dst, src: self.operand(Some(width))? })
            }
            Token::Word(word) => {
                self.next = None;
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
        if let (Token::Word("ll"), here) = self.peek()? {
            self.next = None;
            if width == Width::W32 {
                return syntax(here, "32 bits take no 64-bit immediate");
            }
            let value = if negative { n.wrapping_neg() } else { n };
            return Ok(Op::LoadImm { dst, imm: Imm64::Value(value) });
        }
        let src = Operand::Imm(immediate(n, negative, Some(width), place)?);
        Ok(Op::Alu { width, alu: Alu::Mov, dst, src })
    }

    /// `(s8)r2`
    fn extension(&mut self, width: Width, dst: Reg) -> Result<Op, Error> {
        self.expect("(")?;
        let (name, place) = self.word("s8, s16 or s32")?;
        let bits = match (name, width) {
            ("s8", _) => 8,
            ("s16", _) => 16,
            ("s32", Width::W64) => 32,
            _ => return syntax(place, "expected s8, s16 or, to 64 bits, s32"),
        };
        self.expect(")")?;
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
            self.expect("[")?;
            let imm = match word {
                "map" => self.map()?,
                "var" => Imm64::Var(self.signed("a number")?),
                _ => {
                    let (target, _) = self.target()?;
                    Imm64::Code(into_label(target, label))
                }
            };
            if word != "map" {
                self.expect("]")?;
            }
            return Ok(Op::LoadImm { dst, imm });
        }
        if let Some(name) = word.strip_prefix("atomic_fetch_") {
            let Some(atomic) = arithmetic(|_, has, fetch| fetch && has == name) else {
                return syntax(place, "expected add, or, and, xor behind atomic_fetch_");
            };
            self.expect("(")?;
            self.expect("(")?;
            self.expect_width(width)?;
            self.expect("*")?;
            self.expect(")")?;
            let (base, off) = self.address()?;
            self.expect(",")?;
            let src = self.source(width, dst)?;
            self.expect(")")?;
            return Ok(Op::Atomic { width, atomic, dst: base, off, src });
        }
        if word == xchg(width) || word == cmpxchg(width) {
            self.expect("(")?;
            let (base, off) = self.base()?;
            self.expect(",")?;
            let (atomic, src) = if word == xchg(width) {
                (Atomic::Xchg, self.source(width, dst)?)
            } else {
                if dst != Reg::R0 {
                    return syntax(place, "compare and exchange has its result in r0");
                }
                self.source(width, Reg::R0)?;
                self.expect(",")?;
                (Atomic::Cmpxchg, self.register_of(width)?)
            };
            self.expect(")")?;
            return Ok(Op::Atomic { width, atomic, dst: base, off, src });
        }
        syntax(place, format!("{word:?} is nothing that can be assigned"))
    }

    /// Behind `map[`.
    fn map(&mut self) -> Result<Imm64, Error> {
        let place = self.peek()?.1;
        let imm = match self.peek()?.0 {
            Token::Word(name) => {
                self.next = None;
                match self.names.map(name) {
                    Some(imm) => imm,
                    None => return syntax(place, format!("there is no map {name:?}")),
                }
            }
            Token::Sign("#") => {
                self.next = None;
                Imm64::MapIndex(self.signed("a number")?)
            }
            _ => Imm64::Map(self.signed("a map")?),
        };
        self.expect("]")?;
        if !self.take_if("[")? {
            return Ok(imm);
        }
        match self.take()? {
            (Token::Number(0), _) => {}
            (_, place) => return syntax(place, "only element 0 has a known address"),
        }
        self.expect("]")?;
        self.expect("+")?;
        let (token, here) = self.take()?;
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
        let place = self.peek()?.1;
        let src = self.register_of(width)?;
        if src == dst { Ok(src) } else { syntax(place, "the old value goes into the register given here") }
    }

    fn register(&mut self) -> Result<(Width, Reg, Place), Error> {
        let (word, place) = self.word("a register")?;
        match register(word) {
            Some((width, reg)) => Ok((width, reg, place)),
            None => syntax(place, format!("{word:?} is no register")),
        }
    }

    fn register_of(&mut self, width: Width) -> Result<Reg, Error> {
        match self.register()? {
            (w, reg, _) if w == width => Ok(reg),
            (.., place) => syntax(place, "32 and 64 bits do not mix"),
        }
    }

    /// A register or a number; of the width, or, without one, of either.
    fn operand(&mut self, width: Option<Width>) -> Result<Operand, Error> {
        match self.peek()? {
            (Token::Word(_), place) => {
                let (w, reg, _) = self.register()?;
                if width.is_some_and(|width| w != width) {
                    return syntax(place, "32 and 64 bits do not mix");
                }
                Ok(Operand::Reg(reg))
            }
            (_, place) => {
                let negative = self.take_if("-")?;
                match self.take()? {
                    (Token::Number(n), _) => Ok(Operand::Imm(immediate(n, negative, width, place)?)),
                    (_, place) => syntax(place, "expected a register or a number"),
                }
            }
        }
    }

    /// A number of 32 bits with or without a sign.
    fn signed(&mut self, what: &str) -> Result<i32, Error> {
        let place = self.peek()?.1;
        let negative = !self.take_if("+")? && self.take_if("-")?;
        match self.take()? {
            (Token::Number(n), _) => immediate(n, negative, None, place),
            (_, place) => syntax(place, format!("expected {what}")),
        }
    }

    /// `(u8 *)`
    fn pointer(&mut self) -> Result<(Size, bool, Place), Error> {
        self.expect("(")?;
        let (name, place) = self.word("a type, as u8")?;
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
        self.expect("*")?;
        self.expect(")")?;
        Ok((size, name.starts_with('s'), place))
    }

    fn atomic_pointer(&mut self) -> Result<Width, Error> {
        match self.pointer()? {
            (Size::Dw, false, _) => Ok(Width::W64),
            (Size::W, false, _) => Ok(Width::W32),
            (.., place) => syntax(place, "atomics are on u32 and u64"),
        }
    }

    fn expect_width(&mut self, width: Width) -> Result<(), Error> {
        let expected = if width == Width::W64 { "u64" } else { "u32" };
        match self.word(expected)? {
            (name, _) if name == expected => Ok(()),
            (_, place) => syntax(place, format!("expected {expected}")),
        }
    }

    /// `(r1 + 4)`
    fn address(&mut self) -> Result<(Reg, i16), Error> {
        self.expect("(")?;
        let address = self.base()?;
        self.expect(")")?;
        Ok(address)
    }

    /// `r1 + 4`
    fn base(&mut self) -> Result<(Reg, i16), Error> {
        let base = self.register_of(Width::W64)?;
        if !matches!(self.peek()?.0, Token::Sign("+" | "-")) {
            return Ok((base, 0));
        }
        let place = self.peek()?.1;
        match i16::try_from(self.signed("an offset")?) {
            Ok(off) => Ok((base, off)),
            Err(_) => syntax(place, "the offset does not fit 16 bits"),
        }
    }

    /// Fills in the labels.
    fn finish(mut self) -> Result<Program, Error> {
        for pending in &mut self.ops {
            let Some(name) = pending.label else { continue };
            let Some(to) = self.labels.get(name) else {
                if let Op::Call(_) = pending.op {
                    match self.names.helper(name) {
                        Some(number) => pending.op = Op::Call(Callee::Helper(number)),
                        None => return syntax(pending.place, format!("no helper or function {name:?}")),
                    }
                    continue;
                }
                return syntax(pending.place, format!("there is no label {name:?}"));
            };
            // Both are below MAX_SLOTS.
            let distance = *to as i32 - (pending.at as i32 + 1);
            match &mut pending.op {
                Op::Ja { off, long: true }
                | Op::Call(Callee::Local(off))
                | Op::LoadImm { imm: Imm64::Code(off), .. } => *off = distance,
                op => match (i16::try_from(distance), op) {
                    (Ok(_), Op::Ja { off, .. }) => *off = distance,
                    (Ok(near), Op::Jump { off, .. }) => *off = near,
                    _ => return syntax(pending.place, format!("{name:?} is too far away")),
                },
            }
        }
        let slots = self.ops.iter().flat_map(|pending| {
            let (first, second) = pending.op.encode();
            core::iter::once(first).chain(second)
        });
        Program::new(slots.collect()).map_err(|invalid| {
            let line = self.ops.iter().rfind(|pending| pending.at <= invalid.at).map_or(1, |p| p.place.line);
            Error::Program { line, invalid }
        })
    }
}

/// The atomic with an operator, a name and a wish for the old value that `is` says are the ones.
fn arithmetic(is: impl Fn(&'static str, &str, bool) -> bool) -> Option<Atomic> {
    let mut all = Atomic::TABLE.iter().map(|(atomic, _)| *atomic);
    all.find(|atomic| atomic.arithmetic().is_some_and(|(sign, name, fetch)| is(sign, name, fetch)))
}

/// A distance that is known, or 0 for a label, which is remembered.
fn into_label<'a>(target: Target<'a>, label: &mut Option<&'a str>) -> i32 {
    match target {
        Target::Slots(off) => off,
        Target::Label(name) => {
            *label = Some(name);
            0
        }
    }
}

/// `r1` or `w1`.
fn register(word: &str) -> Option<(Width, Reg)> {
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

/// `be16` and the like.
fn byte_order(word: &str) -> Option<(Order, u8)> {
    let known = [("bswap", Order::Swap), ("le", Order::Little), ("be", Order::Big)];
    known.into_iter().find_map(|(name, order)| {
        let bits = word.strip_prefix(name)?;
        ["16", "32", "64"].contains(&bits).then(|| bits.parse().ok().map(|bits| (order, bits)))?
    })
}

/// A number as an immediate. One of 32 bits may be written as it lies there (`0xffffffff`), which would be another
/// number if it were extended to 64.
fn immediate(n: u64, negative: bool, width: Option<Width>, place: Place) -> Result<i32, Error> {
    let value = i128::from(n) * if negative { -1 } else { 1 };
    let fits = i32::try_from(value).ok();
    let as_it_lies = (width == Some(Width::W32)).then(|| u32::try_from(value).ok()).flatten();
    match fits.or(as_it_lies.map(|bits| bits as i32)) {
        Some(imm) => Ok(imm),
        None => syntax(place, "does not fit 32 bits; `ll` behind it loads 64"),
    }
}
