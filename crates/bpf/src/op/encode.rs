//! From instructions to slots.

use super::{Alu, Atomic, Callee, Cond, Imm64, Op, Operand, Order, Reg, Size, Width};
use crate::insn::{Insn, K, X, class, mode, size};

impl Op {
    /// Its slots; the second only for [`Op::LoadImm`].
    pub fn encode(&self) -> (Insn, Option<Insn>) {
        let one = |insn| (insn, None);
        match *self {
            Self::Alu { width, alu, dst, src } => {
                let found = Alu::TABLE.iter().find(|(has, ..)| *has == alu);
                let (code, off) = found.map_or((0, 0), |(_, code, off)| (*code, *off));
                one(with_operand(alu_class(width) | code, dst, src, off))
            }
            Self::MovSx { width, bits, dst, src } => {
                one(with_operand(alu_class(width) | 0xb0, dst, Operand::Reg(src), bits.into()))
            }
            Self::Neg { width, dst } => {
                one(Insn { opcode: alu_class(width) | 0x80, dst: dst.0, ..Insn::default() })
            }
            Self::End { order, bits, dst } => {
                let opcode = match order {
                    Order::Little => class::ALU | K,
                    Order::Big => class::ALU | X,
                    Order::Swap => class::ALU64 | K,
                } | 0xd0;
                one(Insn { opcode, dst: dst.0, imm: bits.into(), ..Insn::default() })
            }
            Self::Ja { off, long: true } => one(Insn { opcode: class::JMP32, imm: off, ..Insn::default() }),
            // A short jump came from 16 bits.
            Self::Ja { off, long: false } => {
                one(Insn { opcode: class::JMP, off: off as i16, ..Insn::default() })
            }
            Self::Jump { width, cond, dst, src, off } => {
                let class = if width == Width::W64 { class::JMP } else { class::JMP32 };
                one(with_operand(class | code_of(Cond::TABLE, cond), dst, src, off))
            }
            Self::Call(callee) => {
                let (src, imm) = match callee {
                    Callee::Helper(number) => (0, number),
                    Callee::Local(off) => (1, off),
                    Callee::Kernel(number) => (2, number),
                };
                one(Insn { opcode: class::JMP | 0x80, src, imm, ..Insn::default() })
            }
            Self::Exit => one(Insn { opcode: class::JMP | 0x90, ..Insn::default() }),
            Self::LoadImm { dst, imm } => {
                let (src, low, high) = match imm {
                    Imm64::Value(value) => (0, value as i32, (value >> 32) as i32),
                    Imm64::Map(map) => (1, map, 0),
                    Imm64::MapValue { map, off } => (2, map, off as i32),
                    Imm64::Var(var) => (3, var, 0),
                    Imm64::Code(off) => (4, off, 0),
                    Imm64::MapIndex(map) => (5, map, 0),
                    Imm64::MapIndexValue { map, off } => (6, map, off as i32),
                };
                let opcode = class::LD | mode::IMM | size::DW;
                let first = Insn { opcode, dst: dst.0, src, off: 0, imm: low };
                (first, Some(Insn { imm: high, ..Insn::default() }))
            }
            Self::Load { size, signed, dst, src, off } => {
                let mode = if signed { mode::MEMSX } else { mode::MEM };
                let opcode = class::LDX | mode | code_of(Size::TABLE, size);
                one(Insn { opcode, dst: dst.0, src: src.0, off, imm: 0 })
            }
            Self::Store { size, dst, off, src } => {
                let opcode = mode::MEM | code_of(Size::TABLE, size);
                one(match src {
                    Operand::Reg(src) => {
                        Insn { opcode: opcode | class::STX, dst: dst.0, src: src.0, off, imm: 0 }
                    }
                    Operand::Imm(imm) => Insn { opcode: opcode | class::ST, dst: dst.0, src: 0, off, imm },
                })
            }
            Self::Atomic { width, atomic, dst, off, src } => {
                let size = if width == Width::W64 { size::DW } else { size::W };
                let opcode = class::STX | mode::ATOMIC | size;
                one(Insn { opcode, dst: dst.0, src: src.0, off, imm: code_of(Atomic::TABLE, atomic) })
            }
        }
    }

    /// Where it leads, other than to the next instruction, counted from the slot behind its first one: jumps, local calls,
    /// addresses of code.
    pub const fn target(&self) -> Option<i32> {
        match *self {
            Self::Ja { off, .. } => Some(off),
            Self::Jump { off, .. } => Some(off as i32),
            Self::Call(Callee::Local(off)) => Some(off),
            Self::LoadImm { imm: Imm64::Code(off), .. } => Some(off),
            _ => None,
        }
    }
}

/// The first of `table` whose first member is `key`; each table has all.
fn code_of<K: PartialEq + Copy, C: Copy + Default>(table: &[(K, C)], key: K) -> C {
    table.iter().find(|(has, _)| *has == key).map(|(_, code)| *code).unwrap_or_default()
}

fn alu_class(width: Width) -> u8 {
    if width == Width::W64 { class::ALU64 } else { class::ALU }
}

fn with_operand(opcode: u8, dst: Reg, src: Operand, off: i16) -> Insn {
    match src {
        Operand::Reg(src) => Insn { opcode: opcode | X, dst: dst.0, src: src.0, off, imm: 0 },
        Operand::Imm(imm) => Insn { opcode: opcode | K, dst: dst.0, src: 0, off, imm },
    }
}
