//! From slots to instructions, and all that can be wrong with them.

use core::fmt;

use super::{Alu, Atomic, Callee, Cond, Imm64, Op, Operand, Order, Reg, Size, Width};
use crate::insn::{Insn, X, class, mode};

/// Why an instruction is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// No such opcode.
    Opcode(u8),
    /// No such register.
    Register(u8),
    /// A field that the instruction does not use is not zero, or one that it uses has no such value.
    Field(Field),
    /// A 64-bit immediate without its second slot, or with something else in it.
    SecondSlot,
    /// Access to a packet: replaced by direct access long ago, and here there are no packets.
    PacketAccess,
    /// A call of what is in a register: not defined for all programs (RFC 9669, section 4.3.1).
    CallRegister,
}

/// A field of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `dst`
    Dst,
    /// `src`
    Src,
    /// `off`
    Off,
    /// `imm`
    Imm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dst => "dst",
            Self::Src => "src",
            Self::Off => "off",
            Self::Imm => "imm",
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opcode(opcode) => write!(f, "unknown opcode {opcode:02x}"),
            Self::Register(number) => write!(f, "R{number} is invalid"),
            Self::Field(field) => write!(f, "the field {field} has a value that means nothing here"),
            Self::SecondSlot => f.write_str("a 64-bit immediate without its second half"),
            Self::PacketAccess => {
                f.write_str("packet access by LD_ABS and LD_IND is legacy: load from memory instead")
            }
            Self::CallRegister => f.write_str("callx is not supported: call a helper or a local function"),
        }
    }
}

/// The instruction that begins with `first`. `second` is the slot behind it, looked at only if it belongs to it.
///
/// # Errors
/// What is wrong with it.
pub fn decode(first: Insn, second: Option<Insn>) -> Result<Op, Malformed> {
    let used = match first.class() {
        class::ALU | class::ALU64 => arithmetic(first)?,
        class::JMP | class::JMP32 => jump(first)?,
        class::LD => return immediate(first, second),
        _ => access(first)?,
    };
    used.rest_is_zero(first)
}

/// An instruction, and which fields of its slot it has taken in.
struct Used {
    op: Op,
    fields: [bool; 4],
}

impl Used {
    fn new(op: Op, fields: &[Field]) -> Self {
        let has = |field| fields.contains(&field);
        Self { op, fields: [has(Field::Dst), has(Field::Src), has(Field::Off), has(Field::Imm)] }
    }

    fn rest_is_zero(self, insn: Insn) -> Result<Op, Malformed> {
        let [dst, src, off, imm] = self.fields;
        let wrong = [
            (dst || insn.dst == 0, Field::Dst),
            (src || insn.src == 0, Field::Src),
            (off || insn.off == 0, Field::Off),
            (imm || insn.imm == 0, Field::Imm),
        ];
        match wrong.iter().find(|(fine, _)| !fine) {
            Some((_, field)) => Err(Malformed::Field(*field)),
            None => Ok(self.op),
        }
    }
}

fn reg(number: u8) -> Result<Reg, Malformed> {
    Reg::new(number).ok_or(Malformed::Register(number))
}

/// The second operand of arithmetic and jumps, and the field that it is in.
fn operand(insn: Insn) -> Result<(Operand, Field), Malformed> {
    Ok(if insn.opcode & X == X {
        (Operand::Reg(reg(insn.src)?), Field::Src)
    } else {
        (Operand::Imm(insn.imm), Field::Imm)
    })
}

fn arithmetic(insn: Insn) -> Result<Used, Malformed> {
    const NEG: u8 = 0x80;
    const END: u8 = 0xd0;
    const MOV: u8 = 0xb0;
    let width = if insn.class() == class::ALU64 { Width::W64 } else { Width::W32 };
    let dst = reg(insn.dst)?;
    let by_register = insn.opcode & X == X;
    match insn.opcode & 0xf0 {
        NEG if !by_register => Ok(Used::new(Op::Neg { width, dst }, &[Field::Dst])),
        END => {
            let order = match (width, by_register) {
                (Width::W32, false) => Order::Little,
                (Width::W32, true) => Order::Big,
                (Width::W64, false) => Order::Swap,
                (Width::W64, true) => return Err(Malformed::Opcode(insn.opcode)),
            };
            if ![16, 32, 64].contains(&insn.imm) {
                return Err(Malformed::Field(Field::Imm));
            }
            Ok(Used::new(Op::End { order, bits: insn.imm as u8, dst }, &[Field::Dst, Field::Imm]))
        }
        MOV if by_register && insn.off != 0 => {
            let bits = match (insn.off, width) {
                (8 | 16, _) | (32, Width::W64) => insn.off as u8,
                _ => return Err(Malformed::Field(Field::Off)),
            };
            let op = Op::MovSx { width, bits, dst, src: reg(insn.src)? };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        code => {
            let (src, field) = operand(insn)?;
            let known = || Alu::TABLE.iter().filter(|(_, has, _)| *has == code);
            let Some((alu, ..)) = known().find(|(_, _, off)| *off == insn.off) else {
                let known = known().next().is_some();
                return Err(if known {
                    Malformed::Field(Field::Off)
                } else {
                    Malformed::Opcode(insn.opcode)
                });
            };
            Ok(Used::new(Op::Alu { width, alu: *alu, dst, src }, &[Field::Dst, field, Field::Off]))
        }
    }
}

fn jump(insn: Insn) -> Result<Used, Malformed> {
    const JA: u8 = 0x00;
    const CALL: u8 = 0x80;
    const EXIT: u8 = 0x90;
    let width = if insn.class() == class::JMP { Width::W64 } else { Width::W32 };
    match (insn.opcode & 0xf0, width, insn.opcode & X == X) {
        (JA, Width::W64, false) => Ok(Used::new(Op::Ja { off: insn.off.into(), long: false }, &[Field::Off])),
        (JA, Width::W32, false) => Ok(Used::new(Op::Ja { off: insn.imm, long: true }, &[Field::Imm])),
        (CALL, Width::W64, true) => Err(Malformed::CallRegister),
        (CALL, Width::W64, false) => {
            let callee = match insn.src {
                0 => Callee::Helper(insn.imm),
                1 => Callee::Local(insn.imm),
                2 => Callee::Kernel(insn.imm),
                _ => return Err(Malformed::Field(Field::Src)),
            };
            Ok(Used::new(Op::Call(callee), &[Field::Src, Field::Imm]))
        }
        (EXIT, Width::W64, false) => Ok(Used::new(Op::Exit, &[])),
        (code, ..) => {
            let (cond, _) =
                Cond::TABLE.iter().find(|(_, has)| *has == code).ok_or(Malformed::Opcode(insn.opcode))?;
            let (src, field) = operand(insn)?;
            let op = Op::Jump { width, cond: *cond, dst: reg(insn.dst)?, src, off: insn.off };
            Ok(Used::new(op, &[Field::Dst, field, Field::Off]))
        }
    }
}

fn immediate(first: Insn, second: Option<Insn>) -> Result<Op, Malformed> {
    match first.opcode & 0xe0 {
        mode::ABS | mode::IND => return Err(Malformed::PacketAccess),
        _ if !first.is_wide() => return Err(Malformed::Opcode(first.opcode)),
        _ => {}
    }
    let dst = reg(first.dst)?;
    let high = match second {
        Some(Insn { opcode: 0, dst: 0, src: 0, off: 0, imm }) => imm as u32,
        _ => return Err(Malformed::SecondSlot),
    };
    let imm = match first.src {
        0 => Imm64::Value(u64::from(high) << 32 | u64::from(first.imm as u32)),
        2 => Imm64::MapValue { map: first.imm, off: high },
        6 => Imm64::MapIndexValue { map: first.imm, off: high },
        kind => {
            let imm = match kind {
                1 => Imm64::Map(first.imm),
                3 => Imm64::Var(first.imm),
                4 => Imm64::Code(first.imm),
                5 => Imm64::MapIndex(first.imm),
                _ => return Err(Malformed::Field(Field::Src)),
            };
            if high != 0 {
                return Err(Malformed::SecondSlot);
            }
            imm
        }
    };
    Used::new(Op::LoadImm { dst, imm }, &[Field::Dst, Field::Src, Field::Imm]).rest_is_zero(first)
}

fn access(insn: Insn) -> Result<Used, Malformed> {
    let unknown = Malformed::Opcode(insn.opcode);
    let (size, _) = *Size::TABLE.iter().find(|(_, code)| *code == insn.opcode & 0x18).ok_or(unknown)?;
    let (dst, off) = (reg(insn.dst)?, insn.off);
    match (insn.class(), insn.opcode & 0xe0) {
        (class::LDX, mode::MEM) => {
            let op = Op::Load { size, signed: false, dst, src: reg(insn.src)?, off };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        (class::LDX, mode::MEMSX) if size != Size::Dw => {
            let op = Op::Load { size, signed: true, dst, src: reg(insn.src)?, off };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        (class::ST, mode::MEM) => {
            let op = Op::Store { size, dst, off, src: Operand::Imm(insn.imm) };
            Ok(Used::new(op, &[Field::Dst, Field::Off, Field::Imm]))
        }
        (class::STX, mode::MEM) => {
            let op = Op::Store { size, dst, off, src: Operand::Reg(reg(insn.src)?) };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off]))
        }
        (class::STX, mode::ATOMIC) => {
            let width = match size {
                Size::W => Width::W32,
                Size::Dw => Width::W64,
                Size::B | Size::H => return Err(unknown),
            };
            let found = Atomic::TABLE.iter().find(|(_, code)| *code == insn.imm);
            let (atomic, _) = *found.ok_or(Malformed::Field(Field::Imm))?;
            let op = Op::Atomic { width, atomic, dst, off, src: reg(insn.src)? };
            Ok(Used::new(op, &[Field::Dst, Field::Src, Field::Off, Field::Imm]))
        }
        _ => Err(unknown),
    }
}
