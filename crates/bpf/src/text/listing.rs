//! Instructions as the kernel's own disassembler writes them (`kernel/bpf/disasm.c`), and so `bpftool prog dump xlated`.
//!
//! It differs from the assembler's dialect in little: the opcode stands before it, `goto pc+3`, numbers that are compared are
//! hexadecimal, and offsets have their sign right before them: `*(u32 *)(r10 -4)`. A map is `map[id:19]`.

use core::fmt;

use super::Names;
use super::print::R;
use crate::op::{Atomic, Callee, Imm64, Op, Operand, Order, Reg, Width};

/// An instruction, to be printed so.
pub struct Listed<'a> {
    /// Its opcode.
    pub opcode: u8,
    /// The instruction.
    pub op: &'a Op,
    /// What its helpers are called.
    pub names: &'a dyn Names,
    /// The id of a map.
    pub map_id: &'a dyn Fn(i32) -> Option<u32>,
}

/// `(r1 +8)`
struct At(Reg, i16);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(r{} {:+})", self.0.number(), self.1)
    }
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:02x}) ", self.opcode)?;
        let r = |reg: Reg| R(Width::W64, reg);
        match *self.op {
            Op::Alu { width, alu, dst, src } => {
                write!(f, "{} {} ", R(width, dst), alu.sign())?;
                operand(f, width, src)
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
                write!(f, "{0} = {name}{bits} {0}", r(dst))
            }
            Op::Ja { off, long } => write!(f, "goto{} pc{off:+}", if long { "l" } else { "" }),
            Op::Jump { width, cond, dst, src, off } => {
                write!(f, "if {} {} ", R(width, dst), cond.sign())?;
                match src {
                    Operand::Reg(src) => write!(f, "{}", R(width, src))?,
                    Operand::Imm(imm) => write!(f, "{imm:#x}")?,
                }
                write!(f, " goto pc{off:+}")
            }
            Op::Call(Callee::Helper(number)) => match self.names.helper_name(number) {
                Some(name) => write!(f, "call bpf_{name}#{number}"),
                None => write!(f, "call unknown#{number}"),
            },
            Op::Call(Callee::Local(off)) => write!(f, "call pc{off:+}"),
            Op::Call(Callee::Kernel(number)) => write!(f, "call kernel-function#{number}"),
            Op::Exit => f.write_str("exit"),
            Op::LoadImm { dst, imm } => {
                write!(f, "{} = ", r(dst))?;
                self.imm(f, imm)
            }
            Op::Load { size, signed, dst, src, off } => {
                let sign = if signed { 's' } else { 'u' };
                write!(f, "{} = *({sign}{} *){}", r(dst), size.bytes() * 8, At(src, off))
            }
            Op::Store { size, dst, off, src } => {
                write!(f, "*(u{} *){} = ", size.bytes() * 8, At(dst, off))?;
                operand(f, Width::W64, src)
            }
            Op::Atomic { width, atomic, dst, off, src } => {
                let (bits, wide) = if width == Width::W64 { (64, "64") } else { (32, "") };
                let (at, src) = (At(dst, off), R(width, src));
                match (atomic, atomic.arithmetic()) {
                    (_, Some((sign, _, false))) => write!(f, "lock *(u{bits} *){at} {sign} {src}"),
                    (_, Some((_, name, true))) => {
                        write!(f, "{src} = atomic{wide}_fetch_{name}((u{bits} *){at}, {src})")
                    }
                    (Atomic::Cmpxchg, _) => {
                        let r0 = R(width, Reg::R0);
                        write!(f, "{r0} = atomic{wide}_cmpxchg((u{bits} *){at}, {r0}, {src})")
                    }
                    _ => write!(f, "{src} = atomic{wide}_xchg((u{bits} *){at}, {src})"),
                }
            }
        }
    }
}

fn operand(f: &mut fmt::Formatter<'_>, width: Width, operand: Operand) -> fmt::Result {
    match operand {
        Operand::Reg(reg) => write!(f, "{}", R(width, reg)),
        Operand::Imm(imm) => write!(f, "{imm}"),
    }
}

impl Listed<'_> {
    fn imm(&self, f: &mut fmt::Formatter<'_>, imm: Imm64) -> fmt::Result {
        let (map, off) = match imm {
            Imm64::Value(value) => return write!(f, "{value:#x}"),
            Imm64::Var(var) => return write!(f, "var[{var}]"),
            Imm64::Code(off) => return write!(f, "subprog[{off:+}]"),
            Imm64::Map(map) | Imm64::MapIndex(map) => (map, None),
            Imm64::MapValue { map, off } | Imm64::MapIndexValue { map, off } => (map, Some(off)),
        };
        match (self.map_id)(map) {
            Some(id) => write!(f, "map[id:{id}]")?,
            None => write!(f, "map[{map}]")?,
        }
        off.map_or(Ok(()), |off| write!(f, "[0]+{off}"))
    }
}
