//! Instructions to text.

use alloc::string::String;
use core::fmt::{self, Write};

use super::Names;
use crate::op::{Alu, Atomic, Callee, Cond, Imm64, Op, Operand, Order, Reg, Size, Width};
use crate::program::Program;

/// A program as text: a line for each instruction, jumps in slots, helpers by name where they have one.
pub fn print(program: &Program, names: &dyn Names) -> String {
    let mut text = String::new();
    for (_, op) in program.ops() {
        // A String takes everything.
        let _ = writeln!(text, "{}", Shown { op: &op, names });
    }
    text
}

/// An instruction, to be printed.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The instruction.
    pub op: &'a Op,
    /// What its numbers are called.
    pub names: &'a dyn Names,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A register as an operand of a width.
pub(super) struct R(pub(super) Width, pub(super) Reg);

impl fmt::Display for R {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 == Width::W64 { 'r' } else { 'w' }, self.1.number())
    }
}

fn r64(reg: Reg) -> R {
    R(Width::W64, reg)
}

/// A second operand of a width.
struct Second(Width, Operand);

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Operand::Reg(reg) => R(self.0, reg).fmt(f),
            Operand::Imm(imm) => imm.fmt(f),
        }
    }
}

/// `r1 + 4`
struct Address(Reg, i16);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.1 < 0 { '-' } else { '+' };
        write!(f, "r{} {sign} {}", self.0.number(), self.1.unsigned_abs())
    }
}

impl Alu {
    /// Its operator.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Sub => "-=",
            Self::Mul => "*=",
            Self::Div => "/=",
            Self::Sdiv => "s/=",
            Self::Or => "|=",
            Self::And => "&=",
            Self::Lsh => "<<=",
            Self::Rsh => ">>=",
            Self::Mod => "%=",
            Self::Smod => "s%=",
            Self::Xor => "^=",
            Self::Mov => "=",
            Self::Arsh => "s>>=",
        }
    }
}

impl Cond {
    /// Its operator.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Set => "&",
            Self::Ne => "!=",
            Self::Sgt => "s>",
            Self::Sge => "s>=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Slt => "s<",
            Self::Sle => "s<=",
        }
    }
}

impl Atomic {
    /// The operator and the name of those that are an arithmetic operation, and whether the old value is wanted.
    pub(super) const fn arithmetic(self) -> Option<(&'static str, &'static str, bool)> {
        match self {
            Self::Add { fetch } => Some(("+=", "add", fetch)),
            Self::Or { fetch } => Some(("|=", "or", fetch)),
            Self::And { fetch } => Some(("&=", "and", fetch)),
            Self::Xor { fetch } => Some(("^=", "xor", fetch)),
            Self::Xchg | Self::Cmpxchg => None,
        }
    }
}

fn bits(size: Size) -> usize {
    size.bytes() * 8
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.op {
            Op::Alu { width, alu, dst, src } => {
                write!(f, "{} {} {}", R(width, dst), alu.sign(), Second(width, src))
            }
            Op::MovSx { width, bits, dst, src } => {
                write!(f, "{} = (s{bits}){}", R(width, dst), R(width, src))
            }
            Op::Neg { width, dst } => write!(f, "{0} = -{0}", R(width, dst)),
            Op::End { order, bits, dst } => {
                let name = match order {
                    Order::Little => "le",
                    Order::Big => "be",
                    Order::Swap => "bswap",
                };
                write!(f, "{0} = {name}{bits} {0}", r64(dst))
            }
            Op::Ja { off, long } => write!(f, "goto{} {off:+}", if long { "l" } else { "" }),
            Op::Jump { width, cond, dst, src, off } => {
                write!(f, "if {} {} {} goto {off:+}", R(width, dst), cond.sign(), Second(width, src))
            }
            Op::Call(Callee::Helper(number)) => match self.names.helper_name(number) {
                Some(name) => write!(f, "call {name}"),
                None => write!(f, "call {number}"),
            },
            Op::Call(Callee::Local(off)) => write!(f, "call pc{off:+}"),
            Op::Call(Callee::Kernel(number)) => write!(f, "call kernel[{number}]"),
            Op::Exit => f.write_str("exit"),
            Op::LoadImm { dst, imm } => write!(f, "{} = {imm}", r64(dst)),
            Op::Load { size, signed, dst, src, off } => {
                let sign = if signed { 's' } else { 'u' };
                write!(f, "{} = *({sign}{} *)({})", r64(dst), bits(size), Address(src, off))
            }
            Op::Store { size, dst, off, src } => {
                write!(f, "*(u{} *)({}) = {}", bits(size), Address(dst, off), Second(Width::W64, src))
            }
            Op::Atomic { width, atomic, dst, off, src } => {
                let (n, at) = (if width == Width::W64 { 64 } else { 32 }, Address(dst, off));
                let src = R(width, src);
                match (atomic, atomic.arithmetic()) {
                    (_, Some((sign, _, false))) => write!(f, "lock *(u{n} *)({at}) {sign} {src}"),
                    (_, Some((_, name, true))) => {
                        write!(f, "{src} = atomic_fetch_{name}((u{n} *)({at}), {src})")
                    }
                    (Atomic::Cmpxchg, _) => {
                        let r0 = R(width, Reg::R0);
                        write!(f, "{r0} = {}({at}, {r0}, {src})", cmpxchg(width))
                    }
                    _ => write!(f, "{src} = {}({at}, {src})", xchg(width)),
                }
            }
        }
    }
}

/// The names of the two exchanges.
pub(super) const fn xchg(width: Width) -> &'static str {
    if matches!(width, Width::W64) { "xchg_64" } else { "xchg32_32" }
}

/// As [`xchg`].
pub(super) const fn cmpxchg(width: Width) -> &'static str {
    if matches!(width, Width::W64) { "cmpxchg_64" } else { "cmpxchg32_32" }
}

impl fmt::Display for Imm64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value:#x} ll"),
            Self::Map(map) => write!(f, "map[{map}]"),
            Self::MapValue { map, off } => write!(f, "map[{map}][0]+{off}"),
            Self::Var(var) => write!(f, "var[{var}]"),
            Self::Code(off) => write!(f, "code[{off:+}]"),
            Self::MapIndex(map) => write!(f, "map[#{map}]"),
            Self::MapIndexValue { map, off } => write!(f, "map[#{map}][0]+{off}"),
        }
    }
}
