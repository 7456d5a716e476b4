//! Text to a program.
//!
//! One pass reads instructions and remembers where jumps to labels stand; a second one fills them in.
//!
//! | room | what |
//! |---|---|
//! | `tokens` | words, numbers and signs |
//! | `operand` | registers, numbers, pointers, addresses |
//! | `assign` | what is assigned to a register |

mod assign;
mod operand;
mod tokens;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use self::tokens::{Place, Token, Tokens, syntax};
use super::{Error, Names};
use crate::op::{Atomic, Callee, Cond, Imm64, Op};
use crate::program::{MAX_SLOTS, Program};

/// Reads a program.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn parse(text: &str, names: &dyn Names) -> Result<Program, Error> {
    let mut parser =
        Parser { tokens: Tokens::new(text), names, labels: BTreeMap::new(), ops: Vec::new(), slots: 0 };
    parser.program()?;
    parser.finish()
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
    labels: BTreeMap<&'a str, usize>,
    ops: Vec<Pending<'a>>,
    slots: usize,
}

impl<'a> Parser<'a> {
    fn program(&mut self) -> Result<(), Error> {
        loop {
            match self.tokens.peek()? {
                (Token::End, _) => return Ok(()),
                (Token::Break, _) => self.tokens.pass(),
                (_, place) => {
                    if self.slots >= MAX_SLOTS {
                        return syntax(place, format!("more than {MAX_SLOTS} instructions"));
                    }
                    if !self.label()? {
                        self.instruction(place)?;
                        match self.tokens.peek()? {
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
        let Some((name, place)) = self.tokens.label()? else { return Ok(false) };
        if operand::register(name).is_some() {
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
        let (token, _) = self.tokens.take()?;
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
                self.tokens.expect("=")?;
                Op::Store { size, dst, off, src: self.operand(None)? }
            }
            Token::Word(word) => match operand::register(word) {
                Some((width, dst)) => self.assignment(width, dst, &mut label)?,
                None => return syntax(place, format!("{word:?} is no instruction")),
            },
            _ => return syntax(place, "expected an instruction"),
        };
        self.push(op, label, place);
        Ok(())
    }

    fn target(&mut self) -> Result<(Target<'a>, Place), Error> {
        let (token, place) = self.tokens.peek()?;
        match token {
            Token::Word(name) => {
                self.tokens.pass();
                Ok((Target::Label(name), place))
            }
            Token::Sign("+" | "-") => Ok((Target::Slots(self.signed("a distance")?), place)),
            _ => syntax(place, "expected +N, -N or a label"),
        }
    }

    fn conditional(&mut self, label: &mut Option<&'a str>) -> Result<Op, Error> {
        let (width, dst, _) = self.register()?;
        let (token, place) = self.tokens.take()?;
        let cond = match token {
            Token::Sign(sign) => Cond::ALL.into_iter().find(|cond| cond.sign() == sign),
            _ => None,
        };
        let Some(cond) = cond else { return syntax(place, "expected a comparison") };
        let src = self.operand(Some(width))?;
        match self.tokens.word("goto")? {
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
        match self.tokens.peek()? {
            (Token::Number(_) | Token::Sign("-"), _) => {
                Ok(Op::Call(Callee::Helper(self.signed("a number")?)))
            }
            (Token::Word("pc"), _) => {
                self.tokens.pass();
                Ok(Op::Call(Callee::Local(self.signed("+N or -N")?)))
            }
            (Token::Word("kernel"), _) => {
                self.tokens.pass();
                self.tokens.expect("[")?;
                let number = self.signed("a number")?;
                self.tokens.expect("]")?;
                Ok(Op::Call(Callee::Kernel(number)))
            }
            (Token::Word(name), _) => {
                self.tokens.pass();
                // A label of the program comes before a helper; which it is is known at the end.
                *label = Some(name);
                Ok(Op::Call(Callee::Local(0)))
            }
            (_, place) => syntax(place, "expected a helper or a function"),
        }
    }

    fn locked(&mut self) -> Result<Op, Error> {
        self.tokens.expect("*")?;
        let width = self.atomic_pointer()?;
        let (dst, off) = self.address()?;
        let (token, place) = self.tokens.take()?;
        let found = arithmetic(|sign, _, fetch| !fetch && token == Token::Sign(sign));
        let Some(atomic) = found else { return syntax(place, "expected +=, |=, &= or ^=") };
        Ok(Op::Atomic { width, atomic, dst, off, src: self.register_of(width)? })
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
